"""What a dataset file can say wrong, and the sentence it gets: the line, what was expected, and the remedy."""

from pathlib import Path

import pytest

from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.load import load_dataset, parse_dataset
from components.contract.sources import Table

SHOWN = """\
name: shop
events:
  path: events.parquet
  columns: {time: t, user: u, item: i, action: a, request: r}
items: {path: items.parquet, id: id}
users: {path: users.parquet, id: id}
actions:
  search: {item: false}
  impression: {}
  click: {label: 1}
  buy: {label: 2}
candidates: {from: impressions}
attribution: 1h
half_lives: [1d, 7d]
windows: {eval: 15%, test: 15%}
features:
  - {name: device, kind: category, side: context}
  - {name: segment, kind: category, side: user}
  - {name: item, kind: id, side: item}
  - {name: price, kind: number, side: item}
  - {name: price_in_list, kind: list, side: item, of: price}
  - {name: history, kind: history, side: user, actions: [click], fields: [item]}
  - {name: clicks, kind: state, side: item, measure: count, action: click}
  - {name: ctr, kind: state, side: item, measure: rate, action: click, per: impression}
slices: [device]
"""

LISTS = """\
name: hotels
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a}}
actions: {clickout: {label: 1}, view: {}}
candidates: {from: list, action: clickout, items: shown, columns: {price: prices}}
features:
  - {name: item, kind: id, side: item}
  - {name: price, kind: number, side: item, source: events}
"""

SAMPLED = """\
name: basket
events: {path: e.csv, columns: {time: t, user: u, item: i, request: r}, action: buy}
actions: {buy: {label: 1}}
candidates: {from: sampling}
features:
  - {name: item, kind: id, side: item}
"""

ROWS = """\
name: rows
events: {path: e.csv, columns: {label: y}}
actions: {click: {label: 1}}
candidates: {from: rows}
windows: {by: hash}
features:
  - {name: a, kind: number, side: item, source: events}
"""

FILES = {"shown": SHOWN, "lists": LISTS, "sampled": SAMPLED, "rows": ROWS}


def faults(base: str, old: str, new: str) -> str:
    """The error of a file in which one text is replaced, without the name in front."""
    assert base.count(old) == 1, old
    with pytest.raises(DatasetFileError) as raised:
        parse_dataset(base.replace(old, new), "f.yaml")
    return str(raised.value).replace("f.yaml, ", "")


def test_a_name_is_as_long_as_a_pipelines_may_be() -> None:
    assert parse_dataset(SHOWN.replace("name: shop\n", f"name: {'s' * 63}\n")).name == "s" * 63
    told = faults(SHOWN, "name: shop\n", f"name: {'s' * 64}\n")
    assert told == f"line 1: name: expected 63 characters at most, got {'s' * 64!r}"


@pytest.mark.parametrize("base", FILES.values(), ids=FILES)
def test_the_files_that_the_faults_are_put_into_are_good(base: str) -> None:
    parse_dataset(base)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("half_lives:", "half_life:", "line 14: half_life: unknown key 'half_life'; did you mean 'half_lives'?"),
        ("path: events.parquet", "pth: events.parquet", "line 3: events.pth: unknown key 'pth'; did you mean 'path'?"),
        ("user: u,", "usr: u,", "line 4: events.columns.usr: unknown key 'usr'; did you mean 'user'?"),
        (
            "items: {path: items.parquet,",
            "items: {file: x, path: items.parquet,",
            "line 5: items.file: unknown key 'file'; known: " + ", ".join(sorted(Table.model_fields)),
        ),
        ("click: {label: 1}", "click: {lable: 1}", "line 10: actions.click.lable: unknown key 'lable'; did you mean 'label'?"),
        (
            "{from: impressions}",
            "{from: impressions, actions: a}",
            "line 12: candidates.actions: unknown key 'actions'; did you mean 'action'?",
        ),
        ("{eval: 15%,", "{evl: 15%,", "line 15: windows.evl: unknown key 'evl'; did you mean 'eval'?"),
        ("actions: [click]", "action: [click]", "line 22: features[5].action: unknown key 'action'; did you mean 'actions'?"),
        ("slices: [device]", "slices: [device]\ngates: {flor: {}}", "line 26: gates.flor: unknown key 'flor'; did you mean 'floor'?"),
        ("name: device, kind", "name: device, knd", "line 17: features[0].knd: unknown key 'knd'; did you mean 'kind'?"),
        ("{from: impressions}", "{form: impressions}", "line 12: candidates.form: unknown key 'form'; did you mean 'from'?"),
        ("kind: number", "kind: nmber", "line 20: features[3].kind: unknown value 'nmber'; did you mean 'number'?"),
        ("{from: impressions}", "{from: lists}", "line 12: candidates.from: unknown value 'lists'; did you mean 'list'?"),
    ],
)
def test_an_unknown_word_is_told_with_its_line_and_the_closest_known_one(old: str, new: str, told: str) -> None:
    assert told in faults(SHOWN, old, new).splitlines()


def test_a_feature_without_kind_is_told_the_kinds() -> None:
    told = "line 17: features[0]: `kind` is missing; known: category, history, id, list, multi, number, state, text, vector"
    assert faults(SHOWN, "name: device, kind: category, side", "name: device, type: category, side") == told


def test_candidates_without_from_are_told_the_ways() -> None:
    assert faults(SHOWN, "{from: impressions}", "{}") == "line 12: candidates: `from` is missing; known: impressions, list, rows, sampling"


def test_a_missing_key_is_named_at_the_mapping_that_lacks_it() -> None:
    assert faults(SHOWN, "  path: events.parquet\n", "") == "line 2: events: `path` is missing"
    assert faults(SHOWN, "name: shop\n", "") == "line 1: `name` is missing"


def test_faults_in_several_places_are_all_listed() -> None:
    text = SHOWN.replace("user: u,", "usr: u, itm: i,").replace("half_lives: [1d, 7d]", "half_lives: [1x]")
    with pytest.raises(DatasetFileError) as raised:
        parse_dataset(text, "f")
    assert str(raised.value).splitlines() == [
        "f, line 4: events.columns.usr: unknown key 'usr'; did you mean 'user'?",
        "f, line 4: events.columns.itm: unknown key 'itm'; did you mean 'item'?",
        "f, line 14: half_lives[0]: expected a duration such as 90s, 30m, 12h, 7d or 2w, got '1x'",
    ]


def test_a_file_whose_features_are_all_wrong_isnt_told_that_it_has_none() -> None:
    told = faults(ROWS, "kind: number", "knd: number")
    assert told == "line 7: features[0].knd: unknown key 'knd'; did you mean 'kind'?"


def test_a_key_that_stands_twice_is_refused_where_yaml_takes_the_last() -> None:
    assert (
        faults(SHOWN, "attribution: 1h", "name: other\nattribution: 1h")
        == "line 13: the key 'name' stands twice, first in line 1; keep one"
    )


def test_one_of_several_sources_is_told_by_its_place() -> None:
    lone = "events:\n  path: events.parquet\n  columns: {time: t, user: u, item: i, action: a, request: r}"
    listed = "events:\n  - {path: a, columns: {time: t, user: u, item: i, request: r}, action: impression}\n  - {path: b, colums: {}}"
    assert "line 4: events[1].colums: unknown key 'colums'; did you mean 'columns'?" in faults(SHOWN, lone, listed)


@pytest.mark.parametrize(
    ("base", "old", "new", "told"),
    [
        # Features
        ("shown", "name: segment", "name: device", "line 18: features[1]: the name 'device' stands twice"),
        (
            "shown",
            "name: device",
            "name: time",
            "line 17: features[0]: the name 'time' is taken by ShelfRank itself; rename the feature and give its `column`",
        ),
        (
            "shown",
            "name: item, kind: id, side",
            "name: item, column: sku, kind: id, side",
            "features[2]: the name 'item' is taken by ShelfRank itself",
        ),
        (
            "shown",
            "name: item, kind: id",
            "name: item, kind: text",
            "features[2]: `item` is one of the events' roles; expected `kind: id, side: item`",
        ),
        (
            "shown",
            "name: device, kind: category",
            "name: user, kind: id",
            "features[0]: `user` is one of the events' roles; expected `kind: id, side: user`",
        ),
        ("shown", "name: price,", "name: position, column: position,", "features[4].of: 'price' is no number feature of the side item"),
        (
            "shown",
            "items: {path: items.parquet, id: id}\n",
            "",
            "features[3]: read from the items, but the file names no `items`; name them, or give",
        ),
        ("shown", "users: {path: users.parquet, id: id}\n", "", "features[1]: read from the users, but the file names no `users`"),
        (
            "shown",
            "kind: category, side: user",
            "kind: category, side: user, source: items",
            "a feature on the side 'user' comes from users or events, not from",
        ),
        ("shown", "kind: number,", "kind: id, vocabulary: 9, buckets: 9,", "`buckets` and `vocabulary` exclude each other"),
        ("shown", "name: clicks,", "name: Clicks,", "line 23: features[6].name: expected text of the form"),
        (
            "shown",
            "name: device,",
            "name: device, column: time.month,",
            "features[0].column: 'time.month' can't be taken from the time; did you mean 'time.hour'?",
        ),
        (
            "shown",
            "name: segment,",
            "name: segment, column: time.hour,",
            "features[1]: 'time.hour' is of the request; expected `kind: category, side: context`",
        ),
        ("shown", "of: price", "of: clicks", "line 21: features[4].of: 'clicks' is no number feature of the side item; known: price"),
        (
            "shown",
            "slices:",
            "  - {name: h, kind: history, side: user, actions: [buy], fields: [item]}\nslices:",
            "features[8]: a second history; keep one",
        ),
        (
            "shown",
            "fields: [item]",
            "fields: [itm]",
            "line 22: features[5].fields[0]: 'itm' is no id, category or number of the catalogue in the feature table; did you",
        ),
        (
            "shown",
            "fields: [item]",
            "fields: [item, device]",
            "features[5].fields[1]: 'device' is no id, category or number of the catalogue",
        ),
        ("shown", "fields: [item]", "fields: [item, item]", "features[5].fields: 'item' stands twice"),
        ("shown", "actions: [click]", "actions: [click, click]", "features[5].actions: 'click' stands twice"),
        (
            "shown",
            "name: segment,",
            "name: clicks_7d,",
            "features[6]: its column 'clicks_7d' is one of clicks_7d already; rename the feature",
        ),
        ("shown", "name: segment,", "name: label_buy,", "its column 'label_buy' is one of label_buy already; rename the feature"),
        # State
        ("shown", "half_lives: [1d, 7d]", "half_lives: []", "line 14: half_lives: expected at least one half-life, each longer than zero"),
        ("shown", "half_lives: [1d, 7d]", "half_lives: [0]", "half_lives: expected at least one half-life, each longer than zero"),
        ("shown", "half_lives: [1d, 7d]", "half_lives: [24h, 1d]", "half_lives: a half-life stands twice"),
        (
            "shown",
            "measure: count, action: click",
            "measure: count, action: click, half_lives: [1h, 60m]",
            "features[6].half_lives: a half-life stands twice",
        ),
        ("shown", "measure: count, action: click", "measure: total, action: click, half_lives: [1h]", "measure 'total' has no half-life"),
        ("shown", "measure: count, action: click", "measure: count", "measure 'count' takes an `action`"),
        ("shown", "measure: count, action: click", "measure: session_age", "measure 'session_age' doesn't go with side 'item'"),
        (
            "shown",
            "measure: count, action: click",
            "measure: count, action: click, prior: 0.5",
            "`prior` and `strength` go with measure 'rate', and only with it",
        ),
        (
            "shown",
            "measure: count, action: click",
            "measure: count, action: click, per: buy",
            "`per` goes with measure 'rate', and only with it",
        ),
        ("shown", ", per: impression", ", per: click", "features[7].per: the rate of 'click' per 'click' is always 1"),
        # Actions
        (
            "shown",
            "{from: impressions}",
            "{from: impressions, action: view}",
            "candidates.action: 'view' isn't among the actions; known: buy, click, impression, search",
        ),
        (
            "shown",
            "  impression: {}\n",
            "  impresion: {}\n",
            "line 12: candidates: 'impression' isn't among the actions; did you mean 'impresion'?",
        ),
        ("shown", "actions: [click]", "actions: [clik]", "features[5].actions[0]: 'clik' isn't among the actions; did you mean 'click'?"),
        ("shown", "actions: [click]", "actions: [search]", "features[5].actions[0]: 'search' is about no single item (`item: false`)"),
        (
            "shown",
            "measure: count, action: click",
            "measure: count, action: search",
            "features[6].action: 'search' is about no single item",
        ),
        ("shown", "action: click, per: impression", "action: clik, per: impression", "features[7].action: 'clik' isn't among the actions"),
        (
            "shown",
            "search: {item: false}",
            "search: {item: false, label: 1}",
            "actions.search: 'search' has a `label`, so it must be about an item",
        ),
        ("shown", "click: {label: 1}", "Click: {label: 1}", "actions.Click: expected text of the form"),
        (
            "shown",
            "buy: {label: 2}",
            "buy: {label: 2, values: [sold, click]}",
            "line 11: actions.buy: the value 'click' is claimed by 'click' already",
        ),
        (
            "shown",
            "attribution: 1h",
            "ignore_actions: [x, buy]",
            "line 13: ignore_actions[1]: 'buy' is ignored here, and a value of the action 'buy' as well",
        ),
        (
            "shown",
            "impression: {}",
            "impression: {label: 1}",
            "actions.impression: 'impression' is what is shown, so every candidate has it; it can't have a `label`",
        ),
        ("sampled", "{label: 1}", "{}", "actions: no action has a `label`; give the ones to predict a gain"),
        ("sampled", "action: buy}", "action: bye}", "line 2: events.action: 'bye' isn't among the actions; did you mean 'buy'?"),
        ("sampled", "item: i, ", "item: i, action: a, ", "`action` and `columns.action` are both given; keep the one"),
        ("lists", "view: {}", "view: {label: 1}", "line 1: view must have some time to count for a list, such as 1h"),
        ("rows", "click: {label: 1}", "click: {label: 1}, buy: {label: 2}", "candidates from 'rows' have one label, the column `label`"),
        # Amounts and returns
        (
            "shown",
            "click: {label: 1}",
            "click: {label: 1, amount: revenue}",
            "line 10: actions.click.amount: no source names a column for the role 'revenue'; name one of revenue, quantity, margin",
        ),
        (
            "shown",
            "click: {label: 1}",
            "click: {label: 1, amount: price}",
            "line 10: actions.click.amount: expected 'revenue', 'quantity' or 'margin', got 'price'",
        ),
        ("sampled", "{label: 1}", "{label: 1, takes_back: bye}", "actions.buy.takes_back: 'bye' isn't among the actions"),
        (
            "sampled",
            "{buy: {label: 1}}",
            "{buy: {label: 1}, view: {}, back: {takes_back: view}}",
            "actions.back.takes_back: 'view' has no `label` to be taken back; name one of buy",
        ),
        (
            "sampled",
            "{buy: {label: 1}}",
            "{buy: {label: 1}, back: {label: 1, takes_back: buy}}",
            "actions.back.takes_back: 'back' takes a label back, so it can't have a `label` itself",
        ),
        (
            "sampled",
            "{buy: {label: 1}}",
            "{buy: {label: 1}, back: {item: false, takes_back: buy}}",
            "actions.back.takes_back: 'back' is about no single item (`item: false`), and it must say what is taken back",
        ),
        ("rows", "{label: 1}", "{label: 1}, back: {takes_back: click}", "candidates from 'rows' have their labels in the rows"),
        # Roles and candidates
        ("shown", "user: u, ", "", "line 4: events.columns: candidates from 'impressions' need the role 'user'; name its column"),
        ("shown", ", request: r", "", "events.columns: candidates from 'impressions' need the role 'request'; name its column"),
        (
            "shown",
            "attribution: 1h",
            "attribution: 0",
            "line 13: attribution: an action must have some time to count for its impression, such as 1h",
        ),
        ("shown", "attribution: 1h", "session_gap: 0", "session_gap: expected a time longer than zero"),
        (
            "sampled",
            "{from: sampling}",
            "{from: sampling}\nattribution: 1h",
            "attribution: it ties actions to what was shown, and candidates from 'sampling' weren't",
        ),
        (
            "sampled",
            ", request: r",
            "",
            "line 2: events.columns: `group: request` needs the role 'request'; without one say `group: event`",
        ),
        ("sampled", "{from: sampling}", "{from: sampling, window: 36h}", "candidates.window: expected whole days, such as 30d"),
        ("sampled", "{from: sampling}", "{from: sampling, window: 0}", "candidates.window: expected whole days, such as 30d"),
        (
            "sampled",
            ", action: buy}",
            "}",
            "line 2: events: which action is it? Give `columns.action`, or `action` where all rows are of one",
        ),
        (
            "sampled",
            "kind: id, side: item}",
            "kind: id, side: item}\n  - {name: price, kind: number, side: item, source: events}",
            "features[1]: read from the events, which say",
        ),
        (
            "sampled",
            "kind: id, side: item}",
            "kind: id, side: item}\n  - {name: position, kind: number, side: item}",
            "features[1]: read from the events, which say nothing",
        ),
        (
            "lists",
            "{price: prices}",
            "{prise: prices}",
            "features[1]: shown with a list, but `candidates.columns` has no 'price'; name its column there",
        ),
        ("rows", "{label: y}", "{item: i}", "events.columns: candidates from 'rows' need the role 'label'"),
        (
            "rows",
            "name: a, kind: number, side: item, source: events",
            "name: item, kind: id, side: item",
            "features[0]: `item` needs the role 'item' in",
        ),
        (
            "rows",
            "features:",
            "users: {path: u.csv, id: u}\nfeatures:\n  - {name: b, kind: number, side: user}",
            "read from the users, which need the role 'user'",
        ),
        (
            "rows",
            "features:",
            "features:\n  - {name: hour, kind: category, side: context, column: time.hour}",
            "features[0]: 'time.hour' needs the role 'time'",
        ),
        (
            "rows",
            "features:",
            "features:\n  - {name: s, kind: state, side: item, measure: total, action: click}",
            "features[0]: candidates from 'rows' have neither history nor",
        ),
        ("rows", "windows: {by: hash}\n", "", "the rows have no time; say `windows: {by: hash}`"),
        (
            "shown",
            "user: u, item: i, action: a, request: r}",
            "user: u, item: i, action: a, request: r}\n  timezone: Europe/Berln",
            "unknown timezone 'Europe/Berln'; did you",
        ),
        # Windows, slices, gates
        (
            "shown",
            "{eval: 15%, test: 15%}",
            "{by: hash, eval: 15%, test: 15%}",
            "line 15: windows.by: windows by hash would train on what comes after the test",
        ),
        (
            "rows",
            "{by: hash}",
            "{by: hash, until: 2026-01-01}",
            "windows by hash are shares: give `eval` and `test` as such, without `train`, `until` and `gap`",
        ),
        ("rows", "{by: hash}", "{by: hash, gap: 1h}", "windows by hash are shares"),
        (
            "shown",
            "{eval: 15%, test: 15%}",
            "{train: 15%}",
            "windows.train: expected a date such as 2026-01-31, or a length such as 60d, got '15%'",
        ),
        ("shown", "{eval: 15%, test: 15%}", "{train: 0d}", "windows.train: expected a length above 0 such as 60d, got '0d'"),
        (
            "shown",
            "{eval: 15%, test: 15%}",
            "{eval: 50%, test: 50%}",
            "windows: eval and test together take 100% of the time; leave some for training",
        ),
        ("shown", "{eval: 15%, test: 15%}", "{eval: 2026-03-02, test: 2026-03-01}", "windows: expected train < eval < test < until"),
        ("shown", "{eval: 15%, test: 15%}", "{eval: 2026-03-01, test: 2026-03-01}", "windows: expected train < eval < test < until"),
        (
            "shown",
            "{eval: 15%, test: 15%}",
            "{eval: soon}",
            "windows.eval: expected a share between 0% and 100%, such as 15%, or a date such as 2026-01-31, got 'soon'",
        ),
        (
            "shown",
            "slices: [device]",
            "slices: [devise]",
            "line 25: slices[0]: 'devise' is no column with an id, a category or a number; did you mean 'device'?",
        ),
        (
            "shown",
            "slices: [device]",
            "slices: [price]",
            "slices[0]: 'price' is a number; say where to cut it, such as `bands: {price: [1, 10]}`",
        ),
        (
            "shown",
            "slices: [device]",
            "slices: [device]\nbands: {prize: [1]}",
            "bands.prize: 'prize' is no column with a number; did you mean 'price'?",
        ),
        (
            "shown",
            "slices: [device]",
            "slices: [price]\nbands: {price: [5, 1]}",
            "bands.price: expected one or more numbers, each greater than",
        ),
        ("shown", "slices: [device]", "slices: [device]\nbands: {price: []}", "bands.price: expected one or more numbers"),
        ("shown", "slices: [device]", "slices: [[device, device]]", "slices[0]: 'device' stands twice"),
        ("shown", "slices: [device]", "slices: [[]]", "slices[0]: expected a feature, or a cross"),
        ("shown", "slices: [device]", "slices: [[device, segment], [segment, device]]", "slices[1]: segment x device stands twice"),
        ("shown", "slices: [device]", "gates: {drop: {auc: -0.1}}", "gates.drop.auc: expected a value of at least 0, got -0.1"),
    ],
)
def test_a_contradiction_is_told(base: str, old: str, new: str, told: str) -> None:
    assert told in faults(FILES[base], old, new)


TWO_SOURCES = """\
name: two
events:
  - {path: shown.csv, columns: {time: t, user: u, item: i, request: r, session: s}, action: impression}
  - {path: orders.csv, columns: {time: t, user: u, item: i, session: s}, action: buy}
actions: {impression: {}, buy: {label: 1}}
candidates: {from: impressions}
features: [{name: item, kind: id, side: item}]
"""


def test_what_follows_from_impressions_needs_no_request_in_a_file_of_its_own() -> None:
    assert len(parse_dataset(TWO_SOURCES).events) == 2


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("request: r, ", "", "line 3: events[0].columns: candidates from 'impressions' need the role 'request'; name its column"),
        (
            "item: i, session: s}, action: buy",
            "item: i}, action: buy",
            "line 4: events[1].columns: the role 'session' is named in another source",
        ),
        (
            "session: s}, action: impression",
            "session: s}, action: buy",
            "line 6: candidates: no source of events has the action 'impression'",
        ),
    ],
)
def test_sources_are_looked_at_together(old: str, new: str, told: str) -> None:
    assert told in faults(TWO_SOURCES, old, new)


def test_views_in_a_file_of_their_own_need_no_request_where_baskets_are_sampled() -> None:
    views = "events:\n  - {path: v.csv, columns: {time: t, user: u, item: i}, action: view}\n  - "
    text = SAMPLED.replace("events: ", views).replace("buy: {label: 1}", "buy: {label: 1}, view: {}")
    assert [source.action for source in parse_dataset(text).events] == ["view", "buy"]


def test_a_catalogue_may_have_columns_called_like_a_role() -> None:
    dataset = parse_dataset(SHOWN.replace("name: price,", "name: shelf, column: position,").replace("of: price", "of: shelf"))
    assert [feature.key for feature in dataset.input_features("items")] == ["position"]


def test_roles_that_are_features_are_read_from_no_table() -> None:
    text = SHOWN.replace("slices:", "  - {name: position, kind: number, side: item}\n  - {name: user, kind: id, side: user}\nslices:")
    dataset = parse_dataset(text)
    assert {feature.name for table in ("events", "items", "users") for feature in dataset.input_features(table)} == {
        "device",
        "segment",
        "price",
    }


def test_a_dataset_cant_be_changed() -> None:
    dataset = parse_dataset(SHOWN)
    for part, name in ((dataset, "seed"), (dataset.windows, "eval"), (dataset.features[0], "name"), (dataset.events[0], "path")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(part, name, getattr(part, name))


def test_a_lone_source_and_a_plain_slice_are_lists_of_one() -> None:
    dataset = parse_dataset(SHOWN.replace("slices: [device]", "slices: [device, [device, segment]]"))
    assert [source.path for source in dataset.events] == ["events.parquet"]
    assert dataset.slices == (("device",), ("device", "segment"))


def test_the_model_alone_refuses_as_well_and_says_why() -> None:
    with pytest.raises(ValueError, match="unknown key 'nme'; did you mean 'name'"):
        Dataset.model_validate({"nme": "x"})


UNITS = "'auto', 'd', 'h', 'm', 's', 'ms', 'us' or 'ns'"


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("  time_unit: seconds", f"line 4: events.time_unit: expected {UNITS}, or a list of such, got 'seconds'"),
        ("  time_unit: [s, secs]", f"line 4: events.time_unit[1]: expected {UNITS}, got 'secs'"),
        ("  time_format: 3", "line 4: events.time_format: expected text, or a list of such, got 3"),
        ("  null_values: 3", "line 4: events.null_values: expected a list, or a mapping of keys to values, got 3"),
        ("  null_values: {str: 3}", "line 4: events.null_values.str: expected a list, got 3"),
        ("timezone: 3", "line 2: timezone: expected text, or a mapping of keys to values, got 3"),
        ("timezone: {future: x}", "line 2: timezone.future: expected 'feature', got 'future'"),
    ],
)
def test_a_value_that_may_be_of_several_types_gets_one_sentence(key: str, sentence: str) -> None:
    after = "  path: events.parquet" if key.startswith(" ") else "name: shop"
    assert faults(SHOWN, after, f"{after}\n{key}") == sentence


def test_several_values_of_several_types_get_one_sentence_each() -> None:
    after = "  path: events.parquet"
    told = faults(SHOWN, after, f"{after}\n  null_values: {{str: 3, int: 4}}\n  time_unit: sec").splitlines()
    assert sorted(line.split(": ")[1] for line in told) == ["events.null_values.int", "events.null_values.str", "events.time_unit"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n- b\n", "f: expected a mapping such as `name: my_shop`, got list"),
        ("", "f: expected a mapping such as `name: my_shop`, got NoneType"),
        ("a: [1\n", "f: expected YAML: "),
    ],
)
def test_what_is_no_mapping_is_told(text: str, told: str) -> None:
    with pytest.raises(DatasetFileError) as raised:
        parse_dataset(text, "f")
    assert str(raised.value).startswith(told)


def test_a_file_that_isnt_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetFileError, match=r"none\.yaml: expected a dataset file, found none"):
        load_dataset(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetFileError, match=r"binary\.yaml: can't be read as a text file"):
        load_dataset(tmp_path / "binary.yaml")


def test_an_action_counts_for_an_hour_where_there_are_impressions_and_for_no_time_elsewhere() -> None:
    assert parse_dataset(SHOWN.replace("attribution: 1h\n", "")).attribution == 3600
    assert {parse_dataset(base).attribution for base in (LISTS, SAMPLED, ROWS)} == {0}
    assert parse_dataset(LISTS.replace("view: {}", "view: {label: 1}") + "attribution: 30m\n").attribution == 1800


def test_a_feature_called_like_an_amount_is_refused_where_the_amount_is_there() -> None:
    feature = "  - {name: margin, kind: number, side: item}\n"
    text = SHOWN.replace("slices:", f"{feature}slices:")
    assert parse_dataset(text).amounts == ()
    with pytest.raises(DatasetFileError, match="the name 'margin' is taken by the role; rename the feature and give its `column`"):
        parse_dataset(text.replace("request: r}", "request: r, margin: m}"))


def test_an_amount_without_a_label_is_refused() -> None:
    text = SHOWN.replace("request: r}", "request: r, revenue: m}").replace("impression: {}", "impression: {}\n  view: {amount: revenue}")
    with pytest.raises(DatasetFileError, match="'view' has no `label` that the amount could be multiplied by"):
        parse_dataset(text)
