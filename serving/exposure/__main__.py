"""Erase shoppers from an exposure log: `python -m serving.exposure forget DATASET.yaml LOG [SHOPPER ...]`."""

import argparse
import os
import sys
import time
from pathlib import Path

from components.contract.errors import ShelfRankError
from components.contract.load import load_dataset
from components.contract.values.id_text import id_text
from serving.exposure.erase import erase, request_erasure
from serving.exposure.pseudonym import pseudonyms_of
from serving.exposure.serialization import EventRows
from serving.features.catalogue import SecondIds, load_second_ids
from serving.state.tombstones import write_tombstone


def main() -> int:
    """Run the command; return 1 where lines remain to be erased, 2 where it failed."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.exposure",
        description="Erases from an exposure log's complete files shoppers by their ids, and whom the service was asked to forget.",
        epilog="Environment: SHELFRANK_LOG_SALT, as the service has it.",
    )
    parser.add_argument("what", choices=["forget"])
    parser.add_argument("dataset", type=Path, metavar="DATASET.yaml")
    parser.add_argument("log", type=Path, metavar="LOG", help="its folder")
    parser.add_argument("shoppers", nargs="*", metavar="SHOPPER", help="ids as the shop has them")
    parser.add_argument("--state", type=Path, metavar="DIR", help="`state` of the last ingestion, for the shoppers' second ids")
    args = parser.parse_args()
    try:
        salt = bytes.fromhex(os.environ.get("SHELFRANK_LOG_SALT", "")) or None
        dataset = load_dataset(args.dataset)
        rows, now_us = EventRows(dataset), time.time_ns() // 1000
        second_ids = SecondIds() if args.state is None else load_second_ids(args.state, dataset)
        for shopper in map(id_text, args.shoppers):
            keys = pseudonyms_of(shopper, second_ids, salt, now_us=now_us)
            for name in dict.fromkeys([*second_ids.all_ids(shopper, now_us), *keys]):
                write_tombstone(args.log, name, now_us=now_us)
            for key in keys:
                request_erasure(args.log, key, now_us=now_us)
        erased = erase(args.log, rows)
    except (ShelfRankError, OSError, ValueError) as error:
        print(f"the log can't forget: {error}", file=sys.stderr)
        return 2
    print(f"{erased.lines} lines erased from {erased.files} files")
    if erased.waiting:
        print(f"{erased.waiting} shoppers may have lines in files that are still written; run this again when those are complete")
    partly = bool(args.shoppers) and dataset.identities is not None and args.state is None
    if partly:
        print(
            "only the ids that were named are erased: the dataset file has second ids (`identities`), and which are whose stands in"
            " catalogue/identities.parquet of the last ingestion's state; run this again with `--state DIR`"
        )
    return 1 if erased.waiting or partly else 0


if __name__ == "__main__":
    sys.exit(main())
