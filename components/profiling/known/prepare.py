"""Convert a public data set's files to a form that a dataset file can describe, such as a row for each shown item."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from components.contract.errors import InputError

_LINE = "\x01"  # a separator that no line has: each line is one column
_OUTBRAIN_START_MS = 1_465_876_799_998  # 2016-06-14 04:00 UTC, from which the data set counts
_DAY_S = 86_400
_DAY_ZERO_S = 946_684_800  # 2000-01-01, day 0 of data sets with day numbers

Paths = Mapping[str, Sequence[str]]  # path of the published name to the existing files


def prepare(name: str, paths: Paths, out: Path) -> list[Path]:
    """Write the files of a public data set into a folder, and return them.

    Raises:
        InputError: they aren't files of that data set, or the folder can't be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        written = []
        for file, frame in _PREPARED[name](paths).items():
            frame.sink_parquet(out / file)
            written.append(out / file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{out}: can't prepare the files of {name}: {error}") from None
    return written


def _csv(paths: Sequence[str], *, separator: str = ",", header: Sequence[str] | None = None, quote: str | None = '"') -> pl.LazyFrame:
    """Read all columns as text, so that ids keep leading zeros."""
    return pl.scan_csv(
        list(paths),
        separator=separator,
        has_header=header is None,
        new_columns=list(header) if header else None,
        infer_schema=False,
        quote_char=quote,
    )


def _yandex(paths: Paths) -> dict[str, pl.LazyFrame]:
    lines = pl.scan_csv(list(paths["train"]), separator=_LINE, has_header=False, new_columns=["line"], infer_schema=False, quote_char=None)
    parts = lines.with_columns(pl.col("line").str.split("\t").alias("part"))

    def part(at: int) -> pl.Expr:
        return pl.col("part").list.get(at, null_on_oob=True)

    sessions = parts.filter(part(1) == "M").select(session=part(0), day=part(2).cast(pl.Int64), user=part(3))
    # Queries are numbered from 0 in each session, so the session's id makes a list's id unique.
    request = pl.concat_str(part(0), part(3), separator="-")
    moment = (pl.col("day") * _DAY_S + pl.col("passed") + _DAY_ZERO_S).alias("time")
    lists = parts.filter(part(2).is_in(["Q", "T"])).select(
        session=part(0), passed=part(1).cast(pl.Int64), request=request, query=part(4), terms=part(5), page=pl.col("part").list.slice(6)
    )
    shown = (
        lists.with_columns(position=pl.int_ranges(pl.col("page").list.len()))
        .explode("page", "position")
        .filter(pl.col("page").is_not_null())
        .join(sessions, on="session")
        .select(
            moment,
            "user",
            "session",
            "request",
            "position",
            "query",
            "terms",
            url=pl.col("page").str.split(",").list.get(0),
            domain=pl.col("page").str.split(",").list.get(1, null_on_oob=True),
        )
    )
    clicks = (
        parts.filter(part(2) == "C")
        .select(session=part(0), passed=part(1).cast(pl.Int64), request=request, url=part(4))
        .join(sessions, on="session")
        .select(moment, "user", "session", "request", "url")
    )
    return {"shown.parquet": shown, "clicks.parquet": clicks}


def _outbrain(paths: Paths) -> dict[str, pl.LazyFrame]:
    events = _csv(paths["events.csv"]).select(
        "display_id",
        "uuid",
        "document_id",
        "platform",
        country=pl.col("geo_location").str.split(">").list.get(0),
        time=pl.from_epoch(pl.col("timestamp").cast(pl.Int64) + _OUTBRAIN_START_MS, "ms"),
    )
    clicks = _csv(paths["clicks_train.csv"]).with_columns(pl.col("clicked").cast(pl.Int8))
    return {"shown.parquet": clicks.join(events, on="display_id"), "ads.parquet": _csv(paths["promoted_content.csv"])}


def _instacart(paths: Paths) -> dict[str, pl.LazyFrame]:
    orders = _csv(paths["orders.csv"]).with_columns(
        orders_before=pl.col("order_number").cast(pl.Int64) - 1, days=pl.col("days_since_prior_order").cast(pl.Float64).fill_null(0)
    )
    day = pl.col("days").cum_sum().over("user_id", order_by="orders_before")
    hour = pl.col("order_hour_of_day").cast(pl.Float64)
    since = ((day * 24 + hour) * 3600 * 1000).cast(pl.Int64)
    time = pl.datetime(2014, 1, 1) + pl.duration(milliseconds=since)
    timed = orders.select("order_id", "user_id", "orders_before", "order_dow", time=time)
    lines = pl.concat([_csv([path]) for path in paths["order_products__*.csv"]])
    return {"lines.parquet": lines.join(timed, on="order_id"), "products.parquet": _csv(paths["products.csv"])}


def _mind(paths: Paths) -> dict[str, pl.LazyFrame]:
    behaviours = _csv(
        paths["behaviors.tsv"], separator="\t", header=("impression_id", "user_id", "written", "history", "impressions"), quote=None
    )
    news = _csv(
        paths["news.tsv"],
        separator="\t",
        header=("news_id", "category", "subcategory", "title", "abstract", "url", "title_entities", "abstract_entities"),
        quote=None,
    )
    listed = behaviours.select(
        "impression_id",
        "user_id",
        time=pl.col("written").str.to_datetime("%m/%d/%Y %I:%M:%S %p"),
        shown=pl.col("impressions").str.strip_chars().str.split(" "),
    )
    shown = (
        listed.with_columns(position=pl.int_ranges(pl.col("shown").list.len()))
        .explode("shown", "position")
        .select(
            "impression_id",
            "user_id",
            "time",
            "position",
            news_id=pl.col("shown").str.replace(r"-[01]$", ""),
            clicked=pl.col("shown").str.ends_with("-1").cast(pl.Int8),
        )
    )
    return {"shown.parquet": shown, "news.parquet": news.select("news_id", "category", "subcategory", "title", "abstract")}


_PREPARED: dict[str, Callable[[Paths], dict[str, pl.LazyFrame]]] = {
    "yandex": _yandex,
    "outbrain": _outbrain,
    "instacart": _instacart,
    "mind": _mind,
}
