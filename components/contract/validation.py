"""What the parts of a dataset file must say of each other, as rules that yield the faults they find."""

from collections.abc import Iterator, Sequence

from components.contract.base_model import Fault, Place, closest
from components.contract.dataset import Dataset
from components.contract.features import OWN, Category, GivenFeature, History, Id, ListRelative, Number, StateFeature, Vector
from components.contract.slices import bands, is_number, sliceable
from components.contract.sources import AMOUNTS, EventSource, Files, Impressions, ListRows, Rows, Sampling
from components.contract.userless import lacks_user
from components.contract.values.local_time import zone_fault
from components.contract.values.nested_paths import INDEX, path_fault

RESERVED = frozenset({"request", "user", "time", "interactions", "item", "position", "label", "session", "n_candidates"})
CLOCK = ("time.hour", "time.weekday")


def faults(dataset: Dataset) -> list[Fault]:
    """All faults, each with its place in the file."""
    of_features = (_names, _tables, _moments, _shown, _clock, _zone, _lists, _history, _state)
    of_actions = (_known_actions, _values, _labels, _amounts, _returns)
    of_the_rest = (_roles, _paths, _origins, _windows, _slices, _segment)
    return [fault for rule in of_features + of_actions + of_the_rest for fault in rule(dataset)]


def _names(dataset: Dataset) -> Iterator[Fault]:
    names = [feature.name for feature in dataset.features]
    for at, feature in enumerate(dataset.features):
        if feature.name in names[:at]:
            yield ("features", at), f"the name {feature.name!r} stands twice; features need names of their own"
        if feature.name in dataset.amounts:
            yield ("features", at), f"the name {feature.name!r} is taken by the role; rename the feature and give its `column`"
        if feature.name not in RESERVED:
            continue
        if feature.name not in OWN or getattr(feature, "column", None) not in (None, feature.name):
            yield ("features", at), f"the name {feature.name!r} is taken by ShelfRank itself; rename the feature and give its `column`"
            continue
        model, kind, side = OWN[feature.name]
        if not isinstance(feature, model) or feature.side != side:
            yield ("features", at), f"`{feature.name}` is one of the events' roles; expected `kind: {kind}, side: {side}`"


def _tables(dataset: Dataset) -> Iterator[Fault]:
    for at, feature in _given(dataset):
        for table, given, role in (("items", dataset.items, "item"), ("users", dataset.users, "user")):
            if feature.table == table and feature.name not in OWN:
                if given is None:
                    yield ("features", at), f"read from the {table}, but the file names no `{table}`; name them, or give `source: events`"
                elif any(role not in source.columns.named() and not lacks_user(dataset, source) for source in dataset.events):
                    yield ("features", at), f"read from the {table}, which need the role {role!r} in `events.columns`"
                elif given.property is not None and isinstance(feature, Vector):
                    yield ("features", at), f"the {table} have a row for each property, whose values are text; a vector needs a column"


def _moments(dataset: Dataset) -> Iterator[Fault]:
    """Rows that hold from a time on are looked up by the events' time, and a second id stands where the user's does."""
    timed = all("time" in source.columns.named() for source in dataset.events)
    for name in ("items", "users", "identities"):
        given = getattr(dataset, name)
        if given is not None and given.valid_from is not None and not timed:
            yield (name, "valid_from"), "what held at a request's time can't be known without it; name the role 'time' in `events.columns`"
    if dataset.identities is not None and all("user" not in source.columns.named() for source in dataset.events):
        yield ("identities",), "no source of events has the role 'user', so no id could be another's; name its column, or leave this out"


def _shown(dataset: Dataset) -> Iterator[Fault]:
    """Values that stand with a candidate in the events exist only where the events show candidates."""
    for at, feature in _given(dataset):
        if feature.side != "item" or feature.name == "item":
            continue
        match dataset.candidates:
            case Sampling() if feature.table == "events" or feature.name == "position":
                yield ("features", at), "read from the events, which say nothing of a sampled candidate; take it from the items"
            case ListRows(columns=columns) if feature.table == "events" and feature.key not in columns:
                yield ("features", at), f"shown with a list, but `candidates.columns` has no {feature.key!r}; name its column there"


def _clock(dataset: Dataset) -> Iterator[Fault]:
    for at, feature in _given(dataset):
        if not feature.key.startswith("time."):
            continue
        if feature.key not in CLOCK:
            yield ("features", at, "column"), f"{feature.key!r} can't be taken from the time; {closest(feature.key, list(CLOCK))}"
        elif feature.side != "context" or feature.kind not in ("id", "category"):
            yield ("features", at), f"{feature.key!r} is of the request; expected `kind: category, side: context`"
        elif any("time" not in source.columns.named() for source in dataset.events):
            yield ("features", at), f"{feature.key!r} needs the role 'time' in `events.columns`"


def _zone(dataset: Dataset) -> Iterator[Fault]:
    if dataset.zone_feature is None:
        if fault := zone_fault(dataset.zone_name):
            yield ("timezone",), fault
        return
    around = [f for f in dataset.given("events", side="context") if isinstance(f, Id | Category) and not f.key.startswith("time.")]
    names = [feature.name for feature in around]
    if dataset.zone_feature not in names:
        yield (
            ("timezone", "feature"),
            f"{dataset.zone_feature!r} is no id or category of the context; {closest(dataset.zone_feature, names)}",
        )


def _lists(dataset: Dataset) -> Iterator[Fault]:
    numbers = [feature.name for feature in dataset.features if isinstance(feature, Number) and feature.side == "item"]
    for at, feature in enumerate(dataset.features):
        if isinstance(feature, ListRelative) and feature.of not in numbers:
            yield ("features", at, "of"), f"{feature.of!r} is no number feature of the side item; {closest(feature.of, numbers)}"


def _history(dataset: Dataset) -> Iterator[Fault]:
    histories = [(at, feature) for at, feature in enumerate(dataset.features) if isinstance(feature, History)]
    for at, _ in histories[1:]:
        yield ("features", at), "a second history; keep one, with all its `actions` and `fields`"
    fields = [
        feature.name
        for feature in dataset.features
        if feature.side == "item" and feature.kind in ("id", "category", "number") and feature.name != "position"
        if feature.name == "item" or getattr(feature, "table", None) == "items"
    ]
    for at, feature in histories:
        yield from _repeats(feature.fields, ("features", at, "fields"))
        yield from _repeats(feature.actions, ("features", at, "actions"))
        for place, field in enumerate(feature.fields):
            if field not in fields:
                message = f"{field!r} is no id, category or number of the catalogue in the feature table; {closest(field, fields)}"
                yield ("features", at, "fields", place), message


def _state(dataset: Dataset) -> Iterator[Fault]:
    yield from _half_lives(dataset.half_lives, ("half_lives",))
    for at, feature in enumerate(dataset.features):
        if not isinstance(feature, StateFeature):
            continue
        if feature.half_lives is not None:
            yield from _half_lives(feature.half_lives, ("features", at, "half_lives"))
        if feature.per is not None and feature.per == feature.action:
            yield ("features", at, "per"), f"the rate of {feature.action!r} per {feature.per!r} is always 1; divide by another action"


def _half_lives(half_lives: Sequence[float], place: Place) -> Iterator[Fault]:
    if not half_lives or min(half_lives) <= 0:
        yield place, "expected at least one half-life, each longer than zero"
    if len(set(half_lives)) < len(half_lives):
        yield place, "a half-life stands twice; each gives a column of its own"


def _known_actions(dataset: Dataset) -> Iterator[Fault]:
    """Every action that is used is declared, and is about an item where that is needed."""
    used: list[tuple[Place, str, bool]] = []  # place, action, whether it needs an item
    if isinstance(dataset.candidates, Impressions | ListRows):
        place: Place = ("candidates", "action") if "action" in dataset.candidates.model_fields_set else ("candidates",)
        used.append((place, dataset.candidates.action, True))
    used += [(("events", at, "action"), source.action, False) for at, source in enumerate(dataset.events) if source.action is not None]
    for at, feature in enumerate(dataset.features):
        if isinstance(feature, History):
            used += [(("features", at, "actions", n), action, True) for n, action in enumerate(feature.actions)]
        if isinstance(feature, StateFeature):
            pair = (("action", feature.action), ("per", feature.per))
            used += [(("features", at, key), action, feature.side == "item") for key, action in pair if action is not None]
    for place, action, needs_item in used:
        if action not in dataset.actions:
            yield place, f"{action!r} isn't among the actions; {closest(action, list(dataset.actions))}"
        elif needs_item and not dataset.actions[action].item:
            yield place, f"{action!r} is about no single item (`item: false`), and one is needed here"
    for name, action_ in dataset.actions.items():
        if action_.label > 0 and not action_.item:
            yield ("actions", name), f"{name!r} has a `label`, so it must be about an item; leave `item: false` out"


def _values(dataset: Dataset) -> Iterator[Fault]:
    claimed: dict[str, str] = {}
    for name, action in dataset.actions.items():
        for value in action.values or (name,):
            if value in claimed:
                yield ("actions", name), f"the value {value!r} is claimed by {claimed[value]!r} already; a value means one action"
            claimed.setdefault(value, name)
    for at, value in enumerate(dataset.ignore_actions):
        if value in claimed:
            yield ("ignore_actions", at), f"{value!r} is ignored here, and a value of the action {claimed[value]!r} as well; keep one"


def _labels(dataset: Dataset) -> Iterator[Fault]:
    labels = list(dataset.label_gains)
    if not labels:
        yield ("actions",), "no action has a `label`; give the ones to predict a gain, such as `click: {label: 1}`"
    match dataset.candidates:
        case Impressions(action=action) if action in labels:
            yield ("actions", action), f"{action!r} is what is shown, so every candidate has it; it can't have a `label`"
        case Rows() if len(labels) > 1:
            yield ("actions",), "candidates from 'rows' have one label, the column `label`; keep one action with a `label`"


def _amounts(dataset: Dataset) -> Iterator[Fault]:
    """A gain by amount needs the amount, and a label."""
    for name, action in dataset.actions.items():
        if action.amount is None:
            continue
        if action.label <= 0:
            yield ("actions", name, "amount"), f"{name!r} has no `label` that the amount could be multiplied by; give it one, such as 1"
        if action.amount not in dataset.amounts:
            known = f"named are {', '.join(dataset.amounts)}" if dataset.amounts else f"name one of {', '.join(AMOUNTS)}"
            yield ("actions", name, "amount"), f"no source names a column for the role {action.amount!r}; {known} in `events.columns`"


def _returns(dataset: Dataset) -> Iterator[Fault]:
    """What takes an action back is no label itself, and what it takes back is one."""
    for name, target in dataset.takes_back.items():
        place: Place = ("actions", name, "takes_back")
        if isinstance(dataset.candidates, Rows):
            yield place, "candidates from 'rows' have their labels in the rows, where nothing takes them back; leave it out"
        elif target not in dataset.actions:
            yield place, f"{target!r} isn't among the actions; {closest(target, list(dataset.actions))}"
        elif target not in dataset.label_gains:
            yield (
                place,
                f"{target!r} has no `label` to be taken back; name one of {', '.join(dataset.label_gains) or 'the labelled actions'}",
            )
        elif dataset.actions[name].label > 0:
            yield place, f"{name!r} takes a label back, so it can't have a `label` itself; leave one of the two out"
        elif not dataset.actions[name].item:
            yield place, f"{name!r} is about no single item (`item: false`), and it must say what is taken back"


def _roles(dataset: Dataset) -> Iterator[Fault]:
    origin = dataset.candidates.origin
    need = ("label",) if isinstance(dataset.candidates, Rows) else ("time", "user", "item")
    for at, source in enumerate(dataset.events):
        there = source.columns.named()
        for role in need:
            if role not in there and not (role == "user" and lacks_user(dataset, source)):
                yield ("events", at, "columns"), f"candidates from {origin!r} need the role {role!r}; name its column"
        if not isinstance(dataset.candidates, Rows) and "action" not in there and source.action is None:
            yield ("events", at), "which action is it? Give `columns.action`, or `action` where all rows are of one"
        sessions = any("session" in other.columns.named() for other in dataset.events)
        if sessions and "session" not in there and not lacks_user(dataset, source):
            yield ("events", at, "columns"), "the role 'session' is named in another source; name it in all, or in none"
    if isinstance(dataset.candidates, Rows):
        for feature_at, feature in _given(dataset):
            if feature.name in OWN and any(feature.name not in source.columns.named() for source in dataset.events):
                yield ("features", feature_at), f"`{feature.name}` needs the role {feature.name!r} in `events.columns`"


def _paths(dataset: Dataset) -> Iterator[Fault]:
    """Names of columns that can't be read as paths into nested values, and arrays that can't be unnested; each once."""
    yield from dict.fromkeys(_all_paths(dataset))


def _all_paths(dataset: Dataset) -> Iterator[Fault]:
    of_events: list[tuple[Place, str]] = []
    if isinstance(dataset.candidates, ListRows):
        of_events.append((("candidates", "items"), dataset.candidates.items))
        of_events += [(("candidates", "columns", name), column) for name, column in dataset.candidates.columns.items()]
    clocks = [feature.key.startswith("time.") for _, feature in _given(dataset)]
    of_features: list[tuple[str, Place, str]] = [
        (feature.table, ("features", at, "column"), feature.key)
        for (at, feature), clock in zip(_given(dataset), clocks, strict=True)
        if feature.column is not None and not clock
    ]
    of_events += [(place, name) for table, place, name in of_features if table == "events"]
    for at, source in enumerate(dataset.events):
        roles: list[tuple[Place, str]] = [(("events", at, "columns", role), name) for role, name in source.columns.named().items()]
        yield from _paths_of(source, ("events", at), roles + of_events)
    for what, table in (("items", dataset.items), ("users", dataset.users)):
        if table is not None:
            columns = [(place, name) for of, place, name in of_features if of == what]
            yield from _paths_of(table, (what,), [((what, "id"), table.id), *columns])


def _paths_of(files: Files, place: Place, columns: Sequence[tuple[Place, str]]) -> Iterator[Fault]:
    if files.is_csv():
        if files.unnest is not None:
            yield (*place, "unnest"), "a CSV file has no arrays; `unnest` is for JSON Lines and Parquet"
        return
    if files.unnest is not None and (fault := path_fault(files.unnest)):
        yield (*place, "unnest"), f"{files.unnest!r} is no path: {fault}"
    for column_place, name in columns:
        if fault := path_fault(name):
            yield column_place, f"{name!r} is no path: {fault}"
        elif name.endswith(f".{INDEX}") and name != f"{files.unnest}.{INDEX}":
            array = name.removesuffix(f".{INDEX}")
            yield column_place, f"{name!r} is the place in an array that becomes rows; say `unnest: {array}` beside its `path`"


def _origins(dataset: Dataset) -> Iterator[Fault]:
    """What each way to candidates asks of the sources and the rest of the file."""
    match dataset.candidates:
        case Impressions(action=action):
            shows = [(at, source) for at, source in enumerate(dataset.events) if _yields(source, [action])]
            if not shows:
                yield ("candidates",), f"no source of events has the action {action!r}, so nothing is shown"
            # Impressions and what follows may lie in files of their own: only the impressions need a request.
            named = [at for at, source in shows if "request" in source.columns.named()]
            for at, source in shows:
                if at not in named and (source.action is not None or not named):
                    yield ("events", at, "columns"), "candidates from 'impressions' need the role 'request'; name its column"
            if dataset.attribution <= 0:
                yield ("attribution",), "an action must have some time to count for its impression, such as 1h"
        case ListRows(action=action):
            later = [name for name in dataset.label_gains if name != action]
            if later and dataset.attribution <= 0:
                yield ("attribution",), f"{', '.join(later)} must have some time to count for a list, such as 1h"
        case Sampling(group=group, window=window):
            if window < 86400 or window % 86400:
                yield ("candidates", "window"), "expected whole days, such as 30d: what is taken differs by the hour of the day"
            for at, source in enumerate(dataset.events):
                if group == "request" and "request" not in source.columns.named() and _yields(source, list(dataset.label_gains)):
                    yield ("events", at, "columns"), "`group: request` needs the role 'request'; without one say `group: event`"
        case Rows():
            for at, feature in enumerate(dataset.features):
                if isinstance(feature, History | StateFeature):
                    yield ("features", at), "candidates from 'rows' have neither history nor state; leave this feature out"
    for key in ("attribution", "skew", "unattributed"):
        if key in dataset.model_fields_set and isinstance(dataset.candidates, Sampling | Rows):
            yield (
                (key,),
                f"it ties actions to what was shown, and candidates from {dataset.candidates.origin!r} weren't; leave it out",
            )
    if dataset.session_gap <= 0:
        yield ("session_gap",), "expected a time longer than zero, such as 30m"


def _yields(source: EventSource, actions: Sequence[str]) -> bool:
    """Whether its rows may have one of the actions."""
    return source.action is None or source.action in actions


def _windows(dataset: Dataset) -> Iterator[Fault]:
    if isinstance(dataset.candidates, Rows):
        if dataset.windows.by == "time" and any("time" not in source.columns.named() for source in dataset.events):
            yield ("windows",), "the rows have no time; say `windows: {by: hash}`"
    elif dataset.windows.by == "hash":
        yield ("windows", "by"), "windows by hash would train on what comes after the test; they are for candidates from 'rows'"


def _slices(dataset: Dataset) -> Iterator[Fault]:
    known, cuts = sliceable(dataset), bands(dataset)
    for at, names in enumerate(dataset.slices):
        if not names:
            yield ("slices", at), "expected a feature, or a cross such as [device, country]"
        yield from _repeats(names, ("slices", at))
        for name in names:
            if name not in known:
                yield ("slices", at), f"{name!r} is no column with an id, a category or a number; {closest(name, list(known))}"
            elif is_number(known[name]) and name not in cuts:
                yield ("slices", at), f"{name!r} is a number; say where to cut it, such as `bands: {{{name}: [1, 10]}}`"
        if sorted(names) in [sorted(before) for before in dataset.slices[:at]]:
            yield ("slices", at), f"{' x '.join(names)} stands twice"
    numbers = [name for name, column in known.items() if is_number(column)]
    for name, given in dataset.bands.items():
        if name not in numbers:
            yield ("bands", name), f"{name!r} is no column with a number; {closest(name, numbers)}"
        if not given or list(given) != sorted(set(given)):
            yield ("bands", name), "expected one or more numbers, each greater than the one before"


def _segment(dataset: Dataset) -> Iterator[Fault]:
    place, names = ("serving", "segment"), dataset.serving.segment
    of_rows = [feature for feature in dataset.features if isinstance(feature, Id | Category) and feature.side != "item"]
    known = [feature.name for feature in of_rows if feature.name not in OWN and not feature.key.startswith("time.")]
    yield from _repeats(names, place)
    for name in names:
        if name not in known:
            yield place, f"{name!r} is no id or category that events or the users' table have of a shopper; {closest(name, known)}"
    if names and not any(feature.side == "item" and feature.measure in ("count", "total", "rate") for feature in dataset.state_features):
        yield place, "nothing is counted of the items; add a state feature of the side item that counts, such as `measure: count`"


def _repeats(names: Sequence[str], place: Place) -> Iterator[Fault]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield place, f"{name!r} stands twice"


def _given(dataset: Dataset) -> Iterator[tuple[int, GivenFeature]]:
    return ((at, feature) for at, feature in enumerate(dataset.features) if isinstance(feature, GivenFeature))
