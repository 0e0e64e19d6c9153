"""Who falls into which arm: evenly, for good, one experiment a layer, layers apart."""

import hashlib
from collections import Counter

import pytest

from serving.experiments.assign import Assignment, arm_index, assign
from serving.experiments.file import Experiments, parse_experiments
from serving.experiments.hash_fraction import hash_fraction

SHOPPERS = [f"u{n:06d}" for n in range(20_000)]
# Quantiles of chi-square at 0.999, by degrees of freedom.
CHI_SQUARE_999 = {1: 10.83, 2: 13.82, 3: 16.27, 8: 26.12, 99: 148.23}


def experiments(traffic: str = "10%", second: str = "from: 60%", salt: str = "shop") -> Experiments:
    return parse_experiments(
        f"""
salt: {salt}
layers:
  - name: ranker
    experiments:
      - name: first
        traffic: {traffic}
        arms: [{{name: a, share: 50%}}, {{name: b, share: 30%, model: canary}}, {{name: c, share: 20%, baseline: shuffle}}]
      - name: second
        {second}
        traffic: 40%
        arms: [{{name: a, share: 50%}}, {{name: b, share: 50%, model: canary}}]
  - name: shelf
    experiments:
      - name: variety
        traffic: 100%
        arms: [{{name: a, share: 50%}}, {{name: b, share: 50%, rules: varied}}]
""",
        rule_sets=["varied"],
    )


def arms(made: Experiments) -> dict[str, dict[str, str]]:
    return {shopper: assign(made, shopper, time_us=0).arms for shopper in SHOPPERS}


def chi_square(seen: Counter[str], shares: dict[str, float]) -> float:
    total = sum(seen.values())
    return sum((seen[name] - total * share) ** 2 / (total * share) for name, share in shares.items())


def test_places_are_uniform() -> None:
    seen = Counter(str(int(100 * hash_fraction("salt", "layer", "l", shopper))) for shopper in SHOPPERS)
    assert chi_square(seen, {str(n): 0.01 for n in range(100)}) < CHI_SQUARE_999[99]


def test_a_place_is_the_first_53_bits_of_sha_256_over_the_parts_and_their_lengths() -> None:
    digest = hashlib.sha256(b"\0\0\0\x01s\0\0\0\x02u1").digest()
    assert hash_fraction("s", "u1") == int.from_bytes(digest[:8], "big") // 2048 / 2**53
    assert hash_fraction("a", "bc") != hash_fraction("ab", "c")


def test_shoppers_fall_into_experiments_by_their_traffic_and_into_arms_by_their_shares() -> None:
    found = arms(experiments())
    inside = Counter("first" if "first" in of else "second" if "second" in of else "none" for of in found.values())
    assert chi_square(inside, {"first": 0.1, "second": 0.4, "none": 0.5}) < CHI_SQUARE_999[2]
    first = Counter(of["first"] for of in found.values() if "first" in of)
    assert chi_square(first, {"a": 0.5, "b": 0.3, "c": 0.2}) < CHI_SQUARE_999[2]


def test_raising_traffic_moves_nobody_who_was_in() -> None:
    before, after = arms(experiments("10%")), arms(experiments("50%"))
    inside = [shopper for shopper, of in before.items() if "first" in of]
    assert len(inside) > 1900
    assert [after[shopper] for shopper in inside] == [before[shopper] for shopper in inside]
    # Nor anybody in another experiment.
    assert {s: of["second"] for s, of in after.items() if "second" in of} == {s: of["second"] for s, of in before.items() if "second" in of}
    joined = Counter(of["first"] for shopper, of in after.items() if "first" in of and "first" not in before[shopper])
    assert chi_square(joined, {"a": 0.5, "b": 0.3, "c": 0.2}) < CHI_SQUARE_999[2]


def test_nobody_is_in_two_experiments_of_a_layer() -> None:
    full = experiments("60%")
    assert all(("first" in of) != ("second" in of) for of in arms(full).values())


def test_layers_are_independent() -> None:
    """By arm of the first layer, the arms of the second are as everywhere: 6 cells in a table, 3 degrees of freedom with the margins."""
    found = arms(experiments("50%"))
    cells = Counter((of.get("first", "none"), of["variety"]) for of in found.values())
    rows, columns = Counter[str](), Counter[str]()
    for (row, column), number in cells.items():
        rows[row] += number
        columns[column] += number
    expected = {(row, column): rows[row] * columns[column] / len(SHOPPERS) for row in rows for column in columns}
    assert len(rows) == 4
    assert sum((cells[cell] - number) ** 2 / number for cell, number in expected.items()) < CHI_SQUARE_999[3]


def test_an_experiment_that_takes_over_a_range_draws_its_arms_anew() -> None:
    """Of those who were in arm a of an ended experiment, half are in arm a of its successor."""
    text = "salt: s\nlayers: [{name: l, experiments: [{name: %s, traffic: 100%%, arms: [{name: a, share: 50%%}, {name: b, share: 50%%}]}]}]"
    old, new = (parse_experiments(text % name, rule_sets=[]) for name in ("old", "new"))
    both = Counter(f"{assign(old, shopper, time_us=0).arms['old']}{assign(new, shopper, time_us=0).arms['new']}" for shopper in SHOPPERS)
    assert chi_square(both, dict.fromkeys(("aa", "ab", "ba", "bb"), 0.25)) < CHI_SQUARE_999[3]


def test_another_salt_draws_everything_anew() -> None:
    found, other = arms(experiments()), arms(experiments(salt="other"))
    alike = Counter(str("first" in found[s] and "first" in other[s]) for s in SHOPPERS)
    assert chi_square(alike, {"True": 0.01, "False": 0.99}) < CHI_SQUARE_999[1]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"first": "a", "variety": "a"}, (None, None, None)),
        ({"first": "b", "variety": "a"}, ("canary", None, None)),
        ({"first": "c", "variety": "b"}, (None, "shuffle", "varied")),
        ({"variety": "b"}, (None, None, "varied")),
    ],
)
def test_the_arms_of_all_layers_together_say_how_one_is_served(chosen: dict[str, str], expected: tuple[str | None, ...]) -> None:
    made = experiments("50%")
    assignment = next(found for found in (assign(made, shopper, time_us=0) for shopper in SHOPPERS) if found.arms == chosen)
    assert (assignment.model, assignment.baseline, assignment.rules) == expected


def test_an_arm_that_interleaves_has_two_rankers_and_a_seed() -> None:
    text = """
salt: s
layers:
  - name: ranker
    experiments:
      - name: pair
        traffic: 100%
        arms: [{name: both, share: 100%, interleave: [{name: stable}, {name: new, model: canary}]}]
"""
    interleaving = assign(parse_experiments(text, rule_sets=[]), "u1", time_us=0).interleaving
    assert interleaving is not None
    assert (interleaving.experiment, interleaving.salt) == ("pair", "s")
    assert [(team.name, team.model, team.baseline) for team in interleaving.teams] == [("stable", None, None), ("new", "canary", None)]


SLOTS = """
salt: s
layers:
  - name: ranker
    experiments:
      - name: stock
        traffic: 60%
        switchback: 30m
        arms: [{name: a, share: 50%}, {name: b, share: 50%, model: canary}]
"""
HALF_HOUR_US = 30 * 60_000_000


def test_in_a_slot_of_a_switchback_all_shoppers_have_one_arm_and_slots_are_drawn_apart() -> None:
    made = parse_experiments(SLOTS, rule_sets=[])
    inside = [shopper for shopper in SHOPPERS[:50] if assign(made, shopper, time_us=0).arms]
    assert 20 < len(inside) < 40
    of_slots = []
    for slot in range(2_000):
        times = (slot * HALF_HOUR_US, (slot + 1) * HALF_HOUR_US - 1)
        drawn = {assign(made, shopper, time_us=time_us).arms["stock"] for shopper in inside[:3] for time_us in times}
        assert len(drawn) == 1
        of_slots.append(drawn.pop())
    assert chi_square(Counter(of_slots), {"a": 0.5, "b": 0.5}) < CHI_SQUARE_999[1]
    pairs = Counter(f"{before}{after}" for before, after in zip(of_slots[::2], of_slots[1::2], strict=True))
    assert chi_square(pairs, dict.fromkeys(("aa", "ab", "ba", "bb"), 0.25)) < CHI_SQUARE_999[3]


def test_those_held_out_are_in_no_experiment_and_the_log_tells_them_from_the_others() -> None:
    text = experiments().model_dump(by_alias=True, exclude_none=True)
    made = Experiments.model_validate(text | {"holdout": {"share": "5%", "model": "old"}})
    more_held_out = Experiments.model_validate(text | {"holdout": {"share": "10%"}})
    found = {shopper: assign(made, shopper, time_us=0) for shopper in SHOPPERS}
    held_out = {shopper for shopper, assignment in found.items() if assignment.arms["holdout"] == "held_out"}
    assert chi_square(Counter(str(shopper in held_out) for shopper in SHOPPERS), {"True": 0.05, "False": 0.95}) < CHI_SQUARE_999[1]
    assert {(*found[shopper].arms, found[shopper].model) for shopper in held_out} == {("holdout", "old")}
    before = arms(experiments())
    assert all(found[shopper].arms == {"holdout": "open", **before[shopper]} for shopper in SHOPPERS if shopper not in held_out)
    assert all(assign(more_held_out, shopper, time_us=0).arms == {"holdout": "held_out"} for shopper in held_out)


def test_a_guest_is_in_no_experiment() -> None:
    assert assign(experiments("60%"), "", time_us=0) == Assignment()


def test_an_id_may_be_any_text() -> None:
    assert "variety" in assign(experiments(), "ü\ud800\0 💡", time_us=0).arms


def test_an_arm_without_share_gets_nobody_not_even_where_shares_do_not_quite_make_1() -> None:
    text = (
        "salt: s\nlayers: [{name: l, experiments: [{name: e, traffic: 100%, arms: "
        "[{name: a, share: 0.1}, {name: b, share: 0.2}, {name: c, share: 0.7}, {name: d, share: 0}]}]}]"
    )
    (experiment,) = parse_experiments(text, rule_sets=[]).layers[0].experiments
    assert [arm_index(experiment, place) for place in (0, 0.0999, 0.1, 0.2999, 0.3001, 0.9999, 1 - 2**-53)] == [0, 0, 1, 1, 2, 2, 2]
