"""Write a log in a random layout: columns of any names, one source or several, nested, unnested, filled down, in folders, with second ids.

The rows are those of the log, so they give the examples that the log gives as plain Parquet, byte for byte.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.components.ingest.generators.random_files import FORMATS, NESTED_FORMATS, Files, Layout, columns_of, write_files
from tests.components.ingest.generators.random_logs import ACTIONS, IDS, PROPERTIES, ROLES, UNUSED, Log, Row, dataset_text
from tests.components.ingest.generators.random_times import random_times

FEATURES = ("device", "shown_price")
Values = Callable[[Any], Any]


@dataclass(frozen=True)
class Source:
    """Rows of events, and what the dataset file says of them.

    `columns`: of each role, `time` among them (a list), and each feature. `keys`: further keys. `nested`: only JSON and Parquet hold them.
    """

    rows: list[Row]
    columns: dict[str, Any]
    keys: Row = field(default_factory=dict)
    nested: bool = False

    def moved(self, rows: list[Row], moves: dict[str, str], **keys: Any) -> "Source":
        """The rows in another shape, whose columns stand where `moves` says."""
        columns = {
            role: [moves.get(each, each) for each in column] if isinstance(column, list) else moves.get(column, column)
            for role, column in self.columns.items()
        }
        return Source(rows, columns, self.keys | keys, nested=True)


def write_layout(log: Log, folder: Path, seed: int) -> tuple[str, Layout]:
    """Write a log in another shape; returns the dataset file and what was drawn."""
    draw, layout = random.Random(f"layout {seed}"), Layout()
    nothing, words = _null_word(draw)
    layout["null"] = nothing
    ids = _id_writer(log, draw, layout)
    aliases = _aliases(log, draw)
    names = {name: draw.choice([name, name.upper(), f"the {name}", f"x_{name}"]) for name in (*ROLES, "time", "id")}
    names |= {feature: feature for feature in FEATURES}
    layout["columns"] = names
    times = random_times(log.resolution, draw)
    layout["time"] = times.name

    def flat(row: Row) -> Row:
        user = draw.choice([row["user"], *aliases.get(row["user"], [])])
        row = row | {"user": user} | {role: ids(value) for role in IDS if (value := user if role == "user" else row[role]) is not None}
        made: Row = dict(times.write(row["time"], names["time"]))
        made |= {column: nothing if row[role] is None else row[role] for role, column in names.items() if role in row and role != "time"}
        return made

    sources, features = [], {feature: feature for feature in FEATURES}
    for number, (rows, action) in enumerate(_parts(log, draw)):
        unused = UNUSED[action] | {"action"} if action else set()
        written = [{key: value for key, value in flat(row).items() if key not in {names[each] for each in unused}} for row in rows]
        columns = {role: names[role] for role in (*ROLES, *FEATURES) if role not in unused} | {"time": times.columns(names["time"])}
        source = Source(written, columns, words | times.keys | ({"action": action} if action else {}))
        source, files = _shaped(source, f"events{number}", log, draw, layout, shows=action in (None, "impression"))
        features |= {feature: source.columns[feature] for feature in FEATURES if feature in source.columns}
        pattern = f"events{number}{'/*/*' if '=' in files[0][0] else '*'}"
        form = draw.choice(NESTED_FORMATS if source.nested else FORMATS)
        keys = source.keys | write_files(form, files, folder, pattern, draw, layout)
        roles = {role: column for role, column in source.columns.items() if role not in (*FEATURES, "kept")}
        roles["time"] = roles["time"][0] if len(roles["time"]) == 1 else roles["time"]
        sources.append({**keys, "columns": roles, "missing_user": "guest"})

    def table(rows: list[Row], name: str, keys: Row) -> Row:
        return keys | words | write_files(draw.choice(FORMATS), [(name, rows)], folder, f"{name}*", draw, layout)

    def value_of(row: Row, name: str) -> Any:
        return nothing if row[name] is None else row[name]

    users = [{names["id"]: ids(row["id"]), "segment": value_of(row, "segment")} for row in log.users]
    tables = {
        "items": _catalogue(log, names["id"], ids, value_of, table, draw, layout),
        "users": table(users, "users", {"id": names["id"]}),
    }
    if aliases:
        pairs = [{"device id": ids(alias), "account": ids(user)} for user, those in aliases.items() for alias in those]
        tables["identities"] = table(pairs, "identities", {"id": "device id", "user": "account"})
    return dataset_text(log, {"events": sources, **tables}, features), layout


def _null_word(draw: random.Random) -> tuple[str | None, Row]:
    """What is written where a value is missing, and the key that says so."""
    declared = draw.choice([None, None, "(none)", "?", "n/v"])
    if declared:
        return declared, {"null_values": [declared]}
    return draw.choice([None, None, "NULL", "\\N", "nan", "None", "undefined", "", " "]), {}


def _id_writer(log: Log, draw: random.Random, layout: Layout) -> Values:
    ids = [row[role] for row in log.events for role in IDS if row[role]] + [row["id"] for row in [*log.items, *log.users]]
    long = log.numeric and max(map(int, ids)) >= 2**53
    numbers = ["int"] if long and draw.random() < 0.8 else ["int", "float", "dot zero"]
    style = draw.choice(["text", "spaces", *(numbers if log.numeric else [])])
    layout["ids"] = style
    if style in ("float", "dot zero") and long:
        layout.declared = False  # Who wrote these as floats has lost digits: an error is right.
    ways: dict[str, Values] = {"text": str, "int": int, "float": float, "dot zero": "{}.0".format, "spaces": " {}  ".format}
    return ways[style]


def _aliases(log: Log, draw: random.Random) -> dict[str | None, list[str]]:
    """Second ids of some shoppers."""
    users = list(dict.fromkeys(row["user"] for row in log.events if row["user"])) if draw.random() < 0.2 else []
    return {user: [f"98765{number}" if log.numeric else f"device {number}"] for number, user in enumerate(users) if number != 1}


def _parts(log: Log, draw: random.Random) -> list[tuple[list[Row], str | None]]:
    """The rows of each source and, where a source has one action, which."""
    parts = [([row for row in log.events if row["action"] == action], action) for action in ACTIONS]
    # Without a purchase no source would have the role of the revenue that purchases are declared to bring.
    if log.ties or log.sampled or draw.random() < 0.6 or not parts[-1][0]:
        return [(log.events, None)]
    return [(rows, action) for rows, action in parts if rows]


def _shaped(source: Source, name: str, log: Log, draw: random.Random, layout: Layout, *, shows: bool) -> tuple[Source, Files]:
    """The rows in a shape, by file."""
    if draw.random() < 0.2:
        source = _with_others(source, draw)
    shape = draw.choice(["flat", "flat", "nested", "parameters", "unnested", "partitioned", "filled down"])
    files = [(name, source.rows)]
    match shape:
        case "nested":
            source = _nested(source, draw)
        case "parameters" if shows:
            source = _parameters(source)
        case "unnested":
            source = _unnested(source, draw, positions=shows and "action" not in source.columns)
        case "filled down":
            source = _filled_down(source)
        case "partitioned" if not log.ties:
            files = _partitioned(source, name, draw)
    if shape != "partitioned":
        # Rows that belong together stay in one file where what they say of each other counts.
        request = source.columns["request"]
        starts = [at for at in range(1, len(source.rows)) if source.rows[at].get(request) != source.rows[at - 1].get(request)]
        cuts = [0, *sorted(draw.sample(starts, min(len(starts), draw.choice([0, 0, 1, 2])))), len(source.rows)]
        files = [(f"{name}-{number}", source.rows[a:b]) for number, (a, b) in enumerate(pairwise(cuts))]
    if "kept" in source.columns:
        source = replace(source, keys=source.keys | {"where": f"\"{source.columns['kept']}\" = 'yes'"})
    layout[name] = {"shape": shape, "files": [(path, len(rows)) for path, rows in files], "where": "kept" in source.columns}
    droppable = {source.columns[role] for role in ("position", "session", *FEATURES) if role in source.columns}
    return source, [(path, _without_empty(rows, droppable)) if number else (path, rows) for number, (path, rows) in enumerate(files)]


def _without_empty(rows: list[Row], droppable: set[str]) -> list[Row]:
    """Rows without the columns that are empty in all of them: a log that grew a column has files that lack it."""
    empty = {column for column in droppable if all(row.get(column) is None for row in rows)}
    return [{key: value for key, value in row.items() if key not in empty} for row in rows]


def _with_others(source: Source, draw: random.Random) -> Source:
    """With rows that a condition leaves out."""
    others = [row | {"kept": "no"} for row in draw.sample(source.rows, min(3, len(source.rows)))]
    rows = [row | {"kept": "yes"} for row in source.rows]
    return replace(source, rows=others + rows if draw.random() < 0.5 else rows + others, columns=source.columns | {"kept": "kept"})


def _nested(source: Source, draw: random.Random) -> Source:
    """Columns as members of objects."""
    below = {column: draw.choice(["", "data.", "data.of the shop.", "about."]) for column in columns_of(source.rows)}
    rows = []
    for row in source.rows:
        made: Row = {}
        for column, value in row.items():
            inner = made
            for part in below[column].split(".")[:-1]:
                inner = inner.setdefault(part, {})
            inner[column] = value
        rows.append(made)
    return source.moved(rows, {column: f"{path}{column}" for column, path in below.items()})


def _parameters(source: Source) -> Source:
    """Features as an array of keys and values."""
    rows = [
        {key: value for key, value in row.items() if key != "device"}
        | {"params": [{"key": "lang", "value": "de"}, {"key": "device", "value": row["device"]}]}
        for row in source.rows
    ]
    return source.moved(rows, {"device": "params[key=device].value"})


def _unnested(source: Source, draw: random.Random, *, positions: bool) -> Source:
    """Consecutive rows of a request as one, with an array of what they don't share."""
    request = source.columns["request"]
    groups: list[list[Row]] = []
    for row in source.rows:
        if groups and groups[-1][-1][request] == row[request] and groups[-1][-1].get("kept") == row.get("kept"):
            groups[-1].append(row)
        else:
            groups.append([row])
    columns = columns_of(source.rows)
    alike = [column for column in columns if all(len({repr(row[column]) for row in group}) == 1 for group in groups)]
    shared = {request, *(column for column in alike if draw.random() < 0.8)} - {source.columns["item"]}
    rows = [
        {column: group[0][column] for column in columns if column in shared}
        | {"list": [{column: row[column] for column in columns if column not in shared} for row in group]}
        for group in groups
    ]
    moved = source.moved(rows, {column: f"list.{column}" for column in columns if column not in shared}, unnest="list")
    if positions and draw.random() < 0.5:
        moved = replace(moved, columns=moved.columns | {"position": "list.#"})
    return moved


def _filled_down(source: Source) -> Source:
    """What a request's rows share, on the first of each run of them alone."""
    request = source.columns["request"]
    before: list[Row] = [{}, *source.rows[:-1]]
    runs = [(row, last) for row, last in zip(source.rows, before, strict=True) if row[request] == last.get(request)]
    names = [
        source.columns["session"],
        source.columns["user"],
        *source.columns["time"],
        *([source.columns["device"]] if "device" in source.columns else []),
    ]
    same = [name for name in names if all(row[name] == last[name] for row, last in runs)]
    if not same:
        return source
    rows = [row | dict.fromkeys(same) if row[request] == last.get(request) else row for row, last in zip(source.rows, before, strict=True)]
    return replace(source, rows=rows, keys=source.keys | {"fill_down": {"within": request, "columns": same}})


def _partitioned(source: Source, name: str, draw: random.Random) -> Files:
    """A folder for each value of a column, which no file then holds."""
    times = source.columns["time"]
    column = draw.choice(
        [*([source.columns["device"]] if "device" in source.columns else []), *(times[:1] if len(times) > 1 else [])] or [""]
    )
    if not column:
        return [(name, source.rows)]
    escaped = {None: "__HIVE_DEFAULT_PARTITION__", "": "__HIVE_DEFAULT_PARTITION__"}
    values = dict.fromkeys(row[column] for row in source.rows)
    return [
        (
            f"{name}/{column}={escaped.get(value, str(value).replace('/', '%2F').replace(' ', '%20').replace('?', '%3F'))}/part",
            [{key: each for key, each in row.items() if key != column} for row in source.rows if row[column] == value],
        )
        for value in values
    ]


def _catalogue(
    log: Log,
    id_column: str,
    ids: Values,
    value_of: Callable[[Row, str], Any],
    table: Callable[[list[Row], str, Row], Row],
    draw: random.Random,
    layout: Layout,
) -> Row:
    """The catalogue: a row for each item, or each time from which its values hold, or each property."""
    times = random_times("s", draw, one_column=True)

    def begins(row: Row) -> Row:
        return {id_column: ids(row["id"]), **(dict(times.write(row["since"], "since")) if log.versions else {})}

    keys = {"id": id_column} | ({"valid_from": "since", **times.keys} if log.versions else {})
    single = draw.random() < 0.3
    layout["catalogue"] = {"versions": log.versions, "time": times.name, "a row for each property": single}
    if not single:
        rows = [begins(row) | {name: value_of(row, name) for name in PROPERTIES} for row in log.items]
        if log.versions:
            draw.shuffle(rows)
        return table(rows, "items", keys)
    prefix = draw.choice(["", "n"])
    rows = [
        begins(row)
        | {"what": name, "worth": value_of(row, name) if row[name] is None else f"{prefix if name == 'price' else ''}{row[name]}"}
        for row in log.items
        for name in PROPERTIES
    ]
    rows += [begins(row) | {"what": "colour", "worth": "n1"} for row in log.items[::2]]
    if log.versions:
        draw.shuffle(rows)
    return table(rows, "items", keys | {"property": "what", "value": "worth"} | ({"number_prefix": prefix} if prefix else {}))
