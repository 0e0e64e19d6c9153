"""Ids, words for nothing and zones as careless logs and careless callers spell them: what is served is what was ingested, bit for bit."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from components.contract.columns import input_columns
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import load_catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.features.request import Request
from serving.service.schemas import ImpressionBody, InteractionBody, RankBody
from serving.service.state.null_ids import NullIds
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates
from tests.components.ingest.generators.random_shops import SHOPS, Event, dataset_text, everything, ingested, parsed
from tests.components.ingest.oracle import understood
from tests.components.ingest.without_beam import NOW_US
from tests.serving.features.test_replayed_random_logs import plain, random_log, told_apart

SHOP = SHOPS["impressions"]
NAMES = {"a": "1", "b": "20", "c": "300", "i0": "108", "i1": "109", "i2": "007", "x": "12e5", "s0": "71", "s1": "9007199254740993"}
DEVICES = {"phone": "Europe/Berlin", "desk": "America/New_York", "": ""}
NOTHING = ["", " ", "NULL", "\\N", "nan", "None", "undefined", "NA", "N/A", "-", " null "]


def dataset_file() -> str:
    """The shop of random logs, from CSV files; a shopper's device names the zone of their clock."""
    shop = yaml.safe_load(dataset_text(SHOP))
    shop["timezone"] = {"feature": "device"}
    shop["events"]["path"] = "events.csv"
    shop["items"]["path"], shop["users"]["path"] = "items.csv", "users.csv"
    shop["features"] = [feature for feature in shop["features"] if feature["kind"] != "vector"]
    return yaml.safe_dump(shop, sort_keys=False)


class Speller:
    """Spells a canonical value as logs do."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)

    def of(self, value: str) -> str:
        if not value:
            return str(self.draw.choice(NOTHING))
        spellings = [value, f" {value}", f"{value}\t"]
        if value.isdecimal() and len(value) < 16:
            spellings += [f"{value}.0", f"{value}.00", f" {value}."]
            if not value.startswith("0"):
                spellings += [f"{int(value):.18e}", f"{value[0]}.{value[1:]}0e{len(value) - 1}"]
        return str(self.draw.choice(spellings))

    def user(self, value: str) -> str:
        return self.of(value) if value or self.draw.random() < 0.7 else str(self.draw.choice(["0", "0.0", " 0"]))

    def json(self, value: str) -> Any:
        """The same for a caller, who may send numbers."""
        if value.isdecimal() and not value.startswith("0") and self.draw.random() < 0.5:
            return int(value) if len(value) >= 16 or self.draw.random() < 0.5 else float(value)
        return self.of(value)


def write_log(folder: Path, log: list[Event], speller: Speller) -> None:
    names = ["time", "user", "item", "action", "request", "session", "position", "device", "shown_price"]
    with (folder / "events.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(names)
        for row in log:
            ids = [speller.user(row.user), speller.of(row.item), row.action, speller.of(row.request), speller.of(row.session)]
            rest = [
                "" if row.position is None else row.position,
                speller.of(row.device),
                speller.of("" if row.price is None else f"{row.price}"),
            ]
            out.writerow([row.time_us, *ids, *rest])
    items = {"108": ("mugs", 1.0), "109": ("", 2.5), "007": ("plates", None)}
    rows = [
        {"id": speller.of(item), "category": speller.of(kind), "price": speller.of(str(price or ""))}
        for item, (kind, price) in items.items()
    ]
    pl.DataFrame(rows).write_csv(folder / "items.csv")
    pl.DataFrame([{"id": speller.of(user), "country": speller.of(user and "NZ")} for user in ("1", "20")]).write_csv(folder / "users.csv")


def canonical(log: list[Event]) -> list[Event]:
    def named(row: Event) -> Event:
        ids = {name: NAMES.get(getattr(row, name), getattr(row, name)) for name in ("user", "item", "session")}
        return row._replace(**ids, device=DEVICES[row.device])

    return [named(row) for row in log]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_spellings_make_no_difference_in_the_log_or_in_the_service(seed: int, tmp_path: Path) -> None:
    log = canonical(told_apart(random_log(SHOP, seed)))
    text, speller = dataset_file(), Speller(seed)
    dataset = parsed(text)
    write_log(tmp_path, log, speller)
    made = ingested(text, tmp_path, tmp_path / "out", partitions=2)
    catalogue = load_catalogue(tmp_path / "out" / "state", dataset)
    states, ids = MemoryStates(plans_of(dataset), catalogue.codes), NullIds.from_dataset(dataset)
    features, changes = RequestFeatures(dataset, catalogue, states), Changes(dataset, catalogue)

    def context(row: Event) -> dict[str, Any]:
        return {"device": speller.of(row.device)}

    def asked(formed: Any) -> Request:
        first, json = formed.first, speller.json
        body = RankBody.model_validate(
            {
                "shopper": json(first.user),
                "session": json(first.session),
                "request": json(first.request),
                "candidates": [json(item) for item, _, _ in formed.candidates],
            }
        )
        return Request(
            shopper=ids.without_null("user", body.shopper),
            session=ids.without_null("session", body.session),
            request=ids.without_null("request", body.request),
            time_us=formed.time_us,
            candidates=ids.required_items(body.candidates),
            positions=[place for _, place, _ in formed.candidates],
            context=context(first),
            shown={"shown_price": [None if price is None else speller.of(f"{price}") for _, _, price in formed.candidates]},
        )

    def shown(formed: Any) -> ImpressionList:
        first, json = formed.first, speller.json
        items = [json(item) for item, _, _ in formed.candidates]
        given = {"request": json(first.request), "items": items, "shopper": json(first.user), "session": json(first.session)}
        body = ImpressionBody.model_validate(given)
        who = {"shopper": ids.without_null("user", body.shopper), "session": ids.without_null("session", body.session)}
        return ImpressionList(request=body.request, time_us=formed.time_us, items=body.items, **who)

    def done(row: Event) -> Interaction:
        given = {name: speller.json(getattr(row, name)) for name in ("item", "request", "session")} | {"shopper": speller.json(row.user)}
        body = InteractionBody.model_validate(given | {"action": row.action})
        who = {"shopper": ids.without_null("user", body.shopper), "session": ids.without_null("session", body.session)}
        item, request = ids.without_null("item", body.item), ids.without_null("request", body.request)
        return Interaction(action=row.action, time_us=row.time_us, item=item, request=request, **who)

    requests, kept = understood(SHOP, log)
    found = {}
    happened = [(formed.time_us, 1, formed) for formed in requests] + [
        (logged.event.time_us, 2, logged.event) for logged in kept if logged.event.action != "impression"
    ]
    happened += [(formed.time_us, 0, formed) for formed in requests]
    for _, what, each in sorted(happened, key=lambda one: one[:2]):
        if what == 0:
            # Guests of several visits may share a request's id.
            found[each.first.user, each.name, each.time_us, *(item for item, _, _ in each.candidates)] = features.inputs(asked(each))
            continue
        change = changes.from_event(shown(each) if what == 1 else done(each), now_us=NOW_US)
        assert change is not None
        assert states.record(change)

    examples = everything(made.examples)
    for _, example in examples.values():
        key = (example["user"][0], example["request"][0], example["time"][0], *example["item"])
        served = {column.name: plain(found[key].tensors[column.name]) for column in input_columns(dataset)}
        assert {name: str(values) for name, values in served.items()} == {name: str(example[name]) for name in served}
    assert len(examples) > 20
    columns = [example for _, example in examples.values()]
    assert {value for example in columns for value in example["device"]} == set(DEVICES.values())
    assert all((example["hour"] == [""]) == (example["device"] == [""]) for example in columns)
    assert {item for example in columns for item in example["item"]} == {"108", "109", "007", "12e5"}
    assert {user for example in columns for user in example["user"]} == {"", "1", "20", "300"}
