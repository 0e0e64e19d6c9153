"""Load the shop's files (rules, experiments, sources, products out of stock), and reload them when they change.

They are read and checked together, since experiments name sets of rules; invalid ones change nothing.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from components.contract.dataset import Dataset
from components.contract.errors import ServiceFileError, ShelfRankError
from components.contract.values.id_text import id_text
from components.contract.yaml_loader import read_text
from serving.experiments.file import Experiments, load_experiments
from serving.rules.file import Rules, load_rules
from serving.service.ranking.shop_rules import ShopRules
from serving.service.settings import Locations
from serving.sources.candidates import CandidateSources
from serving.sources.file import Sources, load_sources

EVERY_S = 5.0
WHAT = "shop files"
_LOG = logging.getLogger(__name__)
_Stamp = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ShopFiles:
    """Hold the content of the files."""

    rules: Rules
    sources: Sources
    experiments: Experiments | None
    out_of_stock: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ActiveShopFiles:
    """Hold the files' content, ready for use over the shop's catalogue and state."""

    rules: ShopRules
    experiments: Experiments | None
    sources: CandidateSources
    out_of_stock: frozenset[str]


def read_shop_files(locations: Locations, dataset: Dataset) -> ShopFiles:
    """Read and check the files that `locations` names.

    Raises:
        ServiceFileError: one of them is missing or invalid.
    """
    rules = Rules(sets={}) if locations.rules is None else load_rules(locations.rules, dataset)
    sources = Sources(sources={}) if locations.sources is None else load_sources(locations.sources, dataset)
    experiments = (
        None
        if locations.experiments is None
        else load_experiments(locations.experiments, rule_sets=list(rules.sets), guests=guest_ids(dataset))
    )
    stock = frozenset[str]() if locations.out_of_stock is None else read_out_of_stock(locations.out_of_stock)
    return ShopFiles(rules, sources, experiments, stock)


def guest_ids(dataset: Dataset) -> list[str]:
    """Return the units that experiments may draw guests by: the session, or single-valued context features."""
    return [
        "session",
        *(feature.name for feature in dataset.input_features("events", side="context") if feature.kind in ("id", "category")),
    ]


def read_out_of_stock(path: Path) -> frozenset[str]:
    """Read ids of products from a file with an id a line.

    Raises:
        ServiceFileError: it is missing, or no text.
    """
    text = read_text(path, what="a file of products that are out of stock", remedy="write an id a line", error=ServiceFileError)
    return frozenset(filter(None, map(id_text, text.removeprefix("\ufeff").splitlines())))


@final
class LiveShopFiles:
    """Reload the files when they have changed and are valid; `now` is what is in force, replaced as a whole.

    Args:
        locations: of the files.
        dataset: that they are checked against.
        loaded: their content at the start.
        activate: makes content ready for use, given what is in force; called again after changes, on a thread.
        on_change: called with whether a change was applied.
    """

    def __init__(
        self,
        locations: Locations,
        dataset: Dataset,
        *,
        loaded: ShopFiles,
        activate: Callable[[ShopFiles, "ActiveShopFiles | None"], ActiveShopFiles],
        on_change: Callable[[bool], None],
    ) -> None:
        self._locations, self._dataset, self._activate, self._on_change = locations, dataset, activate, on_change
        self._paths = tuple(
            path for path in (locations.rules, locations.experiments, locations.sources, locations.out_of_stock) if path is not None
        )
        self._stamp = self._stamps()
        self._loaded, self._failing = loaded, False
        self.now = activate(loaded, None)

    def failing(self) -> list[str]:
        """Return `shop files` where they have changed and are invalid."""
        return [WHAT] if self._failing else []

    def refresh(self) -> None:
        """Apply changed files if they are valid."""
        stamp = self._stamps()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            loaded = read_shop_files(self._locations, self._dataset)
            if loaded != self._loaded:
                self.now = self._activate(loaded, self.now)
                _LOG.info("the shop's files have changed, and are in force as they are now")
        except (ShelfRankError, OSError) as error:
            self._failing = True
            self._on_change(False)
            _LOG.warning("the shop's files have changed and can't be used; what was in force before stays: %s", error)
            return
        if self._failing or loaded != self._loaded:
            self._on_change(True)
        self._loaded, self._failing = loaded, False

    async def watch(self) -> None:
        """Refresh periodically, on a thread, until cancelled."""
        while self._paths:
            await asyncio.sleep(EVERY_S)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:  # a fault of one pass mustn't end the loop
                _LOG.exception("the shop's files couldn't be looked at")

    def _stamps(self) -> _Stamp:
        """Return file stamps that change with the files, following links: a mounted configuration replaces a link."""
        return tuple(_stamp(path) for path in self._paths)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        stat = os.stat(path)
    except OSError as error:
        return (-1, error.errno or 0)
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev)
