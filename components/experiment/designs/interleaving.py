"""Compare two rankers by interleaved lists: clicks on what each of them placed, with a test over shoppers.

In team-draft interleaving (Radlinski, Kurup & Joachims 2008) each round of the draft gives both rankers one candidate,
and a coin says which comes first. If shoppers like both orders as well, the difference of their clicks in a list has a
mean of 0, whatever the position bias. Its size isn't a difference of click rates: it says which ranker is preferred and
how surely. Shoppers come back, so they, not their lists, are the independent units (Chapelle, Joachims, Radlinski & Yue
2012, "Large-scale validation and analysis of interleaved search evaluation").
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm
from scipy.stats import t as student

from components.contract.errors import InputError


@dataclass(frozen=True)
class InterleavedList:
    """Hold an interleaved list that was shown.

    Attributes:
        shopper: their key; of a guest whatever holds their lists together.
        teams: item to team, 0 or 1; items that a rule pinned are no team's.
        leader: team of the first item that is one's.
    """

    shopper: str
    teams: Mapping[str, int]
    leader: int


@dataclass(frozen=True)
class Credits:
    """Hold the clicks of N lists.

    Attributes:
        shoppers: [N] index of each list's shopper.
        first: [N] clicked items that the first team placed.
        second: [N] likewise of the second.
        leaders: [N] team of each list's first item.
        unplaced: clicked items that were no team's.
    """

    shoppers: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    leaders: NDArray[np.int64]
    unplaced: int = 0


@dataclass(frozen=True)
class Preference:
    """Hold which of two rankers is preferred.

    Attributes:
        lists: interleaved and shown.
        shoppers: whose they were.
        first_won: lists in which the first team has more clicks.
        second_won: lists in which the second has.
        tied: lists with as many clicks on both, above 0.
        difference: clicks on the second team's items minus those on the first's, per list.
        std_error: of `difference`, over shoppers.
        lower: end of the confidence interval of `difference`.
        upper: other end.
        p: two-sided, of Student's t over shoppers.
        sign_p: two-sided, of the sign test over shoppers who prefer one.
        second_led: share of the lists that the second team's item leads; half of them by the draft's coins.
        coin_p: two-sided, that fair coins would be as far from half.
        unplaced: clicked items that were no team's.
    """

    lists: int
    shoppers: int
    first_won: int
    second_won: int
    tied: int
    difference: float
    std_error: float
    lower: float
    upper: float
    p: float
    sign_p: float
    second_led: float
    coin_p: float
    unplaced: int


def credit(lists: Mapping[str, InterleavedList], clicks: Sequence[tuple[str, str]]) -> Credits:
    """Credit clicks to the teams that placed the items.

    Args:
        lists: by request.
        clicks: pairs of request and item; several on one item of a list count once, those on other lists not at all.
    """
    index = {request: number for number, request in enumerate(lists)}
    counts = np.zeros((2, len(lists)), np.int64)
    unplaced = 0
    for request, item in dict.fromkeys(clicks):
        if request in index:
            team = lists[request].teams.get(item)
            if team is None:
                unplaced += 1
            else:
                counts[team, index[request]] += 1
    keys = {shopper: number for number, shopper in enumerate(dict.fromkeys(each.shopper for each in lists.values()))}
    shoppers = np.array([keys[each.shopper] for each in lists.values()], np.int64)
    leaders = np.array([each.leader for each in lists.values()], np.int64)
    return Credits(shoppers, counts[0], counts[1], leaders, unplaced)


def preference(credits: Credits, *, alpha: float = 0.05) -> Preference:
    """Test which ranker is preferred.

    Args:
        credits: of the lists.
        alpha: of the interval.

    Raises:
        InputError: fewer than two shoppers have lists, or alpha isn't between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise InputError(f"expected an alpha between 0 and 1, such as 0.05, got {alpha}")
    lists = len(credits.shoppers)
    of_shoppers = np.bincount(credits.shoppers)
    shoppers = int((of_shoppers > 0).sum())
    if shoppers < 2:
        raise InputError(f"expected interleaved lists of two shoppers or more, got {lists} of {shoppers}; wait until the log has more")
    margin = (credits.second - credits.first).astype(np.float64)
    totals = np.bincount(credits.shoppers, weights=margin)
    difference = float(margin.mean())
    # The ratio of two totals over shoppers, by the delta method.
    residuals = totals - difference * of_shoppers
    std_error = math.sqrt(float(residuals @ residuals) * shoppers / (shoppers - 1)) / lists
    t = difference / std_error if std_error else 0.0
    half = float(student.isf(alpha / 2, shoppers - 1)) * std_error
    for_second, for_first = int((totals > 0).sum()), int((totals < 0).sum())
    led = int((credits.leaders == 1).sum())
    return Preference(
        lists=lists,
        shoppers=shoppers,
        first_won=int((margin < 0).sum()),
        second_won=int((margin > 0).sum()),
        tied=int(((margin == 0) & (credits.first > 0)).sum()),
        difference=difference,
        std_error=std_error,
        lower=difference - half,
        upper=difference + half,
        p=float(2 * student.sf(abs(t), shoppers - 1)),
        sign_p=float(binomtest(for_second, for_second + for_first).pvalue) if for_second + for_first else 1.0,
        second_led=led / lists,
        coin_p=float(2 * norm.sf(abs(led - lists / 2) / math.sqrt(lists / 4))),
        unplaced=credits.unplaced,
    )
