"""What a rules file can say wrong, and the sentence it gets."""

from pathlib import Path

import pytest

from components.contract.errors import ServiceFileError
from components.contract.load import load_dataset, parse_dataset
from serving.experiments.file import load_experiments
from serving.rules.file import Boost, Diversity, Filter, Pin, load_rules, parse_rules

ROOT = Path(__file__).resolve().parents[3]
DATASET = parse_dataset("""
name: shop
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r}}
items: {path: i.csv, id: id}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features:
  - {name: device, kind: category, side: context}
  - {name: item, kind: id, side: item}
  - {name: brand, kind: category, side: item}
  - {name: look, kind: vector, side: item, size: 4}
  - {name: clicks, kind: state, side: item, measure: total, action: click}
""")
FILE = """\
sets:
  default:
    - {name: offer, kind: pin, place: 2, items: [a, b], when: {device: [mobile, tablet]}}
    - {name: own, kind: boost, places: 3, where: {brand: acme}}
  varied:
    - {name: gone, kind: filter, where: {brand: [old, ""]}}
    - {name: mix, kind: diversity, by: look, weight: 0.3, first: 10}
"""


def test_a_good_file_is_read() -> None:
    sets = parse_rules(FILE, DATASET).sets
    assert [[type(rule) for rule in rules] for rules in sets.values()] == [[Pin, Boost], [Filter, Diversity]]
    pin, boost = sets["default"]
    assert isinstance(pin, Pin)
    assert isinstance(boost, Boost)
    assert (pin.place, pin.items, pin.when) == (2, ("a", "b"), {"device": ("mobile", "tablet")})
    assert boost.where == {"brand": ("acme",)}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("sets:", "set:", "line 1: set: unknown key 'set'; did you mean 'sets'?"),
        ("kind: pin", "kind: pn", "line 3: sets.default[0].kind: unknown value 'pn'; did you mean 'pin'?"),
        ("kind: pin, ", "", "line 3: sets.default[0]: `kind` is missing; known: boost, bury, diversity, filter, pin"),
        ("kind: pin", "knd: pin", "line 3: sets.default[0].knd: unknown key 'knd'; did you mean 'kind'?"),
        ("place: 2", "plce: 2", "line 3: sets.default[0].plce: unknown key 'plce'; did you mean 'place'?"),
        ("place: 2", "place: -1", "line 3: sets.default[0].place: expected a value of at least 0, got -1"),
        ("places: 3", "places: 0", "line 4: sets.default[1].places: expected a value of at least 1, got 0"),
        (", where: {brand: acme}", "", "line 4: sets.default[1]: which candidates? Give either `items` or `where`"),
        (
            "where: {brand: acme}",
            "where: {brand: acme}, items: [a]",
            "line 4: sets.default[1]: which candidates? Give either `items` or `where`",
        ),
        (
            "brand: acme",
            "brnd: acme",
            "line 4: sets.default[1].where.brnd: no value of an item that could be compared; did you mean 'brand'?",
        ),
        ("brand: acme", "look: acme", "line 4: sets.default[1].where.look: no value of an item that could be compared; known: brand"),
        ("brand: acme", "item: a", "line 4: sets.default[1].where.item: no value of an item that could be compared; known: brand"),
        (
            "brand: acme",
            "brand: []",
            "line 4: sets.default[1].where.brand: expected 1 entry or more, got []",
        ),
        ("device: [", "devices: [", "line 3: sets.default[0].when.devices: no value of the context or the shopper; did you mean 'device'?"),
        ("by: look", "by: clicks", "line 7: sets.varied[1].by: 'clicks' is no given feature of the side item; known: brand, item, look"),
        ("weight: 0.3", "weight: 3", "line 7: sets.varied[1].weight: expected a value of at most 1, got 3"),
        ("first: 10", "first: 1000", "line 7: sets.varied[1].first: expected a value of at most 200, got 1000"),
        (
            "name: mix",
            "name: gone",
            "line 7: sets.varied[1]: a second rule is called 'gone'; the log tells rules by their names, so rename one",
        ),
    ],
)
def test_a_fault_is_told_with_its_line_and_remedy(old: str, new: str, sentence: str) -> None:
    assert FILE.count(old) == 1, old
    with pytest.raises(ServiceFileError) as raised:
        parse_rules(FILE.replace(old, new), DATASET, "f.yaml")
    assert str(raised.value).replace("f.yaml, ", "") == sentence


def test_a_missing_file_names_an_example_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(ServiceFileError, match=r"expected a rules file, found none; `examples/serving/rules.yaml` is one to start from"):
        load_rules(tmp_path / "none.yaml", DATASET)


def test_the_example_files_go_together() -> None:
    rules = load_rules(ROOT / "examples/serving/rules.yaml", load_dataset(ROOT / "examples/simulated_shop.yaml"))
    made = load_experiments(ROOT / "examples/serving/experiments.yaml", rule_sets=rules.sets)
    assert {rule.kind for rule in rules.sets["varied"]} == {"filter", "boost", "bury", "diversity", "pin"}
    assert [arm.rules for layer in made.layers for experiment in layer.experiments for arm in experiment.arms if arm.rules] == ["varied"]
