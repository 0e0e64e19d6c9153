"""`DriftReference`, `DriftCheck` and `DriftGate`: a release's window beside it, and the next run's against it."""

import logging
import time
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils.path_utils import serving_model_path

from components.contract.errors import DataFrozen
from components.contract.load import parse_dataset
from components.drift.check import Window
from components.drift.decision import Action, Decision, parse_decision
from components.drift.report.build_report import Subject, build_report
from components.drift.report.html_page import render
from components.drift.sketch.examples import sketch_examples
from components.drift.sketch.sketch_file import FILE, read_sketch, write_sketch

SPLITS = ("train", "eval", "test")
DECISION, REPORT, PAGE = "decision.json", "drift.json", "drift.html"

_log = logging.getLogger("shelfrank.progress")


@component
def DriftReference(  # noqa: N802 - TFX names a component by its function
    examples: InputArtifact[Examples], dataset: Parameter[str], code: Parameter[str], reference: OutputArtifact[File]
) -> None:
    """Sketch all examples of the run, which the release keeps as its reference.

    Args:
        examples: as ingested.
        dataset: the dataset file's text.
        code: version of the code, part of TFX's cache key.
        reference: the artifact to write, with the file at its place in a SavedModel's folder.
    """
    sketch = sketch_examples(examples.uri, SPLITS, parse_dataset(dataset))
    write_sketch(sketch, Path(reference.uri) / FILE)
    _log.info("%d columns of %d requests", len(sketch.columns), int(sketch.requests.sum()))


@component
def DriftCheck(  # noqa: N802
    examples: InputArtifact[Examples],
    champion: InputArtifact[Model],
    dataset: Parameter[str],
    code: Parameter[str],
    report: OutputArtifact[File],
    page: OutputArtifact[File],
) -> None:
    """Compare the run's newest window, its split `test`, with what the champion was made from.

    Args:
        examples: as ingested.
        champion: the release to beat; the baseline, and releases of before there were references, have none.
        dataset: the dataset file's text.
        code: version of the code, part of TFX's cache key.
        report: the artifact for `drift.json` and, where the window is large enough to be judged, `decision.json`; without
            a reference it stays empty.
        page: the report as one HTML file: the artifact's address is the file, so that Kubeflow shows it.
    """
    shop = parse_dataset(dataset)
    name = champion.get_string_custom_property("champion")
    reference = Path(serving_model_path(champion.uri)) / FILE
    page_file = Path(page.uri) / PAGE
    for folder in (Path(report.uri), page_file.parent):
        folder.mkdir(parents=True, exist_ok=True)
    if reference.exists():
        window = sketch_examples(examples.uri, ["test"], shop)
        if shop.windows.by == "hash":  # a share of the requests of all hours: their number says nothing
            window.hours.clear()
        subject = Subject(release=name, reference=Window(read_sketch(reference)), window=Window(window))
        checked = build_report(subject, shop, now_s=time.time())
        if checked.enough:
            (Path(report.uri) / DECISION).write_text(checked.decision.to_json(), encoding="utf-8")
        (Path(report.uri) / REPORT).write_text(checked.to_json(), encoding="utf-8")
        page_file.write_text(render(checked), encoding="utf-8")
        _log.info("%s", checked.decision.action if checked.enough else f"too few to judge: {checked.window.requests:,} requests")
    else:
        page_file.write_text(f"<!doctype html><meta charset=utf-8><p>{name} has no reference to compare with.</p>", encoding="utf-8")
        _log.info("%s has no reference to compare with", name)
    page.uri = str(page_file)


@component
def DriftGate(report: InputArtifact[File], dataset: Parameter[str]) -> None:  # noqa: N802
    """End the run before training where the decision is to freeze, unless the dataset file says otherwise.

    Raises:
        DataFrozen: it is; the text has the reasons.
    """
    decision = read_decision(report.uri)
    if decision is not None and decision.action is Action.FREEZE and parse_dataset(dataset).drift.freeze:
        raise DataFrozen(
            "\n".join(
                [
                    "the examples of the test window aren't like those that the champion was made from, and nothing is trained on them:",
                    *(f"  {reason.kind}: {reason.text}" for reason in decision.reasons if reason.action is Action.FREEZE),
                    "mend the data; or, where this is as it must be, say `drift: {freeze: false}` in the dataset file",
                ]
            )
        )


def read_decision(folder: str) -> Decision | None:
    """Read the decision from DriftCheck's report; None where there was nothing to compare with, or too little to judge."""
    file = Path(folder) / DECISION
    return parse_decision(file.read_text(encoding="utf-8")) if file.exists() else None
