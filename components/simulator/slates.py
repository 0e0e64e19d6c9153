"""Draw sessions, their requests, and the candidates of each request in the shop's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from components.simulator import vocabulary
from components.simulator.season import DAY_US, category_season
from components.simulator.world import Floats, Ints, World

SEARCH, CATEGORY, HOME = range(3)
PAGE_SHARE: Final = np.array([0.65, 0.2, 0.15])
REQUESTS_STOP: Final = 1 / 3
MAX_REQUESTS: Final = 12
EXTRA_CANDIDATES_STOP: Final = 0.5

_DEVICE_BY_AGE = np.array([0.75, 0.7, 0.6, 0.5, 0.4, 0.3])  # share of mobile; the rest is 3/4 desktop
_INTENT_PERSISTENCE = 0.85
_INTENT_BY_TASTE = 1.5
_INTENT_SHARE = np.array([0.7, 1.0, 0.3])  # by page
_SPARE_DRAWS = 6
_ADJECTIVE_IN_QUERY = 0.4
_ORDER_BY_INTENT = 0.4
_STAY = 10  # products of each category that never leave, or a request might not find enough


@dataclass(frozen=True)
class Sessions:
    """Visits of one block of time; arrays of shape (sessions,)."""

    user: Ints
    start_us: Ints
    device: Ints
    n_requests: Ints


@dataclass(frozen=True)
class Requests:
    """Requests of those sessions, in order; arrays of shape (requests,). `query` is an index of `queries()`, or -1."""

    session: Ints
    user: Ints
    category: Ints
    page: Ints
    query: Ints


@dataclass(frozen=True)
class Slates:
    """Candidates of those requests, by request and position; arrays of shape (candidates,)."""

    request: Ints
    item: Ints
    position: Ints


def draw_sessions(world: World, rng: np.random.Generator, start_us: Ints, free_from_us: Ints) -> Sessions:
    """Draw the shopper of each of the sorted start times; at most one visit a block each, not before `free_from_us` (shoppers,)."""
    shoppers = world.shoppers
    weight = np.cumsum(shoppers.activity)
    n_created = np.searchsorted(shoppers.created_us, start_us)
    user = np.minimum(np.searchsorted(weight, rng.random(len(start_us)) * weight[n_created - 1], side="right"), n_created - 1)
    first = np.zeros(len(user), dtype=np.bool_)
    first[np.unique(user, return_index=True)[1]] = True
    keep = first & (start_us >= free_from_us[user])
    user, start_us = user[keep], start_us[keep]
    mobile = _DEVICE_BY_AGE[shoppers.age_band[user]]
    device = (rng.random(len(user))[:, None] > np.column_stack([mobile, mobile + 0.75 * (1 - mobile)])).sum(axis=1)
    n_requests = np.minimum(rng.geometric(REQUESTS_STOP, len(user)), MAX_REQUESTS)
    return Sessions(user=user, start_us=start_us, device=device, n_requests=n_requests)


def draw_requests(world: World, rng: np.random.Generator, sessions: Sessions, taste: Floats, time_us: int) -> Requests:
    """Draw the intents of each session: a category by taste and season, kept through most of the session."""
    session = np.repeat(np.arange(len(sessions.user)), sessions.n_requests)
    user = sessions.user[session]
    n = len(session)
    log_weight = _INTENT_BY_TASTE * taste[user] @ world.category_kind.T + category_season(time_us, world.category_phase)
    cumulative = np.cumsum(np.exp(log_weight), axis=1)  # (requests, categories)
    drawn = np.sum(rng.random(n)[:, None] * cumulative[:, -1:] > cumulative, axis=1)
    is_first = np.r_[True, session[1:] != session[:-1]] if n else np.zeros(0, dtype=np.bool_)
    redrawn = is_first | (rng.random(n) > _INTENT_PERSISTENCE)
    category = drawn[np.maximum.accumulate(np.where(redrawn, np.arange(n), 0))]
    page = np.searchsorted(np.cumsum(PAGE_SHARE)[:-1], rng.random(n))
    return Requests(session=session, user=user, category=category, page=page, query=_query(world, rng, taste[user], category, page))


def query_texts() -> list[str]:
    """All queries there can be, by index: each noun of each category alone, then with each adjective."""
    return [
        text
        for category in vocabulary.CATEGORIES.values()
        for noun in category.nouns
        for text in (noun, *(vocabulary.phrase(category, noun, word) for word in range(len(vocabulary.ADJECTIVES))))
    ]


def draw_slates(world: World, rng: np.random.Generator, requests: Requests, time_us: int) -> Slates:
    """Draw candidates on sale at a time, mostly of the intended category, in the order of a mediocre policy.

    The policy ranks by a noisy popularity, which correlates with quality: products at high positions would be clicked more anyway. The
    less noise the config adds to the order, the more surely a popular product is at a high position, whatever its relevance.
    """
    fewest, most = world.config.candidates
    n = len(requests.page)
    sizes = np.minimum(fewest - 1 + rng.geometric(EXTRA_CANDIDATES_STOP, n), most)
    draws = sizes + _SPARE_DRAWS
    from_intent = np.rint(draws * _INTENT_SHARE[requests.page]).astype(np.int64)
    sampler = _Sampler(world, time_us)
    pair = np.unique(
        np.concatenate(
            [
                sampler.draw_stratified(rng, requests.category, from_intent),
                sampler.draw_any(rng, np.repeat(np.arange(n), draws - from_intent)),
            ]
        )
    )
    while len(incomplete := np.flatnonzero(np.bincount(sampler.request(pair), minlength=n) < sizes)):
        pair = np.unique(np.concatenate([pair, sampler.draw_any(rng, np.repeat(incomplete, _SPARE_DRAWS))]))
    request, item = sampler.request(pair), sampler.item(pair)
    score = world.products.popularity[item] + _ORDER_BY_INTENT * (world.products.category[item] == requests.category[request])
    order = np.lexsort((-score - rng.normal(0, world.config.order_noise, len(item)), request))
    request, item = request[order], item[order]
    position = np.arange(len(request)) - np.searchsorted(request, np.arange(n))[request]
    shown = position < sizes[request]
    return Slates(request=request[shown], item=item[shown], position=position[shown])


class _Sampler:
    """Sampler of the products on sale at a time by popularity, as pairs `request * products + item`."""

    def __init__(self, world: World, time_us: int) -> None:
        products, days = world.products, world.config.product_days
        self._n = len(products.category)
        first = products.rows[:-1]
        come = np.add.reduceat(products.created_us < time_us, first)
        left = 0 if days is None else np.add.reduceat(products.created_us < time_us - days * DAY_US, first)
        self._low, self._high = first + np.clip(left, 0, np.maximum(come - _STAY, 0)), first + come
        self._weight = np.concatenate([[0.0], np.cumsum(np.exp(products.popularity))])

    def request(self, pair: Ints) -> Ints:
        return pair // self._n

    def item(self, pair: Ints) -> Ints:
        return pair % self._n

    def draw_stratified(self, rng: np.random.Generator, category: Ints, count: Ints) -> Ints:
        """Draw `count` products of one category for each request, stratified so that few coincide."""
        request = np.repeat(np.arange(len(count)), count)
        nth = np.arange(len(request)) - np.repeat(np.cumsum(count) - count, count)
        return self._pair(request, category[request], (nth + rng.random(len(request))) / count[request])

    def draw_any(self, rng: np.random.Generator, request: Ints) -> Ints:
        """Draw one product of any category for each element of `request`."""
        return self._pair(request, rng.integers(len(self._low), size=len(request)), rng.random(len(request)))

    def _pair(self, request: Ints, category: Ints, share: Floats) -> Ints:
        low, high = self._low[category], self._high[category]
        weight = self._weight[low] + share * (self._weight[high] - self._weight[low])
        item: Ints = np.clip(np.searchsorted(self._weight, weight, side="right") - 1, low, high - 1)
        return request * self._n + item


def _query(world: World, rng: np.random.Generator, taste: Floats, category: Ints, page: Ints) -> Ints:
    n = len(category)
    noun = 2 * category + rng.integers(2, size=n)
    options = rng.integers(len(world.word_kind), size=(n, 8))
    liking = np.einsum("nd,nwd->nw", taste, world.word_kind[options])
    best = options[np.arange(n), liking.argmax(axis=1)]
    adjective = np.where(rng.random(n) < _ADJECTIVE_IN_QUERY, best + 1, 0)
    return np.where(page == SEARCH, noun * (len(world.word_kind) + 1) + adjective, -1)
