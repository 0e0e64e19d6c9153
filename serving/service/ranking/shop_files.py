"""The files by which a shop rules its shelves, read again when they change: rules, experiments, sources, what is out of stock.

All of them are read and checked together, since experiments name sets of rules; the service goes on with what it has until all are right.
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
from serving.service.settings import Places
from serving.sources.candidates import CandidateSources
from serving.sources.file import Sources, load_sources

EVERY_S = 5.0
WHAT = "shop files"
_LOG = logging.getLogger(__name__)
_Stamp = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ShopFiles:
    """What the files say."""

    rules: Rules
    sources: Sources
    experiments: Experiments | None
    out_of_stock: frozenset[str] = frozenset()


@dataclass(frozen=True)
class InForce:
    """The same over the shop's catalogue and state."""

    rules: ShopRules
    experiments: Experiments | None
    sources: CandidateSources
    out_of_stock: frozenset[str]


def read_shop_files(places: Places, dataset: Dataset) -> ShopFiles:
    """Read and check all that `places` names.

    Raises:
        ServiceFileError: one of them is missing or wrong.
    """
    rules = Rules(sets={}) if places.rules is None else load_rules(places.rules, dataset)
    sources = Sources(sources={}) if places.sources is None else load_sources(places.sources, dataset)
    experiments = (
        None if places.experiments is None else load_experiments(places.experiments, rule_sets=list(rules.sets), guests=guest_ids(dataset))
    )
    stock = frozenset[str]() if places.out_of_stock is None else read_out_of_stock(places.out_of_stock)
    return ShopFiles(rules, sources, experiments, stock)


def guest_ids(dataset: Dataset) -> list[str]:
    """What an experiments file may draw guests by: the session, or a feature of the context whose values are single texts."""
    return ["session", *(feature.name for feature in dataset.given("events", side="context") if feature.kind in ("id", "category"))]


def read_out_of_stock(path: Path) -> frozenset[str]:
    """The products of a file with an id a line.

    Raises:
        ServiceFileError: it is missing, or no text.
    """
    text = read_text(path, what="a file of products that are out of stock", remedy="write an id a line", error=ServiceFileError)
    return frozenset(filter(None, map(id_text, text.removeprefix("\ufeff").splitlines())))


@final
class LiveShopFiles:
    """What is in force: `now`, which `followed` replaces as a whole when the files have changed and are right.

    Args:
        places: of the files.
        dataset: that they are checked against.
        found: what they say at the start.
        in_force: makes what they say ready for use; called again where they have changed, on a thread.
        taken: is told whether a change was taken.
    """

    def __init__(
        self,
        places: Places,
        dataset: Dataset,
        *,
        found: ShopFiles,
        in_force: Callable[[ShopFiles, "InForce | None"], InForce],
        taken: Callable[[bool], None],
    ) -> None:
        self._places, self._dataset, self._in_force, self._taken = places, dataset, in_force, taken
        self._paths = tuple(path for path in (places.rules, places.experiments, places.sources, places.out_of_stock) if path is not None)
        self._stamp = self._stamps()
        self._said, self._failing = found, False
        self.now = in_force(found, None)

    def failing(self) -> list[str]:
        """`shop files` where they have changed and can't be used."""
        return [WHAT] if self._failing else []

    def refresh(self) -> None:
        """Take in what has changed, or keep what is in force."""
        stamp = self._stamps()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            said = read_shop_files(self._places, self._dataset)
            if said != self._said:
                self.now = self._in_force(said, self.now)
                _LOG.info("the shop's files have changed, and are in force as they are now")
        except (ShelfRankError, OSError) as error:
            self._failing = True
            self._taken(False)
            _LOG.warning("the shop's files have changed and can't be used; what was in force before stays: %s", error)
            return
        if self._failing or said != self._said:
            self._taken(True)
        self._said, self._failing = said, False

    async def followed(self) -> None:
        """Look again and again, on a thread, until cancelled."""
        while self._paths:
            await asyncio.sleep(EVERY_S)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:  # a fault of one look mustn't be the last look
                _LOG.exception("the shop's files couldn't be looked at")

    def _stamps(self) -> _Stamp:
        """What changes with the files, of what a name points to: a mounted configuration is a link that is put elsewhere."""
        return tuple(_stamp(path) for path in self._paths)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError as error:
        return (-1, error.errno or 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
