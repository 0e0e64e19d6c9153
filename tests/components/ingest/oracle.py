"""Ingestion said again in plain Python: lists, dicts and loops over the whole past, no step carried along."""

import hashlib
import math
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from components.state.keys import session_hash
from tests.components.ingest.generators.random_shops import CATALOGUE, COUNTRIES, DAY_US, SECOND, Columns, Event, Shop, by_request

ACTIONS = ("search", "impression", "click", "cart")
LABELS = ("click", "cart")
Who = tuple[str, ...]  # a user, or a guest with request and visit
NAN = math.nan


class Logged(NamedTuple):
    """An event that counts, its shopper, and its place in the log.

    `stamped_us`: what its clock says. `event` is taken in then, or with the list that it is stamped before. `owner`: the shopper of the
    request that it names, where that is another one; "" where it names a request that nobody was shown within the window.
    """

    who: Who
    row: int
    event: Event
    stamped_us: int
    owner: Who | str | None = None


class Request(NamedTuple):
    """A request with its candidates: item, position, price shown, and the actions it is known to have got."""

    who: Who
    name: str
    time_us: int
    first: Event
    candidates: list[tuple[str, int, float | None]]
    labels: list[set[str]]


class Claim(NamedTuple):
    """Whose request an action names: its shopper and visit, and the moment that the action happened at the earliest. None: nobody's."""

    who: Who | None
    session: str
    moment_us: int


def expected(shop: Shop, log: list[Event]) -> dict[tuple[str, str], tuple[str, Columns]]:
    """User and request to split and columns, for all requests that are in a split."""
    requests, kept = understood(shop, log)
    windows = _windows(shop, [event.time_us for _, event in _read(shop, log)])
    result = []
    for request in requests:
        split = _split(request.time_us, windows)
        if split:
            result.append((split, _columns(shop, request, requests, kept)))
    return {key: result[index] for key, index in by_request([columns for _, columns in result]).items()}


def understood(shop: Shop, log: list[Event], items: Collection[str] = tuple(CATALOGUE)) -> tuple[list[Request], list[Logged]]:
    """All requests, whichever window they lie in, and the events that count, by time."""
    read = _read(shop, log)
    if shop.sampled:
        kept = _known(shop, _once([(row, event, None) for row, event in read]))
        return _sampled(shop, kept, read, items), kept
    return _shown(shop, _known(shop, _once(_claimed(shop, read))))


def _read(shop: Shop, log: list[Event]) -> list[tuple[int, Event]]:
    """The rows that can be used, lists unrolled, with their place in the log."""
    usable: list[tuple[int, Event]] = []
    for row, event in enumerate(log):
        if event.action not in ACTIONS or (not event.user and not shop.guests):
            continue
        if shop.form == "list" and event.action == "click":
            if not event.shown:
                continue
            usable += [
                (row, event._replace(item=item, action="impression", position=index, price=price, shown=()))
                for index, (item, price) in enumerate(event.shown)
            ]
            if event.item:
                usable.append((row, event._replace(shown=(), price=None)))
            continue
        if event.action == "search":
            event = event._replace(item="")
        elif not event.item:
            continue
        if event.action == "impression" and not event.request and not shop.sampled:
            continue
        usable.append((row, event))
    return usable


def _claimed(shop: Shop, usable: list[tuple[int, Event]]) -> list[tuple[int, Event, Claim | None]]:
    """With what is known of those that name a request of another shopper's; a guest's action becomes that shopper's."""
    result: list[tuple[int, Event, Claim | None]] = []
    for row, event in usable:
        claim = None
        if event.request and event.action != "impression" and (event.action in LABELS or not event.user):
            claim = _claim(shop, event, usable)
            if not event.user and claim is not None:
                visit = event.session if claim.who is None or claim.who[0] == "user" else claim.session
                event = event._replace(user=claim.who[1] if claim.who and claim.who[0] == "user" else "", session=visit)
                claim = claim if claim.who is None else None
        result.append((row, event, claim))
    return result


def _claim(shop: Shop, event: Event, usable: list[tuple[int, Event]]) -> Claim | None:
    """None where the action's own shopper was shown a request of that id within the window."""
    lists = [e for _, e in usable if e.action == "impression" and e.request == event.request]
    near = [e for e in lists if 0 <= event.time_us + shop.skew_s * SECOND - e.time_us <= (shop.attribution_s + shop.skew_s) * SECOND]
    if any(_owner(e) == _owner(event) for e in near):
        return None
    visit = [e for e in near if event.session and e.session == event.session]
    theirs = visit or near
    if len({_owner(e) for e in theirs}) != 1:
        return Claim(None, "", event.time_us)
    last = max(theirs, key=lambda e: e.time_us)
    alike = sorted(e.time_us for e in lists if (_owner(e), e.session) == (_owner(last), last.session))
    began = last.time_us
    for time_us in reversed([each for each in alike if each <= last.time_us]):
        if began - time_us <= shop.session_gap_s * SECOND:
            began = time_us
    return Claim(_who(last, -1), last.session, max(began, event.time_us))


def _owner(event: Event) -> Who:
    return ("user", event.user) if event.user else ("guest", event.session)


def _who(event: Event, row: int) -> Who:
    if event.user:
        return ("user", event.user)
    return ("guest", event.request, event.session) if event.request else ("guest", f"row {row}", "")


def _once(usable: list[tuple[int, Event, Claim | None]]) -> list[tuple[int, Event, Claim | None]]:
    kept: list[tuple[int, Event, Claim | None]] = []
    for row, event, claim in usable:
        if event not in [earlier for _, earlier, _ in kept]:
            kept.append((row, event, claim))
    return kept


def _known(shop: Shop, usable: list[tuple[int, Event, Claim | None]]) -> list[Logged]:
    result = []
    for row, event, claim in usable:
        if shop.reject_unknown and event.item and event.item not in CATALOGUE:
            continue
        owner = None if claim is None else claim.who or ""
        happened = event if claim is None else event._replace(time_us=claim.moment_us)
        result.append(Logged(_who(event, row), row, happened, event.time_us, owner))
    return _by_time(result)


def _by_time(kept: list[Logged]) -> list[Logged]:
    """As they are taken in: of one moment first what is stamped so, then what is stamped earlier, by its stamp."""
    moved = lambda logged: logged.stamped_us if logged.stamped_us < logged.event.time_us else 0  # noqa: E731
    return sorted(kept, key=lambda logged: (logged.event.time_us, moved(logged), logged.row))


def _together(shop: Shop, kept: list[Logged], names: dict[int, str]) -> list[tuple[Who, str, list[Logged]]]:
    """The rows of each request: of one shopper, id and visit, with no pause among them that ends a visit."""
    groups: dict[Any, list[list[Logged]]] = {}
    for logged in sorted(kept, key=lambda logged: logged.event.time_us):
        parts = groups.setdefault((logged.who, names[logged.row], logged.event.session), [])
        if not parts or logged.event.time_us - parts[-1][-1].event.time_us > shop.session_gap_s * SECOND:
            parts.append([])
        parts[-1].append(logged)
    return [(who, name, part) for (who, name, _), parts in sorted(groups.items()) for part in parts]


def _shown(shop: Shop, kept: list[Logged]) -> tuple[list[Request], list[Logged]]:
    requests = []
    impressions = [logged for logged in kept if logged.event.action == "impression"]
    for who, name, part in _together(shop, impressions, {logged.row: logged.event.request for logged in impressions}):
        rows = sorted(part, key=lambda logged: (-1 if logged.event.position is None else logged.event.position, logged.row))
        candidates: list[tuple[str, int, float | None]] = []
        for logged in rows:
            event = logged.event
            if event.item not in [item for item, _, _ in candidates]:
                candidates.append((event.item, len(candidates) if event.position is None else event.position, event.price))
        time_us = min(logged.event.time_us for logged in rows)
        requests.append(Request(who, name, time_us, rows[0].event, candidates, [set() for _ in candidates]))
    result = []
    for logged in kept:
        event = logged.event
        if event.action in LABELS and logged.owner != "":
            moment_us = _labelled(shop, requests, logged)
            if logged.owner is None:
                event = event._replace(time_us=max(event.time_us, moment_us))
        result.append(logged._replace(event=event))
    return requests, _by_time(result)


def _labelled(shop: Shop, requests: list[Request], logged: Logged) -> int:
    """Give the action to the list it belongs to; when it happened at the earliest."""
    who, event, at = logged.owner or logged.who, logged.event, logged.stamped_us
    until = at + shop.skew_s * SECOND
    showing = [r for r in requests if r.who == who and r.time_us <= until]
    moment_us = at
    if event.request:
        showing = [r for r in showing if r.name == event.request]
        moment_us = max([at, *(r.time_us for r in showing)])
        showing = [r for r in showing if r.time_us >= at - shop.attribution_s * SECOND]
        visit = [r for r in showing if r.first.session == event.session]
        showing = visit if visit and event.session else showing
    showing = [r for r in showing if event.item in [item for item, _, _ in r.candidates]]
    if showing:
        own = lambda r: bool(event.request) and r.first.session == event.session  # noqa: E731
        last = max(showing, key=lambda r: (own(r), r.time_us, r.name, session_hash(r.first.session) if r.first.session else 0))
        if last.time_us >= at - shop.attribution_s * SECOND:
            last.labels[[item for item, _, _ in last.candidates].index(event.item)].add(event.action)
            moment_us = max(moment_us, last.time_us)
    return moment_us


def _sampled(shop: Shop, kept: list[Logged], read: list[tuple[int, Event]], items: Collection[str]) -> list[Request]:
    taken = [logged for logged in kept if logged.event.action in LABELS]
    names = {logged.row: logged.event.request if shop.form == "sampling" else f"row-0-{logged.row}" for logged in taken}
    codes = {item: code for code, item in enumerate(sorted({event.item for _, event in read if event.item} | set(items)))}
    known = [event for _, event in read if not shop.reject_unknown or event.item in CATALOGUE]
    takings = sorted((event.time_us, event.item) for event in known if event.action in LABELS)
    begins = _pools(shop, takings, [event.time_us for _, event in read])
    requests = []
    for who, name, rows in _together(shop, taken, names):
        time_us = min(logged.event.time_us for logged in rows)
        first = min(rows, key=lambda logged: logged.row)
        got: dict[str, set[str]] = {}
        for logged in rows:
            got.setdefault(logged.event.item, set()).add(logged.event.action)
        pool = _pool(shop, takings, begins, time_us)
        if pool is not None:
            staying, drawn = _drawn(shop, name, time_us, *pool, positives=got, takings=len(rows), codes=codes)
            if drawn and staying:
                items = sorted([*staying, *drawn])
                labels = [got.get(item, set()) for item in items]
                requests.append(Request(who, name, time_us, first.event, [(item, -1, None) for item in items], labels))
    return requests


def _stretches(shop: Shop, times_us: list[int]) -> list[tuple[float, float]]:
    """The windows of the split without gaps, and what lies before and after them."""
    *starts, last = _bounds(shop, times_us)
    return list(pairwise([-math.inf, *starts, last + 1, math.inf]))


def _pools(shop: Shop, takings: list[tuple[int, str]], times_us: list[int]) -> list[tuple[int, float]]:
    """When each pool begins, and where its stretch ends."""
    result: set[tuple[int, float]] = set()
    for low, high in _stretches(shop, times_us):
        within = [time_us for time_us, _ in takings if low <= time_us < high]
        if within:
            step = max(1, len(within) // 64)
            starts = [within[rank] for rank in range(0, len(within), step)]
            while step:
                starts.append(within[len(within) - step])
                step //= 2
            at = within[0]
            while at < within[-1]:
                starts.append(min(time_us for time_us in within if time_us >= at))
                at += shop.window_days * DAY_US // 8
            result |= {(start, high) for start in starts}
    return sorted(result)


def _pool(shop: Shop, takings: list[tuple[int, str]], begins: list[tuple[int, float]], time_us: int) -> tuple[int, list[str]] | None:
    """The next pool that begins after a moment, in its stretch: which one it is, and what was taken in it."""
    nth = next((n for n, (start, _) in enumerate(begins) if start > time_us), None)
    if nth is None:
        return None
    start, high = begins[nth]
    if any(time_us < other <= start for _, other in begins):  # the moment's stretch ended before
        return None
    return nth, [item for at, item in takings if start <= at < min(start + shop.window_days * DAY_US, high)]


def _drawn(
    shop: Shop, name: str, time_us: int, nth: int, pool: list[str], *, positives: Collection[str], takings: int, codes: dict[str, int]
) -> tuple[list[str], list[str]]:
    """The positives that stay, and the negatives."""
    salt = (int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True) or 1) if name else 0
    if shop.form == "sampling":  # requests that share an id draw apart
        salt = (salt & (2**64 - 1)) ^ (time_us * 0x9E3779B97F4A7C15 & (2**64 - 1))
    uniform = lambda value, turn: (_mixed(value + (turn + 1) * 0x9E3779B97F4A7C15, shop.seed) >> 11) / 2**53  # noqa: E731
    items = sorted(set(pool), key=lambda item: _mixed(codes[item] + (nth << 40), shop.seed))
    takings = takings if shop.weight == "popularity" else 1
    negatives = min(shop.negatives, max(1, (len(items) - 1) // takings))
    likely, stay = dict.fromkeys(items, 1.0), dict.fromkeys(items, 1.0)
    if shop.weight == "popularity":
        share = {item: pool.count(item) / len(pool) for item in items}
        odds = {item: negatives * ((1 - p) ** -takings - 1) if p < 1 else math.inf for item, p in share.items()}
        likely, stay = {item: min(1.0, odd) for item, odd in odds.items()}, {item: min(1.0, 1 / odd) for item, odd in odds.items()}
        for _ in range(4 if max(odds.values()) <= 1 else 0):
            mean, whole = sum(share[item] * likely[item] for item in items), sum(likely.values())
            left = {
                item: max(whole - (takings - 1) * mean - likely[item], whole / 1000) for item in items
            }  # of the line, with this positive cut out
            met = {item: sum(share[other] / left[other] for other in items if other != item) / (1 - share[item]) for item in items}
            likely = {item: odds[item] / met[item] for item in items}
            likely = {item: length / sum(likely.values()) for item, length in likely.items()}
    staying = [item for item in positives if uniform(salt % 2**64 ^ _mixed(codes[item], shop.seed), 1) < stay.get(item, 1.0)]
    total = sum(likely.values())
    lengths = {item: max(1, round(share * (2.0**40 / total))) for item, share in likely.items()}
    others = [item for item in items if item not in positives]
    rest = sum(lengths[item] for item in others)
    by_length = math.floor(rest * (total / 2.0**40) + uniform(salt, 2))
    points = min(by_length if min(stay.values()) < 1 else negatives * len(positives), len(others))
    line = list(accumulate(lengths[item] for item in others))
    drawn = []
    for n in range(points):
        at = min(math.floor((n + uniform(salt, 0)) * (rest / points)), rest - 1)
        drawn.append(next(item for item, end in zip(others, line, strict=True) if at < end))
    return staying, sorted(set(drawn))


def _mixed(value: int, seed: int) -> int:
    word = 2**64 - 1
    x = (value + seed * 0xD1342543DE82EF95) & word
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & word
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & word
    return x ^ (x >> 31)


def _windows(shop: Shop, times_us: list[int]) -> list[tuple[str, int, int]]:
    """Each split with the first moment of its requests and the last."""
    train, evaluate, test, until = _bounds(shop, times_us)
    window_s = 0 if shop.sampled else shop.attribution_s
    gap = (window_s if shop.gap_s is None else shop.gap_s) * SECOND
    return [("train", train, evaluate - gap - 1), ("eval", evaluate, test - gap - 1), ("test", test, until - gap)]


def _bounds(shop: Shop, times_us: list[int]) -> tuple[int, int, int, int]:
    """When train, eval and test begin, and the last moment of test."""
    first, last = (edge(times_us, default=0) if day is None else _midnight_us(day) for day, edge in ((shop.train, min), (shop.until, max)))
    test = last - round((last - first) * _share(shop.test)) if "%" in shop.test else _midnight_us(shop.test)
    evaluate = test - round((last - first) * _share(shop.evaluate)) if "%" in shop.evaluate else _midnight_us(shop.evaluate)
    return first, evaluate, test, last


def _share(text: str) -> float:
    return float(text.rstrip("%")) / 100


def _midnight_us(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * SECOND


def _split(time_us: int, windows: list[tuple[str, int, int]]) -> str:
    return next((name for name, first, last in windows if first <= time_us <= last), "")


def _columns(shop: Shop, request: Request, requests: list[Request], kept: list[Logged]) -> Columns:
    now, items = request.time_us, [item for item, _, _ in request.candidates]
    moment = datetime.fromtimestamp(now // SECOND, UTC)
    columns: Columns = {
        "request": [request.name],
        "user": [request.first.user],
        "time": [now],
        "device": [request.first.device],
        "hour": [str(moment.hour)],
        "weekday": [str(moment.isoweekday())],
        "country": [COUNTRIES.get(request.first.user, "")],
        "item": items,
        "position": [position for _, position, _ in request.candidates],
        "category": [CATALOGUE[item][0] if item in CATALOGUE else "" for item in items],
        "cost": [_cost(item) for item in items],
        "look": [number for item in items for number in ((CATALOGUE[item][2] if item in CATALOGUE else None) or [NAN, NAN])],
        "label": [float(bool(got)) for got in request.labels],
        **{f"label_{action}": [float(action in got) for got in request.labels] for action in LABELS},
    }
    if not shop.sampled:
        columns["shown_price"] = [NAN if price is None else price for _, _, price in request.candidates]
    return columns | _of_user(shop, request, requests, kept) | _of_items(shop, request, requests, kept)


def _cost(item: str) -> float:
    price = CATALOGUE[item][1] if item in CATALOGUE else None
    return NAN if price is None else price


def _of_user(shop: Shop, request: Request, requests: list[Request], kept: list[Logged]) -> Columns:
    now = request.time_us
    # Of one moment: lists first, by name, then events as they are taken in. A list is one event that counts once for each candidate.
    past = [
        (r.time_us, 0, r.name, r.time_us, "impression", "", len(r.candidates), r.first.session)
        for r in requests
        if not shop.sampled and r.who == request.who and r.time_us < now
    ]
    past += [
        (e.time_us, 1, index, stamped_us, e.action, e.item, 1, e.session)
        for index, (who, _, e, stamped_us, _) in enumerate(kept)
        if who == request.who and e.time_us < now and (shop.sampled or e.action != "impression")
    ]
    past = [] if request.who[0] == "guest" else sorted(past)  # nothing is kept of guests
    happened = list(_happened_us([stamped_us for _, _, _, stamped_us, *_ in past]))
    running: list[tuple[int, str]] = []
    for at, (*_, session) in zip(happened, past, strict=True):
        if running and (at - running[-1][0] > shop.session_gap_s * SECOND or session not in ("", running[0][1])):
            running = []
        running.append((at, session))
    if running and (now - running[-1][0] > shop.session_gap_s * SECOND or request.first.session not in ("", running[0][1])):
        running = []
    counted = [(at, action, weight) for at, (_, _, _, _, action, _, weight, _) in zip(happened, past, strict=True)]
    remembered = [(at, action, item) for at, (_, _, _, _, action, item, _, _) in zip(happened, past, strict=True) if action in LABELS]
    history = remembered[-shop.history_length :]
    columns: Columns = {
        "interactions": [len(remembered)],
        "session_events": [float(len(running))],
        "session_age": [(now - running[0][0]) / SECOND if running else 0.0],
        "history_item": [item for _, _, item in history],
        "history_category": [CATALOGUE[item][0] if item in CATALOGUE else "" for _, _, item in history],
        "history_cost": [_cost(item) for _, _, item in history],
        "history_action": [action for _, action, _ in history],
        "history_age_s": [(now - at) / SECOND for at, _, _ in history],
        "user_shown": [float(sum(weight for _, action, weight in counted if action == "impression"))],
        "user_cart_age": [_age(counted, "cart", now)],
    }
    for half_life in shop.half_lives_s:
        clicks, shown = (_decayed(counted, action, now, half_life) for action in ("click", "impression"))
        columns[f"user_clicks_{_named(half_life)}"] = [clicks]
        columns[f"user_ctr_{_named(half_life)}"] = [(clicks + 0.25 * 4) / (shown + 4)]
    return columns


def _of_items(shop: Shop, request: Request, requests: list[Request], kept: list[Logged]) -> Columns:
    now = request.time_us
    columns: Columns = {}
    for item, _, _ in request.candidates:
        past = [
            (e.time_us, 1, index, stamped_us, e.action)
            for index, (_, _, e, stamped_us, _) in enumerate(kept)
            if e.item == item and (shop.sampled or e.action != "impression")
        ]
        if not shop.sampled:
            past += [(r.time_us, 0, 0, r.time_us, "impression") for r in requests if item in [shown for shown, _, _ in r.candidates]]
        past = sorted(each for each in past if each[0] < now)
        counted = [(at, action, 1) for at, (*_, action) in zip(_happened_us([each[3] for each in past]), past, strict=True)]
        columns.setdefault("item_carts", []).append(float(sum(weight for _, action, weight in counted if action == "cart")))
        columns.setdefault("item_click_age", []).append(_age(counted, "click", now))
        for half_life in shop.half_lives_s:
            clicks, shown = (_decayed(counted, action, now, half_life) for action in ("click", "impression"))
            columns.setdefault(f"item_clicks_{_named(half_life)}", []).append(clicks)
            columns.setdefault(f"item_ctr_{_named(half_life)}", []).append((clicks + 0.25 * 4) / (shown + 4))
    return columns


def _happened_us(stamps_us: Iterable[int]) -> Iterable[int]:
    """When the events of one shopper or item happened, as they are taken in: as stamped, but not before what was taken in already."""
    return accumulate(stamps_us, max)


def _decayed(counted: list[tuple[int, str, int]], action: str, now: int, half_life_s: int) -> float:
    return math.fsum(weight * 2.0 ** (-(now - at) / (half_life_s * SECOND)) for at, kind, weight in counted if kind == action)


def _age(counted: list[tuple[int, str, int]], action: str, now: int) -> float:
    return min(((now - at) / SECOND for at, kind, _ in counted if kind == action), default=NAN)


def _named(seconds: int) -> str:
    return {10: "10s", 3600: "1h"}[seconds]
