"""`python -m serving.mirror STORE FOLDER`: brings what a pod serves; once, or again and again until SIGTERM."""

import argparse
import logging
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from components.contract.errors import InputError, ShelfRankError
from components.contract.storage.labels import FILE, STABLE, Labels
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import MANIFEST, RELEASES, SERVING, complete
from serving.mirror.releases import Releases
from serving.mirror.state import States
from serving.mirror.target_config import in_force

_LOG = logging.getLogger("shelfrank.mirror")
_REMIND_S = 60.0


@dataclass(frozen=True)
class Mirror:
    """A store and what is brought of it; None for a part that isn't."""

    store: Address
    releases: Releases | None
    states: States | None
    newest: bool

    def look(self, now: float) -> str:
        """Go on by one step; says what is lacking before the pod can serve, or nothing.

        Raises:
            ShelfRankError: the store can't be read, or its labels can't.
        """
        labels = self._labels()  # before the versions: what carried a label then is among them
        versions = complete(self.store / RELEASES, MANIFEST)
        if not versions:
            return f"{self.store / RELEASES}: no release yet; a run of the pipeline that passes the gates makes one"
        version = max(versions) if self.newest else in_force(labels, versions)
        if version not in versions:
            return f"{self.store / RELEASES}: release {version} is labelled {STABLE}, and isn't there; give the label to another one"
        if self.releases is not None:
            self.releases.follow(labels, versions, now)
        return self.states.follow(version) if self.states else ""

    def _labels(self) -> Labels | None:
        file = self.store / RELEASES / FILE
        text = file.read()
        try:
            return None if text is None else Labels.from_json(text)
        except ValueError as error:
            raise ShelfRankError(f"{file}: expected the labels of the releases: {error}") from None


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m serving.mirror",
        description="Brings releases and the service's state from a store to a folder of this pod.",
        epilog="ends with 0 when all is there (with --follow: on SIGTERM), 1 where the store can't be read, 2 for bad input",
    )
    made.add_argument("store", metavar="STORE", help="a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    made.add_argument("folder", type=Path, metavar="FOLDER", help="of this pod")
    made.add_argument("--part", choices=("all", RELEASES, SERVING), default="all", help="what is brought (%(default)s)")
    made.add_argument(
        "--only", choices=("stable", "newest"), help="serve this one release (default: all that carry a label, else the newest)"
    )
    made.add_argument(
        "--keep",
        type=int,
        default=2,
        metavar="K",
        help="have the newest K releases at hand, labelled or not; not with --only (%(default)s)",
    )
    made.add_argument("--follow", action="store_true", help="look again and again, until SIGTERM")
    made.add_argument("--every", type=float, default=30.0, metavar="S", help="seconds between two looks (%(default)s)")
    made.add_argument(
        "--settle",
        type=float,
        default=120.0,
        metavar="S",
        help="seconds that the model server takes to read its configuration again and to load a release (%(default)s)",
    )
    return made


def mirror_of(given: argparse.Namespace) -> Mirror:
    """What the command line asks for.

    Raises:
        InputError: it can't be.
    """
    store, folder = Address.of(given.store), given.folder.absolute()
    if store.local == folder:
        raise InputError(f"expected another folder than the store, got {folder} for both")
    if given.every <= 0 or given.settle < 0 or given.keep < 0:
        raise InputError("expected --every above 0, --settle and --keep from 0 on")
    settle_s = given.settle if given.follow else None
    return Mirror(
        store,
        Releases(store / RELEASES, folder / RELEASES, given.only, given.keep, settle_s) if given.part != SERVING else None,
        States(store / SERVING, folder / SERVING) if given.part != RELEASES else None,
        given.only == "newest",
    )


def run(mirror: Mirror, *, every_s: float, follow: bool, ended: threading.Event) -> None:
    """Look until nothing is lacking; with `follow` until the end, whatever the store does meanwhile.

    Raises:
        ShelfRankError: the store can't be read, and nobody follows.
    """
    said, said_at = "", 0.0
    while not ended.is_set():
        now = time.monotonic()
        try:
            lacking = mirror.look(now)
        except ShelfRankError as error:
            if not follow:
                raise
            lacking = str(error)
        if not lacking and not follow:
            return
        if lacking and (lacking != said or now - said_at >= _REMIND_S):
            _LOG.warning("%s", lacking)
            said, said_at = lacking, now
        elif not lacking:
            said = ""
        ended.wait(every_s)


def main() -> int:
    """Bring."""
    given = parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        run(mirror_of(given), every_s=given.every, follow=given.follow, ended=ended)
    except InputError as error:
        print(f"the mirror can't start: {error}", file=sys.stderr)
        return 2
    except ShelfRankError as error:
        print(f"the mirror ends: {error}", file=sys.stderr)
        return 1
    return 0 if given.follow or not ended.is_set() else 1


if __name__ == "__main__":
    sys.exit(main())
