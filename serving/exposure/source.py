"""How a dataset file reads the log back: the `events` entries for it."""

import posixpath
from typing import Any

import yaml

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import Impressions, Sampling
from serving.exposure.log import IMPRESSIONS, INTERACTIONS
from serving.exposure.rows import EventRows


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
    names = (IMPRESSIONS, INTERACTIONS) if isinstance(dataset.candidates, Impressions) else (INTERACTIONS,)
    return [
        {
            "path": posixpath.join(folder, f"{name}-*.jsonl"),
            "format": "jsonl",
            "columns": roles | (rows.amounts if name == INTERACTIONS else {}),
            "time_unit": "us",
            "missing_user": dataset.events[0].missing_user,
        }
        for name in names
    ]


def events_section(dataset: Dataset, folder: str) -> str:
    """The same as YAML text: `events:` and its entries."""
    text: str = yaml.safe_dump({"events": log_sources(dataset, folder)}, sort_keys=False, default_flow_style=None, width=140)
    return text
