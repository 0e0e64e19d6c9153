"""Merchandising rules by hand, and what holds whatever the rules."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from serving.rules.apply import Effect, Moved, Ruled, apply_rules, by_score
from serving.rules.diversity import mmr
from serving.rules.file import Boost, Bury, Diversity, Filter, Pin, Rule
from serving.rules.select import Columns, apart, matches

ITEMS = list("abcdef")
SCORES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
COLUMNS: Columns = {"brand": ["x", "x", "y", "x", "z", "y"], "price": [5.0, 6, 7, 8, float("nan"), 5]}


def ruled(
    *rules: Rule, items: Sequence[str] = ITEMS, scores: Sequence[float] = SCORES, columns: Columns = COLUMNS, **context: Any
) -> Ruled:
    return apply_rules(rules, items, scores=scores, columns=columns, context=context)


def shown(*rules: Rule, **context: Any) -> str:
    return "".join(ITEMS[at] for at in ruled(*rules, **context).order)


def pin(place: int, *items: str, name: str = "p", **more: Any) -> Pin:
    return Pin(name=name, kind="pin", place=place, items=items, **more)


def boost(places: int, *items: str, name: str = "up", **more: Any) -> Boost:
    return Boost(name=name, kind="boost", places=places, items=items, **more)


def bury(places: int, *items: str, name: str = "down") -> Bury:
    return Bury(name=name, kind="bury", places=places, items=items)


def without(*items: str, name: str = "out", **more: Any) -> Filter:
    return Filter(name=name, kind="filter", items=items, **more)


def diversity(weight: float, by: str = "brand", first: int = 6) -> Diversity:
    return Diversity(name="mix", kind="diversity", by=by, weight=weight, first=first)


def test_without_rules_the_order_is_by_score_and_equal_scores_stay_as_given() -> None:
    assert ruled(scores=[0.1, 0.3, float("nan"), 0.3, -2, 0.2]) == Ruled((1, 3, 5, 0, 4, 2))
    assert by_score([]).tolist() == []


def test_a_boost_passes_so_many_others_and_a_burial_lets_so_many_pass() -> None:
    assert shown(boost(2, "e")) == "abecdf"
    assert shown(boost(99, "e")) == "eabcdf"
    assert shown(bury(2, "b")) == "acdbef"
    assert shown(bury(99, "b")) == "acdefb"


def test_boosts_and_burials_of_one_candidate_add_up() -> None:
    assert shown(boost(3, "e"), bury(1, "e")) == shown(boost(2, "e"))
    assert shown(boost(2, "e"), bury(2, "e")) == "abcdef"


def test_candidates_that_are_boosted_together_keep_their_order() -> None:
    assert shown(boost(2, "c", "d")) == "cadbef"
    assert shown(boost(9, "f", "d", "b")) == "bdface"


def test_a_pinned_candidate_is_where_its_rule_says_whatever_else_moves() -> None:
    assert shown(pin(0, "f")) == "fabcde"
    assert shown(pin(4, "a")) == "bcdeaf"
    assert shown(pin(1, "f"), boost(9, "e"), diversity(0.5)).index("f") == 1


def test_of_two_pinned_to_one_place_the_later_rule_gets_the_next() -> None:
    assert shown(pin(1, "f"), pin(1, "e", name="q")) == "afebcd"


def test_several_of_one_rule_follow_each_other_in_their_order() -> None:
    assert shown(pin(1, "f", "d")) == "adfbce"


def test_a_place_beyond_the_end_is_the_last_that_is_free() -> None:
    assert shown(pin(50, "a"), pin(50, "b", name="q")) == "cdefba"


def test_a_candidate_pinned_twice_stays_with_the_first_rule() -> None:
    assert shown(pin(0, "f"), pin(3, "f", name="q")) == "fabcde"


def test_what_is_filtered_is_gone_even_where_it_is_pinned() -> None:
    assert shown(pin(0, "c"), without("c", "a")) == "bdef"


def test_all_may_be_filtered() -> None:
    assert ruled(without(*ITEMS)).order == ()


def test_candidates_are_chosen_by_the_values_of_all_their_features() -> None:
    assert shown(without(where={"brand": ["y", "z"]})) == "abd"
    assert shown(without(where={"brand": "x", "price": 6})) == "acdef"
    assert shown(without(where={"price": 5})) == "bcde"


def test_a_rule_with_a_condition_holds_only_there() -> None:
    rule = without("a", when={"page": ["home", "search"], "device": "mobile"})
    assert shown(rule, page="home", device="mobile") == "bcdef"
    assert shown(rule, page="home", device="desktop") == "abcdef"
    assert shown(rule, page="home") == "abcdef"


@pytest.mark.parametrize(
    ("given_value", "value", "same"),
    [
        ("5", 5, True),
        (5.0, 5, True),
        (np.float32(0.5), 0.5, True),
        ("five", 5, False),
        (None, 5, False),
        (float("nan"), 5, False),
        (5, "5", True),
        ("no", "no", True),
        (np.str_("b"), "b", True),
        (b"b", "b", True),
        (False, False, True),
        ("false", False, True),
        (1, True, False),
        (["a", "b"], "b", True),
        ([], "b", False),
    ],
)
def test_numbers_compare_as_numbers_and_all_else_as_text(given_value: Any, value: Any, same: bool) -> None:
    assert matches(given_value, [value]) is same


def test_values_of_a_multi_feature_are_compared_one_by_one() -> None:
    dataset = parse_dataset("""
name: shop
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r}}
items: {path: i.csv, id: id}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features: [{name: tags, kind: multi, side: item, separator: ";"}, {name: brand, kind: category, side: item}]
""")
    columns = apart(dataset, {"tags": ["new;sale", "", "sale", "old", "new", "x"], "brand": ["a;b"] * 6})
    assert "".join(ITEMS[at] for at in ruled(without(where={"tags": "sale"}), columns=columns).order) == "bdef"
    assert columns["brand"] == ["a;b"] * 6


def test_mmr_by_hand() -> None:
    """Weight 0.5, three places: relevance 1, 2/3, 1/3, 0, -1/3, -2/3, halved; a candidate of a brand that is there loses 0.5.

    a first; then b is worth 1/3 - 1/2, c 1/6, d 0 - 1/2, e -1/6, f -1/3: c; then b -1/6, e -1/6: b, which stood higher, comes before e.
    """
    assert mmr(COLUMNS["brand"], weight=0.5, first=3).tolist() == [0, 2, 1, 3, 4, 5]
    assert mmr(COLUMNS["brand"], weight=0.55, first=3).tolist() == [0, 2, 4, 1, 3, 5]


def test_mmr_compares_vectors_by_their_cosine() -> None:
    vectors = np.array([[1, 0], [5, 0.1], [0, 2], [0, 0]], np.float32)
    assert mmr(vectors, weight=0.6, first=2).tolist() == [0, 2, 1, 3]
    assert mmr(vectors, weight=0.1, first=2).tolist() == [0, 1, 2, 3]


def test_a_missing_value_is_like_nothing() -> None:
    assert mmr(["", "", "", ""], weight=0.9, first=4).tolist() == [0, 1, 2, 3]
    assert mmr(["a", "a", None, float("nan")], weight=0.9, first=4).tolist() == [0, 2, 3, 1]


def test_weight_0_changes_nothing_and_weight_1_goes_by_difference_alone() -> None:
    assert shown(diversity(0)) == "abcdef"
    assert shown(diversity(1)) == "acebdf"


def test_each_rule_tells_what_it_did() -> None:
    result = ruled(without("b", name="gone"), boost(1, "e"), pin(0, "f"), pin(9, "zz", name="elsewhere"))
    assert "".join(ITEMS[at] for at in result.order) == "faced"
    assert result.effects == (
        Effect("gone", "filter", (Moved("b", 1, None),)),
        Effect("up", "boost", (Moved("e", 3, 2),)),
        Effect("p", "pin", (Moved("f", 4, 0),)),
        Effect("elsewhere", "pin", ()),
    )


def test_diversity_tells_of_all_that_it_moved() -> None:
    (effect,) = ruled(diversity(1)).effects
    assert effect == Effect("mix", "diversity", (Moved("b", 1, 3), Moved("c", 2, 1), Moved("d", 3, 4), Moved("e", 4, 2)))


def test_the_steps_do_not_go_by_the_order_in_the_file() -> None:
    rules: list[Rule] = [without("b"), boost(2, "e"), diversity(0.4), pin(1, "f")]
    assert ruled(*rules).order == ruled(*reversed(rules)).order


def test_a_feature_that_is_not_given_is_an_error_that_names_the_closest() -> None:
    with pytest.raises(InputError, match=r"the rules need the item feature 'brnd', which isn't given; did you mean 'brand'\?"):
        ruled(without(where={"brnd": "x"}))
    with pytest.raises(InputError, match=r"expected 6 values of the item feature 'brand', one a candidate, got 1"):
        ruled(without(where={"brand": "x"}), columns={"brand": ["x"]})
    with pytest.raises(InputError, match=r"expected a score for each of the 6 candidates, got 1"):
        ruled(scores=[1])


NUMBERS = st.integers(0, 12)
CHOSEN = st.lists(st.sampled_from([f"i{n}" for n in range(12)]), min_size=1, max_size=3, unique=True)
BRANDS = st.lists(st.sampled_from("xyz"), min_size=1, max_size=2, unique=True)


@st.composite
def sets_of_rules(draw: st.DrawFn) -> list[Rule]:
    made: list[Rule] = []
    for n in range(draw(st.integers(0, 6))):
        which: dict[str, Any] = {"where": {"brand": draw(BRANDS)}} if draw(st.booleans()) else {"items": draw(CHOSEN)}
        given_when: dict[str, Any] = {"when": {"page": draw(st.sampled_from(["home", "search"]))}} if draw(st.booleans()) else {}
        common: dict[str, Any] = {"name": f"r{n}", **which, **given_when}
        match draw(st.sampled_from(["pin", "boost", "bury", "filter", "diversity"])):
            case "pin":
                made.append(Pin(kind="pin", place=draw(NUMBERS), **common))
            case "boost":
                made.append(Boost(kind="boost", places=1 + draw(NUMBERS), **common))
            case "bury":
                made.append(Bury(kind="bury", places=1 + draw(NUMBERS), **common))
            case "filter":
                made.append(Filter(kind="filter", **common))
            case _:
                made.append(Diversity(name=f"r{n}", kind="diversity", by="brand", weight=draw(st.floats(0, 1)), first=1 + draw(NUMBERS)))
    return made


@settings(max_examples=300, deadline=None)
@given(
    rules=sets_of_rules(),
    scores=st.lists(st.floats(allow_nan=True), min_size=0, max_size=12),
    brands=st.lists(st.sampled_from("xyz"), min_size=12, max_size=12),
)
def test_whatever_the_rules_the_order_is_a_permutation_of_what_is_not_filtered_and_pins_hold(
    rules: list[Rule], scores: list[float], brands: list[str]
) -> None:
    items = [f"i{n}" for n in range(len(scores))]
    columns = {"brand": brands[: len(items)]}
    result = apply_rules(rules, items, scores=scores, columns=columns, context={"page": "home"})
    effects = {effect.rule: effect for effect in result.effects}
    gone = {moved.item for effect in result.effects for moved in effect.moved if moved.after is None}
    assert sorted(items[at] for at in result.order) == sorted(set(items) - gone)
    assert result == apply_rules(rules, items, scores=scores, columns=columns, context={"page": "home"})
    place = {items[at]: n for n, at in enumerate(result.order)}
    in_force = [rule for rule in rules if not rule.when or "home" in rule.when["page"]]
    assert set(effects) == {rule.name for rule in in_force}
    taken: set[int] = set()
    for rule in (rule for rule in in_force if isinstance(rule, Pin)):
        for moved in effects[rule.name].moved:
            assert place[moved.item] == moved.after
        mine = [moved.item for moved in effects[rule.name].moved if place[moved.item] not in taken]
        if mine and rule.place < len(place) and rule.place not in taken:
            assert place[mine[0]] == rule.place
        taken |= {place[item] for item in mine}
    if not in_force:
        finite = [(-score if score == score else float("inf"), at) for at, score in enumerate(scores)]
        assert list(result.order) == [at for _, at in sorted(finite)]


@settings(max_examples=100, deadline=None)
@given(places=st.integers(1, 20), chosen=st.integers(0, 9), up=st.booleans())
def test_one_rule_on_one_candidate_moves_it_by_exactly_its_places(places: int, chosen: int, up: bool) -> None:
    items = [f"i{n}" for n in range(10)]
    rule: Rule = boost(places, f"i{chosen}") if up else bury(places, f"i{chosen}")
    result = apply_rules([rule], items, scores=[-float(n) for n in range(10)], columns={}, context={})
    assert result.order.index(chosen) == (max(0, chosen - places) if up else min(9, chosen + places))
    assert [at for at in result.order if at != chosen] == [at for at in range(10) if at != chosen]
