"""The shop's texts read like a shop's and carry as much as the made-up words before them did; nothing but texts depends on them."""

import re
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from components.simulator import ShopConfig, ShopSummary, simulate, vocabulary
from components.simulator.slates import query_texts


@dataclass(frozen=True)
class Before:
    """Figures of a shop as it was when its words were made up (`cinderlined brooksoft lamp Alder`)."""

    auc: float
    click_rate: float
    events: tuple[int, ...]  # search, impression, click, cart, purchase
    revenue: float
    pages: tuple[float, ...]  # share of requests: category, home, search
    categories: tuple[float, ...]  # share of impressions, by name
    distinct_titles: float
    shared: tuple[float, float]  # vocabulary words that two titles share: products alike (cosine > 0.8), unrelated ones (within 0.2 of 0)
    explained: float  # share of the kinds' variance that titles explain
    specific: float  # share of searched impressions whose query has a word of the vocabulary
    lift: float  # share of a query's words in the titles of clicked candidates, less that of others


BEFORE = {
    1: Before(
        auc=0.80980,
        click_rate=0.09762,
        events=(2929, 49018, 4785, 1930, 1122),
        revenue=47591.73,
        pages=(0.1906, 0.1510, 0.6584),
        categories=(0.1165, 0.0539, 0.0538, 0.0829, 0.0749, 0.0527, 0.0940, 0.0852, 0.0808, 0.0669, 0.1405, 0.0979),
        distinct_titles=0.992,
        shared=(0.4879, 0.0160),
        explained=0.885,
        specific=0.4079,
        lift=0.0932,
    ),
    3: Before(
        auc=0.77203,
        click_rate=0.10259,
        events=(2862, 49067, 5034, 1847, 976),
        revenue=62615.31,
        pages=(0.2152, 0.1432, 0.6416),
        categories=(0.1639, 0.0729, 0.0633, 0.0945, 0.0812, 0.0501, 0.0749, 0.0542, 0.1102, 0.0679, 0.0703, 0.0965),
        distinct_titles=0.983,
        shared=(0.4897, 0.0178),
        explained=0.898,
        specific=0.3943,
        lift=0.1062,
    ),
}


@dataclass(frozen=True)
class Shop:
    summary: ShopSummary
    before: Before
    items: pl.DataFrame
    events: pl.DataFrame
    kind: NDArray[np.float64]  # (products, 8)

    @property
    def shown(self) -> pl.DataFrame:
        """Impressions with their product and whether they were clicked."""
        key = ["request_id", "item_id"]
        clicks = self.events.filter(pl.col("action") == "click").select(*key, clicked=pl.lit(True))
        impressions = self.events.filter(pl.col("action") == "impression").join(clicks, on=key, how="left")
        return impressions.join(self.items, on="item_id").with_columns(pl.col("clicked").fill_null(False))


@pytest.fixture(scope="module", params=BEFORE)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    summary = simulate(tmp_path_factory.mktemp("language") / "shop", ShopConfig(events=60_000, days=20, seed=request.param))
    items = pl.read_parquet(summary.out / "items.parquet")
    truth = items.select("item_id").join(
        pl.read_parquet(summary.out / "truth/items.parquet"), on="item_id", how="left", maintain_order="left"
    )
    return Shop(summary, BEFORE[request.param], items, pl.read_parquet(summary.out / "events/*.parquet"), truth["kind"].to_numpy())


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def planted(text: str) -> set[str]:
    return words_of(text) & set(vocabulary.ADJECTIVES)


def test_what_happens_is_what_happened_before(shop: Shop) -> None:
    """Within what another processor's rounding may change; here it is the same to the last digit."""
    before, summary = shop.before, shop.summary
    assert summary.truth_auc == pytest.approx(before.auc, abs=1e-3)
    assert summary.click_rate == pytest.approx(before.click_rate, abs=1e-3)
    assert tuple(summary.events.values()) == pytest.approx(before.events, rel=0.01)
    assert summary.revenue == pytest.approx(before.revenue, rel=0.02)


def test_shares_of_pages_and_categories_are_as_before(shop: Shop) -> None:
    requests, shown = shop.shown.unique("request_id"), shop.shown
    for frame, column, shares in ((requests, "page", shop.before.pages), (shown, "category", shop.before.categories)):
        counted = frame.group_by(column).len().sort(column)["len"] / len(frame)
        assert counted.to_list() == pytest.approx(shares, abs=2e-3)


def test_a_title_is_a_brand_a_product_and_a_detail(shop: Shop) -> None:
    for title, brand, name in shop.items.select("title", "brand", "category").iter_rows():
        category = vocabulary.CATEGORIES[name]
        product_name, _, detail = title.removeprefix(f"{brand} ").partition(", ")
        assert title.startswith(f"{brand} {product_name}")
        assert product_name in {vocabulary.phrase(category, noun, word) for noun, word in product(category.nouns, range(96))}
        word, _, part = detail.partition(" ")
        assert word in vocabulary.ADJECTIVES
        assert part == category.parts[vocabulary.ADJECTIVES.index(word) // 24]
        assert len(planted(title)) == 2
        assert title[0].isupper()
        assert title.removeprefix(brand).islower()


def test_titles_tell_products_apart_as_well_as_before(shop: Shop) -> None:
    assert shop.items["title"].n_unique() / len(shop.items) >= shop.before.distinct_titles - 0.01


def test_a_description_is_a_sentence_with_the_words_of_the_title_and_two_more(shop: Shop) -> None:
    plural = "|".join(
        part for category in vocabulary.CATEGORIES.values() for part in (*category.parts, *category.nouns) if part.endswith("s")
    )
    wrong = re.compile(rf"\b(a [aeiou]|an [^aeiou]|an? (\w+, )?(\w+ and )?\w+ ({plural})\b|this ([a-z]+ )?({plural})\b)")
    for title, brand, description in shop.items.select("title", "brand", "description").iter_rows():
        assert re.fullmatch(rf"{brand} gives (this|these) [a-z, ]+\.", description)
        assert not wrong.search(description)
        assert planted(title) < planted(description)
        assert len(planted(description)) == 4


def test_the_sentences_articles_and_lists() -> None:
    lighting, bags = vocabulary.CATEGORIES["lighting"], vocabulary.CATEGORIES["bags"]
    brass, oak, sage, linen = (vocabulary.ADJECTIVES.index(word) for word in ("brass", "oak", "sage", "linen"))
    assert vocabulary.phrase(lighting, "table lamp", linen) == "linen table lamp"
    assert vocabulary.phrase(bags, "satchel", brass) == "satchel with brass clasp"
    assert vocabulary.details(lighting, [brass, sage, oak]) == ["brass and oak foot", "sage cord"]
    assert vocabulary.details(bags, [linen]) == ["linen straps"]
    assert [vocabulary.listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_the_vocabulary_has_96_words_of_its_own() -> None:
    """A word that is also a noun or a part would stand in titles it wasn't drawn for."""
    categories = vocabulary.CATEGORIES.values()
    others = words_of(
        " ".join(text for each in categories for text in (*each.nouns, *each.phrases, *each.parts)) + " ".join(vocabulary.BRANDS)
    )
    assert len(set(vocabulary.ADJECTIVES)) == len(vocabulary.ADJECTIVES) == 96
    assert all(word.isalpha() and word.islower() for word in vocabulary.ADJECTIVES)
    assert not set(vocabulary.ADJECTIVES) & others


def test_no_part_of_a_product_is_named_twice() -> None:
    for category in vocabulary.CATEGORIES.values():
        named = [*category.parts, *(words_of(phrase) - {"with", "in", "bound"} for phrase in category.phrases)]
        parts = [part for each in named for part in ([each] if isinstance(each, str) else each)]
        assert len(parts) == len(set(parts))


def test_each_query_is_a_text_of_its_own() -> None:
    queries = query_texts()
    assert len(set(queries)) == len(queries) == 24 * 97
    assert {"brass table lamp", "warm parka", "teapot with wool cosy", "novel"} < set(queries)


def test_products_alike_share_words_and_others_do_not_as_before(shop: Shop) -> None:
    likeness = shop.kind @ shop.kind.T
    has = np.array([[word in planted(title) for word in vocabulary.ADJECTIVES] for title in shop.items["title"]], dtype=np.int64)
    shared, pairs = has @ has.T, np.triu(np.ones_like(likeness, dtype=np.bool_), 1)
    figures = [shared[pairs & chosen].mean() for chosen in (likeness > 0.8, np.abs(likeness) < 0.2)]
    assert figures == pytest.approx(shop.before.shared, abs=0.01)


def test_titles_explain_as_much_of_the_kinds_as_before(shop: Shop) -> None:
    """By ridge regression of the kinds on the titles' words, on products left out of the fit."""
    sets = [words_of(title) for title in shop.items["title"]]
    has = np.array([[word in each for word in sorted(set().union(*sets))] for each in sets], dtype=np.float64)
    fold, left = np.random.default_rng(0).integers(5, size=len(has)), np.empty_like(shop.kind)
    for n in range(5):
        x, y = has[fold != n], shop.kind[fold != n]
        centred = x - x.mean(axis=0)
        slope = np.linalg.solve(centred.T @ centred + np.eye(x.shape[1]), centred.T @ (y - y.mean(axis=0)))
        left[fold == n] = shop.kind[fold == n] - y.mean(axis=0) - (has[fold == n] - x.mean(axis=0)) @ slope
    explained = 1 - np.sum(left**2) / np.sum((shop.kind - shop.kind.mean(axis=0)) ** 2)
    assert explained == pytest.approx(shop.before.explained, abs=0.02)


def test_as_many_queries_have_a_word_of_the_vocabulary_as_before(shop: Shop) -> None:
    queries = shop.shown.filter(pl.col("page") == "search")["query"]
    assert np.mean([bool(planted(query)) for query in queries]) == pytest.approx(shop.before.specific, abs=2e-3)


def test_a_query_shares_more_words_with_clicked_titles_than_with_others_as_before(shop: Shop) -> None:
    searched = shop.shown.filter(pl.col("page") == "search")
    share = np.array([len(words_of(q) & words_of(t)) / len(words_of(q)) for q, t in searched.select("query", "title").iter_rows()])
    clicked = searched["clicked"].to_numpy()
    assert share[clicked].mean() - share[~clicked].mean() == pytest.approx(shop.before.lift, abs=0.02)
