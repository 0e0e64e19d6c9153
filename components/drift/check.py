"""Check a window against a reference: what changed, how surely, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.contract.columns import label_columns
from components.contract.dataset import Dataset
from components.drift.comparison.clustered_tests import Change
from components.drift.comparison.compare import ColumnChange, column_changes, compare_columns, p_values, significant
from components.drift.comparison.quality_changes import quality_changes
from components.drift.comparison.taste_change import taste_changes
from components.drift.comparison.volume import Volume, compare_volume
from components.drift.decision import Action, Decision, Reason, decide
from components.drift.faults.column_faults import column_reasons
from components.drift.faults.label_faults import label_reasons
from components.drift.faults.log_faults import delay_reasons, volume_reasons
from components.drift.faults.quality_faults import quality_reasons
from components.drift.serving_skew import Skew
from components.drift.sketch.quality_sums import OVERALL, QualitySums
from components.drift.sketch.window_sketch import WindowSketch

FALSE_DISCOVERY_RATE = 0.05
MIN_REQUESTS = 300
MIN_GROUPS = 32
"""Groups of shoppers, of 64, that a window must have requests of: about 45 shoppers."""
SKEWED = 0.01
"""Share of requests with another value in training than in serving from which a feature is broken."""


@dataclass
class Window:
    """What is known of a window: its columns and requests, and its ranking quality where scores are known."""

    sketch: WindowSketch = field(default_factory=WindowSketch)
    quality: QualitySums = field(default_factory=QualitySums)


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes:
        columns: by name.
        quality: by (slice, value, metric); ("", "") is overall.
        volume: None where the reference is too short to say.
        alarms: which of all tests are significant together.
        enough: whether the window has enough requests and shoppers to be judged at all.
        decision: what to do, and why.
    """

    columns: Mapping[str, ColumnChange]
    quality: Mapping[tuple[str, str, str], Change]
    volume: Volume | None
    alarms: set[tuple[str, ...]]
    enough: bool
    decision: Decision


def check(
    reference: Window,
    window: Window,
    dataset: Dataset,
    *,
    importance: Mapping[str, float] | None = None,
    skew: Skew | None = None,
    false_discovery_rate: float = FALSE_DISCOVERY_RATE,
) -> Check:
    """Check a window.

    Args:
        reference: the data that the release in force was trained on, or its first days in service.
        window: later, and not overlapping.
        dataset: the dataset file.
        importance: the drop of AUC without each feature, where it is known; see `column_reasons`.
        skew: of the features sent against those ingestion computes, where it was compared.
        false_discovery_rate: over all columns, slices and measures of this window.
    """
    comparisons = compare_columns(reference.sketch, window.sketch)
    quality = quality_changes(reference.quality, window.quality)
    volume = compare_volume(reference.sketch.hours, window.sketch.hours)
    tests = p_values(comparisons) | {("quality", *key): change.p for key, change in quality.items()}
    tastes = taste_changes(reference.quality, window.quality)
    tests |= {("taste", *pair): change.p for pair, change in tastes.items()}
    if volume is not None:
        tests |= {("volume",): volume.p, ("course",): volume.course_p}
    alarms = significant(tests, false_discovery_rate=false_discovery_rate)
    columns = column_changes(comparisons, alarms)
    of_volume = volume_reasons(volume, fewer=("volume",) in alarms, moved=("course",) in alarms)
    # Requests that are lost may be why there are few.
    missing = volume is not None and volume.expected >= MIN_REQUESTS and bool(of_volume)
    enough = int(window.sketch.requests.sum()) >= MIN_REQUESTS and int((window.sketch.requests > 0).sum()) >= MIN_GROUPS
    reasons = _skew_reasons(skew) if skew is not None else []
    if enough:
        of_labels = label_reasons(reference.sketch, window.sketch, columns, dataset)
        # A change of labels' rate is quality's to name, by slice; of single actions only a loss is.
        no_features = {column.name for column in label_columns(dataset)} - ({"label"} if (*OVERALL, "label rate") not in quality else set())
        features = {name: change for name, change in columns.items() if name not in no_features and not (of_labels and name == "label")}
        of_columns = column_reasons(features, dataset, importance or {})
        reasons += [
            *of_volume,
            *delay_reasons(reference.sketch, window.sketch, columns),
            *of_labels,
            *of_columns,
        ]
        if not of_labels:  # the ranking of what is left of them says nothing
            holds = not any(reason.action is Action.FREEZE for reason in of_columns)
            reasons += quality_reasons(quality, tastes, alarms, features_hold=holds)
    elif missing:
        reasons += of_volume
    return Check(columns, quality, volume, alarms, enough or missing, decide(reasons))


def _skew_reasons(skew: Skew) -> list[Reason]:
    reasons = []
    for name, column in sorted(skew.columns.items(), key=lambda each: -each[1].differing / max(each[1].compared, 1)):
        if column.differing > SKEWED * column.compared:
            text = (
                f"{name}: {column.differing:,} of {column.compared:,} requests were sent with other values than ingestion computes; "
                f"{column.examples[0]}."
            )
            reasons.append(Reason(action=Action.FREEZE, kind="training/serving skew", subject=name, text=text))
    return reasons
