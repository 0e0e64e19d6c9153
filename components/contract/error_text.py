"""Word pydantic's validation errors like ShelfRank's: what was expected, and what was received."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

# The expected kind of value, by pydantic's error type.
_EXPECTED = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "dataclass_type", "mapping_type"), "a mapping of keys to values"),
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "iterable_type"), "a list"),
    **dict.fromkeys(("string_type", "string_unicode"), "text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type", "decimal_parsing"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_from_date_parsing"), "a date and time"),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), "a date"),
    "none_required": "nothing",
}
_NOT_GIVEN = ("missing", "default_factory_not_called")  # errors whose location ends with a missing key


def fault_text(detail: Any) -> str:
    """Word one error of pydantic.

    Args:
        detail: an entry of `ValidationError.errors()`.
    """
    return _got(_expectation(detail), detail)


def without_branches(details: Sequence[Any], value: Any) -> list[Any]:
    """Merge the errors of a value that fits no member of a union to one, where pydantic has one for each member.

    It is the error of the member whose shape the value has, such as a list's wrong entry; else it names all members.

    Args:
        details: of `ValidationError.errors()`, those of a value together.
        value: what was validated; keys that aren't in it are names of union members, which pydantic adds to a location.
    """
    kept: list[Any] = []
    for (location, type_), each in groupby(details, lambda detail: _divided(detail, value)):
        alike = list(each)
        several = type_ is None and len({detail["loc"][len(location)] for detail in alike}) > 1
        kept += _of_types(alike, len(location)) if several else alike
    return kept


def _divided(detail: Any, value: Any) -> tuple[tuple[Any, ...], str | None]:
    """Split an error's location at a union member's name, with None; without one, return all and the error's type."""
    loc, named = detail["loc"], None
    for depth, part in enumerate(loc):
        try:
            value = value[part]
        except (LookupError, TypeError):  # not in the file: a union member, or the index of a single source
            absent_key = depth == len(loc) - 1 and detail["type"] in _NOT_GIVEN
            named = depth if isinstance(part, str) and part != "[key]" and not absent_key else named
    return (tuple(loc), detail["type"]) if named is None else (tuple(loc[:named]), None)


def _of_types(alike: Sequence[Any], depth: int) -> Iterable[Any]:
    inside = [detail for detail in alike if len(detail["loc"]) > depth + 1]
    if inside:
        return [detail | {"loc": (*detail["loc"][:depth], *detail["loc"][depth + 1 :])} for detail in inside]
    expected = list(dict.fromkeys(_expectation(detail).removeprefix("expected ") for detail in alike))
    expected = [f"{each} of such" if index and each == "a list" else each for index, each in enumerate(expected)]
    return [alike[0] | {"loc": alike[0]["loc"][:depth], "type": "types", "ctx": {"expected": ", or ".join(expected)}}]


def _expectation(detail: Any) -> str:
    """Word what was expected, or return a validator's own sentence."""
    limits = detail.get("ctx", {})
    match detail["type"]:
        case "value_error" | "assertion_error":
            return str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        case "faults":
            return str(detail["msg"])
        case "literal_error" | "enum" | "types":
            return f"expected {limits['expected']}"
        case "greater_than":
            return f"expected a value greater than {limits['gt']:g}"
        case "greater_than_equal":
            return f"expected a value of at least {limits['ge']:g}"
        case "less_than":
            return f"expected a value less than {limits['lt']:g}"
        case "less_than_equal":
            return f"expected a value of at most {limits['le']:g}"
        case "multiple_of":
            return f"expected a multiple of {limits['multiple_of']:g}"
        case "string_pattern_mismatch":
            return f"expected text of the form {limits['pattern']}"
        case "string_too_short":
            return f"expected {_count(limits['min_length'], 'character')} or more"
        case "string_too_long":
            return f"expected {_count(limits['max_length'], 'character')} at most"
        case "too_short":
            return f"expected {_count(limits['min_length'], 'entry')} or more"
        case "too_long":
            return f"expected {_count(limits['max_length'], 'entry')} at most"
        case kind if kind in _EXPECTED:
            return f"expected {_EXPECTED[kind]}"
    return str(detail["msg"]).replace("Input should be", "expected")


def _got(expected: str, detail: Any) -> str:
    """Append the received value, unless that is a whole mapping, or the sentence has it."""
    says = detail["type"] in ("value_error", "assertion_error", "faults")
    return expected if says or isinstance(detail["input"], dict) else f"{expected}, got {detail['input']!r}"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s".replace("entrys", "entries")
