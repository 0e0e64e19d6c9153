"""Parse a JSON body as leniently as TensorFlow Serving: NaN and Infinity are numbers, trailing text is ignored."""

import json
import re
from typing import Any

from serving.model_server.errors import ServingError, invalid

MAX_QUOTED = 256
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
# Messages of Python's parser, and RapidJSON's for the same fault.
_FAULTS = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting ',' delimiter": "Missing a comma or closing bracket after an element.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
}


def parse(body: bytes) -> dict[str, Any]:
    """Parse the object in the body. Raises INVALID_ARGUMENT with the offset of the fault, in characters."""
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
    """Return an INVALID_ARGUMENT error that quotes the value."""
    return invalid(f"JSON Value: {shown(value)} {text}")


def shown(value: Any) -> str:
    """Render the value as JSON, objects indented, lists on one line, truncated to 256 characters."""
    return _text(value, "")[:MAX_QUOTED]


def _text(value: Any, indent: str) -> str:
    if isinstance(value, dict) and value:
        inner = indent + "    "
        members = (f"{inner}{json.dumps(key)}: {_text(item, inner)}" for key, item in list(value.items())[:MAX_QUOTED])
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item, indent) for item in value[:MAX_QUOTED]) + "]"
    return json.dumps(value, ensure_ascii=False)


def type_name(value: Any) -> str:
    """Return RapidJSON's name of the type."""
    if value is None or isinstance(value, bool):
        return {None: "Null", True: "True", False: "False"}[value]
    names: dict[type, str] = {dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")
