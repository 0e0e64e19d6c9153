"""Print which folder imports which: `python scripts/import_graph.py [FOLDER] [--mermaid]`; ends with 1 where modules import in a circle."""

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("components", "trainer", "serving", "pipeline")


def sources(root: Path = ROOT) -> dict[str, str]:
    """Read every module of the packages: path in the repository -> text."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {path.relative_to(root).as_posix(): path.read_text() for path in paths}


def module_name(path: str) -> str:
    """Return the dotted name of a module's path."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: str, source: str) -> Iterator[str]:
    """Yield every dotted name that a module imports, wherever in it; `from a import b` gives both `a` and `a.b`."""
    package = module_name(path).split(".") if path.endswith("/__init__.py") else module_name(path).split(".")[:-1]
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def module_graph(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Return the modules that each module imports, a package's own `__init__` left out."""
    paths = {module_name(path): path for path in texts}
    graph = {}
    for name, path in paths.items():
        imported = {each for each in imports(path, texts[path]) if each in paths and each != name}
        graph[name] = {each for each in imported if not name.startswith(f"{each}.")}
    return graph


def folder_graph(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Return the folders that the modules of each folder import from."""
    folders = {module_name(path): path.rpartition("/")[0] for path in texts}
    graph: dict[str, set[str]] = {folder: set() for folder in folders.values()}
    for name, imported in module_graph(texts).items():
        graph[folders[name]] |= {folders[each] for each in imported} - {folders[name]}
    return graph


def siblings(graph: Mapping[str, set[str]], parent: str) -> dict[str, set[str]]:
    """Collapse a folder graph to the folders directly below `parent`; the parent's own modules may import both ways and are left out."""

    def child(folder: str) -> str | None:
        return "/".join(folder.split("/")[: parent.count("/") + 2]) if folder.startswith(f"{parent}/") else None

    collapsed: dict[str, set[str]] = {}
    for folder, imported in graph.items():
        if mine := child(folder):
            collapsed.setdefault(mine, set()).update(each for other in imported if (each := child(other)) and each != mine)
    return collapsed


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the nodes of a circle, its first one repeated at the end; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        nodes: list[str] = error.args[1]
        return nodes
    return []


def main() -> int:
    """Print a line for each folder, or a Mermaid flowchart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="", help="only the folders at and below it")
    parser.add_argument("--mermaid", action="store_true", help="as a Mermaid flowchart")
    args = parser.parse_args()
    texts = sources()
    graph = {folder: names for folder, names in folder_graph(texts).items() if folder.startswith(args.folder)}
    if args.mermaid:
        print("flowchart LR", *(f"  {folder} --> {each}" for folder in graph for each in sorted(graph[folder])), sep="\n")
    else:
        for folder, imported in graph.items():
            modules = sum(path.rpartition("/")[0] == folder for path in texts)
            print(f"{folder} ({modules} files): {', '.join(sorted(imported)) or 'nothing of ours'}")
    if circle := cycle(module_graph(texts)):
        print("circle: " + " -> ".join(circle), file=sys.stderr)
    return bool(circle)


if __name__ == "__main__":
    sys.exit(main())
