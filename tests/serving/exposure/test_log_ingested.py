"""The circle: what the service logs, the pipeline's ingestion reads, with the same requests, candidates, places and labels."""

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.ingest.counts import NO_LABEL
from components.ingest.sources.files import layout
from components.ingest.steps import ingest
from serving.exposure.dataset_section import events_section, log_sources
from serving.exposure.event_types import Interaction
from serving.exposure.log import ExposureLog, LogSettings
from serving.exposure.pseudonym import pseudonym
from serving.rules.apply import Effect, Moved
from tests.components.ingest.generators.plain_shop import as_csv, run_ingest, write
from tests.components.ingest.generators.random_shops import everything, parsed, read_examples
from tests.components.ingest.without_beam import job_of
from tests.serving.exposure.shop_log import SHOP, START_US, click, dataset, exposure, log

REQUESTS = 40


def reading(folder: str = "log") -> str:
    """The shop's dataset file, with the log in the place of its own events."""
    file = yaml.safe_load(SHOP) | yaml.safe_load(events_section(dataset(), folder))
    return yaml.safe_dump(file, sort_keys=False)


def written(folder: Path, **changed: Any) -> None:
    """Forty requests; every other is followed by a click, on d, which stood at place 1."""
    write(folder, "items.csv", as_csv([{"id": item, "title": f"mug {item}"} for item in "abcd"]))
    writer = log(folder / "log", rotate_bytes=2000)
    for n in range(REQUESTS):
        assert writer.offer(exposure(n, **changed))
        writer.commit([click(n, **changed)] if n % 2 else []).result(10)
    assert writer.close(10)
    assert len(list((folder / "log").glob("impressions-*.jsonl"))) > 3


def check(examples: dict[Any, Any], *, shopper: Any = lambda n: f"u{n % 3}") -> None:
    found = {request: columns for (_, request), (_, columns) in everything(examples).items()}
    assert len(found) == REQUESTS
    for n in range(REQUESTS):
        columns = found[f"r{n}"]
        assert columns["user"] == [shopper(n)]
        assert columns["time"] == [START_US + n * 60_000_000]
        assert columns["item"] == ["b", "d"]
        assert columns["position"] == [0, 1]
        assert columns["label"] == [0, n % 2]
        assert columns["shown_price"] == [2, 4]
        assert columns["page"] == ["home"]
        assert columns["speed"] == [1.5]
        assert columns["title"] == ["mug b", "mug d"]


def test_ingestion_finds_what_was_shown_and_clicked(tmp_path: Path) -> None:
    written(tmp_path)
    made, _, counts, samples = run_ingest(tmp_path, reading())
    check(made.examples)
    assert (counts["rows read"], counts["rows kept"], samples) == (REQUESTS * 2 + REQUESTS // 2, REQUESTS * 2 + REQUESTS // 2, {})


def test_beam_finds_the_same(tmp_path: Path) -> None:
    written(tmp_path)
    text = reading()
    job = job_of(text, tmp_path, tmp_path / "out", partitions=2)
    options = PipelineOptions(["--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"])
    with beam.Pipeline(options=options) as root:
        ingest(root, job, layout(parsed(text), str(tmp_path)).blocks)
    check(read_examples(tmp_path / "out" / "examples"))


def test_hashed_shoppers_are_told_apart_as_before(tmp_path: Path) -> None:
    salt = b"0123456789abcdef"
    write(tmp_path, "items.csv", as_csv([{"id": item, "title": f"mug {item}"} for item in "abcd"]))
    writer = log(tmp_path / "log")
    for n in range(REQUESTS):
        key = pseudonym(f"u{n % 3}", salt)
        writer.offer(exposure(n, shopper=key))
        writer.commit([click(n, shopper=key)] if n % 2 else []).result(10)
    assert writer.close(10)
    check(run_ingest(tmp_path, reading()).made.examples, shopper=lambda n: pseudonym(f"u{n % 3}", salt))
    assert len({pseudonym(f"u{n}", salt) for n in range(1000)}) == 1000


def test_impressions_that_the_page_reports_itself_are_read_alike(tmp_path: Path) -> None:
    write(tmp_path, "items.csv", as_csv([{"id": item, "title": f"mug {item}"} for item in "abcd"]))
    writer = log(tmp_path / "log")
    for n in range(REQUESTS):
        writer.offer(exposure(n, shown=0))
        seen = {"action": "show", "time_us": START_US + n * 60_000_000, "context": {"page": "home", "speed": 1.5}}
        places = [click(n, item, position=at, values={"shown_price": 2.0 + 2 * at}, **seen) for at, item in enumerate("bd")]
        writer.commit([*places, *([click(n)] if n % 2 else [])]).result(10)
    assert writer.close(10)
    assert list((tmp_path / "log").glob("impressions-*")) == []
    text = yaml.safe_load(reading())
    text["events"] = text["events"][1:]  # there is no file of impressions
    check(run_ingest(tmp_path, yaml.safe_dump(text, sort_keys=False)).made.examples)


def test_impressions_moved_by_rules_can_be_left_out_of_training(tmp_path: Path) -> None:
    write(tmp_path, "items.csv", as_csv([{"id": item, "title": f"mug {item}"} for item in "abcd"]))
    writer = log(tmp_path / "log")
    for n in range(REQUESTS):
        writer.offer(exposure(n) if n % 4 else exposure(n, effects=[Effect("own", "boost", (Moved("d", 2, 1),))]))
    writer.commit([click(1)]).result(10)
    assert writer.close(10)
    text = yaml.safe_load(reading())
    assert text["events"][0]["path"].startswith("log/impressions")
    for source in text["events"]:
        source["where"] = "_ruled IS NULL"
    examples = everything(run_ingest(tmp_path, yaml.safe_dump(text, sort_keys=False)).made.examples)
    assert {request: columns["item"] for (_, request), (_, columns) in examples.items()} == {
        f"r{n}": ["b", "d"] if n % 4 else ["b"] for n in range(REQUESTS)
    }


def test_whatever_callers_send_the_file_stays_readable(tmp_path: Path) -> None:
    """Numbers where text belongs and text where numbers do, half characters, NaN: of one request, and the others are read."""
    write(tmp_path, "items.csv", as_csv([{"id": item, "title": f"mug {item}"} for item in "abcd"]))
    writer = log(tmp_path / "log")
    wild = {"page": 5, "speed": "fast", "other": object()}
    for n in range(REQUESTS):
        strange = {"context": wild, "values": {"shown_price": [1, float("nan"), None, "x"]}, "session": "\ud800"} if n == 7 else {}
        assert writer.offer(exposure(n, **strange))
    writer.commit([click(8, "ü\ud83d\n"), click(9, "d")]).result(10)
    assert writer.close(10)
    made, _, counts, samples = run_ingest(tmp_path, reading())
    assert counts["rows kept"] == 2 * REQUESTS + 2
    columns = {request: columns for (_, request), (_, columns) in everything(made.examples).items()}["r7"]
    assert (columns["page"], str(columns["speed"]), str(columns["shown_price"])) == (["5"], "[nan]", "[nan, nan]")
    # One of the clicks is on an item that its list doesn't show, nor the catalogue.
    assert set(samples) == {f"{NO_LABEL}item not in the list", "with missing values: events of items that the catalogue lacks"}


def test_the_section_names_a_column_for_each_role_even_where_a_feature_has_the_name() -> None:
    impressions, interactions = log_sources(dataset(), "log")
    assert impressions["path"] == "log/impressions-*.jsonl"
    assert interactions["path"] == "log/interactions-*.jsonl"
    assert impressions["columns"] == {name: name for name in ("time", "user", "item", "action", "request", "session", "position")}
    text = SHOP.replace("{name: page, kind: category, side: context}", "{name: page, kind: category, side: context, column: action}")
    assert log_sources(parse_dataset(text), "log")[0]["columns"]["action"] == "_action"


def test_the_visit_is_read_where_the_shops_own_events_name_it() -> None:
    assert "session" not in log_sources(parse_dataset(SHOP.replace(", session: visit", "")), "log")[0]["columns"]


def test_guests_are_what_the_shops_own_events_make_of_them() -> None:
    text = SHOP.replace("  path: events.csv", "  path: events.csv\n  missing_user: guest")
    assert log_sources(parse_dataset(text), "log")[0]["missing_user"] == "guest"


def test_clicks_without_a_shopper_are_read_back_where_the_shops_own_log_has_such() -> None:
    shop = parse_dataset(SHOP)
    clicks = {"path": "clicks.csv", "action": "click", "columns": {"time": "at", "item": "item", "request": "request"}}
    userless = parse_dataset(yaml.safe_dump(yaml.safe_load(SHOP) | {"events": [yaml.safe_load(SHOP)["events"], clicks]}))
    assert [source["missing_user"] for source in log_sources(shop, "log")] == ["reject", "reject"]
    assert [source["missing_user"] for source in log_sources(userless, "log")] == ["reject", "guest"]


def test_amounts_of_interactions_come_back_with_their_labels(tmp_path: Path) -> None:
    """Logged by the service, read by ingestion: numbers whole or not, none, and returns."""
    text = SHOP.replace("session: visit}", "session: visit, revenue: paid, quantity: pieces}")
    text = text.replace("click: {label: 1}", "click: {label: 1, amount: revenue}\n  sent_back: {takes_back: click}")
    shop = parse_dataset(text)
    write(tmp_path, "items.csv", as_csv([{"id": item, "title": f"mug {item}"} for item in "abcd"]))
    writer = ExposureLog(shop, LogSettings(tmp_path / "log"))
    for n in range(REQUESTS):
        assert writer.offer(exposure(n))
        amounts = [{"revenue": 5, "quantity": 2}, {"revenue": 7.25}, {}, {"revenue": 8, "quantity": 4}][n % 4]
        writer.commit([click(n, amounts=amounts)]).result(10)
        if n % 4 == 3:
            back = {"time_us": START_US + n * 60_000_000 + 20_000_000, "shopper": f"u{n % 3}", "action": "sent_back", "item": "d"}
            writer.commit([Interaction(**back, request=f"r{n}", amounts={"quantity": 1})]).result(10)
    assert writer.close(10)
    file = yaml.safe_load(text) | yaml.safe_load(events_section(shop, "log"))
    made, _, counts, samples = run_ingest(tmp_path, yaml.safe_dump(file, sort_keys=False))
    found = {request: columns for (_, request), (_, columns) in everything(made.examples).items()}
    for n in range(REQUESTS):
        columns = found[f"r{n}"]
        assert columns["revenue"] == [0, (5, 7.25, 0, 6)[n % 4]]
        assert columns["quantity"] == [0, (2, 0, 0, 3)[n % 4]]
        assert columns["label"] == [0, 1]
    assert counts["returns: sent_back took back click"] == REQUESTS // 4
    assert not samples


def test_where_candidates_are_sampled_interactions_alone_are_read() -> None:
    text = SHOP.replace("{from: impressions, action: show}\nattribution: 1h", "{from: sampling}")
    text = text.replace("  - {name: shown_price, kind: number, side: item, source: events}\n", "")
    assert [source["path"] for source in log_sources(parse_dataset(text), "log")] == ["log/interactions-*.jsonl"]


def test_a_dataset_of_rows_is_told_that_it_cannot_read_the_log() -> None:
    text = SHOP.replace("{from: impressions, action: show}", "{from: list, action: click, items: items}")
    text = text.replace("source: events}", "source: items}")
    with pytest.raises(InputError, match="can't be read with candidates from 'list'"):
        log_sources(parse_dataset(text), "log")


def test_float32_comes_back_bit_for_bit(tmp_path: Path) -> None:
    sent = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    writer = log(tmp_path)
    writer.offer(exposure(0, features={"look": sent, "title": np.array([b"a", b"\xff"])}, scores=sent[:, 0]))
    assert writer.close(10)
    (path,) = tmp_path.glob("decisions-*.jsonl")
    read = json.loads(path.read_text())
    assert np.array_equal(np.array(read["features"]["look"], np.float32), sent)
    assert np.array_equal(np.array(read["scores"], np.float32), sent[:, 0])
    assert read["features"]["title"] == ["a", "�"]


def test_the_log_is_read_with_the_words_of_the_shops_own_sources() -> None:
    """The service has applied them; read by others, user 0 would be nobody again."""
    assert "null_values" not in log_sources(dataset(), "log")[0]
    file = yaml.safe_load(SHOP)
    file["events"]["null_values"] = {file["events"]["columns"]["user"]: [], "page": ["nowhere", "-1"]}
    impressions, interactions = log_sources(parse_dataset(yaml.safe_dump(file)), "log")
    assert impressions["null_values"] == interactions["null_values"] == {"user": [], "page": ["-1", "nowhere"]}
