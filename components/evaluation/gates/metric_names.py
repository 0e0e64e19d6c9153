"""Which metrics a gate can name."""

from collections.abc import Iterable

from components.contract.base_model import closest
from components.contract.dataset import Gates
from components.contract.errors import DatasetFileError
from components.evaluation.metrics.metric_accumulator import LISTWISE, OF_AMOUNTS, listwise_of

HIGHER_IS_BETTER = ("auc", "pr_auc", "gauc_by_user", *LISTWISE, *OF_AMOUNTS)


def check_metric_names(gates: Gates, *, amounts: Iterable[str] = ()) -> None:
    """Passes if every metric named in the gates is one that is better when higher, and is told of examples with these amounts.

    Raises:
        DatasetFileError: names the first that isn't, and the closest that is.
    """
    there = {*listwise_of(amounts)}
    known = [metric for metric in HIGHER_IS_BETTER if metric not in OF_AMOUNTS or metric in there]
    for place in ("floor", "drop", "slice_drop"):
        for metric in getattr(gates, place):
            if metric in OF_AMOUNTS and metric not in there:
                role = metric.partition("_")[0]
                raise DatasetFileError(f"gates: {place}: {metric!r} needs the role {role!r} in `events.columns`; name its column")
            if metric not in known:
                raise DatasetFileError(f"gates: {place}: no gate can be put on {metric!r}; {closest(metric, known)}")
