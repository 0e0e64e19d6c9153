"""On a simulated shop: what is lent to new products goes with how attractive they truly are; the prior, one number for all, can't."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.serving.neighbours import main
from components.contract.load import load_dataset
from components.simulator import ShopConfig, simulate
from components.state.features import smoothed_rate
from serving.neighbours.content import content_space, content_vectors
from serving.neighbours.nearest import nearest
from serving.neighbours.neighbor_prior import lent_rates

ROOT = Path(__file__).resolve().parents[3]


class Lent(NamedTuple):
    """Of each product that came in the second half: the rate lent, its true chance of a click when shown, and the prior."""

    rate: NDArray[np.float32]
    truth: NDArray[np.float64]
    prior: float


@pytest.fixture(scope="module", params=[5, 6])
def lent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lent:
    shop = simulate(tmp_path_factory.mktemp("lent") / "shop", ShopConfig(events=120_000, days=20, products=600, seed=request.param)).out
    dataset = load_dataset(ROOT / "examples/simulated_shop.yaml")
    items, events = pl.read_parquet(shop / "items.parquet"), pl.read_parquet(shop / "events/*.parquet")
    middle = events.select(pl.col("time").min() + (pl.col("time").max() - pl.col("time").min()) / 2).item()
    early = events.filter(pl.col("time") < middle).group_by("item_id")
    seen = early.agg(n=(pl.col("action") == "click").sum(), d=(pl.col("action") == "impression").sum())
    true = pl.read_parquet(shop / "truth/relevance-*.parquet").group_by("item_id").agg(pl.col("click_probability").mean(), shown=pl.len())
    table = items.join(seen, on="item_id", how="left", maintain_order="left").join(true, on="item_id", how="left", maintain_order="left")
    table = table.with_columns(pl.col("n", "d", "shown", "click_probability").fill_null(0))
    prior = float(table["n"].sum() / table["d"].sum())
    rates = smoothed_rate(table["n"].to_numpy(), table["d"].to_numpy(), prior=prior, strength=20)
    columns = {feature.name: items[feature.key].to_list() for feature in dataset.input_features("items", side="item")}
    vectors = content_vectors(content_space(dataset, columns), columns)
    old = (table["created"] < middle).to_numpy()
    lenders = np.flatnonzero(old & (table["d"].to_numpy() >= 20))
    new = np.flatnonzero(~old & (table["shown"].to_numpy() >= 20))
    assert len(new) > 20
    rate = lent_rates(rates[lenders], nearest(vectors[lenders], vectors[new], count=20), prior=prior)
    return Lent(rate, table["click_probability"].to_numpy()[new], prior)


def test_lent_rates_go_with_the_truth(lent: Lent) -> None:
    assert spearmanr(lent.rate, lent.truth)[0] > 0.4


def test_lent_rates_are_nearer_to_the_truth_than_the_prior(lent: Lent) -> None:
    """Both freed of their mean: new products stand lower on the page than old ones did, which is neither's fault."""
    error = (lent.rate - lent.rate.mean()) - (lent.truth - lent.truth.mean())
    assert np.mean(error**2) < 0.8 * np.var(lent.truth)


def test_the_benchmark_runs(tmp_path: Path) -> None:
    main(["--products", "500", "--queries", "1", "3", "--json", str(tmp_path / "rows.json")])
    assert len(pl.read_json(tmp_path / "rows.json")) == 2
