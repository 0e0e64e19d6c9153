"""A model that was broken on purpose is refused, and a sentence says where; an honest one passes."""

from collections.abc import Callable

import numpy as np
import pytest

from components.contract.dataset import Gates
from components.evaluation.display_names import Slice
from components.evaluation.gates.gate_result import GateResult, check_gates
from components.evaluation.metrics.metric_accumulator import Requests, request_sums
from components.evaluation.metrics.standard_errors import estimates
from components.evaluation.results import SliceMetrics

R, L = 6_000, 10
DEVICES = ("desktop", "mobile", "tablet")
RNG = np.random.default_rng(11)
DEVICE = RNG.choice(3, R, p=[0.3, 0.6, 0.1])
USERS = RNG.integers(0, 2**64, R // 4, dtype=np.uint64)[RNG.integers(0, R // 4, R)]
TASTE, PRICE, NOISE = RNG.normal(size=(3, R, L))
LABELS = (RNG.random((R, L)) < 1 / (1 + np.exp(2 - TASTE - PRICE))).astype(np.float32)
GATES = Gates(floor={"auc": 0.6}, drop={"auc": 0.005, "ndcg_at_10": 0.005}, slice_drop={"auc": 0.03})


def judged(logits: np.ndarray) -> GateResult:
    """The verdict on a model of these logits [R, L], against a champion that knows taste and price somewhat noisily."""
    models = {"challenger": logits, "champion": TASTE + PRICE + 0.5 * NOISE - 2}
    labels, lengths = LABELS.ravel(), np.full(R, L)
    sums = {name: request_sums(Requests(labels, _probability(each), labels, lengths, users=USERS)) for name, each in models.items()}
    slices: dict[Slice, np.ndarray] = {(("device", name),): np.flatnonzero(i == DEVICE) for i, name in enumerate(DEVICES)}
    slices[()] = np.arange(R)
    metrics = []
    for where, rows in slices.items():
        found = estimates({name: each.total(rows) for name, each in sums.items()}, baseline="champion")
        metrics += [SliceMetrics(where, name, values) for name, values in found.items()]  # type: ignore[arg-type]
    return check_gates(metrics, GATES, slices=[["device"]])


def _probability(logits: np.ndarray) -> np.ndarray:
    return np.clip(1 / (1 + np.exp(-logits)), 0, 1).astype(np.float32).ravel()


def honest() -> np.ndarray:
    return TASTE + PRICE + 0.5 * np.random.default_rng(12).normal(size=(R, L)) - 2


def of_shuffled_labels() -> np.ndarray:
    return np.random.default_rng(13).normal(size=(R, L)) - 2


def with_a_broken_feature() -> np.ndarray:
    return honest() - PRICE


def poisoned_on_tablets() -> np.ndarray:
    return np.where((DEVICE == 2)[:, None], -TASTE, honest())


def not_a_number_on_mobile() -> np.ndarray:
    return np.where((DEVICE == 1)[:, None], np.nan, honest())


def test_an_honest_model_passes() -> None:
    assert judged(honest()).passed


@pytest.mark.parametrize(
    ("plant", "reasons"),
    [
        (
            of_shuffled_labels,
            ["Refused: AUC 0.499 is below 0.600", "Refused: AUC fell by", "Refused: NDCG@10 fell by", "in device=mobile (surely by 0.2"],
        ),
        (with_a_broken_feature, ["Refused: AUC fell by 0.1", "in device=tablet (surely by 0.0"]),
        (poisoned_on_tablets, ["in device=tablet (surely by 0."]),
        (not_a_number_on_mobile, ["scores are no finite numbers"]),
    ],
)
def test_a_planted_model_is_refused_and_the_sentence_says_why(plant: Callable[[], np.ndarray], reasons: list[str]) -> None:
    found = judged(plant())
    assert not found.passed
    refusals = [sentence for sentence in found.sentences if sentence.startswith("Refused")]
    for reason in reasons:
        assert any(reason in sentence for sentence in refusals), (reason, refusals)


def test_a_poisoned_slice_refuses_alone() -> None:
    refusals = [sentence for sentence in judged(poisoned_on_tablets()).sentences if "in device=" in sentence]
    assert [sentence.split("in device=")[1].split()[0] for sentence in refusals] == ["tablet"]
