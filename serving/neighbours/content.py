"""Embed a product's content as a vector: similar category, brand, words and price give a small angle.

The embedding is untrained and deterministic. Each feature of the catalogue gives a part of about unit length, so that
all have equal weight; a missing value gives zero:

- `category`, `id`: the value; `multi`: its values; `text`: its words, weighted by inverse document frequency, idf = 1 +
  log((1 + N) / (1 + n)) for a word that n of N products have. A value or word is a vector of 128 signs, the bits of its
  BLAKE2b hash: a random projection (Achlioptas 2003) of the one-hot space. The cosine of unrelated ones is 0 on
  average, with a standard deviation of 0.09.
- `number`: an angle, (cos z, sin z), with z its distance from the mean in standard deviations (of the logarithm where
  the feature says `log`), clipped to 1.5 either way: close numbers are similar, and the farthest are almost opposite.
- `vector`: its direction.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import GivenFeature, Multi, Number, Text, Vector

SIGNS = 128
WIDEST = 1.5  # standard deviations
CHUNK = 20_000
_IDF_BUCKETS = 1 << 18
_WORD = re.compile(r"\w+")

Floats = NDArray[np.float32]
Columns = Mapping[str, Sequence[Any] | NDArray[Any]]  # feature to its values, one a product


@dataclass(frozen=True)
class ContentSpace:
    """Parameters of a catalogue's embedding: features, idf of each word, mean and standard deviation of each number."""

    features: tuple[GivenFeature, ...]
    idf: Mapping[str, Floats]  # text feature to [_IDF_BUCKETS]
    scale: Mapping[str, tuple[float, float]]


def content_space(dataset: Dataset, columns: Columns) -> ContentSpace:
    """Fit the embedding to a catalogue.

    Args:
        dataset: defines the features of the catalogue and their kinds.
        columns: those features of all its products.

    Raises:
        InputError: a feature isn't given, or the dataset file has none.
    """
    features = dataset.input_features("items", side="item")
    if not features:
        raise InputError("the dataset file takes no feature of the items from the catalogue; without content no product is like another")
    for feature in features:
        if feature.name not in columns:
            raise InputError(f"expected the catalogue's values of the feature {feature.name!r}, got {', '.join(columns) or 'none'}")
    return ContentSpace(
        features,
        {feature.name: _idf(columns[feature.name]) for feature in features if isinstance(feature, Text)},
        {feature.name: _scale(feature, columns[feature.name]) for feature in features if isinstance(feature, Number)},
    )


def content_vectors(space: ContentSpace, columns: Columns) -> Floats:
    """Embed N products, of the catalogue or new, as unit vectors [N, D]; zero where all values are missing."""
    total = len(columns[space.features[0].name])
    width = SIGNS + sum(_own_width(feature) for feature in space.features)
    vectors = np.empty((total, width), np.float32)
    for first in range(0, total, CHUNK):
        part = {feature.name: columns[feature.name][first : first + CHUNK] for feature in space.features}
        vectors[first : first + CHUNK] = _vectors(space, part, width)
    return vectors


def _own_width(feature: GivenFeature) -> int:
    return 2 if isinstance(feature, Number) else feature.size if isinstance(feature, Vector) else 0


def _vectors(space: ContentSpace, columns: Columns, width: int) -> NDArray[np.float64]:
    made = np.zeros((len(columns[space.features[0].name]), width))
    at = SIGNS
    for feature in space.features:
        values, own = columns[feature.name], _own_width(feature)
        if isinstance(feature, Number):
            made[:, at : at + own] = _angle(feature, values, space.scale[feature.name])
        elif isinstance(feature, Vector):
            made[:, at : at + own] = _direction(np.nan_to_num(np.asarray(values, np.float64).reshape(len(values), own)))
        else:
            made[:, :SIGNS] += _signs(feature, values, space.idf.get(feature.name))
        at += own
    return _direction(made)


def _direction(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1))


def _signs(feature: GivenFeature, values: Sequence[Any] | NDArray[Any], idf: Floats | None) -> NDArray[np.float64]:
    """Sum the sign vectors of a feature's tokens [n, SIGNS], scaled as if they were orthogonal: unit length."""
    rows: list[int] = []
    tokens: list[int] = []
    number: dict[str, int] = {}
    for row, value in enumerate(values):
        for token in _tokens(feature, value):
            rows.append(row)
            tokens.append(number.setdefault(token, len(number)))
    total = len(values)
    made = np.zeros((total, SIGNS))
    if not rows:
        return made
    # The feature's name is part of the hash: the colour red isn't the brand Red.
    digests = [hashlib.blake2b(f"{feature.name}\0{token}".encode("utf-8", "replace"), digest_size=SIGNS // 8).digest() for token in number]
    signs = np.unpackbits(np.frombuffer(b"".join(digests), np.uint8).reshape(-1, SIGNS // 8), axis=1) * 2.0 - 1
    weight = np.ones(len(digests)) if idf is None else idf[[_bucket(token) for token in number]].astype(np.float64)
    at, owners = np.array(rows), np.array(tokens)
    length = np.sqrt(np.bincount(at, weight[owners] ** 2, minlength=total))
    np.add.at(made, at, (weight / np.sqrt(SIGNS))[owners, None] * signs[owners])
    return np.asarray(made / np.where(length > 0, length, 1)[:, None])


def _tokens(feature: GivenFeature, value: Any) -> Iterator[str]:
    """Yield the distinct tokens of a value: a word that is repeated in a title counts once."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
    if isinstance(feature, Text):
        yield from dict.fromkeys(_WORD.findall(text.lower()))
    elif isinstance(feature, Multi):
        yield from dict.fromkeys(part for part in text.split(feature.separator) if part)
    elif text:
        yield text


def _idf(values: Iterable[Any]) -> Floats:
    """Compute idf by a word's hash bucket [_IDF_BUCKETS]; colliding words count as one, with a slightly lower idf."""
    seen, total = np.zeros(_IDF_BUCKETS), 0
    buckets: dict[str, int] = {}
    for value in values:
        total += 1
        for word in set(_WORD.findall(("" if value is None else str(value)).lower())):
            bucket = buckets.get(word)
            if bucket is None:
                bucket = buckets[word] = _bucket(word)
            seen[bucket] += 1
    return (1 + np.log((1 + total) / (1 + seen))).astype(np.float32)


def _bucket(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big") % _IDF_BUCKETS


def _numbers(feature: Number, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
    numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return np.asarray(np.sign(numbers) * np.log1p(np.abs(numbers))) if feature.log else numbers


def _scale(feature: Number, values: Sequence[Any] | NDArray[Any]) -> tuple[float, float]:
    known = _numbers(feature, values)
    known = known[~np.isnan(known)]
    return (float(known.mean()), float(known.std()) or 1.0) if len(known) else (0.0, 1.0)


def _angle(feature: Number, values: Sequence[Any] | NDArray[Any], scale: tuple[float, float]) -> NDArray[np.float64]:
    z = np.clip((_numbers(feature, values) - scale[0]) / scale[1], -WIDEST, WIDEST)
    return np.asarray(np.nan_to_num(np.column_stack([np.cos(z), np.sin(z)])))
