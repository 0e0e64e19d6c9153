"""Purchases drawn at random have no signal: boosted trees that see all features of the candidates tell none of them from the others."""

from itertools import chain
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from tests.components.ingest.generators.random_shops import DAY_US, START_US, Columns, ingested

PURCHASES, DAYS, SHOPPERS = 14_000, 60, 300
WINDOWS = {"train": 0.5, "eval": 0.1, "test": 0.4}
STANDARD_ERRORS = 3.5
SHOP = """\
name: noise
events:
  path: bought.parquet
  columns: {{time: at, user: user, item: item, request: basket}}
  action: purchase
actions:
  purchase: {{label: 1}}
candidates: {{from: sampling, group: {group}, negatives: {negatives}, weight: {weight}, window: {span}}}
half_lives: [1h, 1d, 7d, 30d]
windows: {{eval: 10%, test: 40%}}
features:
  - {{name: hour, kind: category, side: context, column: time.hour}}
  - {{name: session_events, kind: state, side: context, measure: session_events}}
  - {{name: history, kind: history, side: user, length: 20, actions: [purchase], fields: [item]}}
  - {{name: user_total, kind: state, side: user, measure: total, action: purchase}}
  - {{name: item, kind: id, side: item}}
  - {{name: bought, kind: state, side: item, measure: count, action: purchase}}
  - {{name: bought_ever, kind: state, side: item, measure: total, action: purchase}}
  - {{name: bought_age, kind: state, side: item, measure: recency, action: purchase}}
"""


def write_noise(folder: Path, *, law: NDArray[np.float64], basket: int, seed: int) -> None:
    """Baskets at random times by random shoppers, of so many items drawn by the law."""
    draw = np.random.default_rng(seed)
    baskets = PURCHASES // basket
    times = np.sort(START_US + draw.integers(0, DAYS * DAY_US, baskets))
    users, names = draw.integers(0, SHOPPERS, baskets), np.arange(baskets)
    columns: dict[str, Any] = {"at": times, "user": np.char.add("u", users.astype(str)), "basket": np.char.add("b", names.astype(str))}
    table = pa.table({name: np.repeat(values, basket) for name, values in columns.items()})
    items = draw.choice(len(law), baskets * basket, p=law)
    pq.write_table(table.append_column("item", pa.array(np.char.add("i", items.astype(str)))), folder / "bought.parquet")


def law_of(name: str, items: int) -> NDArray[np.float64]:
    """How likely each item is to be bought."""
    weights = 1 / np.arange(1, items + 1) ** {"uniform": 0.0, "skewed": 0.6, "steep": 1.0}[name]
    return np.asarray(weights / weights.sum())


def seen(examples: dict[Any, Columns], frequency: dict[str, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a learner could go by, a row a candidate: every number, the item itself and how often it stands in the training examples."""
    rows, labels = [], []
    for columns in examples.values():
        items = columns["item"]
        numbers = [values for name, values in sorted(columns.items()) if name.startswith("bought") and len(values) == len(items)]
        own = columns["history_item"]
        of_request = [float(columns["hour"][0]), columns["session_events"][0], columns["user_total"][0]]
        for index, item in enumerate(items):
            rows.append(
                [
                    *(values[index] for values in numbers),
                    *of_request,
                    float(item[1:]),
                    frequency.get(item, 0),
                    own.count(item),
                    index / len(items),
                ]
            )
        labels += columns["label"]
    return np.array(rows), np.array(labels)


def auc(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    positive = labels > 0
    ranks = rankdata(scores)
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(labels) - n)))


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("purchases_an_item", "law", "options"),
    [
        (3, "uniform", {}),
        (14, "uniform", {}),
        (33, "uniform", {}),
        pytest.param(3, "skewed", {}, marks=SLOW),
        pytest.param(14, "skewed", {}, marks=SLOW),
        pytest.param(33, "steep", {}, marks=SLOW),
        pytest.param(14, "uniform", {"weight": "uniform", "span": "7d"}, marks=SLOW),
        (14, "steep", {"group": "request", "basket": 5}),
        pytest.param(33, "skewed", {"span": "2d", "negatives": 20}, marks=SLOW),
    ],
)
def test_boosted_trees_find_nothing_in_noise(purchases_an_item: int, law: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Labels and all features are independent, so the AUC on the test window is 1/2 but for its error.

    The standard error of an AUC of scores without signal is sqrt((1/P + 1/N) / 12) (Mann and Whitney 1947) for P positives and N
    independent negatives. The negatives are takings of the window that are drawn again and again, so N is the number of takings: N = P.
    """
    shop = {"group": "event", "negatives": 4, "weight": "popularity", "span": "30d", "basket": 1} | options
    basket = int(shop.pop("basket"))
    write_noise(tmp_path, law=law_of(law, PURCHASES // purchases_an_item), basket=basket, seed=5)
    examples = ingested(SHOP.format(**shop), tmp_path, tmp_path / "out").examples
    items = chain.from_iterable(columns["item"] for columns in examples["train"].values())
    frequency = dict(zip(*(part.tolist() for part in np.unique(list(items), return_counts=True)), strict=True))
    train, test = (seen(examples[split], frequency) for split in ("train", "test"))
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1, "num_leaves": 31, "learning_rate": 0.05}
    trees = lightgbm.train(settings, lightgbm.Dataset(*train), num_boost_round=60)
    positives = int(test[1].sum())
    error = np.sqrt(2 / positives / 12)
    assert positives > PURCHASES * 0.3
    assert auc(test[1], np.asarray(trees.predict(test[0]))) == pytest.approx(0.5, abs=STANDARD_ERRORS * error)
