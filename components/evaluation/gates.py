"""Which metrics a gate can name."""

from components.contract.dataset import Gates
from components.contract.errors import DatasetFileError
from components.contract.strict import closest
from components.evaluation.sums import LISTWISE

HIGHER_IS_BETTER = ("auc", "pr_auc", "gauc_by_user", *LISTWISE)


def check_metric_names(gates: Gates) -> None:
    """Passes if every metric named in the gates is one that is better when higher.

    Raises:
        DatasetFileError: names the first that isn't, and the closest that is.
    """
    for place in ("floor", "drop", "slice_drop"):
        for metric in getattr(gates, place):
            if metric not in HIGHER_IS_BETTER:
                raise DatasetFileError(f"gates: {place}: no gate can be put on {metric!r}; {closest(metric, list(HIGHER_IS_BETTER))}")
