"""Generate logs in the layouts of public data sets, from a small simulated world of shoppers with preferences.

The layouts are those of the data sets' public documentation; no value is from the data sets.
"""

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

_CATEGORIES = ("lamps", "chairs", "mugs", "rugs", "shelves", "vases")
_BRANDS = ("ashvale", "birchway", "calder", "dunmore", "elmsett")
_WORDS = ("blue", "oak", "linen", "round", "tall", "copper", "woven", "matt", "café", "long")
_COUNTRIES = ("France", "Germany", "Norway")


@dataclass(frozen=True)
class Item:
    """Product; `number` counts from 0."""

    number: int
    category: int
    brand: int
    price: float
    title: str


@dataclass(frozen=True)
class Visit:
    """Visit of a shopper: the list shown, and the positions that were clicked, put into the cart and bought."""

    number: int
    user: int
    at: datetime
    shown: tuple[int, ...]
    clicked: tuple[int, ...]
    carted: tuple[int, ...]
    bought: tuple[int, ...]


@dataclass(frozen=True)
class World:
    """Products, number of shoppers, and visits in the order of time."""

    items: tuple[Item, ...]
    tastes: tuple[int, ...]
    visits: tuple[Visit, ...]


def make_world(
    *, visits: int = 1500, users: int = 120, items: int = 90, seed: int = 7, start: datetime = datetime(2019, 10, 1, tzinfo=UTC)
) -> World:
    """Generate a world in which shoppers prefer a category each, and cheap and popular products."""
    random = np.random.default_rng(seed)
    products = tuple(
        Item(
            number,
            int(random.integers(len(_CATEGORIES))),
            int(random.integers(len(_BRANDS))),
            round(float(random.lognormal(3, 0.7)), 2),
            " ".join(random.choice(_WORDS, 3, replace=False)),
        )
        for number in range(items)
    )
    appeal = random.normal(0, 0.6, items)
    tastes = tuple(int(taste) for taste in random.integers(len(_CATEGORIES), size=users))
    moments = np.sort(random.uniform(0, 30 * 86400, visits))
    made = []
    for number in range(visits):
        user = int(random.zipf(1.4) - 1) % users if random.random() < 0.5 else int(random.integers(users))
        shown = random.choice(items, 8, replace=False)
        logits = np.array([1.8 * (products[item].category == tastes[user]) + appeal[item] - 1.6 for item in shown])
        clicked = random.random(8) < 1 / (1 + np.exp(-logits))
        if not clicked.any():
            clicked[int(np.argmax(logits))] = True
        carted = clicked & (random.random(8) < 0.5)
        bought = carted & (random.random(8) < 0.7)
        at = start + timedelta(seconds=float(moments[number]))
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        made.append(
            Visit(number, user, at, *(tuple(int(x) for x in each) for each in (shown, shown[clicked], shown[carted], shown[bought])))
        )
    return World(products, tastes, tuple(made))


def actions(visit: Visit) -> Iterator[tuple[str, int, datetime]]:
    """List the actions of a visit, in order: action (view, cart, purchase), item, time."""
    at = visit.at
    for name, those in (("view", visit.clicked), ("cart", visit.carted), ("purchase", visit.bought)):
        for item in those:
            at += timedelta(seconds=17 + item % 40)
            yield name, item, at
        if name == "cart":
            at += timedelta(seconds=31)


def _table(
    path: Path, header: Sequence[str] | None, rows: Sequence[Sequence[Any]], *, separator: str = ",", encoding: str = "utf-8"
) -> None:
    with path.open("w", encoding=encoding, newline="") as out:
        writer = csv.writer(out, delimiter=separator, lineterminator="\n")
        if header:
            writer.writerow(header)
        writer.writerows(rows)


def _lines(path: Path, rows: Sequence[Sequence[Any]], separator: str, *, encoding: str = "utf-8") -> None:
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows), encoding=encoding)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _hashed(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def retailrocket(folder: Path, world: World) -> None:
    """Write events.csv, item_properties_part1.csv and _part2.csv (item, property, value, time), category_tree.csv."""
    names = {"view": "view", "cart": "addtocart", "purchase": "transaction"}
    rows = [
        [_ms(at), visit.user + 1000, names[name], item + 200, visit.number if name == "purchase" else ""]
        for visit in world.visits
        for name, item, at in actions(visit)
    ]
    _table(folder / "events.csv", ["timestamp", "visitorid", "event", "itemid", "transactionid"], sorted(rows))
    weeks = [_ms(world.visits[0].at + timedelta(days=7 * week - 1)) for week in range(5)]
    properties = []
    for item in world.items:
        properties.append([weeks[0], item.number + 200, "categoryid", 1000 + item.category])
        properties.append([weeks[0], item.number + 200, "888", " ".join(str(40000 + _WORDS.index(word)) for word in item.title.split())])
        for week, at in enumerate(weeks):
            properties.append([at, item.number + 200, "available", int((item.number + week) % 9 > 0)])
            properties.append([at, item.number + 200, "790", f"n{item.price * (1 + 0.05 * week):.3f}"])
    half = len(properties) // 2
    for part, those in ((1, properties[:half]), (2, properties[half:])):
        _table(folder / f"item_properties_part{part}.csv", ["timestamp", "itemid", "property", "value"], those)
    _table(folder / "category_tree.csv", ["categoryid", "parentid"], [[1000 + n, 900 + n % 2] for n in range(len(_CATEGORIES))])


def rees46(folder: Path, world: World) -> None:
    """Write a file a month; event_time has the suffix ` UTC`."""
    header = ["event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price", "user_id", "user_session"]
    rows = []
    for visit in world.visits:
        session = f"{visit.number:08x}-4f{visit.user:02x}-4abc-8def-{visit.number * 7919:012x}"
        for name, item, at in actions(visit):
            product = world.items[item]
            code = f"home.{_CATEGORIES[product.category]}" if product.category else ""
            brand = _BRANDS[product.brand] if item % 7 else ""
            written = at.strftime("%Y-%m-%d %H:%M:%S UTC")
            rows.append(
                [
                    written,
                    name,
                    item + 1003000,
                    2053013555631882655 + product.category,
                    code,
                    brand,
                    product.price,
                    visit.user + 541312000,
                    session,
                ]
            )
        for item in visit.carted:
            if item not in visit.bought:
                rows.append([*_taken_out(rows, item + 1003000), visit.user + 541312000, session])
    rows.sort(key=lambda row: str(row[0]))
    middle = len(rows) // 2
    _table(folder / "2019-Oct.csv", header, rows[:middle])
    _table(folder / "2019-Nov.csv", header, rows[middle:])


def _taken_out(rows: Sequence[Sequence[Any]], item: int) -> list[Any]:
    """Copy the newest row of an item as its removal from the cart."""
    time, _, *rest = next(row for row in reversed(rows) if row[2] == item)
    return [time, "remove_from_cart", *rest[:5]]


def yoochoose(folder: Path, world: World) -> None:
    """Write yoochoose-clicks.dat (session, time, item, category) and -buys.dat (price, quantity), headerless."""
    clicks, buys = [], []
    for visit in world.visits:
        session = visit.number + 11
        for name, item, at in actions(visit):
            written = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
            if name == "view":
                clicks.append([session, written, item + 214530000, "S" if item % 5 == 0 else world.items[item].category])
            elif name == "purchase":
                buys.append([session, written, item + 214530000, round(100 * world.items[item].price), 1 + item % 3])
    _lines(folder / "yoochoose-clicks.dat", sorted(clicks, key=lambda row: (row[0], row[1])), ",")
    _lines(folder / "yoochoose-buys.dat", sorted(buys, key=lambda row: (row[0], row[1])), ",")


def diginetica(folder: Path, world: World) -> None:
    """Write six files by `;`: views, purchases, queries, clicks, products, categories; day and ms of the session."""
    views, purchases, queries, clicks = [], [], [], []
    for visit in world.visits:
        session, user, day = visit.number + 1, (visit.user + 50 if visit.user % 4 == 0 else "NA"), visit.at.strftime("%Y-%m-%d")
        shown = ",".join(str(item + 30) for item in visit.shown)
        queries.append([visit.number + 1, session, user, 0, 200 + visit.number % 90, day, "", 100 + visit.number % 6, shown, "FALSE"])
        for name, item, at in actions(visit):
            passed = round((at - visit.at).total_seconds() * 1000)
            if name == "view":
                views.append([session, user, item + 30, passed, day])
                clicks.append([visit.number + 1, passed, item + 30])
            elif name == "purchase":
                purchases.append([session, user, passed, day, visit.number + 7000, item + 30])
    _table(folder / "train-item-views.csv", ["sessionId", "userId", "itemId", "timeframe", "eventdate"], views, separator=";")
    _table(
        folder / "train-purchases.csv", ["sessionId", "userId", "timeframe", "eventdate", "ordernumber", "itemId"], purchases, separator=";"
    )
    header = [
        "queryId",
        "sessionId",
        "userId",
        "timeframe",
        "duration",
        "eventdate",
        "searchstring.tokens",
        "categoryId",
        "items",
        "is.test",
    ]
    _table(folder / "train-queries.csv", header, queries, separator=";")
    _table(folder / "train-clicks.csv", ["queryId", "timeframe", "itemId"], clicks, separator=";")
    products = [
        [i.number + 30, int(np.log2(i.price)) + 6, ",".join(str(5000 + _WORDS.index(w)) for w in i.title.split())] for i in world.items
    ]
    _table(folder / "products.csv", ["itemId", "pricelog2", "product.name.tokens"], products, separator=";")
    _table(
        folder / "product-categories.csv", ["itemId", "categoryId"], [[i.number + 30, 100 + i.category] for i in world.items], separator=";"
    )


def yandex(folder: Path, world: World) -> None:
    """Write a log of tab-separated lines of kinds: M (session, day, user), Q (a query with its list), C (a click)."""
    lines: list[list[Any]] = []
    for visit in world.visits:
        day = (visit.at - world.visits[0].at).days + 1
        lines.append([visit.number, "M", day, visit.user + 1])
        pages = [f"{item + 5000},{item % 20 + 90}" for item in visit.shown]
        lines.append([visit.number, 0, "Q", 0, visit.number % 60, f"{visit.number % 30 + 700},{visit.number % 11}", *pages])
        lines += [[visit.number, 3 + 4 * at, "C", 0, item + 5000] for at, item in enumerate(visit.clicked)]
    _lines(folder / "train", lines, "\t")


def otto(folder: Path, world: World) -> None:
    """Write JSON Lines: a session with its events (aid, ts in milliseconds, type)."""
    names = {"view": "clicks", "cart": "carts", "purchase": "orders"}
    events: dict[int, list[dict[str, Any]]] = {}
    for visit in world.visits:
        of_user = events.setdefault(visit.user, [])
        of_user += [{"aid": item + 59000, "ts": _ms(at), "type": names[name]} for name, item, at in actions(visit)]
    with (folder / "otto-recsys-train.jsonl").open("w") as out:
        for user, done in events.items():
            out.write(json.dumps({"session": user + 12899000, "events": done}) + "\n")


def outbrain(folder: Path, world: World) -> None:
    """Write clicks_train.csv (a row for each ad shown), events.csv (for each list), promoted_content.csv (the ads)."""
    first = world.visits[0].at
    clicks, events = [], []
    for visit in world.visits:
        clicks += [[visit.number + 1, item + 42000, int(item in visit.clicked)] for item in visit.shown]
        location = ("US>CA>807", "US>SC>519", "GB>H9", "SG>00")[visit.user % 4]
        uuid = _hashed(visit.user)[:14]
        events.append([visit.number + 1, uuid, 379000 + visit.number % 40, _ms(visit.at) - _ms(first), 1 + visit.user % 3, location])
    _table(folder / "clicks_train.csv", ["display_id", "ad_id", "clicked"], clicks)
    _table(folder / "events.csv", ["display_id", "uuid", "document_id", "timestamp", "platform", "geo_location"], events)
    ads = [[i.number + 42000, 6614 + i.number, 1 + i.category, 7 + i.brand] for i in world.items]
    _table(folder / "promoted_content.csv", ["ad_id", "document_id", "campaign_id", "advertiser_id"], ads)


def _clicks(world: World, seed: int) -> Iterator[tuple[Visit, Item, int]]:
    for visit in world.visits:
        for number in visit.shown[:4]:
            yield visit, world.items[number], int(number in visit.clicked)


def criteo(folder: Path, world: World) -> None:
    """Write train.txt, tab-separated, without header: label, 13 counts, 26 hashed categories, empty if missing."""
    random = np.random.default_rng(3)
    rows = []
    for visit, item, label in _clicks(world, 1):
        counts = ["" if random.random() < 0.2 else int(random.geometric(0.1)) - 1 for _ in range(12)]
        named = [item.number, item.category, item.brand, world.tastes[visit.user], item.category * 10 + world.tastes[visit.user]]
        codes = [f"{at:02x}{value:06x}" for at, value in enumerate([*named, *random.integers(0, 400, 21).tolist()])]
        codes[20] = "" if random.random() < 0.4 else codes[20]
        rows.append([label, round(item.price), *counts, *codes])
    _lines(folder / "train.txt", rows, "\t")


def avazu(folder: Path, world: World) -> None:
    """Write train.gz: CSV with id, click, hour (YYMMDDHH) and coded columns of site, app and device."""
    header = ["id", "click", "hour", "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain", "app_category"]
    header += ["device_id", "device_ip", "device_model", "device_type", "device_conn_type", *(f"C{n}" for n in range(14, 22))]
    random = np.random.default_rng(4)
    with gzip.open(folder / "train.gz", "wt", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        for at, (visit, item, label) in enumerate(_clicks(world, 2)):
            site = f"{item.category:08x}"
            taste = world.tastes[visit.user]
            row = [
                1000009418151094273 + at * 3_000_001,
                label,
                visit.at.strftime("%y%m%d%H"),
                1005,
                at % 2,
                f"1f{item.number:06x}",
                f"f3{site[2:]}",
                site,
            ]
            row += [f"ec{taste:06x}", "7801e8d9", "07d7df22", "a99f214a", f"dd{visit.user:06x}", f"44{taste:06x}", 1, at % 3]
            row += [
                15700 + item.number,
                320,
                50,
                1722 + item.category * 10 + taste,
                at % 4,
                35,
                -1 if at % 3 else 100084,
                79 + int(random.integers(3)),
            ]
            writer.writerow(row)


def movielens(folder: Path, world: World) -> None:
    """Write the newer sets: ratings.csv, movies.csv, tags.csv, links.csv."""
    _table(folder / "ratings.csv", ["userId", "movieId", "rating", "timestamp"], _ratings(world, half=True))
    movies = [[i.number + 1, f"{i.title.title()} ({1980 + i.number % 40})", _genres(i)] for i in world.items]
    _table(folder / "movies.csv", ["movieId", "title", "genres"], movies)
    tags = [[v.user + 1, v.shown[0] + 1, _WORDS[v.number % 9], int(v.at.timestamp())] for v in world.visits[::9]]
    _table(folder / "tags.csv", ["userId", "movieId", "tag", "timestamp"], tags)
    _table(
        folder / "links.csv",
        ["movieId", "imdbId", "tmdbId"],
        [[i.number + 1, f"{114709 + i.number:07d}", 862 + i.number] for i in world.items],
    )


def movielens_1m(folder: Path, world: World) -> None:
    """Write the set of a million ratings: ratings.dat, movies.dat, users.dat, by `::`, in Latin-1, without header."""
    _lines(folder / "ratings.dat", _ratings(world, half=False), "::")
    movies = [[i.number + 1, f"{i.title.title()}: The Film ({1980 + i.number % 20})", _genres(i)] for i in world.items]
    _lines(folder / "movies.dat", movies, "::", encoding="latin-1")
    ages = (1, 18, 25, 35, 45, 50, 56)
    people = [
        [user + 1, "MF"[taste % 2], ages[taste], (user * 7) % 21, f"{10000 + user * 37:05d}"] for user, taste in enumerate(world.tastes)
    ]
    _lines(folder / "users.dat", people, "::")


def _ratings(world: World, *, half: bool) -> list[list[Any]]:
    rows = []
    for visit in world.visits:
        for at, item in enumerate(visit.shown[:5]):
            stars = (5 if item in visit.carted else 4 if item in visit.clicked else 2) - (0.5 if half and item % 3 == 0 else 0)
            rows.append([visit.user + 1, item + 1, stars, int(visit.at.timestamp()) + 20 * at])
    return sorted(rows, key=lambda row: (row[0], row[3]))


def _genres(item: Item) -> str:
    return "|".join(dict.fromkeys((_CATEGORIES[item.category].title(), _BRANDS[item.brand].title())))


def online_retail(folder: Path, world: World) -> None:
    """Write a CSV of invoice lines: times as 12/1/2010 8:26, customers as 17850.0, cancellations with a C."""
    header = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    rows = []
    for visit in world.visits:
        at = f"{visit.at.month}/{visit.at.day}/{visit.at.year} {visit.at.hour}:{visit.at.minute:02d}"
        customer = f"{visit.user + 12300}.0" if visit.number % 5 else ""
        for cancelled in (False, True):
            if cancelled and (visit.number % 12 or not customer):
                continue
            for item in visit.clicked[:1] if cancelled else visit.clicked:
                product = world.items[item]
                number = 536365 + visit.number
                amount = -2 if cancelled else 2 + item % 10
                code = f"{22000 + item}{'ABC'[item % 3] if item % 6 == 0 else ''}"
                title = product.title.upper()
                row = [
                    f"C{number + 40000}" if cancelled else number,
                    code,
                    title,
                    amount,
                    at,
                    product.price,
                    customer,
                    _COUNTRIES[visit.user % 3],
                ]
                rows.append(row)
        if visit.number % 40 == 0:
            rows.append([536365 + visit.number, "POST", "POSTAGE", 1, at, 18.0, customer, _COUNTRIES[visit.user % 3]])
    _table(folder / "Online Retail.csv", header, rows, encoding="latin-1")


def instacart(folder: Path, world: World) -> None:
    """Write orders.csv, order_products__prior.csv and __train.csv, products.csv, aisles.csv, departments.csv."""
    orders, prior, train = list[list[Any]](), list[list[Any]](), list[list[Any]]()
    before: dict[int, tuple[datetime, int]] = {}
    bought: dict[int, set[int]] = {}
    last = {visit.user: visit.number for visit in world.visits}
    for visit in world.visits:
        previous, number = before.get(visit.user, (visit.at, 0))
        before[visit.user] = (visit.at, number + 1)
        passed = f"{min((visit.at - previous).days, 30)}.0" if number else ""
        part = "train" if last[visit.user] == visit.number else "prior"
        orders.append([visit.number + 1, visit.user + 1, part, number + 1, visit.at.isoweekday() % 7, f"{visit.at.hour:02d}", passed])
        had = bought.setdefault(visit.user, set())
        for at, item in enumerate(visit.clicked, 1):
            (train if part == "train" else prior).append([visit.number + 1, item + 1, at, int(item in had)])
        had.update(visit.clicked)
    header = ["order_id", "user_id", "eval_set", "order_number", "order_dow", "order_hour_of_day", "days_since_prior_order"]
    _table(folder / "orders.csv", header, sorted(orders, key=lambda row: (row[1], row[3])))
    for name, rows in (("prior", prior), ("train", train)):
        _table(folder / f"order_products__{name}.csv", ["order_id", "product_id", "add_to_cart_order", "reordered"], rows)
    products = [[i.number + 1, i.title.title(), 1 + i.category, 1 + i.brand] for i in world.items]
    _table(folder / "products.csv", ["product_id", "product_name", "aisle_id", "department_id"], products)
    _table(folder / "aisles.csv", ["aisle_id", "aisle"], [[n + 1, name] for n, name in enumerate(_CATEGORIES)])
    _table(folder / "departments.csv", ["department_id", "department"], [[n + 1, name] for n, name in enumerate(_BRANDS)])


def ga4(folder: Path, world: World) -> None:
    """Write Google Analytics 4's BigQuery export as JSON Lines: events with products and key-value pairs."""
    with (folder / "events_20191001.json").open("w") as out:
        for row in ga4_rows(world):
            out.write(json.dumps({**row, "event_timestamp": str(row["event_timestamp"])}) + "\n")


def ga4_rows(world: World) -> Iterator[dict[str, Any]]:
    """Return the rows of the export; numbers as in Parquet."""
    names = {"view": "view_item", "cart": "add_to_cart", "purchase": "purchase"}

    def row(visit: Visit, name: str, at: datetime, items: Sequence[int]) -> dict[str, Any]:
        parameters = {"page_location": f"https://shop.example/{name}", "ga_session_id": visit.number + 1612000000}
        return {
            "event_date": at.strftime("%Y%m%d"),
            "event_timestamp": int(at.timestamp() * 1_000_000),
            "event_name": name,
            "event_params": [
                {"key": key, "value": {"string_value": v if isinstance(v, str) else None, "int_value": v if isinstance(v, int) else None}}
                for key, v in parameters.items()
            ],
            "user_pseudo_id": f"{visit.user + 1026454}.{visit.user * 31 + 4271}",
            "device": {"category": ("mobile", "desktop")[visit.user % 2], "operating_system": ("iOS", "Windows")[visit.user % 2]},
            "geo": {"country": _COUNTRIES[visit.user % 3]},
            "platform": "WEB",
            "items": [
                {
                    "item_id": f"SKU{item:05d}",
                    "item_name": world.items[item].title,
                    "item_brand": _BRANDS[world.items[item].brand],
                    "item_category": _CATEGORIES[world.items[item].category],
                    "price": world.items[item].price,
                    "quantity": 1 if name == "purchase" else None,
                    "item_list_index": str(position) if name == "view_item_list" else None,
                }
                for position, item in enumerate(items)
            ],
        }

    for visit in world.visits:
        yield row(visit, "page_view", visit.at - timedelta(seconds=2), ())
        yield row(visit, "view_item_list", visit.at, visit.shown)
        for item in visit.clicked:
            yield row(visit, "select_item", visit.at + timedelta(seconds=2 + item % 9), (item,))
        done = list(actions(visit))
        yield from (row(visit, names[name], at, (item,)) for name, item, at in done if name != "purchase")
        if visit.bought:
            yield row(visit, "purchase", done[-1][2], visit.bought)


def shopify(folder: Path, world: World) -> None:
    """Write orders_export.csv: a row for each line of an order; the order's columns are filled on the first alone."""
    header = [
        "Name",
        "Email",
        "Financial Status",
        "Paid at",
        "Fulfillment Status",
        "Accepts Marketing",
        "Currency",
        "Subtotal",
        "Shipping",
        "Taxes",
        "Total",
    ]
    header += ["Discount Code", "Discount Amount", "Shipping Method", "Created at", "Lineitem quantity", "Lineitem name", "Lineitem price"]
    header += ["Lineitem compare at price", "Lineitem sku", "Lineitem requires shipping", "Lineitem taxable", "Lineitem fulfillment status"]
    header += [
        "Billing Name",
        "Billing Zip",
        "Billing Country",
        "Cancelled at",
        "Payment Method",
        "Refunded Amount",
        "Vendor",
        "Id",
        "Tags",
        "Source",
    ]
    rows = []
    for visit in world.visits:
        lines = visit.clicked
        written = visit.at.strftime("%Y-%m-%d %H:%M:%S +0200")
        total = round(sum(world.items[item].price for item in lines), 2)
        for at, item in enumerate(lines):
            product = world.items[item]
            name, mail = f"#{1000 + visit.number}", f"shopper{visit.user}@mail.example"
            country, fields = ("FR", "DE", "NO")[visit.user % 3], {"Name": name, "Email": mail}
            if at == 0:
                fields |= {
                    "Financial Status": "paid",
                    "Paid at": written,
                    "Fulfillment Status": "fulfilled",
                    "Accepts Marketing": "yes",
                    "Currency": "EUR",
                }
                fields |= {"Subtotal": f"{total}", "Shipping": "0.00", "Taxes": "0.00", "Total": f"{total}", "Discount Amount": "0.00"}
                fields |= {
                    "Created at": written,
                    "Billing Name": f"Shopper {visit.user}",
                    "Billing Zip": f"'{75000 + visit.user}",
                    "Billing Country": country,
                }
                fields |= {"Payment Method": "Card", "Refunded Amount": "0.00", "Id": str(7410991464714 + visit.number), "Source": "web"}
            else:
                fields |= {"Email": mail}
            fields |= {
                "Lineitem quantity": str(1 + item % 3),
                "Lineitem name": product.title.title(),
                "Lineitem price": f"{product.price:.2f}",
            }
            fields |= {
                "Lineitem sku": f"AB-{item:04d}",
                "Lineitem requires shipping": "true",
                "Lineitem taxable": "true",
                "Vendor": _BRANDS[product.brand],
            }
            rows.append([fields.get(column, "") for column in header])
    _table(folder / "orders_export.csv", header, rows)


def mind(folder: Path, world: World) -> None:
    """Write behaviors.tsv (impression, user, time, history, items with -0 or -1) and news.tsv, without header."""
    rows, seen = [], dict[int, list[str]]()
    for visit in world.visits:
        at = visit.at
        written = f"{at.month}/{at.day}/{at.year} {at.hour % 12 or 12}:{at:%M:%S} {'AM' if at.hour < 12 else 'PM'}"
        shown = " ".join(f"N{item + 10000}-{int(item in visit.clicked)}" for item in visit.shown)
        rows.append([visit.number + 1, f"U{visit.user + 13000}", written, " ".join(seen.get(visit.user, [])), shown])
        seen.setdefault(visit.user, []).extend(f"N{item + 10000}" for item in visit.clicked)
    _lines(folder / "behaviors.tsv", rows, "\t")
    news = []
    for item in world.items:
        category, title = _CATEGORIES[item.category], item.title.capitalize()
        entities = json.dumps([{"Label": title, "Type": "P", "WikidataId": f"Q{item.number}", "Confidence": 0.9}])
        url = f"https://assets.example/{item.number}.html"
        news.append(
            [
                f"N{item.number + 10000}",
                category,
                f"{category}{_BRANDS[item.brand]}",
                f'The "{title}" story',
                f"All about {title}.",
                url,
                entities,
                "[]",
            ]
        )
    _lines(folder / "news.tsv", news, "\t")


def hm(folder: Path, world: World) -> None:
    """Write transactions_train.csv (hashes of customers, articles with a leading zero), articles.csv, customers.csv."""
    rows = []
    for visit in world.visits:
        customer = _hashed(visit.user)
        for item in visit.clicked:
            price = f"{world.items[item].price / 1000:.9f}"
            rows.append([visit.at.strftime("%Y-%m-%d"), customer, f"0{663713000 + item * 1001:09d}", price, 1 + visit.number % 2])
    _table(folder / "transactions_train.csv", ["t_dat", "customer_id", "article_id", "price", "sales_channel_id"], rows)
    header = [
        "article_id",
        "product_code",
        "prod_name",
        "product_type_no",
        "product_type_name",
        "product_group_name",
        "graphical_appearance_no",
    ]
    header += [
        "graphical_appearance_name",
        "colour_group_code",
        "colour_group_name",
        "perceived_colour_value_id",
        "perceived_colour_value_name",
    ]
    header += ["perceived_colour_master_id", "perceived_colour_master_name", "department_no", "department_name", "index_code", "index_name"]
    header += ["index_group_no", "index_group_name", "section_no", "section_name", "garment_group_no", "garment_group_name", "detail_desc"]
    articles = []
    for i in world.items:
        category, brand, colour = _CATEGORIES[i.category], _BRANDS[i.brand], _WORDS[i.number % 3]
        row: list[Any] = [
            f"0{663713000 + i.number * 1001:09d}",
            f"0{663713 + i.number:06d}",
            i.title.title(),
            250 + i.category,
            category,
            f"{category} group",
        ]
        row += [1010016, "Solid", 9, colour, 4, "Dark", 5, colour, 1600 + i.brand, brand, "AB"[i.brand % 2], f"Index {i.brand % 2}"]
        row += [
            1 + i.brand % 2,
            f"Group {i.brand % 2}",
            50 + i.brand,
            f"Section {brand}",
            1000 + i.category,
            category.title(),
            f"A {colour} one, {i.title}.",
        ]
        articles.append(row)
    _table(folder / "articles.csv", header, articles)
    people = []
    for user, taste in enumerate(world.tastes):
        code = _hashed(user)
        people.append(
            [
                code,
                "1.0" if taste % 2 else "",
                "",
                "ACTIVE" if user % 5 else "PRE-CREATE",
                "NONE" if user % 3 else "Regularly",
                20 + taste * 7,
                _hashed(user // 2 + 1000),
            ]
        )
    _table(
        folder / "customers.csv",
        ["customer_id", "FN", "Active", "club_member_status", "fashion_news_frequency", "age", "postal_code"],
        people,
    )


WRITERS: dict[str, Callable[[Path, World], None]] = {
    "retailrocket": retailrocket,
    "rees46": rees46,
    "yoochoose": yoochoose,
    "diginetica": diginetica,
    "yandex": yandex,
    "otto": otto,
    "outbrain": outbrain,
    "criteo": criteo,
    "avazu": avazu,
    "movielens": movielens,
    "movielens_1m": movielens_1m,
    "online_retail": online_retail,
    "instacart": instacart,
    "ga4": ga4,
    "shopify": shopify,
    "mind": mind,
    "hm": hm,
}


def write_public(name: str, folder: Path, world: World | None = None) -> list[Path]:
    """Write the files of a public format into a folder, and return them sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    WRITERS[name](folder, world or make_world())
    return sorted(folder.iterdir())
