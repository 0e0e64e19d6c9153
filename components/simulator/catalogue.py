"""What the shop knows of its products and shoppers, as tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from components.simulator import vocabulary
from components.simulator.log import TIME
from components.simulator.world import Floats, Ints, World

_WORD_NOISE_SD = 0.15
_TAGS_FROM = 0.35


def items_table(world: World) -> pa.Table:
    """One row a product, by time of creation: names, list price, and words that carry the product's latent kind."""
    products = world.products
    rng = np.random.default_rng([world.config.seed, 2])
    order = np.argsort(products.created_us, kind="stable")
    names, categories = list(vocabulary.CATEGORIES), list(vocabulary.CATEGORIES.values())
    near = _nearest_words(world, rng)
    noun = rng.integers(2, size=len(order))
    title, description, tags = [], [], []
    for i in order:
        category, brand = categories[products.category[i]], vocabulary.BRANDS[products.brand[i]]
        first, *others = near[i].tolist()
        name = vocabulary.phrase(category, category.nouns[noun[i]], first)
        title.append(f"{brand} {name}, {vocabulary.details(category, others[:1])[0]}")
        this = "these" if category.nouns[noun[i]].endswith("s") else "this"
        details = vocabulary.listed([_with_article(each) for each in vocabulary.details(category, others)])
        description.append(f"{brand} gives {this} {name} {details}.")
        tags.append("|".join(_styles(products.kind[i])))
    return pa.table(
        {
            "item_id": products.item_id.take(pa.array(order)),
            "category": pa.array(names).take(pa.array(products.category[order])),
            "brand": pa.array(vocabulary.BRANDS).take(pa.array(products.brand[order])),
            "price": products.list_price[order],
            "title": title,
            "description": description,
            "tags": tags,
            "created": pa.array(products.created_us[order]).cast(TIME),
        }
    )


def users_table(world: World) -> pa.Table:
    """One row a shopper, by time of creation; `segment` is right for most and drawn by lot for the others."""
    shoppers = world.shoppers
    return pa.table(
        {
            "user_id": shoppers.user_id,
            "country": pa.array(vocabulary.COUNTRIES).take(pa.array(shoppers.country)),
            "age_band": pa.array(vocabulary.AGE_BANDS).take(pa.array(shoppers.age_band)),
            "segment": pa.array(vocabulary.TYPES).take(pa.array(shoppers.segment)),
            "created": pa.array(shoppers.created_us).cast(TIME),
        }
    )


def _nearest_words(world: World, rng: np.random.Generator) -> Ints:
    """The four adjectives nearest to each product's kind, somewhat noisily; shape (products, 4)."""
    kind, chunks = world.products.kind, []
    for low in range(0, len(kind), 100_000):
        likeness: Floats = kind[low : low + 100_000] @ world.word_kind.T
        likeness += rng.normal(0, _WORD_NOISE_SD, likeness.shape)
        chunks.append(np.argsort(-likeness, axis=1, kind="stable")[:, :4])
    return np.concatenate(chunks)


def _with_article(detail: str) -> str:
    return detail if detail.endswith("s") else f"{'an' if detail[0] in 'aeiou' else 'a'} {detail}"


def _styles(kind: Floats) -> list[str]:
    """The ends of those axes of the latent space along which a product lies far out; one at least."""
    far = np.flatnonzero(np.abs(kind) >= min(_TAGS_FROM, float(np.abs(kind).max())))
    return [vocabulary.STYLES[axis][int(kind[axis] < 0)] for axis in far]
