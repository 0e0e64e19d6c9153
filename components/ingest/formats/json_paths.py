"""Follow paths into JSON values, those with a common prefix together."""

from collections.abc import Iterable, Mapping

import numpy as np

from components.contract.values.nested_paths import Element, Key, Match, Step, Steps
from components.ingest.formats import json_scan as scan
from components.ingest.formats.json_scan import Numbers
from components.ingest.formats.json_values import EMPTY, LIST, OBJECT, Lists, RowFault, Scanner, Values, elements, members

PathValues = Values | Lists


def follow(values: Values, remaining: Mapping[str, Steps], scanner: Scanner, *, written: str) -> dict[str, PathValues]:
    """Return the values at the end of each path; a list for each row where the path leads through all elements of an
    array.

    Args:
        values: where the paths begin.
        remaining: the steps that remain of each path, by its name.
        scanner: the arrays that scans share.
        written: how the way to `values` is written, for errors.

    Raises:
        RowFault: a value has another structure than the step needs.
    """
    results: dict[str, PathValues] = {name: values for name, steps in remaining.items() if not steps}
    ways: dict[Step, dict[str, Steps]] = {}
    for name, steps in remaining.items():
        if steps:
            ways.setdefault(steps[0], {})[name] = steps[1:]
    keys = {step: paths for step, paths in ways.items() if isinstance(step, Key)}
    others = {step: paths for step, paths in ways.items() if not isinstance(step, Key)}
    if not ways:
        return results
    forms = values.forms()
    if others:
        _require(values, forms, LIST, f"an array for {_first(others.values())}", written)
        inner = elements(values, written, scanner)
        for step, paths in others.items():
            results |= follow(_single(inner, step, scanner, rows=values.rows), paths, scanner, written=f"{written}{_bracket(step)}")
    if keys and LIST in forms:
        _require(values, forms, LIST, f"an array of objects, as in other lines, for {_first(keys.values())}", written)
        inner = elements(values, written, scanner)
        of_each = {name: (key, *steps) for key, paths in keys.items() for name, steps in paths.items()}
        for name, member in follow(inner.values, of_each, scanner, written=f"{written}[]").items():
            if isinstance(member, Lists):
                raise RowFault(_row(values, forms), f"{name!r} leads through an array within an array; unnest one of them")
            results[name] = Lists(inner.lengths, inner.present, member)
    elif keys:
        _require(values, forms, OBJECT, f"an object for {_first(keys.values())}", written)
        by_key = members(values, [step.name for step in keys], scanner)
        for key, paths in keys.items():
            results |= follow(by_key[key.name], paths, scanner, written=f"{written}.{key.name}")
    return results


def _require(values: Values, forms: scan.Bytes, form: int, what: str, written: str) -> None:
    wrong = (forms != form) & (forms != EMPTY)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise RowFault(values.row(at), f"expected {what} in {written!r}, got {values.written(at)}; correct the path, or the line")


def _row(values: Values, forms: scan.Bytes) -> int:
    return values.row(int(np.argmax(forms == LIST)))


def _first(ways: Iterable[dict[str, Steps]]) -> str:
    """Return the name of the first path that continues."""
    return repr(next(name for paths in ways for name in paths))


def _single(inner: Lists, step: Element | Match, scanner: Scanner, *, rows: Numbers | None) -> Values:
    """Return the element that a step selects from each row's array, absent where there is none."""
    firsts = np.cumsum(inner.lengths) - inner.lengths
    if isinstance(step, Element):
        return inner.values.chosen(np.where(step.at < inner.lengths, firsts + step.at, -1), rows=rows)
    key = members(inner.values, [step.key], scanner)[step.key]
    same = np.zeros(len(key), np.bool_)
    text = step.value.encode()
    word = np.frombuffer(text or b"\0", np.uint8)[: len(text)]
    scan.are_words(key.buffer, key.spans, word, same, scanner.work.scratch)
    hits = np.flatnonzero(same)
    row, first = np.unique(np.repeat(np.arange(len(inner.lengths)), inner.lengths)[hits], return_index=True)
    chosen = np.full(len(inner.lengths), -1, np.int64)
    chosen[row] = hits[first]
    return inner.values.chosen(chosen, rows=rows)


def _bracket(step: Element | Match) -> str:
    return f"[{step.at}]" if isinstance(step, Element) else f"[{step.key}={step.value}]"
