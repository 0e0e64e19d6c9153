"""Generate the `events` entries of a dataset file that read the exposure log."""

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
    """Return the entries of `events` that read a log.

    They go beside the shop's own sources, or replace them. All sources read the session id, or none.

    Args:
        dataset: of the log.
        folder: of the log, as the dataset file is to name it.

    Raises:
        InputError: the dataset takes its candidates from a source that a log of requests can't be.
    """
    if not isinstance(dataset.candidates, Impressions | Sampling):
        raise InputError(
            f"the exposure log can't be read with candidates from {dataset.candidates.origin!r}: it has a row for each impression and each"
            " interaction; give it a dataset file of its own with `candidates: {from: impressions}`"
        )
    rows = EventRows(dataset)
    roles = {role: column for role, column in rows.columns.items() if role != "session" or dataset.events[0].columns.session is not None}
    null_values = _null_values(dataset, rows)
    userless = any(lacks_user(dataset, source) for source in dataset.events)
    names = (IMPRESSIONS, INTERACTIONS) if isinstance(dataset.candidates, Impressions) else (INTERACTIONS,)
    return [
        {
            "path": posixpath.join(folder, f"{name}-*.jsonl"),
            "format": "jsonl",
            "columns": roles | (rows.amounts if name == INTERACTIONS else {}),
            "time_unit": "us",
            # An interaction without a shopper belongs to the shopper whose request it names.
            "missing_user": "guest" if userless and name == INTERACTIONS else dataset.events[0].missing_user,
            **({"null_values": null_values} if null_values else {}),
        }
        for name in names
    ]


def events_section(dataset: Dataset, folder: str) -> str:
    """Return the entries of `log_sources` as YAML under `events:`."""
    text: str = yaml.safe_dump({"events": log_sources(dataset, folder)}, sort_keys=False, default_flow_style=None, width=140)
    return text


def _null_values(dataset: Dataset, rows: EventRows) -> dict[str, list[str]]:
    """Return the null words of columns whose null words in the shop's own sources aren't the default."""
    named = {role for source in dataset.events for role in source.columns.named()}
    words = {column: role_words(dataset, role) for role, column in rows.columns.items() if role in named}
    default = {rows.columns["user"]: {*DEFAULT_WORDS, NO_USER}}
    event_features = [feature for feature in dataset.input_features("events") if not feature.from_clock]
    words |= {feature.key: feature_words(dataset, feature) for feature in event_features}
    return {column: sorted(own) for column, own in words.items() if own != default.get(column, set(DEFAULT_WORDS))}
