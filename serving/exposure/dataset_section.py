"""How a dataset file reads the log back: the `events` entries for it."""

import posixpath
from typing import Any

import yaml

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import DEFAULT_WORDS, Impressions, Sampling
from components.contract.userless import lacks_user
from components.contract.values.null_words import NO_USER, feature_words, role_words
from serving.exposure.log import IMPRESSIONS, INTERACTIONS
from serving.exposure.serialization import EventRows


def log_sources(dataset: Dataset, folder: str) -> list[dict[str, Any]]:
    """The entries of `events` that read a log, as a dataset file has them.

    They go beside the shop's own sources, or in their place. The visit's id is read where the shop's own sources read theirs: all sources
    name it, or none.

    Args:
        dataset: whose log it is.
        folder: of the log, as the dataset file is to name it.

    Raises:
        InputError: the dataset takes its candidates from where a log of requests can't put them.
    """
    if not isinstance(dataset.candidates, Impressions | Sampling):
        raise InputError(
            f"the exposure log can't be read with candidates from {dataset.candidates.origin!r}: it has a row for each impression and each"
            " interaction; give it a dataset file of its own with `candidates: {from: impressions}`"
        )
    rows = EventRows(dataset)
    roles = {role: column for role, column in rows.columns.items() if role != "session" or dataset.events[0].columns.session is not None}
    words = _null_values(dataset, rows)
    userless = any(lacks_user(dataset, source) for source in dataset.events)
    names = (IMPRESSIONS, INTERACTIONS) if isinstance(dataset.candidates, Impressions) else (INTERACTIONS,)
    return [
        {
            "path": posixpath.join(folder, f"{name}-*.jsonl"),
            "format": "jsonl",
            "columns": roles | (rows.amounts if name == INTERACTIONS else {}),
            "time_unit": "us",
            # What nobody did by name is the shopper's whose request it names.
            "missing_user": "guest" if userless and name == INTERACTIONS else dataset.events[0].missing_user,
            **({"null_values": words} if words else {}),
        }
        for name in names
    ]


def events_section(dataset: Dataset, folder: str) -> str:
    """The same as YAML text: `events:` and its entries."""
    text: str = yaml.safe_dump({"events": log_sources(dataset, folder)}, sort_keys=False, default_flow_style=None, width=140)
    return text


def _null_values(dataset: Dataset, rows: EventRows) -> dict[str, list[str]]:
    """The null words of columns for which the shop's own sources say others than the default."""
    named = {role for source in dataset.events for role in source.columns.named()}
    words = {column: role_words(dataset, role) for role, column in rows.columns.items() if role in named}
    default = {rows.columns["user"]: {*DEFAULT_WORDS, NO_USER}}
    of_events = [feature for feature in dataset.given("events") if not feature.key.startswith("time.")]
    words |= {feature.key: feature_words(dataset, feature) for feature in of_events}
    return {column: sorted(of) for column, of in words.items() if of != default.get(column, set(DEFAULT_WORDS))}
