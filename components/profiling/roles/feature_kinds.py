"""Propose a kind for a column: category, number, text, several values, vector, id, or none."""

import re
from dataclasses import dataclass, field
from typing import Any

from components.profiling.samples.column_profile import ColumnProfile
from components.profiling.vocabulary import is_personal, name_score

MANY = 300  # number of distinct values from which a category is an id
_CODE = re.compile(r"(^|[^a-z])(id|no|nr|code|type|flag|zip|postal|year|month|dow|hour|channel|level|class)s?\d*$")
_SKEW = 20.0  # ratio of maximum to median from which a number's logarithm is used


@dataclass(frozen=True)
class Kind:
    """A feature's kind with its further keys, and the reason; `kind` is "" where the column is no feature."""

    kind: str
    why: str
    keys: dict[str, Any] = field(default_factory=dict)


def propose_kind(profile: ColumnProfile) -> Kind:
    """Propose the kind for a column's values."""
    if profile.content == "empty":
        return Kind("", "it is empty")
    if profile.distinct < 2:
        return Kind("", "it has one value")
    if profile.content == "time" or (profile.time is not None and name_score(profile.name, "time")):
        return Kind("", "times are no feature")
    if is_personal(profile.name):
        return Kind("", "it says who somebody is")
    if profile.vector:
        return Kind("vector", f"{profile.vector} numbers in each value", {"size": profile.vector})
    unique = profile.distinct_share > 0.95 and profile.filled > 50
    if profile.is_number:
        return _number(profile, unique=unique)
    if profile.mean_parts > 1.3 and profile.separator:
        if profile.separator == "/" or profile.parts > 20_000:
            return Kind("", "its parts are as many as its values")
        keys = {} if profile.separator == "|" else {"separator": profile.separator}
        return Kind("multi", f"several values in one, {profile.parts:,} different ones", keys)
    if _is_address(profile):
        return Kind("", "addresses and hashes say nothing by themselves")
    if profile.mean_words >= 2.0 and profile.distinct > 20:
        return Kind("text", f"{profile.mean_words:.1f} words on average")
    if profile.distinct <= MANY:
        return Kind("category", f"{profile.distinct:,} different values")
    if unique:
        return Kind("", "it is different in each row") if profile.mean_words < 1.2 else Kind("text", "words, different in each row")
    return Kind("id", f"{profile.distinct:,} different values in the sample")


def _number(profile: ColumnProfile, *, unique: bool) -> Kind:
    code = bool(_CODE.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", profile.name).lower()))
    if profile.content == "integer" and (code or profile.is_binary or profile.distinct <= 12):
        if unique and code:
            return Kind("", "it is an id, different in each row")
        return Kind("category" if profile.distinct <= MANY else "id", f"{profile.distinct:,} different codes")
    if profile.content == "integer" and unique and profile.lowest > 1e6:
        return Kind("", "it is an id, different in each row")
    price = name_score(profile.name, "price") > 0
    keys: dict[str, Any] = {}
    if profile.lowest >= 0 and (price or (profile.median > 0 and profile.highest / profile.median >= _SKEW)):
        keys["log"] = True
    if price and profile.lowest >= 0 and "log" not in profile.name.lower():
        keys["minimum"] = 0
    return Kind("number", f"from {profile.lowest:g} to {profile.highest:g}", keys)


def _is_address(profile: ColumnProfile) -> bool:
    sample = profile.values.head(50).to_list()
    addresses = sum(bool(re.match(r"^(https?:)?//|^www\.|^[\w.+-]+@[\w.-]+$", value)) for value in sample)
    hashes = sum(bool(re.match(r"^[0-9a-f]{24,}$|^[0-9a-f]{8}-[0-9a-f-]{27}$", value)) for value in sample)
    return bool(sample) and max(addresses, hashes) > 0.8 * len(sample) and profile.distinct_share > 0.5
