"""Requests that are the same share a call; whoever isn't the same, or of another version, gets one of his own."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from components.contract.errors import ModelUnavailable
from serving.client.prediction import Prediction
from serving.client.request_coalescing import RequestCoalescer

LONG_S = 20.0


class Model:
    """Answers when told, by a version of its own."""

    def __init__(self, reuse: RequestCoalescer) -> None:
        self.reuse, self.version = reuse, 1
        self.calls: list[bytes] = []
        self.cancelled = 0
        self.ready = asyncio.Event()
        self.ready.set()

    async def _answer(self, message: bytes) -> Prediction:
        self.calls.append(message)
        version = self.version
        try:
            await self.ready.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if message == b"bad":
            raise ModelUnavailable("rubbish", "of no use")
        return Prediction({"scores": np.array([len(self.calls)])}, version)

    async def ask(self, message: bytes, label: str = "stable", timeout_s: float = LONG_S) -> int | None:
        prediction = await self.reuse.answer(message, label, timeout_s=timeout_s, call=lambda: self._answer(message))
        return prediction.version


def with_model(calls: Callable[[Model], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def run() -> None:
        await asyncio.wait_for(calls(Model(RequestCoalescer(**{"keep_s": LONG_S, **settings}))), LONG_S)

    asyncio.run(run())


async def begun(model: Model, message: bytes, times: int) -> list["asyncio.Task[int | None]"]:
    tasks = [asyncio.create_task(model.ask(message)) for _ in range(times)]
    await asyncio.sleep(0)
    return tasks


def test_those_that_come_while_a_call_is_under_way_share_it_and_those_after_get_its_answer() -> None:
    async def calls(model: Model) -> None:
        model.ready.clear()
        tasks = await begun(model, b"a", 3)
        other = await begun(model, b"b", 1)
        await asyncio.sleep(0)
        model.ready.set()
        assert await asyncio.gather(*tasks, *other) == [1] * 4
        assert await model.ask(b"a") == 1
        assert model.calls == [b"a", b"b"]
        assert (model.reuse.coalesced, model.reuse.cached) == (2, 1)

    with_model(calls)


@pytest.mark.parametrize("place", [0, 1])
def test_one_who_is_cancelled_cancels_nobody_else(place: int) -> None:
    async def calls(model: Model) -> None:
        model.ready.clear()
        tasks = await begun(model, b"a", 2)
        await asyncio.sleep(0)
        tasks.pop(place).cancel()
        await asyncio.sleep(0)
        model.ready.set()
        assert await tasks[0] == 1
        assert (len(model.calls), model.cancelled) == (1, 0)

    with_model(calls)


def test_a_call_that_nobody_waits_for_any_more_is_cancelled() -> None:
    async def calls(model: Model) -> None:
        model.ready.clear()
        tasks = await begun(model, b"a", 2)
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        assert model.cancelled == 1
        model.ready.set()
        assert await model.ask(b"a") == 1
        assert len(model.calls) == 2

    with_model(calls)


def test_one_who_joins_waits_no_longer_than_his_own_time() -> None:
    async def calls(model: Model) -> None:
        model.ready.clear()
        (first,) = await begun(model, b"a", 1)
        with pytest.raises(ModelUnavailable) as told:
            await model.ask(b"a", timeout_s=0.01)
        assert told.value.reason == "timeout"
        model.ready.set()
        assert await first == 1

    with_model(calls)


def test_a_failure_is_for_all_who_wait_and_not_kept() -> None:
    async def calls(model: Model) -> None:
        model.ready.clear()
        tasks = await begun(model, b"bad", 2)
        await asyncio.sleep(0)
        model.ready.set()
        assert [type(told) for told in await asyncio.gather(*tasks, return_exceptions=True)] == [ModelUnavailable] * 2
        with pytest.raises(ModelUnavailable):
            await model.ask(b"bad")
        assert len(model.calls) == 2

    with_model(calls)


def test_an_answer_is_kept_for_its_time_only() -> None:
    async def calls(model: Model) -> None:
        await model.ask(b"a")
        await asyncio.sleep(0.06)
        await model.ask(b"a")
        assert len(model.calls) == 2

    with_model(calls, keep_s=0.05)


def test_only_so_many_answers_are_kept() -> None:
    async def calls(model: Model) -> None:
        for message in (b"a", b"b", b"c", b"b", b"c", b"a"):
            await model.ask(message)
        assert model.calls == [b"a", b"b", b"c", b"a"]

    with_model(calls, capacity=2)


def test_when_another_version_answers_a_label_what_was_kept_of_it_goes() -> None:
    async def calls(model: Model) -> None:
        await model.ask(b"a")
        await model.ask(b"other", "canary")
        model.version = 2
        assert await model.ask(b"b") == 2
        assert await model.ask(b"a") == 2
        assert await model.ask(b"other", "canary") == 1  # of another label
        model.version = 1  # rolled back
        assert await model.ask(b"c") == 1
        assert await model.ask(b"a") == 1

    with_model(calls)


def test_a_late_answer_of_the_version_before_goes_to_nobody_else() -> None:
    async def calls(model: Model) -> None:
        await model.ask(b"a")
        model.ready.clear()
        (late,) = await begun(model, b"late", 1)
        await asyncio.sleep(0)
        (second,) = await begun(model, b"second", 1)
        await asyncio.sleep(0)
        model.version, held = 2, model.ready
        model.ready = asyncio.Event()
        model.ready.set()
        assert await model.ask(b"b") == 2  # which also drops the calls under way
        held.set()
        assert (await late, await second) == (1, 1)
        assert await model.ask(b"late") == 2
        assert await model.ask(b"b") == 2
        assert model.calls.count(b"b") == 1

    with_model(calls)
