"""A dialect is recognised by lines that were written in it."""

import csv
import io
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.profiling.samples.csv_dialect import Dialect, parse_lines, recognise_dialect

WORDS = ("blue mug", 'a 12" plate', "tea, green", "salt; pepper", "x|y", "plain", "", "a\\b", "two\tcolumns")


def written(rows: list[list[str]], dialect: Dialect) -> str:
    """The rows as a shop would write them; fields that would break the dialect are quoted, or plain where it has no quotes."""
    out = io.StringIO()
    if len(dialect.separator) > 1:
        return "".join(dialect.separator.join(row) + "\n" for row in rows)
    writer = csv.writer(
        out,
        delimiter=dialect.separator,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        quotechar=dialect.quote or None,
        doublequote=not dialect.escape,
        escapechar=dialect.escape or None,
        lineterminator="\n",
    )
    writer.writerows(rows)
    return out.getvalue()


def shop_rows(words: tuple[str, ...], *, header: bool) -> list[list[str]]:
    rows = [[f"2026-01-{1 + n % 28:02d}T10:00:00", f"u{n % 7}", str(1000 + n % 5), words[n % len(words)], f"{n % 9}.5"] for n in range(60)]
    return [["at", "shopper", "sku", "title", "price"], *rows] if header else rows


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "\x01", "::"])
def test_a_separator_and_a_header_are_recognised(separator: str, header: bool) -> None:
    rows = shop_rows(("blue mug", "red mug"), header=header)
    assert recognise_dialect(written(rows, Dialect(separator))) == Dialect(separator, header=header)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_quotes_around_separators_are_taken_off(separator: str) -> None:
    rows = shop_rows((f"one{separator}two", 'say "three"', "four"), header=True)
    found = recognise_dialect(written(rows, Dialect(separator)))
    assert found == Dialect(separator)
    assert parse_lines(written(rows, Dialect(separator)).splitlines(), found) == rows


def test_a_backslash_before_a_quote_is_an_escape() -> None:
    dialect = Dialect(",", '"', "\\")
    rows = shop_rows(('say "three", he said', "four"), header=True)
    found = recognise_dialect(written(rows, dialect))
    assert found == dialect
    assert parse_lines(written(rows, dialect).splitlines(), found) == rows


def test_quotes_that_are_text_are_kept() -> None:
    rows = shop_rows(('a 12" plate', '"quoted" start', "plain"), header=True)
    text = "".join("\t".join(row) + "\n" for row in rows)
    found = recognise_dialect(text)
    assert found == Dialect("\t", "")
    assert parse_lines(text.splitlines(), found) == rows


def test_values_of_several_in_one_are_no_columns() -> None:
    rows = [["movieId", "title", "genres"], *([str(n), f"Film {n}", "|".join(["Drama", "War", "Comedy"][: 1 + n % 3])] for n in range(50))]
    assert recognise_dialect(written(rows, Dialect())).separator == ","


def test_words_alone_are_no_header_where_they_return() -> None:
    rows = [[f"N{n + 100}", ["news", "sports"][n % 2], f"Title of {n}"] for n in range(30)]
    assert not recognise_dialect(written(rows, Dialect("\t"))).header


@settings(max_examples=60, deadline=None)
@given(
    separator=st.sampled_from([",", "\t", ";", "|"]),
    words=st.lists(st.text(string.ascii_letters + string.digits + " ,;|\t'\"", min_size=1, max_size=12), min_size=3, max_size=6),
    header=st.booleans(),
)
def test_rows_come_back_as_they_were_written(separator: str, words: list[str], header: bool) -> None:
    rows = shop_rows(tuple(word.strip() or "x" for word in words), header=header)
    text = written(rows, Dialect(separator))
    found = recognise_dialect(text)
    assert parse_lines(text.splitlines(), found) == rows
    assert found.header == header
