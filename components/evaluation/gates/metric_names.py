"""Check the metric names of gates."""

from collections.abc import Iterable

from components.contract.base_model import closest
from components.contract.dataset import Gates
from components.contract.errors import DatasetFileError
from components.evaluation.metrics.metric_accumulator import AMOUNT_METRICS, LISTWISE, listwise_of

HIGHER_IS_BETTER = ("auc", "pr_auc", "gauc_by_user", *LISTWISE, *AMOUNT_METRICS)


def check_metric_names(gates: Gates, *, amounts: Iterable[str] = ()) -> None:
    """Check that every metric named in the gates is better when higher, and defined for examples with these amounts.

    Raises:
        DatasetFileError: one isn't; the text names it and the closest one that is.
    """
    there = {*listwise_of(amounts)}
    known = [metric for metric in HIGHER_IS_BETTER if metric not in AMOUNT_METRICS or metric in there]
    for limits in ("floor", "drop", "slice_drop"):
        for metric in getattr(gates, limits):
            if metric in AMOUNT_METRICS and metric not in there:
                role = metric.partition("_")[0]
                raise DatasetFileError(f"gates: {limits}: {metric!r} needs the role {role!r} in `events.columns`; name its column")
            if metric not in known:
                raise DatasetFileError(f"gates: {limits}: no gate can be put on {metric!r}; {closest(metric, known)}")
