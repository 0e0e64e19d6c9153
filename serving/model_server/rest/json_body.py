"""The JSON body of a request, read as leniently as by TensorFlow Serving: NaN and Infinity are numbers, what follows the end is let be."""

import json
import re
from typing import Any

from serving.model_server.errors import ServingError, invalid

LONGEST_SHOWN = 256
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
# What Python's reader says, and how RapidJSON puts it.
_FAULTS = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting ',' delimiter": "Missing a comma or closing bracket after an element.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
}


def parse(body: bytes) -> dict[str, Any]:
    """The object in the body. Raises INVALID_ARGUMENT with the offset of the fault, in characters."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        text = body.decode()
        document, _ = _DECODER.raw_decode(text, _SPACE.match(text).end())  # type: ignore[union-attr]
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {_FAULTS.get(error.msg, error.msg)} at offset: {error.pos}") from error
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: Invalid encoding in string. at offset: {error.start}") from error
    except RecursionError as error:
        raise invalid("JSON Parse error: nested too deeply") from error
    if not isinstance(document, dict):
        raise fault(document, "Is not object")
    return document


def fault(value: Any, text: str) -> ServingError:
    """INVALID_ARGUMENT that shows the value."""
    return invalid(f"JSON Value: {shown(value)} {text}")


def shown(value: Any) -> str:
    """The value as JSON, objects indented, lists on one line, cut where it gets long."""
    return _text(value, "")[:LONGEST_SHOWN]


def _text(value: Any, indent: str) -> str:
    if isinstance(value, dict) and value:
        inner = indent + "    "
        members = (f"{inner}{json.dumps(key)}: {_text(item, inner)}" for key, item in list(value.items())[:LONGEST_SHOWN])
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item, indent) for item in value[:LONGEST_SHOWN]) + "]"
    return json.dumps(value, ensure_ascii=False)


def type_name(value: Any) -> str:
    """The type as RapidJSON names it."""
    if value is None or isinstance(value, bool):
        return {None: "Null", True: "True", False: "False"}[value]
    names: dict[type, str] = {dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")
