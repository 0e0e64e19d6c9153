"""Name what changed in labels, scores and ranking, overall and by slice."""

from collections.abc import Mapping

from components.drift.comparison.clustered_tests import Change
from components.drift.comparison.taste_change import TasteChange
from components.drift.decision import Action, Reason
from components.drift.sketch.quality_sums import OVERALL

CHANGED_TASTE = "changed taste"
"""The kind of a reason: ranking fell though no feature is broken."""
FALL = {"AUC": 0.01, "NDCG@10": 0.015}
"""Least fall of a ranking metric that matters."""
LARGE_FALL = 3.0
"""Multiple of it from which all is trained anew."""
EXPECTED_FALL = 0.01
MISCALIBRATED = 0.15
"""Of the rate of positives, by which scores may be off it more than in the reference."""
TASTE_MOVED = 0.1
"""Least change of the label rate of a value of candidates for a value of requests, as a share of the mean rate."""
_SHOWN = 3

Changes = Mapping[tuple[str, str, str], Change]


def quality_reasons(
    changes: Changes, tastes: Mapping[tuple[str, str], TasteChange], alarms: set[tuple[str, ...]], *, features_hold: bool
) -> list[Reason]:
    """Return reasons from metrics whose change is significant and large enough to matter.

    Args:
        changes: by (slice, value, metric).
        tastes: how who wants what changed, by a value of requests and one of candidates.
        alarms: the significant tests, ("quality", slice, value, metric) and ("taste", *pair) among them.
        features_hold: no feature is broken, so a fall of ranking is for what shoppers want.
    """
    sure = {key: change for key, change in changes.items() if ("quality", *key) in alarms}
    rate = changes.get((*OVERALL, "label rate"))
    reasons = _falls(sure, features_hold=features_hold)
    if features_hold and not reasons:
        reasons = _other_tastes({pair: change for pair, change in tastes.items() if ("taste", *pair) in alarms})
    off = sure.get((*OVERALL, "calibration"))
    if off is not None and rate is not None and abs(off.difference) >= MISCALIBRATED * rate.reference:
        text = f"calibration: the rate of positives is {off.window:+.4f} from the mean score, in the reference {off.reference:+.4f}."
        reasons.append(Reason(action=Action.RETRAIN_WARM, kind="calibration", subject="scores", text=text))
    expected = sure.get((*OVERALL, "expected AUC"))
    if expected is not None and expected.difference <= -EXPECTED_FALL and not reasons:
        text = (
            f"expected AUC: by the scores alone {expected.window:.3f}, in the reference {expected.reference:.3f} "
            f"(change {expected.difference:+.3f}, standard error {expected.error:.3f}), as far as scores are calibrated."
        )
        reasons.append(Reason(action=Action.RETRAIN_WARM, kind="expected loss", subject="scores", text=text))
    return reasons


def _other_tastes(sure: Mapping[tuple[str, str], TasteChange]) -> list[Reason]:
    """Return a reason from the pair of values by which most has changed."""
    large = {pair: change for pair, change in sure.items() if change.size >= TASTE_MOVED}
    if not large:
        return []
    (of_requests, of_candidates), change = max(large.items(), key=lambda each: each[1].size)
    text = (
        f"ranking: the label rates of {of_candidates!r} by {of_requests!r} are off the scores by {change.size:.0%} otherwise than in the "
        "reference (root of the mean square); no feature is broken, so what shoppers want has changed."
    )
    return [Reason(action=Action.RETRAIN_WARM, kind="changed taste", subject="ranking", text=text)]


def _falls(sure: Changes, *, features_hold: bool) -> list[Reason]:
    """Return one reason for the ranking metrics that fell, with the worst slices first."""
    fallen = {key: change for key, change in sure.items() if key[2] in FALL and -change.difference >= FALL[key[2]]}
    if not fallen:
        return []
    ranked = sorted(fallen.items(), key=lambda each: each[1].difference / FALL[each[0][2]])
    overall = {key: change for key, change in fallen.items() if key[:2] == OVERALL}
    key, change = ranked[0] if not overall else min(overall.items(), key=lambda each: each[1].difference / FALL[each[0][2]])
    slices = [f"{name}={value} {each.difference:+.3f}" for (name, value, metric), each in ranked if metric == key[2] and name]
    large = bool(overall) and -change.difference >= LARGE_FALL * FALL[key[2]]
    where = "" if key[:2] == OVERALL else f" of {key[0]}={key[1]}"
    why = "; no feature is broken, so what shoppers want has changed" if features_hold else ""
    worst = f"; most in {', '.join(slices[:_SHOWN])}" if slices else ""
    text = (
        f"{key[2]}{where}: {change.window:.3f}, in the reference {change.reference:.3f} "
        f"(change {change.difference:+.3f}, standard error {change.error:.3f}){worst}{why}."
    )
    return [
        Reason(
            action=Action.RETRAIN_FULL if large else Action.RETRAIN_WARM,
            kind=CHANGED_TASTE if features_hold else "ranking quality",
            subject="ranking",
            text=text,
        )
    ]
