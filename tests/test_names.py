"""Names are the field's standard terms: a reader guesses what a name holds, and a search for the term finds it.

The words below are everyday words that say nothing of the value, or are one project's private language. A name that is one of them is
refused wherever code binds it: a module, a class, a function, a parameter, a variable or an attribute. Beside each stands what to write.
"""

import ast
from collections.abc import Iterator

import pytest
from import_graph import ROOT, module_name, sources

BANNED = {
    "told": "what it holds: message, output, report, record",
    "found": "what was found: violations, matches, rows, columns",
    "given": "what was given: args, request, values",
    "worth": "weight, value, gain, utility",
    "of": "a verb: parse, create, from_text, build",
    "much": "amount, fraction, ratio",
    "more": "remaining, further_rows, has_next",
    "fresh": "new_rows, recent, current",
    "turns": "rounds, order, alternation",
    "place": "index, position, path, location",
}
WIRE = {  # keys of files and documents that users write and read
    "components/contract/features.py": {"of"},
    "components/validate/check.py": {"found"},
    "serving/rules/file.py": {"place"},
}
PRIVATE = {  # modules that were once called so, and what they are called now
    "announced": "run_outcome",
    "bequest": "champion_weights",
    "betting": "e_process",
    "captions": "display_names",
    "clocked": "timing_middleware",
    "doors": "signatures",
    "dull": "baseline",
    "elsewhere": "remote_server",
    "grpc_door": "grpc_server",
    "judged": "split_data",
    "knowledge": "state_client",
    "ladder": "fallback_chain",
    "rivals": "baselines",
    "seam": "interface",
    "sentry": "monitor",
    "shown": "slates",
    "stand_ins": "fallback_scores",
    "standing": "popularity_ranking",
    "strict": "base_model",
    "unseen": "reset_untrained_rows",
    "until": "data_cutoff",
    "upkeep": "lifecycle",
    "wanted": "target_config, column_selection",
}


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything that a module binds."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.alias(asname=str(name)):
                yield 0, name


def refused(path: str, text: str) -> list[str]:
    """Return a sentence for each refused name of a module."""
    module = module_name(path).rpartition(".")[2]
    lines = [f"{path}: name the module {PRIVATE[module]}, not {module}"] if module in PRIVATE else []
    for line, name in bound_names(ast.parse(text)):
        if (word := name.strip("_").lower()) in BANNED and name not in WIRE.get(path, ()):
            lines.append(f"{path}:{line}: `{name}` says nothing of the value; write {BANNED[word]}")
    return lines


def test_no_module_binds_a_refused_name() -> None:
    benchmarks = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "benchmarks").rglob("*.py"))}
    lines = [line for path, text in (sources() | benchmarks).items() for line in refused(path, text)]
    assert lines == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("trainer/fit/ema.py", "told = 1"),
        ("trainer/fit/ema.py", "def f(given): ..."),
        ("trainer/fit/ema.py", "class A:\n    def of(self): ..."),
        ("trainer/fit/ema.py", "for place in range(3): ..."),
        ("trainer/fit/ema.py", "a.fresh = 1"),
        ("trainer/fit/ema.py", "def _worth(): ..."),
        ("trainer/fit/ema.py", "import numpy as more"),
        ("trainer/bequest.py", ""),
    ],
)
def test_a_refused_name_is_named_with_its_remedy(path: str, text: str) -> None:
    (line,) = refused(path, text)
    assert path in line
    assert "name the module" in line or "write" in line


@pytest.mark.parametrize("text", ["def f(x): return x.of(1)", "told_us = 1", "x = {'place': 1}", "from a import place"])
def test_a_use_or_a_longer_name_passes(text: str) -> None:
    assert refused("trainer/fit/ema.py", text) == []
