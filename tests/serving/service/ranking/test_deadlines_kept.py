"""Orders within their deadline whatever the model does, on a clock of the test's own: nothing here waits or depends on the machine."""

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from components.contract.dataset import Dataset
from components.contract.errors import ModelUnavailable
from serving.client.prediction import Prediction
from serving.features.request import Inputs
from serving.rules.apply import Ruled
from serving.service.ranking.fallback_chain import SCORES, FallbackChain
from serving.service.ranking.ranking import Ranking, RankingBackends, RankRequest
from serving.service.ranking.shop_files import ActiveShopFiles
from serving.service.settings import Settings
from tests.serving.service import little_shop

ITEMS = ["p0", "p1", "p2"]


class _Idle(selectors.SelectSelector):
    """Waits for nothing: the clock goes on instead."""

    clock: "VirtualClock"

    def select(self, timeout: float | None = None) -> list[Any]:
        self.clock.now_s += timeout or 0.0
        return []


class VirtualClock(asyncio.SelectorEventLoop):
    """An event loop in whose time a wait takes no time."""

    def __init__(self) -> None:
        idle = _Idle()
        idle.clock = self
        self.now_s = 1_000.0
        super().__init__(idle)

    def time(self) -> float:
        return self.now_s


class Model:
    """Answers after `takes_s()`, or not at all within the time that it is given."""

    def __init__(self, takes_s: Callable[[], float | None]) -> None:
        self._takes_s = takes_s

    async def predict(self, *_: Any, timeout_s: float, **__: Any) -> Prediction:
        takes_s = self._takes_s()
        if takes_s is None:
            raise ModelUnavailable("unreachable", "nobody listens")
        await asyncio.sleep(min(takes_s, timeout_s))
        if takes_s > timeout_s:
            raise ModelUnavailable("timeout", "it took too long")
        return Prediction({SCORES: np.zeros((1, len(ITEMS)), np.float32)}, 1)


class State:
    async def inputs(self, *_: Any, **__: Any) -> tuple[Inputs, bool]:
        await asyncio.sleep(0.001)
        return Inputs({}, 0), True


class Rules:
    """Takes its time, as everything does that comes after the scores."""

    def __init__(self, clock: VirtualClock, rest_s: Callable[[], float]) -> None:
        self._clock, self._rest_s = clock, rest_s

    def apply(self, *_: Any, **__: Any) -> Ruled:
        self._clock.now_s += self._rest_s()
        return Ruled((0, 1, 2))


class Shop:
    def __init__(self, rules: Any) -> None:
        self.now = ActiveShopFiles(rules, None, None, frozenset())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return little_shop.dataset()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualClock]:
    made = VirtualClock()
    monkeypatch.setattr(time, "monotonic", made.time)
    yield made
    made.close()


def ranking(dataset: Dataset, clock: VirtualClock, *, model: Model, rest_s: Callable[[], float], deadline_ms: float) -> Ranking:
    chain = FallbackChain(model, popular=None, capacity=10)  # type: ignore[arg-type]
    others = {"state": State(), "shop": Shop(Rules(clock, rest_s)), "changes": None, "log": None}
    backends = RankingBackends(fallback_chain=chain, **others)  # type: ignore[arg-type]
    return Ranking(dataset, Settings(label="stable", deadline_ms=deadline_ms), backends)


def seconds_of_answers(asked: Ranking, clock: VirtualClock, *, calls: int, **patience: float) -> list[float]:
    """How long each of several answers took in the clock's time, one after the other."""

    async def all_of_them() -> list[float]:
        took = []
        for _ in range(calls):
            began_s = clock.now_s
            ranked = await asked.rank(RankRequest(candidates=ITEMS), now_us=1_770_000_000_000_000, began_s=began_s, **patience)
            asked.observe_answer(ranked)
            took.append(clock.now_s - began_s)
        return took

    return clock.run_until_complete(all_of_them())


DEADLINES_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
MODELS = ("hung", "slow", "gone")


def model_of(name: str, deadline_s: float, random: np.random.Generator) -> Model:
    slow = {"hung": lambda: 3_600.0, "slow": lambda: deadline_s * random.uniform(0.5, 1.5), "gone": lambda: None}
    return Model(slow[name])


@pytest.mark.parametrize("deadline_s", DEADLINES_S)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("whose", ["the caller's", "the service's"])
def test_who_asks_has_the_order_in_time(dataset: Dataset, clock: VirtualClock, deadline_s: float, name: str, whose: str) -> None:
    """Where the way there and back takes 4 % of the deadline, and what follows the scores 3 ms give or take."""
    random = np.random.default_rng(1)
    callers = whose == "the caller's"
    asked = ranking(
        dataset,
        clock,
        model=model_of(name, deadline_s, random),
        rest_s=lambda: float(random.lognormal(np.log(0.003), 0.2)),
        deadline_ms=20_000 if callers else deadline_s * 1e3,
    )
    took = seconds_of_answers(asked, clock, calls=300, **({"patience_s": deadline_s} if callers else {}))
    wire_s = 0.04 * deadline_s
    late = [seconds for seconds in took if seconds + wire_s > deadline_s]
    assert len(late) <= 3


@pytest.mark.parametrize("deadline_s", DEADLINES_S)
def test_where_the_rest_becomes_slow_the_model_gets_less_and_orders_stay_in_time(
    dataset: Dataset, clock: VirtualClock, deadline_s: float
) -> None:
    """As on cores that others load: from one answer to the next all that follows the scores takes a third of the deadline."""
    rests = iter([0.002] * 50 + [deadline_s / 3] * 50)
    asked = ranking(dataset, clock, model=Model(lambda: 3_600.0), rest_s=lambda: next(rests), deadline_ms=deadline_s * 1e3)
    took = seconds_of_answers(asked, clock, calls=100)
    assert all(seconds <= deadline_s for seconds in took[:50])
    assert sum(seconds > deadline_s for seconds in took[50:]) <= 1  # the first, which nobody could know of


def test_a_model_that_is_well_gets_nearly_all_of_the_time(dataset: Dataset, clock: VirtualClock) -> None:
    asked = ranking(dataset, clock, model=Model(lambda: 0.085), rest_s=lambda: 0.001, deadline_ms=100)

    async def rungs() -> list[str]:
        found = []
        for _ in range(100):
            ranked = await asked.rank(RankRequest(candidates=ITEMS), now_us=1_770_000_000_000_000, began_s=clock.now_s)
            asked.observe_answer(ranked)
            found.append(ranked.scored.level)
        return found

    assert clock.run_until_complete(rungs()).count("model") >= 90
