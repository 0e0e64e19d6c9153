"""Model seasonality: of visits by hour and weekday, of intents by time of the year."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US

_HOURLY = np.array([4, 2, 1, 1, 1, 2, 4, 7, 9, 10, 11, 12, 13, 12, 11, 11, 12, 14, 17, 20, 21, 18, 13, 8], dtype=np.float64)
_MONDAY_TO_SUNDAY = np.array([1.0, 0.95, 0.95, 1.0, 1.05, 1.3, 1.4])
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday
_SEASON_LOG_WEIGHT = 0.5


def visit_share(start_us: int, hours: int) -> NDArray[np.float64]:
    """Return the share of all visits that begin in each hour after `start_us`; shape (hours,), sum 1."""
    hour = start_us // HOUR_US + np.arange(hours)
    weight = _HOURLY[hour % 24] * _MONDAY_TO_SUNDAY[(hour // 24 + _EPOCH_WEEKDAY) % 7]
    share: NDArray[np.float64] = weight / weight.sum()
    return share


def category_season(time_us: int, phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each category's log-weight at a time of the year; `phase` (categories,) in [0, 1) is its peak."""
    season: NDArray[np.float64] = _SEASON_LOG_WEIGHT * np.cos(2 * np.pi * (time_us / (365.25 * DAY_US) - phase))
    return season
