"""gRPC at random: whatever bytes come, nothing is UNKNOWN or INTERNAL, the process lives, and the next good call is answered."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.service.messages import message_class
from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.both_doors import both_doors
from tests.serving.service.conftest import Shop
from tests.serving.service.hostile import CONTEXT, SHOWN, assert_times_are_plausible, shop_calls, times
from tests.serving.service.hostile import TEXTS as HOSTILE

CALLS = {"Rank": "RankRequest", "Explain": "RankRequest", "RecordEvents": "RecordEventsRequest", "Forget": "ForgetRequest"}
ALLOWED = {"OK", "INVALID_ARGUMENT", "UNAVAILABLE"}
TEXTS = st.one_of(st.sampled_from(["p0", "p1", "a", "click", "impression", "search", *CONTEXT, *SHOWN, ""]), HOSTILE)
NAMES = st.one_of(st.sampled_from([*CONTEXT, *SHOWN]), TEXTS)  # of features: most are the shop's
ACTIONS = st.one_of(st.sampled_from(["click", "search"]), TEXTS)
WHOLE = st.one_of(st.integers(-1, 6), st.integers(-(1 << 63), (1 << 63) - 1))
SCALARS = {"string": TEXTS, "int64": WHOLE, "double": st.floats(), "bool": st.booleans()}


def messages(descriptor: Any, depth: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """Fields of a message as its class takes them, out of what the compiled file says of it."""
    optional = {field.name: values(field, depth) for field in descriptor.fields if field.message_type is None or depth}
    return st.fixed_dictionaries({}, optional=optional).map(lambda told: _one_kind(descriptor, told))


def values(field: Any, depth: int) -> st.SearchStrategy[Any]:
    kind = field.message_type
    if field.name in ("time_us", "action"):
        return times() if field.name == "time_us" else ACTIONS
    if kind is None:
        one = SCALARS[{9: "string", 3: "int64", 1: "double", 8: "bool"}[field.type]]
    elif kind.GetOptions().map_entry:
        return st.dictionaries(NAMES, messages(kind.fields_by_name["value"].message_type, depth - 1), max_size=3)
    else:
        one = messages(kind, depth - 1)
    return st.lists(one, max_size=4) if field.is_repeated else one


def _one_kind(descriptor: Any, told: dict[str, Any]) -> dict[str, Any]:
    """Of a oneof the last that is set counts, and a class takes one only."""
    among = {field.name for oneof in descriptor.oneofs if len(oneof.fields) > 1 for field in oneof.fields}
    (*others, _) = [name for name in told if name in among] or [None]
    return {name: value for name, value in told.items() if name not in others}


@pytest.fixture(scope="module", params=["model server up", "model server down"])
def call(request: pytest.FixtureRequest, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, bytes], str]]:
    down = {"model_server": f"127.0.0.1:{free_port()}"} if request.param == "model server down" else {}
    log = tmp_path_factory.mktemp("log")
    places = {"log": log, **down}
    with both_doors(shop, places, deadline_ms=500) as doors, grpc.insecure_channel(doors.address) as channel:
        methods = {name: channel.unary_unary(f"/shelfrank.v1.Ranking/{name}") for name in CALLS}

        def sent(name: str, raw: bytes) -> str:
            made = methods[name].future(raw, timeout=20)
            code, details = made.code().name, made.details() or ""
            assert "Traceback" not in details
            return str(code)

        yield sent
        good = message_class("RankRequest")(candidates=["p0", "p1"], shopper="a").SerializeToString()
        answer = message_class("RankResponse").FromString(methods["Rank"](good, timeout=20))
        assert sorted(answer.order) == ["p0", "p1"]
    assert_times_are_plausible(log)


def tried(call: Callable[[str, bytes], str], name: str, examples: int) -> None:
    made = message_class(CALLS[name])
    many = settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)

    @many
    @given(raw=st.binary(max_size=60))
    def any_bytes(raw: bytes) -> None:
        assert call(name, raw) in ALLOWED

    @many
    @given(told=messages(made.DESCRIPTOR))
    def any_message(told: dict[str, Any]) -> None:
        assert call(name, made(**told).SerializeToString()) in ALLOWED

    @many
    @given(told=messages(made.DESCRIPTOR), at=st.integers(0, 1 << 16), put=st.binary(max_size=4), cut=st.integers(0, 4))
    def a_message_spoilt(told: dict[str, Any], at: int, put: bytes, cut: int) -> None:
        raw = made(**told).SerializeToString()
        at %= len(raw) + 1
        assert call(name, raw[:at] + put + raw[at + cut :]) in ALLOWED

    for test in (any_bytes, any_message, a_message_spoilt):
        test()


def value_of(told: Any) -> Any:
    """What JSON holds as a Value, as near as that comes to it."""
    match told:
        case bool():
            return {"truth": told}
        case int() if -(1 << 63) <= told < 1 << 63:
            return {"whole": told}
        case int():
            return {"number": math.inf}
        case float():
            return {"number": told}
        case str():
            return {"text": told.encode("utf-8", "replace").decode()}
        case dict():
            return {"list": {"values": [value_of(each) for each in told.values()]}}
        case list():
            return {"list": {"values": [value_of(each) for each in told]}}
    return {}


def request_of(path: str, body: dict[str, Any]) -> tuple[str, bytes]:
    """The same call as for REST, as far as a message can hold it; the name of the call, and the message."""

    def fields(told: dict[str, Any]) -> dict[str, Any]:
        made = {name: value for name, value in told.items() if name not in ("context", "shown", "shopper", "session")}
        made |= {name: str(told[name]).encode("utf-8", "replace").decode() for name in ("shopper", "session") if name in told}
        made["context"] = {name: value_of(value) for name, value in told.get("context", {}).items()}
        if "shown" in told:
            made["shown"] = {name: {"values": [value_of(each) for each in values]} for name, values in told["shown"].items()}
        return made

    if path != "/v1/events":
        return "Explain" if path == "/v1/explain" else "Rank", message_class("RankRequest")(**fields(body)).SerializeToString()
    ((kind, events),) = body.items()
    events = [{**each, "time_us": min(each["time_us"], (1 << 63) - 1)} if "time_us" in each else each for each in events]
    return "RecordEvents", message_class("RecordEventsRequest")(**{kind: [fields(each) for each in events]}).SerializeToString()


@pytest.mark.parametrize("examples", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_calls_that_know_the_shop_are_answered(call: Callable[[str, bytes], str], examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(asked=shop_calls())
    def check(asked: tuple[str, dict[str, Any]]) -> None:
        assert call(*request_of(*asked)) in ALLOWED

    check()


@pytest.mark.parametrize("name", CALLS)
def test_whatever_comes_is_answered(call: Callable[[str, bytes], str], name: str) -> None:
    tried(call, name, examples=20)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_whatever_comes_is_answered_for_long(call: Callable[[str, bytes], str], name: str) -> None:
    tried(call, name, examples=3_000)


def test_lists_in_lists_are_bounded(call: Callable[[str, bytes], str]) -> None:
    deep = message_class("Value")(text="x")
    for _ in range(45):
        outer = message_class("Value")()
        outer.list.values.add().CopyFrom(deep)
        deep = outer
    request = message_class("RankRequest")(candidates=["p0"])
    request.context["device"].CopyFrom(deep)
    assert call("Rank", request.SerializeToString()) in ALLOWED
