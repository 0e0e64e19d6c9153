"""Measure Redis's memory for shoppers' state: bytes per shopper, and of a million shoppers.

    python -m benchmarks.serving.redis_memory [--users 100000]

Starts a private `redis-server`, loads random shoppers of the simulated shop's dataset file, each with the same number
of clicks and three lists shown for each click, and reads the growth of Redis's memory: keys, values and its own
overhead.
"""

import argparse
import shutil
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import redis

from components.contract.load import load_dataset
from components.state.reducer import State, empty, rules
from components.state.store import Event, apply_events
from serving.state.interface import plans_of
from serving.state.item_codes import ItemCodes
from serving.state.partitions import TAGS, partition_of
from serving.state.values import encoded, schema_version

DATASET = Path(__file__).parents[2] / "examples" / "simulated_shop.yaml"
START_US, DAY_US = 1_770_000_000_000_000, 86_400_000_000
ITEMS = 20_000
TTL_S = 90 * 86_400
BATCH = 2_000


def started() -> tuple["subprocess.Popen[bytes]", "redis.Redis"]:
    """Run a private server on a free port."""
    server = shutil.which("redis-server")
    if server is None:
        raise SystemExit("no redis-server here: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([server, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    return process, redis.Redis(port=port)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    users = parser.parse_args().users
    dataset = load_dataset(DATASET)
    plan = plans_of(dataset).users
    codes = ItemCodes(f"p{n:09d}" for n in range(ITEMS))
    prefix = f"sr:{schema_version(dataset.name, 'users', plan)}:".encode()
    process, client = started()
    try:
        for taken in (0, 3, 10, 30):
            client.flushall()
            before, size = client.info("memory")["used_memory"], 0
            draw = np.random.default_rng(taken)
            for first in range(0, users, BATCH):
                n = min(BATCH, users - first)
                state: State = empty(plan, n)
                # Three lists of fifteen and then a click, and a list after the last one.
                clicked = np.arange(4 * taken + 1) % 4 == 3
                times = np.sort(START_US + draw.integers(0, 60 * DAY_US, (n, len(clicked))), axis=1)
                items = draw.integers(ITEMS, size=times.shape)
                rows, events = [], []
                for row, index in np.ndindex(times.shape):
                    click, time_us = bool(clicked[index]), int(times[row, index])
                    rows.append(row)
                    action = ("click", int(items[row, index]), 1) if click else ("impression", -1, 15)
                    events.append(Event("", time_us, *action, session=index + 1))
                apply_events(plan, state, rows, events, rules(plan))
                values = encoded(plan, state, range(n), [draw.bytes(8) for _ in range(n)], codes)
                with client.pipeline(transaction=False) as pipeline:
                    for row, value in enumerate(values):
                        user = f"u{first + row:09d}".encode()
                        pipeline.set(prefix + TAGS[partition_of(user)] + user, value, ex=TTL_S)
                    pipeline.execute()
                size += sum(map(len, values))
            used = client.info("memory")["used_memory"] - before
            print(
                f"history of {taken:2d}: value {size / users:.0f} bytes, Redis {used / users:.0f} bytes a shopper,"
                f" {used / users * 1e6 / 2**30:.2f} GiB a million"
            )
    finally:
        client.close()
        process.terminate()
        process.wait(timeout=30)


if __name__ == "__main__":
    main()
