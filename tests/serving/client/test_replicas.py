"""Several model servers: who is asked first, who is asked as well, and what becomes of those that are slow, down or mad."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import numpy as np
import pytest

from components.contract.errors import ModelUnavailable
from serving.client.breaker import BreakerSettings
from serving.client.hedging import HedgeSettings
from serving.client.model import ModelClient
from tests.serving.service.bad_model_servers import answering, free_port, scores

LONG_S = 20.0  # a deadline that is far from what anything here takes
STAYS_OPEN = BreakerSettings(failures=5, open_s=600)


class Server:
    """Answers its own version, unless it is told to hang, to be slow or to answer rubbish."""

    def __init__(self, version: int) -> None:
        self.version, self.calls, self.delay_s, self.mad = version, 0, 0.0, False
        self.well, self.cancelled = threading.Event(), threading.Event()
        self.well.set()

    def answer(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        ended = threading.Event()
        context.add_callback(ended.set)
        while not self.well.wait(0.01):
            if ended.is_set():
                self.cancelled.set()
                return b""
        time.sleep(self.delay_s)
        return b"\xff rubbish" if self.mad else scores([[0.5]], version=self.version)


@contextmanager
def two() -> Iterator[tuple[Server, Server, list[str]]]:
    first, second = Server(1), Server(2)
    with answering(first.answer) as one, answering(second.answer) as other:
        try:
            yield first, second, [one, other]
        finally:
            first.well.set()
            second.well.set()


Ask = Callable[..., Awaitable[int | None]]


def asked(addresses: list[str], calls: Callable[[ModelClient, Ask], Awaitable[None]], **settings: Any) -> None:
    """Runs `calls` with a client and a way to ask it, which gives the version that answered."""

    async def run() -> None:
        client = ModelClient(addresses, "shop", **settings)

        async def ask(timeout_s: float = LONG_S, label: str = "stable") -> int | None:
            prediction = await client.predict({"n": np.array([1])}, label=label, timeout_s=timeout_s, check=lambda _: None)
            return prediction.version

        try:
            await calls(client, ask)
        finally:
            await client.close()

    asyncio.run(run())


def test_replicas_are_asked_in_turn() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        assert [await ask() for _ in range(4)] == [1, 2, 1, 2]
        assert client.counts().hedges == 0

    with two() as (_, _, addresses):
        asked(addresses, calls)


def test_a_replica_with_calls_outstanding_is_passed_over() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        waits = asyncio.create_task(ask())  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        assert [await ask() for _ in range(3)] == [2, 2, 2]
        first.well.set()
        assert await waits == 1

    with two() as (first, _, addresses):
        first.well.clear()
        asked(addresses, calls, hedging=HedgeSettings(share=0))


def test_a_hedge_wins_over_a_replica_that_hangs_and_the_call_there_is_cancelled() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        for _ in range(30):
            await ask()
        before = client.counts().hedges
        first.well.clear()
        began = time.monotonic()
        assert [await ask() for _ in range(4)] == [2, 2, 2, 2]
        assert time.monotonic() - began < LONG_S / 2
        assert await asyncio.to_thread(first.cancelled.wait, 5)
        counts = client.counts()
        assert counts.hedges - before >= 1
        assert counts.hedges_won >= 1
        assert client.failing() == []

    with two() as (first, _, addresses):
        asked(addresses, calls)


def test_while_nothing_is_known_a_hedge_goes_out_after_half_of_the_time() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        assert await ask(3.0) == 2
        assert (client.counts().calls, client.counts().hedges, client.counts().hedges_won) == (2, 1, 1)

    with two() as (first, _, addresses):
        first.well.clear()
        asked(addresses, calls)


def test_a_replica_that_is_beaten_again_and_again_is_asked_last() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        for _ in range(30):
            await ask()
        first.well.clear()
        before = first.calls
        assert {await ask() for _ in range(40)} == {2}
        assert first.calls - before <= 8  # five, and three for a busy machine, where the other seems slow
        first.well.set()

    with two() as (first, _, addresses):
        asked(addresses, calls, breaker=STAYS_OPEN, hedging=HedgeSettings(min_delay_s=0.05))


@pytest.mark.parametrize("left", [0, 3])
def test_who_tries_whether_such_a_replica_is_well_again_loses_nothing_by_it(left: int) -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        for _ in range(30):
            await ask()
        first.well.clear()
        for _ in range(20):  # until it is beaten or has failed often enough
            with suppress(ModelUnavailable):
                await ask(0.5)
        until, before = time.monotonic() + LONG_S / 2, first.calls
        while first.calls - before <= left:  # it is tried, and more often than the budget allows
            assert await ask() == 2
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        first.well.set()
        until = time.monotonic() + 10
        while await ask() != 1:
            assert time.monotonic() < until
        first.well.clear()
        if left:  # the tries haven't used it up
            assert [await ask(3.0) for _ in range(2)] == [2, 2]

    with two() as (first, _, addresses):
        hedging = HedgeSettings(share=1e-6, burst=5.5 + left, min_delay_s=0.1)
        asked(addresses, calls, breaker=BreakerSettings(failures=5, open_s=0.1), hedging=hedging)


def test_without_a_share_a_slow_replica_is_waited_for() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        first.delay_s = 0.3
        assert [await ask(0.5), await ask(0.5)] == [1, 2]
        first.delay_s, first.mad = 0.0, True
        while not client.failing():
            assert await ask() == 2
        first.delay_s, first.mad = 0.3, False
        await asyncio.sleep(0.15)
        while await ask() != 1:  # not even where the slow one is under suspicion
            pass
        assert client.counts().hedges == 0

    with two() as (first, _, addresses):
        asked(addresses, calls, breaker=BreakerSettings(failures=5, open_s=0.1), hedging=HedgeSettings(share=0.0))


def test_however_slow_all_become_few_requests_are_sent_twice() -> None:
    hedging, number = HedgeSettings(share=0.05, burst=2, min_delay_s=0.02), 30

    async def calls(client: ModelClient, ask: Ask) -> None:
        for _ in range(100):
            await ask()
        before = client.counts()
        first.delay_s = second.delay_s = 0.05
        for _ in range(number):
            await ask()
        after = client.counts()
        assert 1 <= after.hedges - before.hedges <= hedging.burst + hedging.share * number
        assert after.calls - before.calls == number + after.hedges - before.hedges

    with two() as (first, second, addresses):
        asked(addresses, calls, hedging=hedging)


def test_each_replica_has_a_breaker_of_its_own() -> None:
    mad = []

    def rubbish(*_: Any) -> bytes:
        mad.append(1)
        return b"\xff rubbish"

    async def calls(client: ModelClient, ask: Ask) -> None:
        assert [await ask() for _ in range(20)] == [7] * 20
        assert client.failing() == [f"stable at {wrong}"]
        assert [await ask(label="canary") for _ in range(2)] == [7, 7]  # another label, another breaker
        for _ in range(10):
            await ask(label="")
        assert client.failing() == [f"newest at {wrong}", f"stable at {wrong}"]

    well = Server(7)
    with answering(rubbish) as wrong, answering(well.answer) as right:
        asked([wrong, right], calls, breaker=STAYS_OPEN)
    assert len(mad) == 5 + 1 + 5


def test_a_replica_that_is_down_is_passed_over_at_once() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        began = time.monotonic()
        assert [await ask() for _ in range(20)] == [7] * 20
        assert time.monotonic() - began < LONG_S / 2
        assert client.failing() == [f"stable at {down}"]
        assert client.counts().hedges == 0

    well, down = Server(7), f"127.0.0.1:{free_port()}"
    with answering(well.answer) as right:
        asked([down, right], calls, breaker=STAYS_OPEN)


def test_where_all_fail_the_last_failure_is_told_and_then_nobody_is_asked() -> None:
    number = []

    def rubbish(*_: Any) -> bytes:
        number.append(1)
        return b"\xff rubbish"

    async def calls(client: ModelClient, ask: Ask) -> None:
        reasons = []
        for _ in range(7):
            with pytest.raises(ModelUnavailable) as told:
                await ask()
            reasons.append(told.value.reason)
        assert reasons == ["rubbish"] * 5 + ["open"] * 2

    with answering(rubbish) as one, answering(rubbish) as other:
        asked([one, other], calls, breaker=STAYS_OPEN)
    assert len(number) == 10


def test_who_is_not_waited_for_any_more_is_cancelled_everywhere() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        waits = asyncio.create_task(ask(1.0))  # type: ignore[arg-type]
        await asyncio.sleep(0.75)
        assert client.counts().hedges == 1
        waits.cancel()
        assert await asyncio.gather(waits, return_exceptions=True)
        for server in (first, second):
            assert await asyncio.to_thread(server.cancelled.wait, 5)

    with two() as (first, second, addresses):
        first.well.clear()
        second.well.clear()
        asked(addresses, calls)


def test_a_name_with_several_addresses_is_asked_in_turn_as_well() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        versions: set[int | None] = set()
        until = time.monotonic() + 10
        while len(versions) < 2 and time.monotonic() < until:  # one of the connections may be ready before the other
            versions.add(await ask())
        assert versions == {1, 2}

    with two() as (_, _, addresses):
        asked([f"ipv4:{','.join(addresses)}"], calls)


def test_callers_in_a_hurry_do_not_close_a_server_for_the_others() -> None:
    async def calls(client: ModelClient, ask: Ask) -> None:
        server.well.clear()
        for _ in range(10):
            with pytest.raises(ModelUnavailable) as raised:
                await ask(timeout_s=0.005)
            assert raised.value.reason == "timeout"
        server.well.set()
        assert await ask() == 1

    with two() as (server, _, addresses):
        asked(addresses[:1], calls, breaker=STAYS_OPEN)
