"""A store of each kind for the behaviour suite."""

from collections.abc import Iterator

import pytest

from tests.serving.state.kinds import KINDS, Kind, kind_of


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    with kind_of(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def redis_kind() -> Iterator[Kind]:
    with kind_of("redis") as made:
        yield made


@pytest.fixture(scope="module", params=["redis", "cluster"])
def remote_kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    with kind_of(request.param) as made:
        yield made
