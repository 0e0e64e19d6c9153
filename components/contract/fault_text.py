"""Word what pydantic found as ShelfRank words its errors: what was expected, and what came."""

from typing import Any

# What a value should have been, by pydantic's name for the error.
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


def fault_text(detail: Any) -> str:
    """The sentence for one error of pydantic.

    Args:
        detail: an entry of `ValidationError.errors()`.
    """
    limits = detail.get("ctx", {})
    match detail["type"]:
        case "value_error" | "assertion_error":
            return str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        case "faults":
            return str(detail["msg"])
        case "literal_error" | "enum":
            return _got(f"expected {limits['expected']}", detail)
        case "greater_than":
            return _got(f"expected a value greater than {limits['gt']:g}", detail)
        case "greater_than_equal":
            return _got(f"expected a value of at least {limits['ge']:g}", detail)
        case "less_than":
            return _got(f"expected a value less than {limits['lt']:g}", detail)
        case "less_than_equal":
            return _got(f"expected a value of at most {limits['le']:g}", detail)
        case "multiple_of":
            return _got(f"expected a multiple of {limits['multiple_of']:g}", detail)
        case "string_pattern_mismatch":
            return _got(f"expected text of the form {limits['pattern']}", detail)
        case "string_too_short":
            return _got(f"expected {_count(limits['min_length'], 'character')} or more", detail)
        case "string_too_long":
            return _got(f"expected {_count(limits['max_length'], 'character')} at most", detail)
        case "too_short":
            return _got(f"expected {_count(limits['min_length'], 'entry')} or more", detail)
        case "too_long":
            return _got(f"expected {_count(limits['max_length'], 'entry')} at most", detail)
        case kind if kind in _EXPECTED:
            return _got(f"expected {_EXPECTED[kind]}", detail)
    return _got(str(detail["msg"]).replace("Input should be", "expected"), detail)


def _got(expected: str, detail: Any) -> str:
    """With what came, unless that is a whole mapping."""
    return expected if isinstance(detail["input"], dict) else f"{expected}, got {detail['input']!r}"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s".replace("entrys", "entries")
