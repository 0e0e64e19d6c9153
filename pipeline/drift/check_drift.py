"""Compare a window of the log, or of ingestion's examples, with what a release was made from."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.storage.object_store import Address
from components.drift.check import Window
from components.drift.faults.log_faults import DELAY
from components.drift.horizons import nested, starts
from components.drift.report.build_report import Subject, build_joint_report
from components.drift.report.drift_report import DriftReport
from components.drift.serving_skew import RequestFeatures, Skew, compare_features
from components.drift.sketch.sketch_file import FILE, read_sketch
from components.drift.sketch.window_sketch import WindowSketch
from components.release.labels import check_there, in_force
from pipeline.drift.json_chunks import Say
from pipeline.drift.read_log import LogSpan, last_decision_us, read_log
from pipeline.drift.request_features import compared_columns, computed_features
from pipeline.drift.served_requests import SCORE

_HOUR_US = 3_600_000_000
_END_US = 2**62


@dataclass(frozen=True, kw_only=True)
class DriftConfig:
    """What to compare with what.

    Attributes:
        dataset: the dataset file.
        releases: folder or address of the releases.
        release: whose window is the reference; None: the one labelled `stable`, or else the newest.
        log: the service's log; None: the window is of `examples`.
        examples: folder of ingestion's examples; with a log, what its features are compared with value by value.
        from_us: start of the window, microseconds since 1970; None: of a log as many windows as the dataset file has horizons,
            of examples all since the end of the release's window.
        until_us: its end; None: all there is.
        lifted_us: when a person last lifted a freeze; what the log holds from before isn't looked at again.
        importance: by release, the drop of AUC without each feature, where it is known.
    """

    dataset: Dataset
    releases: Path | Address
    release: int | None = None
    log: Path | None = None
    examples: str | None = None
    from_us: int | None = None
    until_us: int | None = None
    lifted_us: int = 0
    importance: Mapping[int, Mapping[str, float]] = field(default_factory=dict)


def check_drift(config: DriftConfig, *, say: Say) -> DriftReport:
    """Read the reference and the window, and report.

    Raises:
        InputError: there is no release, it has no reference, or the window is empty.
        ShelfRankError: the reference can't be read.
    """
    version = _version(config)
    reference = _reference(config.releases, version)
    end_us = (max(reference.hours) + 1) * _HOUR_US if reference.hours else 0
    name, importance = f"release {version}", config.importance.get(version, {})
    if config.log is None:
        window = _examples(config, *_checked(end_us if config.from_us is None else config.from_us, config.until_us))
        subjects = [Subject(release=name, reference=Window(reference), window=window, importance=importance)]
    else:
        span = _span(config, config.log, end_us)
        read = read_log(config.log, config.dataset, span, version=version, say=say)
        skew = None if config.examples is None else _skew(config, read.sent)
        subjects = [
            Subject(
                release=name,
                reference=with_service(reference, before),
                window=window,
                left_out=read.left_out,
                counts=read.counts,
                importance=importance,
                skew=skew,
            )
            for before, window in nested(read.before, read.parts)
        ]
    return build_joint_report(subjects, config.dataset, now_s=time.time())


def _checked(from_us: int, until_us: int | None) -> tuple[int, int]:
    until_us = _END_US if until_us is None else until_us
    if from_us >= until_us:
        raise InputError(f"expected a window that ends after it begins, got {from_us:,} to {until_us:,} us since 1970")
    return from_us, until_us


def _span(config: DriftConfig, log: Path, end_us: int) -> LogSpan:
    """Return the window that is asked for; else those of the dataset file's horizons, up to the last decision's hour."""
    if config.from_us is not None:
        from_us, until_us = _checked(config.from_us, config.until_us)
        return LogSpan(min(end_us, from_us), from_us, until_us)
    since_us = max(end_us, config.lifted_us)
    last_us = last_decision_us(log) if config.until_us is None else config.until_us - 1
    _, until_us = _checked(since_us, config.until_us)
    ends_us = since_us if last_us is None else (last_us // _HOUR_US + 1) * _HOUR_US
    first, *cuts = starts(config.dataset.drift.horizons, since_us=since_us, end_us=ends_us)
    return LogSpan(since_us, first, until_us, tuple(cuts))


def _version(config: DriftConfig) -> int:
    if config.release is not None:
        check_there(config.release, config.releases)
        return config.release
    version = in_force(config.releases)
    if version is None:
        raise InputError(f"{config.releases}: expected releases, there is none; make one with `shelfrank run`")
    return version


def _reference(releases: Path | Address, version: int) -> WindowSketch:
    file = Address.parse(releases) / str(version) / FILE
    if not file.is_file():
        raise InputError(f"release {version} has no {FILE}: it was made before releases had one; make a release with `shelfrank run`")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "reference.npz"
        file.download(copy)
        return read_sketch(copy)


def with_service(reference: WindowSketch, before: Window) -> Window:
    """Add what examples don't have, scores, delays and quality, from the release's days in service before the window."""
    added = {name: before.sketch.columns[name] for name in (SCORE, DELAY) if name in before.sketch.columns}
    return Window(WindowSketch(reference.columns | added, reference.requests, reference.hours), before.quality)


def _skew(config: DriftConfig, sent: list[RequestFeatures]) -> Skew:
    """Compare what was sent with what ingestion computed for the same requests."""
    from components.drift.sketch.examples import batches  # imports TensorFlow

    assert config.examples is not None
    requests = {each.request for each in sent}
    computed = (
        features
        for split in _splits(config.examples)
        for batch in batches(config.examples, split)
        for features in computed_features(batch, config.dataset, requests)
    )
    return compare_features(sent, computed, compared_columns(config.dataset))


def _splits(examples: str) -> list[str]:
    splits = sorted(path.name.removeprefix("Split-") for path in Path(examples).glob("Split-*"))
    if not splits:
        raise InputError(f"{examples}: expected ingestion's examples, folders Split-NAME, got none")
    return splits


def _examples(config: DriftConfig, from_us: int, until_us: int) -> Window:
    from components.drift.sketch.examples import sketch_examples  # imports TensorFlow, which a log doesn't need

    assert config.examples is not None
    sketch = sketch_examples(config.examples, _splits(config.examples), config.dataset, between_us=(from_us, until_us))
    if not sketch.requests.sum():
        raise InputError(f"{config.examples}: expected requests in the window, got none; move it by --from and --until")
    return Window(sketch)
