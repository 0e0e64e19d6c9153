"""Sync what a pod serves, once or periodically until SIGTERM: `python -m serving.mirror STORE FOLDER`."""

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
from serving.mirror.state import ServingState
from serving.mirror.target_config import stable_or_newest

_LOG = logging.getLogger("shelfrank.mirror")
_REMIND_S = 60.0


@dataclass(frozen=True)
class Mirror:
    """A store, and the parts of it to sync; None for a part that isn't."""

    store: Address
    releases: Releases | None
    state: ServingState | None
    newest: bool

    def look(self, now: float) -> str:
        """Sync one step; return what is missing before the pod can serve, or "".

        Raises:
            ShelfRankError: the store can't be read, or its labels can't.
        """
        labels = self._labels()  # read before the versions, so that all labelled releases are among them
        versions = complete(self.store / RELEASES, MANIFEST)
        if not versions:
            return f"{self.store / RELEASES}: no release yet; a run of the pipeline that passes the gates makes one"
        version = max(versions) if self.newest else stable_or_newest(labels, versions)
        if version not in versions:
            return f"{self.store / RELEASES}: release {version} is labelled {STABLE}, and isn't there; give the label to another one"
        if self.releases is not None:
            self.releases.follow(labels, versions, now)
        return self.state.follow(version) if self.state else ""

    def _labels(self) -> Labels | None:
        file = self.store / RELEASES / FILE
        text = file.read()
        try:
            return None if text is None else Labels.from_json(text)
        except ValueError as error:
            raise ShelfRankError(f"{file}: expected the labels of the releases: {error}") from None


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
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


def mirror_of(args: argparse.Namespace) -> Mirror:
    """Build the mirror of the command line.

    Raises:
        InputError: the options are invalid.
    """
    store, folder = Address.parse(args.store), args.folder.absolute()
    if store.local == folder:
        raise InputError(f"expected another folder than the store, got {folder} for both")
    if args.every <= 0 or args.settle < 0 or args.keep < 0:
        raise InputError("expected --every above 0, --settle and --keep from 0 on")
    settle_s = args.settle if args.follow else None
    return Mirror(
        store,
        Releases(store / RELEASES, folder / RELEASES, args.only, args.keep, settle_s) if args.part != SERVING else None,
        ServingState(store / SERVING, folder / SERVING) if args.part != RELEASES else None,
        args.only == "newest",
    )


def run(mirror: Mirror, *, every_s: float, follow: bool, ended: threading.Event) -> None:
    """Sync until nothing is missing; with `follow` until `ended`, through errors of the store.

    Raises:
        ShelfRankError: the store can't be read, without `follow`.
    """
    warned, warned_at = "", 0.0
    while not ended.is_set():
        now = time.monotonic()
        try:
            missing = mirror.look(now)
        except ShelfRankError as error:
            if not follow:
                raise
            missing = str(error)
        if not missing and not follow:
            return
        if missing and (missing != warned or now - warned_at >= _REMIND_S):
            _LOG.warning("%s", missing)
            warned, warned_at = missing, now
        elif not missing:
            warned = ""
        ended.wait(every_s)


def main() -> int:
    """Run the command; return the exit code."""
    args = parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        run(mirror_of(args), every_s=args.every, follow=args.follow, ended=ended)
    except InputError as error:
        print(f"the mirror can't start: {error}", file=sys.stderr)
        return 2
    except ShelfRankError as error:
        print(f"the mirror ends: {error}", file=sys.stderr)
        return 1
    return 0 if args.follow or not ended.is_set() else 1


if __name__ == "__main__":
    sys.exit(main())
