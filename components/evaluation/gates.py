"""Which metrics a gate can name, and what it sees of a slice."""

import math
from collections.abc import Iterable, Mapping

from components.contract.dataset import Gates
from components.contract.errors import DatasetFileError
from components.contract.strict import closest
from components.evaluation.bootstrap import CONFIDENCE_95
from components.evaluation.estimates import change_error_of
from components.evaluation.sums import LISTWISE, OF_AMOUNTS, listwise_of

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


def at_best(metric: str) -> str:
    """What the upper end of a metric's change is called among the values that Evaluator holds against the gates."""
    return f"{metric}_change_at_best"


def gated_changes(
    challenger: Mapping[str, float], champion: Mapping[str, float], metrics: Iterable[str], *, min_requests: int
) -> dict[str, float]:
    """The upper ends of the changes' 95 % intervals, for a slice; 0, which passes every gate, where it isn't judged.

    It isn't where fewer than min_requests requests have a positive, or where the change or its standard error is undefined.
    """
    judged = challenger["requests"] - challenger["requests_without_positive"] >= min_requests
    found = {}
    for metric in metrics:
        highest = challenger[metric] - champion[metric] + CONFIDENCE_95 * challenger.get(change_error_of(metric), math.nan)
        found[at_best(metric)] = highest if judged and math.isfinite(highest) else 0.0
    return found
