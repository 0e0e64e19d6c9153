"""What no client should send and some do: values, bodies and times that are wrong in every way that anybody has seen."""

import json
import time
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from components.contract.values.event_time import EARLIEST_US

CONTEXT = ("device", "taste")  # of the little shop
SHOWN = ("shown_price", "look", "badges")
# As JSON texts: some aren't values that Python's encoder would write.
DEEP = "[" * 500 + "]" * 500
VALUES = (
    '"\\ud800"', '"\\udc00\\ud800"', '["\\ud800"]', '["\\ud800","x"]', '"\\u0000"', '"a\\u001fb"', '""', '"NULL"', '"nan"', '"1e999999999"',
    "9" * 400, "-" + "9" * 400, "9" * 5_000, f'"{"9" * 5_000}"', f'"{"9" * 4_500}.0"', f'"1.{"9" * 4_500}e9"',
    f"[{'9' * 400},1]", f"[-{'9' * 400},1]", "18446744073709551616", "1e400", "-1e400", "1e-400", "1e308", "-0", "-0.0",
    "NaN", "Infinity", "[1,NaN]", "[1e400,1]", "[1e308,-1e308]", "null", "[null,null]", "true", "{}", '[{"a":1}]', "[]", "[[]]",
    '[true,"x"]', '[["x"]]', DEEP, f'"{"x" * 100_000}"', '"\\ud83d\\ude00"', '"\uff11\uff12"', '"1_000"',
)  # fmt: skip
BODIES = (
    b"", b"\x00", b"\xff\xfe", b"{", b"null", b"[]", b'"p0"', b"1", b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000,
    b'{"candidates":["p0"],"candidates":["p1"]}', b'{"candidates":["p0"],"context":{"device":"a","device":"b"}}',
    b'\xef\xbb\xbf{"candidates":["p0"]}', '{"candidates":["p\u00e4"]}'.encode("latin-1"), '{"candidates":["p0"]}'.encode("utf-16"),
    b'{"candidates":["p0"]}{}', b'{"candidates":["p0"],"\\ud800":1}', b'{"candidates":["p0"],"context":{"\\ud800":1}}',
)  # fmt: skip


def calls(value: str) -> list[tuple[str, str]]:
    """Path and body of every call that has a JSON value in one place."""
    made = []
    for name in CONTEXT:
        made.append(("/v1/rank", f'{{"candidates":["p0","p1"],"context":{{"{name}":{value}}}}}'))
        made.append(("/v1/events", f'{{"interactions":[{{"action":"click","item":"p0","shopper":"a","context":{{"{name}":{value}}}}}]}}'))
    for name in SHOWN:
        made.append(("/v1/rank", f'{{"candidates":["p0","p1"],"shown":{{"{name}":[{value},{value}]}}}}'))
        made.append(("/v1/events", f'{{"impressions":[{{"request":"r","items":["p0"],"shopper":"a","shown":{{"{name}":[{value}]}}}}]}}'))
    rank = ("candidates", "exclude", "shopper", "session", "request", "about", "source", "places", "first_position", "context", "shown")
    made += [("/v1/rank", f'{{"candidates":["p0"],"{name}":{value}}}') for name in rank]
    made.append(("/v1/rank", f'{{"candidates":[{value}]}}'))
    listed = ("request", "items", "shopper", "session", "time_us", "context", "shown", "first_position")
    made += [("/v1/events", f'{{"impressions":[{_with({"request": "r", "items": ["p0"]}, name, value)}]}}') for name in listed]
    done = ("action", "item", "request", "shopper", "session", "time_us", "position", "context", "revenue", "quantity", "margin")
    made += [("/v1/events", f'{{"interactions":[{_with({"action": "click", "item": "p0"}, name, value)}]}}') for name in done]
    return made


def _with(fields: dict[str, Any], name: str, value: str) -> str:
    written = {key: json.dumps(each) for key, each in fields.items()} | {name: value}
    return "{" + ",".join(f'"{key}":{each}' for key, each in written.items()) + "}"


# For the fuzzers, whose requests are made of values: what Python's encoder can write.
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["\x00", "NULL", "1e400", "9" * 4_500 + ".0", "1." + "9" * 4_500 + "e9", "9" * 5_000, "x" * 3_000, "\uff11", "-0"]),
)
SURROGATES = st.sampled_from(["\ud800", "\udc00\ud800", "a\udfff"])
NUMBERS = st.one_of(st.floats(), st.integers(-3, 3), st.integers(), st.sampled_from([10**400, -(10**400), 2**63, 2**64, 1e308, -0.0]))
ODD = st.sampled_from(
    [
        10**400,
        -(10**400),
        [10**400, 1],
        [1, -(10**400)],
        "\ud800",
        ["\ud800"],
        "9" * 4_500 + ".0",
        "1." + "9" * 4_500 + "e9",
        [["x"]],
        [1e308, 1],
    ]
)
SINGLES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, SURROGATES)
JSON = st.recursive(SINGLES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=6)


def times() -> st.SearchStrategy[int]:
    """Times in every unit that clients use, of now and of long ago, and ahead of now."""
    now_s = time.time()
    units = [10**n for n in (0, 3, 6, 9)]
    return st.one_of(
        st.sampled_from([int(now_s * unit) for unit in units]),
        st.integers(-10, 10).map(lambda seconds: int((now_s + seconds) * 1e6)),
        st.integers(-(1 << 62), 1 << 62),
    )


# What no document says of a shop: the names of its features, its actions and its products. With them a request gets beyond the first look.
CALLS = {
    "/v1/rank": st.fixed_dictionaries({"candidates": st.just(["p0", "p1"])}),
    "/v1/explain": st.fixed_dictionaries({"candidates": st.just(["p0"])}),
    "interactions": st.fixed_dictionaries({"action": st.sampled_from(["click", "search"]), "item": st.sampled_from(["p0", "x"])}),
    "impressions": st.fixed_dictionaries({"request": st.sampled_from(["r1", "r2"]), "items": st.just(["p0", "p1"])}),
}
ANY = st.one_of(ODD, JSON)
CONTEXTS = st.dictionaries(st.sampled_from(CONTEXT), ANY, max_size=3)
SHOWNS = st.dictionaries(st.sampled_from(SHOWN), st.lists(ANY, min_size=2, max_size=2), max_size=2)
REST = st.fixed_dictionaries({}, optional={"shopper": ANY, "session": ANY, "context": CONTEXTS, "time_us": times(), "shown": SHOWNS})


@st.composite
def shop_calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A call that knows the shop, with values that no shop has."""
    kind = draw(st.sampled_from(list(CALLS)))
    body, rest = draw(CALLS[kind]), draw(REST)
    if kind.startswith("/"):
        return kind, {**body, **{name: value for name, value in rest.items() if name != "time_us"}}
    if kind == "interactions":
        rest = {name: value for name, value in rest.items() if name != "shown"}
    return "/v1/events", {kind: [{**body, **rest}]}


def assert_times_are_plausible(log: Path) -> None:
    """No line of an exposure log's events has a time that was in another unit."""
    for path in (*log.glob("interactions-*"), *log.glob("impressions-*")):
        for line in path.read_bytes().splitlines():
            time_us = json.loads(line)["time"]
            assert EARLIEST_US <= time_us <= (time.time() + 60) * 1e6, line
