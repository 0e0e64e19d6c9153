"""Steps for tests of the container's command."""

import logging
import os
from pathlib import Path
from typing import TypedDict

import apache_beam as beam
from tfx.dsl.component.experimental.annotations import BeamComponentParameter, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.experimental.simple_artifacts import File, Metrics

from components.contract.errors import InputError, RefusedModel
from pipeline.terminal.display import PROGRESS


def _chatter() -> None:
    os.write(1, b"chatter of a library\n")  # as C++ does, past Python's own streams
    os.write(2, b"and an error's\n")
    logging.getLogger("library").info("more of it")


@component
def Report(word: Parameter[str], page: OutputArtifact[File], metrics: OutputArtifact[Metrics]):  # noqa: N802
    _chatter()
    file = Path(page.uri, "report.html")
    file.write_text(f"<p>{word}</p>")
    page.uri = str(file)
    metrics.set_float_custom_property("auc", 0.75)
    metrics.set_int_custom_property("requests", 12)
    metrics.set_json_value_custom_property("nothing", None)
    logging.getLogger(PROGRESS).info("wrote the page")


class Lengths(TypedDict):
    reversed: str
    length: int


@component
def Measure(word: Parameter[str]) -> Lengths:  # noqa: N802
    return {"reversed": word[::-1], "length": len(word)}


@component
def BadData(word: Parameter[str]):  # noqa: N802
    _chatter()
    raise InputError("events.csv, line 3: expected a time, got 'x'; mend the line")


@component
def BadModel(word: Parameter[str]):  # noqa: N802
    _chatter()
    raise RefusedModel("AUC 0.4 is below 0.5")


@component
def BadCode(word: Parameter[str]):  # noqa: N802
    _chatter()
    raise ZeroDivisionError("division by zero")


@component
def Where(word: Parameter[str], here: OutputArtifact[File]):  # noqa: N802
    pass


@component(use_beam=True)
def WhereBeam(  # noqa: N802
    word: Parameter[str], here: OutputArtifact[File], beam_pipeline: BeamComponentParameter[beam.Pipeline] = None
):
    pass
