from itertools import pairwise

import pytest

from components.contract.storage.labels import Labels
from serving.mirror.target_config import ServerConfig, next_step, target_config


def labels(**carried: tuple[int, ...]) -> Labels:
    return Labels("shop", "/releases", carried)


@pytest.mark.parametrize(
    ("given", "only", "expected"),
    [
        (None, None, {"stable": 3}),
        (None, "stable", {"stable": 3}),
        (labels(stable=(1, 2), canary=(3,)), None, {"stable": 2, "canary": 3, "previous": 1}),
        (labels(stable=(1, 2), canary=(3,)), "stable", {"stable": 2}),
        (labels(stable=(1, 2), canary=(3,)), "newest", {"stable": 3}),
        (labels(stable=(2,), canary=(9,)), None, {"stable": 2}),  # what isn't there can't be served
    ],
)
def test_what_is_served_are_the_labelled_releases_or_the_newest(given: Labels | None, only: object, expected: dict[str, int]) -> None:
    served = target_config(given, (1, 2, 3), model="shop", only=only)  # type: ignore[arg-type]
    assert served.labels == expected
    assert served.versions == tuple(sorted(set(expected.values())))


def test_a_label_moves_when_what_it_points_to_is_loaded_and_what_it_left_goes_last() -> None:
    first, last = ServerConfig("shop", (1,), {"stable": 1}), ServerConfig("shop", (2,), {"stable": 2})
    steps = [first]
    while steps[-1] != last:
        steps.append(next_step(steps[-1], last))
    assert steps == [first, ServerConfig("shop", (1, 2), {"stable": 1}), ServerConfig("shop", (1, 2), {"stable": 2}), last]
    for before, after in pairwise(steps):
        assert set(after.labels.values()) <= set(before.versions)
        assert set(before.labels.values()) <= set(after.versions)


def test_a_change_of_mind_on_the_way_is_followed_by_the_same_steps() -> None:
    half_way = ServerConfig("shop", (1, 2), {"stable": 1})
    assert next_step(half_way, ServerConfig("shop", (3,), {"stable": 3})) == ServerConfig("shop", (1, 2, 3), {"stable": 1})
    assert next_step(half_way, ServerConfig("shop", (1,), {"stable": 1})) == ServerConfig("shop", (1,), {"stable": 1})
