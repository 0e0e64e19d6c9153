"""`python -m serving.exposure forget DATASET.yaml LOG [SHOPPER ...]`: erases them, and whom the service was asked to forget."""

import argparse
import os
import sys
import time
from pathlib import Path

from components.contract.errors import ShelfRankError
from components.contract.load import load_dataset
from serving.exposure.erase import ask_to_forget, erase
from serving.exposure.keys import shopper_key
from serving.exposure.rows import EventRows
from serving.state.tombstones import write_tombstone


def main() -> int:
    """Erase; 1 where files that are still written have to be done later, 2 where nothing could be."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.exposure",
        description="Erases from an exposure log's complete files shoppers by their ids, and whom the service was asked to forget.",
        epilog="Environment: SHELFRANK_LOG_SALT, as the service has it.",
    )
    parser.add_argument("what", choices=["forget"])
    parser.add_argument("dataset", type=Path, metavar="DATASET.yaml")
    parser.add_argument("log", type=Path, metavar="LOG", help="its folder")
    parser.add_argument("shoppers", nargs="*", metavar="SHOPPER", help="ids as the shop has them")
    given = parser.parse_args()
    try:
        salt = bytes.fromhex(os.environ.get("SHELFRANK_LOG_SALT", "")) or None
        rows = EventRows(load_dataset(given.dataset))
        for shopper in given.shoppers:
            now_us, key = time.time_ns() // 1000, shopper_key(shopper, salt)
            for name in dict.fromkeys([shopper, key]):
                write_tombstone(given.log, name, now_us=now_us)
            ask_to_forget(given.log, key, now_us=now_us)
        done = erase(given.log, rows)
    except (ShelfRankError, OSError, ValueError) as error:
        print(f"the log can't forget: {error}", file=sys.stderr)
        return 2
    print(f"{done.lines} lines erased from {done.files} files")
    if done.waiting:
        print(f"{done.waiting} shoppers may have lines in files that are still written; run this again when those are complete")
    return 1 if done.waiting else 0


if __name__ == "__main__":
    sys.exit(main())
