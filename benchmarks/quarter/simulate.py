"""Simulate the days of a policy, each in a process that is replaced after some: TensorFlow keeps 0.3 GB of each training."""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from benchmarks.quarter.cost import Meter
from benchmarks.quarter.policies import Never, Night, Nightly, Ours, Policy, serve
from benchmarks.quarter.result import NIGHTLY, OURS
from benchmarks.quarter.shop import Quarter, Shop, dataset_text, make_shop
from benchmarks.quarter.training import Workshop, first_release
from components.contract.storage.atomic_files import write_whole

EVERY_DAYS = 5.0
MODEL: Mapping[str, Any] = {"epochs": 4, "averaging": 0.98, "warm_start": True, "warm_window": "7d"}

_DAYS_A_PROCESS = 15


@dataclass(frozen=True)
class _Simulation:
    policy: Policy
    shop: Shop
    workshop: Workshop


def simulate(quarter: Quarter, work: Path, name: str) -> None:
    """Simulate the days of a policy that the folder doesn't hold yet."""
    folder = made_folder(work / name)
    began, ahead = time.monotonic(), [day for day in range(quarter.days) if not (folder / f"{day:03d}.json").exists()]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=_DAYS_A_PROCESS) as processes:
        for done, day in enumerate(ahead, 1):
            did = processes.submit(simulate_day, quarter, work, name, day).result()
            left = (time.monotonic() - began) / done * (len(ahead) - done) / 60
            print(f"seed {quarter.seed}, {name}: day {day}, {did or '-'}; {left:.0f} min left", file=sys.stderr, flush=True)


def simulate_day(quarter: Quarter, work: Path, name: str, day: int) -> str:
    """Serve a day, do what the policy does in the night after it, and write both; return what it did."""
    simulation, folder = _simulation(quarter, work, name), work / name
    serve(simulation.policy, simulation.shop, folder, day)
    night = simulation.policy.after(day) if day < quarter.days - 1 else Night()
    seconds = simulation.workshop.meter.taken()
    write_whole(folder / f"{day:03d}.json", json.dumps(asdict(night) | {"seconds": seconds}).encode())
    return night.did


@lru_cache(maxsize=1)
def _simulation(quarter: Quarter, work: Path, name: str) -> _Simulation:
    """Return a policy as its folder left it."""
    logging.getLogger("shelfrank.progress").setLevel(logging.ERROR)
    shop = make_shop(quarter, work / "shop", dataset_text(quarter.seed, **MODEL))
    first = first_release(Workshop(shop, made_folder(work / "start"), Meter()), quarter)
    workshop = Workshop(shop, work / name, Meter())
    policy: Policy = Never(first)
    if name == NIGHTLY:
        policy = Nightly(first, workshop)
    elif name == OURS:
        policy = Ours(quarter, workshop, first, every_days=EVERY_DAYS)
    return _Simulation(policy, shop, workshop)


def made_folder(folder: Path) -> Path:
    """Return a folder that exists."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
