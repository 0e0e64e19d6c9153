"""Draw the shop's shoppers and products: latent vectors, and the observable attributes that derive from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.simulator import vocabulary
from components.simulator.config import ShopConfig, midnight_us
from components.simulator.season import DAY_US, WEEK_US

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

DIM: Final = len(vocabulary.STYLES)
TREATMENT_SALT: Final = "shop-treatment"

_OWN_TASTE = 0.15
_SEGMENT_KNOWN = 0.95
_SHOPPERS_AT_START = 0.6
_PRODUCTS_AT_START = 0.75
_BRAND_QUALITY_SD = 0.4
_OWN_QUALITY_SD = 0.25
_PRICE_SENSITIVITY_BY_AGE = np.array([1.6, 1.3, 1.0, 0.8, 0.5, 0.3])
_SALE_SHARE = 0.1
_SALE_FACTOR = 0.8


@dataclass(frozen=True)
class Shoppers:
    """All shoppers of the log, by time of creation; arrays of shape (shoppers,), `taste` (shoppers, DIM)."""

    user_id: pa.StringArray
    created_us: Ints
    kind: Ints
    segment: Ints
    age_band: Ints
    country: Ints
    activity: Floats
    taste: Floats
    taste_after_drift: Floats
    price_sensitivity: Floats
    treated: Flags


@dataclass(frozen=True)
class Products:
    """All products of the log, by category, then time of creation; shape (products,), `kind` (products, DIM).

    `sale` (products, weeks) is whether a product is on sale in a week of the log. `rows` (categories + 1,) are the
    bounds of each category's range of rows.
    """

    item_id: pa.StringArray
    created_us: Ints
    category: Ints
    brand: Ints
    kind: Floats
    quality: Floats
    popularity: Floats
    list_price: Floats
    relative_price: Floats
    sale: Flags
    rows: Ints


@dataclass(frozen=True)
class World:
    """Shoppers, products, and the vectors and seasons of categories."""

    config: ShopConfig
    shoppers: Shoppers
    products: Products
    category_kind: Floats
    category_phase: Floats
    word_kind: Floats

    def price(self, item: Ints, time_us: int) -> tuple[Floats, Floats]:
        """Return the prices of products in the week of a time, and their log-ratios to the category's typical price."""
        sale = self.products.sale[item, (time_us - self.config.start_us) // WEEK_US]
        shown = np.round(self.products.list_price[item] * np.where(sale, _SALE_FACTOR, 1.0), 2)
        return shown, self.products.relative_price[item] + np.where(sale, np.log(_SALE_FACTOR), 0.0)


def build_world(config: ShopConfig) -> World:
    """Draw the shoppers and products of a config."""
    rng = np.random.default_rng([config.seed, 0])
    n_categories = len(vocabulary.CATEGORIES)
    category_kind = _unit(rng, n_categories)
    return World(
        config=config,
        category_kind=category_kind,
        category_phase=rng.random(n_categories),
        word_kind=_unit(rng, len(vocabulary.ADJECTIVES)),
        shoppers=_shoppers(rng, config),
        products=_products(rng, config, category_kind),
    )


def is_treated(user_id: str, share: float, salt: str = TREATMENT_SALT) -> bool:
    """Return whether a shopper is treated: 8 bytes of BLAKE2b(`salt:user_id`), over 2^64, are below `share`."""
    digest = hashlib.blake2b(f"{salt}:{user_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < share


def _shoppers(rng: np.random.Generator, config: ShopConfig) -> Shoppers:
    n = config.n_shoppers
    n_types = len(vocabulary.TYPES)
    created_us = _created(rng, config, n, _SHOPPERS_AT_START)
    kind = rng.integers(n_types, size=n)
    taste = _spread(rng, n_types)[kind] + _OWN_TASTE * _unit(rng, n)
    age_peak = np.linspace(0, len(vocabulary.AGE_BANDS) - 1, n_types)[kind]
    age_band = np.clip(np.rint(age_peak + rng.normal(0, 1.5, n)), 0, len(vocabulary.AGE_BANDS) - 1).astype(np.int64)
    user_id = _ids("u", n)
    return Shoppers(
        user_id=user_id,
        created_us=created_us,
        kind=kind,
        segment=np.where(rng.random(n) < _SEGMENT_KNOWN, kind, rng.integers(n_types, size=n)),
        age_band=age_band,
        country=rng.choice(len(vocabulary.COUNTRIES), size=n, p=[0.35, 0.2, 0.2, 0.1, 0.15]),
        activity=rng.lognormal(0, 0.6, n),
        taste=taste,
        taste_after_drift=taste @ _rotation(rng, np.deg2rad(config.drift_degrees)).T,
        price_sensitivity=_PRICE_SENSITIVITY_BY_AGE[age_band] + rng.normal(0, 0.1, n),
        treated=np.array([is_treated(user, config.treatment) for user in user_id.to_pylist()], dtype=np.bool_),
    )


def _products(rng: np.random.Generator, config: ShopConfig, category_kind: Floats) -> Products:
    n, n_categories, n_brands = config.n_products, len(category_kind), len(vocabulary.BRANDS)
    # Round robin, so that each category has equally many products from the first day, whatever the seed.
    category = np.arange(n) % n_categories
    created_us = _created(rng, config, n, _PRODUCTS_AT_START)
    rng.shuffle(created_us)
    order = np.lexsort((created_us, category))
    category, created_us = category[order], created_us[order]
    age_rank = np.argsort(np.argsort(created_us, kind="stable"))
    brand = rng.integers(n_brands, size=n)
    premium = 0.3 * _standard(rng, n_brands)
    relative_price = premium[brand] + rng.normal(0, 0.3, n)
    typical = np.array([category.price for category in vocabulary.CATEGORIES.values()])
    quality = _BRAND_QUALITY_SD * _standard(rng, n_brands)[brand] + rng.normal(0, _OWN_QUALITY_SD, n)
    kind = 0.7 * category_kind[category] + 0.7 * _unit(rng, n_brands)[brand] + 0.2 * _unit(rng, n)
    weeks = -(-config.days // 7)
    return Products(
        item_id=_ids("p", n).take(pa.array(age_rank)),
        created_us=created_us,
        category=category,
        brand=brand,
        kind=kind / np.linalg.norm(kind, axis=1, keepdims=True),
        quality=quality,
        popularity=0.5 * quality + rng.normal(0, 0.5, n),
        list_price=np.round(typical[category] * np.exp(relative_price), 2),
        relative_price=relative_price,
        sale=rng.random((n, weeks)) < _SALE_SHARE,
        rows=np.searchsorted(category, np.arange(n_categories + 1)),
    )


def _created(rng: np.random.Generator, config: ShopConfig, n: int, at_start: float) -> Ints:
    """Draw sorted times of creation: the share `at_start` in the year before the log, the rest uniformly during it."""
    n_old = int(np.ceil(n * at_start))
    old = midnight_us(config.start) - rng.integers(1, 365 * DAY_US, n_old)
    new = midnight_us(config.start) + rng.integers(0, config.days * DAY_US, n - n_old)
    return np.sort(np.concatenate([old, new]))


def _ids(letter: str, n: int) -> pa.StringArray:
    width = max(6, len(str(n - 1)))
    return pa.array([f"{letter}{i:0{width}d}" for i in range(n)], pa.string())


def _standard(rng: np.random.Generator, n: int) -> Floats:
    """Draw numbers of mean 0 and standard deviation 1 exactly, so that all seeds are equally difficult."""
    drawn = rng.normal(size=n)
    standard: Floats = (drawn - drawn.mean()) / drawn.std()
    return standard


def _unit(rng: np.random.Generator, n: int) -> Floats:
    vectors = rng.normal(size=(n, DIM))
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _spread(rng: np.random.Generator, n: int) -> Floats:
    """Draw orthonormal vectors, so that the types of shopper differ as much as possible; n <= DIM."""
    q, r = np.linalg.qr(rng.normal(size=(DIM, DIM)))
    return (q * np.sign(np.diag(r))).T[:n]


def _rotation(rng: np.random.Generator, angle: float) -> Floats:
    """Draw a rotation by one angle in DIM / 2 orthogonal planes; shape (DIM, DIM)."""
    basis = _spread(rng, DIM)
    turn = np.zeros((DIM, DIM))
    for i in range(0, DIM, 2):
        turn[i : i + 2, i : i + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    rotation: Floats = basis.T @ turn @ basis
    return rotation
