"""Imports run downward only: contract -> pure steps -> Beam steps -> TFX wrappers -> trainer -> pipeline, with serving beside trainer."""

from collections import Counter
from fnmatch import fnmatch

import pytest
from import_graph import PACKAGES, cycle, folder_graph, imports, module_graph, module_name, siblings, sources

# What a part may import of ours, besides itself.
BELOW = {
    "components/contract/": (),
    "components/": ("components",),
    "trainer/": ("components",),
    "serving/stream/": ("components.contract", "components.state", "components.ingest", "serving"),  # cleans events by ingestion's rules
    "serving/": ("components.contract", "components.state"),
    "pipeline/": ("components", "trainer", "serving"),
}
# The rehearsal is of the server itself: one component starts it, and serving knows nothing of that component.
EXCEPTIONS = {"components/rehearsal/component.py": ("serving.model_server",)}
# Where a framework may be imported.
EDGES = {
    "tfx": ("components/*/component.py", "trainer/component.py", "trainer/run.py", "trainer/tune.py", "pipeline/*"),
    "apache_beam": (
        "components/*/steps*.py",
        "components/*/component.py",
        "components/ingest/sources/beam_filesystem.py",  # the files of any file system that Beam opens
        "components/evaluation/tfma/metrics.py",
        "pipeline/*",
    ),
    "keras_tuner": ("trainer/tuning/oracles.py", "trainer/tuning/search.py"),
    "tensorflow_recommenders": ("components/*", "trainer/*", "pipeline/*"),
}
MOST_FILES = 15  # of a folder
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc"}


def level(path: str) -> int:
    """0 contract, 1 pure, 2 Beam steps, 3 TFX wrappers, by which a module of components/ may be imported."""
    name = path.rsplit("/", 1)[1]
    if path.startswith("components/contract/"):
        return 0
    return 3 if name == "component.py" else 2 if name.startswith("steps") else 1


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def violations(sources: dict[str, str]) -> list[str]:
    """One line for each import that breaks a rule; `sources` maps a path in the repository to the text."""
    modules = {module_name(path): path for path in sources}
    found = []
    for path, source in sources.items():
        me, names = module_name(path), set(imports(path, source))
        home = next(part for part in BELOW if path.startswith(part))
        mine = home.rstrip("/").replace("/", ".")
        if NAMELESS & set(me.split(".")):
            found.append(f"{path}: name it by what is in it")
        for name in sorted(names):
            ours = name.split(".")[0] in PACKAGES and not any(within(other, name) for other in names - {name})
            if ours and not any(within(name, allowed) for allowed in (mine, *BELOW[home], *EXCEPTIONS.get(path, ()))):
                found.append(f"{path}: {home} may not import {name}")
            if name in modules and home == "components/" and level(modules[name]) > level(path):
                found.append(f"{path}: imports {name}, which lies above it")
        for framework, edges in EDGES.items():
            if any(within(name, framework) for name in names) and not any(fnmatch(path, edge) for edge in edges):
                found.append(f"{path}: may not import {framework}")
    if circle := cycle(module_graph(sources)):
        found.append("cycle: " + " -> ".join(circle))
    return found


def test_imports_of_this_repository_run_downward() -> None:
    texts = sources()
    assert any(path.startswith("components/contract/") for path in texts)
    assert violations(texts) == []


def test_folders_side_by_side_import_one_way() -> None:
    graph = folder_graph(sources())
    parents = {folder.rpartition("/")[0] for folder in graph if "/" in folder}
    assert [circle for parent in sorted(parents) if (circle := cycle(siblings(graph, parent)))] == []


def test_no_folder_has_more_files_than_a_reader_takes_in() -> None:
    counts = Counter(path.rpartition("/")[0] for path in sources() if not path.endswith("/__init__.py"))
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        (
            "components/contract/dataset.py",
            "from components.state import reducer",
            "components/contract/ may not import components.state.reducer",
        ),
        ("components/state/reducer.py", "import trainer.model.ranker", "components/ may not import trainer.model.ranker"),
        ("trainer/model/ranker.py", "def f():\n    import pipeline.graph", "trainer/ may not import pipeline.graph"),
        ("trainer/model/ranker.py", "from serving import store", "trainer/ may not import serving.store"),
        ("serving/service/http/app.py", "from trainer import model", "serving/ may not import trainer.model"),
        (
            "serving/service/http/app.py",
            "from components.ingest import labels",
            "serving/ may not import components.ingest.labels",
        ),
        ("components/rehearsal/replay.py", "import serving.model_server", "components/ may not import serving.model_server"),
        ("components/rehearsal/component.py", "import serving.service", "components/ may not import serving.service"),
        ("serving/service/http/app.py", "import tfx.types", "may not import tfx"),
        ("serving/service/http/app.py", "import apache_beam as beam", "may not import apache_beam"),
        ("serving/service/http/app.py", "import tensorflow_recommenders as tfrs", "may not import tensorflow_recommenders"),
        ("components/ingest/requests/attribution.py", "from tfx.types import standard_artifacts", "may not import tfx"),
        ("components/ingest/requests/attribution.py", "from apache_beam import pvalue", "may not import apache_beam"),
        ("trainer/model/ranker.py", "from tfx import v1", "may not import tfx"),
        ("trainer/tuning/search_space.py", "import keras_tuner", "may not import keras_tuner"),
        ("components/ingest/utils.py", "", "name it by what is in it"),
        ("components/common/labels.py", "", "name it by what is in it"),
        (
            "components/ingest/requests/attribution.py",
            "from components.ingest import steps",
            "imports components.ingest.steps, which lies above it",
        ),
        ("components/ingest/attribution.py", "from .steps import read", "imports components.ingest.steps, which lies above it"),
        (
            "components/ingest/steps.py",
            "from components.ingest.component import C",
            "imports components.ingest.component, which lies above it",
        ),
    ],
)
def test_an_import_upward_is_found(path: str, source: str, complaint: str) -> None:
    others = {name: "" for name in ("components/ingest/steps.py", "components/ingest/component.py") if name != path}
    (line,) = violations({path: source, **others})
    assert line == f"{path}: {complaint}"


def test_a_cycle_is_found() -> None:
    (line,) = violations({"trainer/a.py": "from trainer import b", "trainer/b.py": "import trainer.c", "trainer/c.py": "from .a import x"})
    assert line.startswith("cycle: ")
    assert {"trainer.a", "trainer.b", "trainer.c"} <= set(line.removeprefix("cycle: ").split(" -> "))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("components/ingest/component.py", "import apache_beam\nfrom tfx.types import artifact\nfrom components.ingest.steps import read"),
        ("components/rehearsal/component.py", "from serving.model_server.server import ModelServer"),
        ("components/ingest/steps_read.py", "import apache_beam\nfrom components.contract.dataset import Dataset"),
        ("components/ingest/requests/attribution.py", "import tfx_bsl.coders"),  # another package than tfx
        ("trainer/run.py", "from tfx.components.trainer import fn_args_utils\nfrom components.contract import columns"),
        ("serving/service/http/app.py", "from components.state.reducer import State\nfrom components.contract import errors"),
        ("pipeline/graph.py", "from tfx.components import Trainer\nfrom trainer import run\nfrom serving import service"),
    ],
)
def test_imports_downward_are_allowed(path: str, source: str) -> None:
    assert violations({path: source}) == []
