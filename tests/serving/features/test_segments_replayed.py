"""Products within segments: what the service counts event by event is what ingestion counts from the log, and nothing else changes."""

from pathlib import Path

import polars as pl
import pytest

from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset
from components.ingest.sources.files import layout
from components.simulator import ShopConfig, simulate
from components.state.artifact import to_table
from components.state.keys import segment_key
from serving.features.catalogue import load_catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.state import snapshot
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates
from serving.state.redis import RedisStates
from tests.components.ingest.without_beam import NOW_US, digests, job_of, run_steps
from tests.serving.features.simulated import DATASET
from tests.serving.state.private_redis import private_redis

PLAIN = DATASET.read_text(encoding="utf-8")
TEXT = f"{PLAIN}\nserving: {{segment: [device, segment]}}\n"
Told = tuple[ImpressionList | Interaction, dict[str, str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shop") / "data"
    simulate(made, ShopConfig(events=6_000, seed=3, days=10))
    return made


@pytest.fixture(scope="module")
def state(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingested(TEXT, data, tmp_path_factory.mktemp("with")) / "state"


def ingested(text: str, data: Path, out: Path) -> Path:
    run_steps(job_of(text, data, out, partitions=2), layout(parse_dataset(text), str(data)).blocks)
    return out


def told(data: Path) -> list[Told]:
    rows = pl.read_parquet(data / "events" / "*.parquet").with_columns(pl.col("time").cast(pl.Int64)).sort("time", maintain_order=True)
    found: list[Told] = []
    for together in rows.partition_by("time", "user_id", maintain_order=True):
        first = together.row(0, named=True)
        who = {"shopper": first["user_id"], "request": first["request_id"], "session": first["session_id"], "time_us": first["time"]}
        if first["action"] == "impression":
            found.append((ImpressionList(items=together.sort("position")["item_id"].to_list(), **who), {"device": first["device"]}))
        else:
            item = first["item_id"] or ""
            found.append((Interaction(action=first["action"], item=item, **who), {"device": first["device"]}))
    return found


def test_events_one_by_one_lead_to_the_state_that_ingestion_writes(data: Path, state: Path) -> None:
    dataset = parse_dataset(TEXT)
    catalogue, plans = load_catalogue(state, dataset), plans_of(dataset)
    states, changes = MemoryStates(plans, catalogue.codes), Changes(dataset, catalogue)
    for event, context in told(data):
        change = changes.from_event(event, now_us=NOW_US, context=context)
        assert change is not None
        assert states.record(change)
    there, saved = states.snapshot().items, snapshot.load(state, plans, catalogue.codes).items
    assert there is not None
    assert saved is not None
    assert sum(key.startswith("\x1f") for key in saved.keys) > 500
    assert to_table(there.state, there.keys, there.plan).equals(to_table(saved.state, saved.keys, saved.plan))


def test_a_segment_counts_its_own_shoppers_alone(data: Path, state: Path) -> None:
    dataset = parse_dataset(TEXT)
    catalogue, plans = load_catalogue(state, dataset), plans_of(dataset)
    states = MemoryStates(plans, catalogue.codes, snapshot.load(state, plans, catalogue.codes))
    events = pl.read_parquet(data / "events" / "*.parquet").join(pl.read_parquet(data / "users.parquet"), on="user_id")
    carts = events.filter(action="cart", device="mobile", segment="gardener").group_by("item_id").len().sort("item_id")
    assert plans.items is not None
    place = plans.items.width - 2 - len(plans.items.actions) + plans.items.actions.index("cart")
    keys = [segment_key("mobile\x1fgardener", item) for item in carts["item_id"]]
    known = states.known("", keys, NOW_US).items
    assert known is not None
    assert known.values[:, place].tolist() == carts["len"].to_list() != []


def test_redis_takes_the_segments_up_too(state: Path) -> None:
    dataset = parse_dataset(TEXT)
    catalogue, plans = load_catalogue(state, dataset), plans_of(dataset)
    saved = snapshot.load(state, plans, catalogue.codes)
    memory = MemoryStates(plans, catalogue.codes, saved)
    assert saved.items is not None
    keys = [key for key in saved.items.keys if key.startswith("\x1f")][:50]
    with private_redis() as client:
        states = RedisStates(client, shop="s", plans=plans, codes=catalogue.codes, ttl_s=1000)
        states.load(state)
        one, other = states.known("", keys, NOW_US).items, memory.known("", keys, NOW_US).items
    assert one is not None
    assert other is not None
    assert one.values.tobytes() == other.values.tobytes()


def test_nothing_else_that_ingestion_writes_changes(data: Path, state: Path, tmp_path: Path) -> None:
    without = digests(ingested(PLAIN, data, tmp_path))
    within = digests(state.parent)
    added = {f"state/items/segments-{part:05d}.parquet" for part in range(2)}
    kept = {name: digest for name, digest in within.items() if name not in added and not name.startswith("work/")}
    assert added <= within.keys()
    assert kept == {name: digest for name, digest in without.items() if not name.startswith("work/")}


@pytest.mark.parametrize(
    ("segment", "fault"),
    [
        ("devise", "did you mean 'device'"),
        ("[device, device]", "'device' stands twice"),
        ("hour", "'hour' is no id or category that events or the users' table have of a shopper"),
        ("query", "'query' is no id or category"),
        ("brand", "'brand' is no id or category"),
    ],
)
def test_a_segment_that_can_not_be_told_is_refused(segment: str, fault: str) -> None:
    with pytest.raises(DatasetFileError, match=fault):
        parse_dataset(f"{PLAIN}\nserving: {{segment: {segment}}}\n")
