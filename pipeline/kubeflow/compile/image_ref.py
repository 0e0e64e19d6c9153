"""Validate references to container images."""

import re

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
# The part before the first slash is a host if it has a dot or a port.
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})+(?::[0-9]+)?|{_LABEL}:[0-9]+|localhost)"
# By the distribution project's grammar.
_REFERENCE = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?")


def image_fault(reference: str) -> str | None:
    """Return the error message for an invalid reference, None for a valid one."""
    if _REFERENCE.fullmatch(reference):
        return None
    return f"expected an image such as registry.example.com/shelfrank/pipeline:0.1.0 (small letters, a tag or a digest), got {reference!r}"
