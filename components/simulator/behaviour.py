"""Simulate what shoppers do with a slate, and when: examination, clicks, carts, purchases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from components.simulator.config import MAX_CANDIDATES
from components.simulator.slates import HOME, Requests, Sessions, Slates
from components.simulator.world import DIM, Flags, Floats, Ints, World

CLICK_RATE: Final = 0.1

TASTE: Final = 0.75
INTENT: Final = 2.0
INTENT_AT_HOME: Final = 1.0
PRICE: Final = 1.5
DEVICE: Final = np.array([-0.1, 0.15, 0.0])
CART: Final = (-1.2, 0.5)  # intercept, slope on the centred log-odds of a click
PURCHASE: Final = (-0.3, 0.3)

_TIMES_PER_REQUEST = 2 + 3 * MAX_CANDIDATES
_STAMP_US = 4_096  # more than MAX_REQUESTS * _TIMES_PER_REQUEST, less than the time between a search and its answer
_MILLISECOND_US, _SECOND_US = 1_000, 1_000_000


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of each candidate; arrays of shape (candidates,).

    `relevance` is the probability of a click given examination; `untreated` the same without treatment.
    """

    price: Floats
    examination: Floats
    relevance: Floats
    untreated: Floats
    clicked: Flags
    carted: Flags
    purchased: Flags


@dataclass(frozen=True)
class Moments:
    """Times of the outcomes, microseconds since the epoch.

    `search_us` and `request_us` have shape (requests,), the others (candidates,), meaningful where the outcome is true;
    `end_us` (sessions,) is the time of each session's last event.
    """

    search_us: Ints
    request_us: Ints
    click_us: Ints
    cart_us: Ints
    purchase_us: Ints
    end_us: Ints


def examination(position: Ints, decay: float) -> Floats:
    """Compute the probability that a shopper examines a position (0 is the first): 1 / (1 + decay position)."""
    probability: Floats = 1 / (1 + decay * position)
    return probability


def sigmoid(log_odds: Floats) -> Floats:
    """Convert log-odds to a probability."""
    probability: Floats = 1 / (1 + np.exp(-log_odds))
    return probability


def attraction(world: World, sessions: Sessions, requests: Requests, slates: Slates, taste: Floats, relative_price: Floats) -> Floats:
    """Compute the log-odds of a click given examination, without intercept and treatment; shape (candidates,)."""
    products, shoppers = world.products, world.shoppers
    user = requests.user[slates.request]
    intended = products.category[slates.item] == requests.category[slates.request]
    intent = np.where(requests.page == HOME, INTENT_AT_HOME, INTENT)[slates.request]
    log_odds: Floats = (
        products.quality[slates.item]
        + TASTE * np.sqrt(DIM) * np.einsum("nd,nd->n", taste[user], products.kind[slates.item])
        + intent * intended
        - PRICE * shoppers.price_sensitivity[user] * relative_price
        + DEVICE[sessions.device[requests.session]][slates.request]
    )
    return log_odds


def intercept_for(click_rate: float, log_odds: Floats, examined: Floats) -> float:
    """Find the intercept that gives a mean click rate, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if float(np.mean(examined * sigmoid(log_odds + middle))) > click_rate else (middle, high)
    return low


def draw_outcomes(
    rng: np.random.Generator, *, examined: Floats, price: Floats, log_odds: Floats, centre: float, treatment: Floats
) -> Outcomes:
    """Draw clicks by examination and attraction, carts and purchases by attraction; all arrays are (candidates,).

    `log_odds` includes the intercept; `centre` is its mean. `treatment` affects clicks alone.
    """
    relevance = sigmoid(log_odds + treatment)
    uniform = rng.random((3, len(log_odds)))
    clicked = uniform[0] < examined * relevance
    carted = clicked & (uniform[1] < sigmoid(CART[0] + CART[1] * (log_odds - centre)))
    purchased = carted & (uniform[2] < sigmoid(PURCHASE[0] + PURCHASE[1] * (log_odds - centre)))
    return Outcomes(
        price=price,
        examination=examined,
        relevance=relevance,
        untreated=sigmoid(log_odds),
        clicked=clicked,
        carted=carted,
        purchased=purchased,
    )


def draw_moments(rng: np.random.Generator, sessions: Sessions, requests: Requests, slates: Slates, outcomes: Outcomes) -> Moments:
    """Draw times within each session: requests in sequence, clicks seconds later, carts and purchases minutes later."""
    n, n_requests = len(slates.request), len(requests.session)
    clicks = np.bincount(slates.request, weights=outcomes.clicked, minlength=n_requests).astype(np.int64)
    dwell_us = _between(rng, 10, 40, n_requests) + 25 * _SECOND_US * clicks + rng.exponential(30 * _SECOND_US, n_requests).astype(np.int64)
    elapsed_us = np.cumsum(dwell_us) - dwell_us
    first = np.searchsorted(requests.session, np.arange(len(sessions.user)))
    nth_request = np.arange(n_requests) - first[requests.session]
    moment = nth_request * _TIMES_PER_REQUEST
    click_moment = moment[slates.request] + 2 + 3 * slates.position
    request_us = (sessions.start_us - elapsed_us[first])[requests.session] + elapsed_us + _SECOND_US
    search_us = request_us - rng.integers(50 * _MILLISECOND_US, 900 * _MILLISECOND_US, n_requests)
    clicked_so_far: Ints = np.cumsum(outcomes.clicked) - outcomes.clicked
    nth_click: Ints = clicked_so_far - clicked_so_far[np.searchsorted(slates.request, np.arange(n_requests))][slates.request]
    click_us = request_us[slates.request] + 25 * _SECOND_US * nth_click + _between(rng, 2, 10, n)
    cart_us = click_us + _between(rng, 15, 120, n)
    purchase_us = cart_us + _between(rng, 60, 600, n)
    request_us, search_us = _stamp(request_us, moment + 1), _stamp(search_us, moment)
    click_us, cart_us, purchase_us = (_stamp(at, click_moment + i) for i, at in enumerate((click_us, cart_us, purchase_us)))
    end_us = request_us[np.r_[first[1:], n_requests] - 1] if n_requests else np.zeros(0, dtype=np.int64)
    for occurred, time_us in ((outcomes.clicked, click_us), (outcomes.carted, cart_us), (outcomes.purchased, purchase_us)):
        np.maximum.at(end_us, requests.session[slates.request[occurred]], time_us[occurred])
    return Moments(search_us, request_us, click_us, cart_us, purchase_us, end_us)


def _stamp(time_us: Ints, moment: Ints) -> Ints:
    """Write an event's index in its session into the last digits of its time, so that a shopper's events never tie."""
    return time_us // _STAMP_US * _STAMP_US + moment


def _between(rng: np.random.Generator, low_s: int, high_s: int, n: int) -> Ints:
    return rng.integers(low_s * _SECOND_US, high_s * _SECOND_US, n)
