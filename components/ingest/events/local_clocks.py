"""Compute the local hour and weekday of requests, each in its time zone."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.values.local_time import DAY_US, clock_value, is_zone, offset_us
from components.ingest.counts import Counts

NO_ZONE = "kept with missing values: requests whose time zone isn't known"


def clock_columns(frame: pl.DataFrame, dataset: Dataset, counts: Counts) -> list[pl.Series]:
    """Return the dataset's clock features of requests, as text; "" where a request's zone isn't known.

    Args:
        frame: requests with `time` and, where a feature names the zone, that feature.
        dataset: names the zone.
        counts: gets the requests of unknown zones.
    """
    clocks = [feature for feature in dataset.input_features("events") if feature.from_clock]
    if not clocks:
        return []
    time = frame["time"].to_numpy()
    known = np.ones(len(frame), np.bool_)
    if dataset.zone_feature is None:
        local = time + offsets_us(time, dataset.zone_name)
    else:
        local = time.copy()
        zones = frame[dataset.zone_feature]
        for zone in zones.unique():
            of_zone = (zones == zone).to_numpy()
            if is_zone(zone):
                local[of_zone] += offsets_us(time[of_zone], zone)
            else:
                known[of_zone] = False
        counts.add(NO_ZONE, int((~known).sum()))
    return [_texts(clock.key, local, known).alias(clock.name) for clock in clocks]


def offsets_us(times_us: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Return how far a zone's clocks are ahead of UTC at each time: `components.contract.values.local_time.offset_us`
    of many.

    The offset is computed at the ends of each day (UTC), and for each time only on days whose ends differ.
    """
    if zone == "UTC" or not len(times_us):
        return np.zeros(len(times_us), np.int64)
    days, of_day = np.unique(times_us // DAY_US, return_inverse=True)
    ends = np.unique(np.concatenate([days, days + 1]))
    at_ends = np.array([offset_us(int(day) * DAY_US, zone) for day in ends], np.int64)
    first, last = at_ends[np.searchsorted(ends, days)], at_ends[np.searchsorted(ends, days + 1)]
    offsets = first[of_day]
    for at in np.flatnonzero((first != last)[of_day]).tolist():
        offsets[at] = offset_us(int(times_us[at]), zone)
    return offsets


def _texts(key: str, local_us: NDArray[np.int64], known: NDArray[np.bool_]) -> pl.Series:
    return pl.select(
        pl.when(pl.Series(known)).then(pl.Series(clock_value(key, local_us)).cast(pl.String)).otherwise(pl.lit(""))
    ).to_series()
