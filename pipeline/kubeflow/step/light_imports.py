"""Import TFX without what a step doesn't use.

`import tfx.types` imports TensorFlow, a component's decorator Beam, any module of `tfx.components` all other components
and TensorFlow Model Analysis: eight seconds of processor time and 0.9 GB in each step's pod, most of which need none of
it. TFX's own code also runs where TensorFlow and Beam aren't installed; a step that needs one of them imports it itself.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_PACKAGES = ("tfx.components", "tensorflow_model_analysis", "kfp")
"""Packages whose `__init__` imports more than any single module of them needs."""


def import_tfx(*, beam: bool, buckets: bool, evaluator: bool) -> None:
    """Import the parts of TFX that every step has in common.

    Args:
        beam: whether the step runs on Beam.
        buckets: whether TFX opens `gs://`, for which it uses TensorFlow.
        evaluator: whether the step is TFX's Evaluator, which uses TensorFlow Model Analysis as a whole, with names that
            `tfx.components` adds to it.
    """
    for package in ("kfp",) if evaluator else _PACKAGES:
        if package not in sys.modules:
            sys.modules[package] = _without_init(package)
    # tensorflow_model_analysis.proto.config_pb2 needs it, and leaves its import to others.
    importlib.import_module("google.protobuf.wrappers_pb2")
    with _hidden(*(() if buckets else ("tensorflow",)), *(() if beam else ("apache_beam",))):
        for module in (
            "tfx.dsl.component.experimental.decorators",
            "tfx.types.standard_artifacts",
            "tfx.types.experimental.simple_artifacts",
        ):
            importlib.import_module(module)


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Let imports of packages fail as if they weren't installed, unless they are imported already."""
    hidden = [package for package in packages if package not in sys.modules]
    for package in hidden:
        sys.modules[package] = None  # type: ignore[assignment]  # `import` fails at it
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


def _without_init(package: str) -> ModuleType:
    """Return a package whose modules can be imported, and whose `__init__` runs when anything else of it is used."""
    spec = importlib.util.find_spec(package)
    assert spec is not None, package
    module = importlib.util.module_from_spec(spec)

    def load(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
        del module.__dict__["__getattr__"]
        assert spec.loader is not None
        spec.loader.exec_module(module)
        return getattr(module, name)

    module.__dict__["__getattr__"] = load
    return module
