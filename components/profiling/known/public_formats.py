"""Recognise the files of public data sets; their dataset files are under `examples/public/`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.profiling.samples.file_groups import FileGroup

_INTEGER, _HEX = r"-?\d+", r"[0-9a-f]*"
_MATCHING = 0.95  # of the sampled values or lines


@dataclass(frozen=True)
class PublicFile:
    """A file of a data set.

    `path`: as the dataset file names it. `columns`: names that its header must have. `shape`: of a file without a
    header, the pattern of each column's values. `lines`: patterns of a file with several kinds of lines; each kind must
    occur. `name`: required in the file's name, where the content is ambiguous. Without `required` it may be missing.
    """

    path: str
    columns: frozenset[str] = frozenset()
    shape: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    name: str = ""
    required: bool = True


@dataclass(frozen=True)
class PublicFormat:
    """A public data set: its published files, and those that `prepare` makes where no dataset file can describe them.

    `aliases`: sets of columns that have other names in another edition.
    """

    name: str
    title: str
    files: tuple[PublicFile, ...]
    raw_files: tuple[PublicFile, ...] = ()
    aliases: tuple[Mapping[str, str], ...] = ()
    why_prepare: str = ""


@dataclass(frozen=True)
class RecognisedFormat:
    """A recognised data set; `groups`: the files for each path of its dataset file.

    `raw`: they must be prepared first. `alias`: how columns are called here.
    """

    format: PublicFormat
    groups: Mapping[str, tuple[FileGroup, ...]]
    raw: bool = False
    alias: Mapping[str, str] = field(default_factory=dict)


def _file(path: str, columns: str, **keys: object) -> PublicFile:
    return PublicFile(path, frozenset(columns.split()), **keys)  # type: ignore[arg-type]


FORMATS = (
    PublicFormat(
        "retailrocket",
        "RetailRocket",
        (
            _file("events.csv", "timestamp visitorid event itemid transactionid"),
            _file("item_properties_part*.csv", "timestamp itemid property value", required=False),
        ),
    ),
    PublicFormat(
        "rees46",
        "REES46",
        (_file("2019-*.csv", "event_time event_type product_id category_id category_code brand price user_id user_session"),),
    ),
    PublicFormat(
        "yoochoose",
        "YooChoose",
        (
            PublicFile("yoochoose-clicks.dat", shape=(_INTEGER, r"\d{4}-\d\d-\d\dT[\d:.]+Z", _INTEGER, r"S|\d+"), name="click"),
            PublicFile("yoochoose-buys.dat", shape=(_INTEGER, r"\d{4}-\d\d-\d\dT[\d:.]+Z", _INTEGER, _INTEGER, _INTEGER), name="buy"),
        ),
    ),
    PublicFormat(
        "diginetica",
        "Diginetica",
        (
            _file("train-item-views.csv", "sessionId userId itemId timeframe eventdate"),
            _file("train-purchases.csv", "sessionId userId timeframe eventdate ordernumber itemId"),
            _file("products.csv", "itemId pricelog2 product.name.tokens", required=False),
        ),
    ),
    PublicFormat(
        "yandex",
        "Yandex personalized web search",
        (
            _file("shown.parquet", "time user url domain request session position query terms"),
            _file("clicks.parquet", "time user url request session"),
        ),
        (PublicFile("train", lines=(r"\d+\tM\t\d+\t\d+", r"\d+\t\d+\t[QT]\t\d+\t\d+\t[\d,]*(\t\d+,\d+)+", r"\d+\t\d+\tC\t\d+\t\d+")),),
        why_prepare="its lines are of several kinds, with the shopper on one and the clicks on others",
    ),
    PublicFormat("otto", "OTTO", (_file("otto-recsys-train.jsonl", "session events.aid events.ts events.type"),)),
    PublicFormat(
        "outbrain",
        "Outbrain",
        (
            _file("shown.parquet", "display_id ad_id clicked time uuid platform country"),
            _file("ads.parquet", "ad_id campaign_id advertiser_id"),
        ),
        (
            _file("clicks_train.csv", "display_id ad_id clicked"),
            _file("events.csv", "display_id uuid document_id timestamp platform geo_location"),
            _file("promoted_content.csv", "ad_id document_id campaign_id advertiser_id"),
        ),
        why_prepare="what a list showed, and when and to whom, stand in two files",
    ),
    PublicFormat("criteo", "Criteo", (PublicFile("train.txt", shape=(r"[01]", *[r"(-?\d+)?"] * 13, *[_HEX] * 26)),)),
    PublicFormat("avazu", "Avazu", (_file("train.gz", "id click hour C1 banner_pos site_id app_id device_id device_ip C14 C21"),)),
    PublicFormat(
        "movielens",
        "MovieLens",
        (_file("ratings.csv", "userId movieId rating timestamp"), _file("movies.csv", "movieId title genres", required=False)),
    ),
    PublicFormat(
        "movielens_1m",
        "MovieLens 1M",
        (
            PublicFile("ratings.dat", shape=(_INTEGER, _INTEGER, r"\d(\.\d)?", r"\d{8,10}"), name="ratings"),
            PublicFile("movies.dat", shape=(_INTEGER, r".+", r"[^:]+"), name="movies", required=False),
            PublicFile("users.dat", shape=(_INTEGER, r"[MF]", r"\d+", r"\d+", r"[\d-]+"), name="users", required=False),
        ),
    ),
    PublicFormat(
        "online_retail",
        "Online Retail",
        (_file("Online Retail.csv", "InvoiceNo StockCode Description Quantity InvoiceDate UnitPrice CustomerID Country"),),
        aliases=({"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"},),
    ),
    PublicFormat(
        "instacart",
        "Instacart",
        (
            _file("lines.parquet", "order_id product_id user_id time orders_before order_dow"),
            _file("products.parquet", "product_id product_name aisle_id department_id"),
        ),
        (
            _file("orders.csv", "order_id user_id eval_set order_number order_dow order_hour_of_day days_since_prior_order"),
            _file("order_products__*.csv", "order_id product_id add_to_cart_order reordered"),
            _file("products.csv", "product_id product_name aisle_id department_id"),
        ),
        why_prepare="what an order held, and whose it was and when, stand in two files",
    ),
    PublicFormat(
        "ga4", "Google Analytics 4 (BigQuery export)", (_file("events_*.json", "event_timestamp event_name user_pseudo_id items.item_id"),)
    ),
    PublicFormat(
        "shopify",
        "Shopify orders",
        (
            PublicFile(
                "orders_export*.csv",
                frozenset(("Name", "Email", "Created at", "Cancelled at", "Lineitem quantity", "Lineitem sku", "Vendor")),
            ),
        ),
    ),
    PublicFormat(
        "mind",
        "MIND (Microsoft News)",
        (
            _file("shown.parquet", "impression_id user_id time news_id position clicked"),
            _file("news.parquet", "news_id category subcategory title"),
        ),
        (
            PublicFile("behaviors.tsv", shape=(r"\d+", r"U\d+", r"\d+/\d+/\d{4} [\d:]+ [AP]M", r"(N\d+ ?)*", r"(N\d+-[01] ?)+")),
            PublicFile("news.tsv", shape=(r"N\d+", r"\S+", r"\S+", r".+", r".*", r".*", r".*", r".*")),
        ),
        why_prepare="one of its columns holds what was shown and what was clicked",
    ),
    PublicFormat(
        "hm",
        "H&M",
        (
            _file("transactions_train.csv", "t_dat customer_id article_id price sales_channel_id"),
            _file("articles.csv", "article_id product_code prod_name product_type_name colour_group_name detail_desc", required=False),
            _file("customers.csv", "customer_id FN Active club_member_status fashion_news_frequency age", required=False),
        ),
    ),
)


def recognise(groups: Sequence[FileGroup]) -> RecognisedFormat | None:
    """Recognise a public data set with all its required files, or None; of several the one that more files fit."""
    matches = [each for known in FORMATS for each in _as(known, groups)]
    return max(matches, key=lambda each: sum(len(those) for those in each.groups.values()), default=None)


def _as(known: PublicFormat, groups: Sequence[FileGroup]) -> list[RecognisedFormat]:
    options = []
    for files, raw in ((known.files, False), (known.raw_files, True)):
        for alias in ({}, *known.aliases) if not raw else ({},):
            matching = _matching(files, groups, alias)
            if files and all(matching[file.path] for file in files if file.required):
                options.append(RecognisedFormat(known, {path: those for path, those in matching.items() if those}, raw, alias))
    return options


def _matching(files: Sequence[PublicFile], groups: Sequence[FileGroup], alias: Mapping[str, str]) -> dict[str, tuple[FileGroup, ...]]:
    """Match groups to the data set's files; one that fits several, to the one with the most column names."""
    matches: dict[str, list[FileGroup]] = {file.path: [] for file in files}
    for group in groups:
        if those := [file for file in files if fits(file, group, alias)]:
            matches[max(those, key=lambda file: len(file.columns)).path].append(group)
    return {path: tuple(those) for path, those in matches.items()}


def fits(file: PublicFile, group: FileGroup, alias: Mapping[str, str] | None = None) -> bool:
    """Return whether a group of files looks like a file of a public data set."""
    table = group.table
    if file.name and file.name not in group.name.lower():
        return False
    if file.columns:
        return table.has_header and {(alias or {}).get(name, name) for name in file.columns} <= set(table.columns)
    if file.lines:
        kinds = [[bool(re.fullmatch(kind, line)) for kind in file.lines] for line in table.first_lines]
        each_kind = all(any(line[at] for line in kinds) for at in range(len(file.lines)))
        return each_kind and sum(map(any, kinds)) >= _MATCHING * len(kinds)
    if table.has_header or len(table.columns) != len(file.shape):
        return False
    return all(
        _share(column.head(500).fill_null("").to_list(), pattern) >= _MATCHING
        for column, pattern in zip(table.columns.values(), file.shape, strict=True)
    )


def _share(values: Sequence[str], pattern: str) -> float:
    return sum(bool(re.fullmatch(pattern, value.strip())) for value in values) / max(len(values), 1)


def dataset_file(known: PublicFormat) -> Path:
    """Return the path of its dataset file: beside this module in a wheel, under `examples/public/` in a clone."""
    installed = Path(__file__).with_name("public") / f"{known.name}.yaml"
    return installed if installed.exists() else Path(__file__).parents[3] / "examples" / "public" / f"{known.name}.yaml"
