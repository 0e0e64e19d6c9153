"""Bodies at random: whatever comes, no answer is a server's fault, but for the 503 that is documented."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.service.conftest import Started
from tests.serving.service.running import Service

TEXTS = st.one_of(st.sampled_from(["p0", "p1", "a", "click", "impression", "search", "device", "shown_price", ""]), st.text(max_size=12))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.integers(min_value=10**300, max_value=10**310)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def bodies(**fields: Any) -> Any:
    """Objects that have most fields as they should be, and some as they shouldn't."""
    return st.one_of(st.fixed_dictionaries({}, optional={name: st.one_of(right, right, VALUES) for name, right in fields.items()}), VALUES)


FEATURES = st.dictionaries(TEXTS, VALUES, max_size=3)
RANK = bodies(
    candidates=st.lists(TEXTS, max_size=5),
    shopper=TEXTS,
    session=TEXTS,
    request=TEXTS,
    context=FEATURES,
    shown=FEATURES,
    places=st.integers(0, 9),
    source=st.sampled_from(["", "promoted", "alike"]),
    about=TEXTS,
)
WHEN = st.integers(0, 2**63)
EVENTS = bodies(
    impressions=st.lists(
        bodies(
            request=TEXTS, items=st.lists(TEXTS, max_size=3), shopper=TEXTS, session=TEXTS, time_us=WHEN, context=FEATURES, shown=FEATURES
        ),
        max_size=2,
    ),
    interactions=st.lists(
        bodies(action=TEXTS, item=TEXTS, request=TEXTS, shopper=TEXTS, session=TEXTS, time_us=WHEN, position=WHEN, context=FEATURES),
        max_size=2,
    ),
)


@pytest.fixture
def service(started: Started, tmp_path: Any) -> Service:
    return started(places={"log": tmp_path})


def check(service: Service, route: str, body: Any) -> None:
    answer = service.call("POST", route, json.dumps(body).encode(), {"content-type": "application/json"})
    assert answer.status in (200, 400, 422), (answer.status, answer.body, body)
    assert ("error" in answer.json) == (answer.status != 200)
    assert b"Traceback" not in answer.body


QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUIET
@given(body=RANK)
def test_any_body_to_rank(service: Service, body: Any) -> None:
    check(service, "/v1/rank", body)


@QUIET
@given(body=EVENTS)
def test_any_body_to_events(service: Service, body: Any) -> None:
    check(service, "/v1/events", body)


@QUIET
@given(raw=st.binary(max_size=40))
def test_any_bytes(service: Service, raw: bytes) -> None:
    for route in ("/v1/rank", "/v1/events", "/v1/explain"):
        assert service.call("POST", route, raw, {"content-type": "application/json"}).status in (400, 422)


@QUIET
@given(name=st.text(min_size=1, max_size=30) | st.sampled_from(["a/b", "/", "..", "a?b#c"]))
def test_any_shopper_can_be_forgotten(service: Service, name: str) -> None:
    status = service.call("DELETE", f"/v1/shoppers/{quote(name, safe='', errors='replace')}").status
    assert status in ((400, 404, 422) if any(ord(letter) < 32 for letter in name) else (204,))
