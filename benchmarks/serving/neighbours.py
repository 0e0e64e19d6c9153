"""Measure time and memory of the exact search for neighbours among many products.

    python -m benchmarks.serving.neighbours [--products 1000000] [--queries 1 10 100] [--json FILE]

Products are random: a category, a brand, a title of five words out of 50,000, a price.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from components.contract.load import parse_dataset
from serving.neighbours.content import Columns, content_space, content_vectors
from serving.neighbours.nearest import nearest

DATASET = parse_dataset("""
name: drawn
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r}}
items: {path: i.csv, id: id}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
features:
  - {name: category, kind: category, side: item}
  - {name: brand, kind: category, side: item}
  - {name: title, kind: text, side: item}
  - {name: price, kind: number, side: item, log: true}
""")
NEIGHBOURS = 20
REPEATS = 5


@dataclass(frozen=True)
class Row:
    """Row of the table: `queries` at once, the minimal time of some repetitions."""

    products: int
    queries: int
    search_ms: float
    vectors_mb: float
    vectors_s: float


def drawn(products: int) -> Columns:
    """Draw the catalogue."""
    rng = np.random.default_rng(0)
    words = rng.zipf(1.3, (products, 5)) % 50_000
    return {
        "category": [f"c{n}" for n in rng.integers(0, 500, products)],
        "brand": [f"b{n}" for n in rng.zipf(1.5, products) % 5_000],
        "title": [" ".join(f"w{n}" for n in row) for row in words.tolist()],
        "price": rng.lognormal(3, 1, products),
    }


def measured(products: int, queries: list[int]) -> list[Row]:
    """Measure a row for each number of queries."""
    columns = drawn(products)
    began = time.perf_counter()
    vectors = content_vectors(content_space(DATASET, columns), columns)
    made_s = time.perf_counter() - began
    rows = []
    for number in queries:
        queried = vectors[np.random.default_rng(1).integers(0, products, number)]
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            nearest(vectors, queried, count=NEIGHBOURS)
            times.append(time.perf_counter() - began)
        rows.append(Row(products, number, 1000 * min(times), vectors.nbytes / 1e6, made_s))
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Exact nearest neighbours.")
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 10, 100], help="at once")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    rows = measured(args.products, args.queries)
    table = Table("products", "queries at once", "search, ms", "vectors, MB", "made in, s")
    for row in rows:
        table.add_row(f"{row.products:,}", str(row.queries), f"{row.search_ms:,.1f}", f"{row.vectors_mb:,.0f}", f"{row.vectors_s:,.1f}")
    Console(width=120).print(table)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
