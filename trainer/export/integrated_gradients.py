"""Attribute scores to features by integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from components.contract.columns import input_columns
from components.contract.dataset import Dataset
from components.schema.parsing import Features
from trainer.model.network_inputs import Layout, layout
from trainer.model.ranker import Encoded, Ranker

POINTS = 32
"""Number of points of the path at which gradients are computed, by Gauss-Legendre quadrature."""


def explained_names(dataset: Dataset) -> tuple[str, ...]:
    """Name what has an attribution: the features, and the exact matches of each field of the history."""
    history = dataset.history
    plain = tuple(feature.name for feature in dataset.features if feature is not history)
    plan = layout(dataset)
    return plain + tuple(_match_name(plan, token.column.name.removeprefix(f"{plan.history}_")) for token in plan.on("history"))


def explained(model: Ranker, features: Features, *, dataset: Dataset) -> dict[str, tf.Tensor]:
    """Compute attributions of the scores' logits.

    attribution_i = (x_i - b_i) * integral over a in [0, 1] of d logit(b + a (x - b)) / d x_i (their eq. 1), x being the
    inputs as vectors (`Ranker.encoded`) and b the baseline: every value of request and candidate missing, and the
    history's events vectors of 0, which act as if there were none. A feature's attribution is the sum over its vector.

    Args:
        model: trained.
        features: transformed, of B requests with N candidates and histories of at most H events.
        dataset: declares the features.

    Returns:
        Flat over candidates: `attributions` [N, F], in the order of `explained_names`; `events` [N, H], of the history,
        oldest first; `logits` [N]; `baseline` [N], the logits at b; `completeness_error` [N], how far the sum of all
        attributions is from the difference of the two (equal by their axiom of completeness; what remains is the
        quadrature's error).
    """
    plan = layout(dataset)
    # One request for each candidate: only so have the request's inputs a separate gradient for each candidate.
    single = split_candidates(features, model.rows(features), plan)
    inputs, missing = model.encoded(single), model.encoded(_missing(single, plan))
    ends, begins = _vectors(inputs), [tf.zeros_like(inputs.events) if vector is missing.events else vector for vector in _vectors(missing)]
    steps = [end - begin for end, begin in zip(ends, begins, strict=True)]

    def logits(vectors: Sequence[tf.Tensor]) -> tf.Tensor:
        return model.logits_of(_with(inputs, vectors))

    def gradients(point: tf.Tensor) -> list[tf.Tensor]:
        vectors = [begin + point * step for begin, step in zip(begins, steps, strict=True)]
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            total = tf.reduce_sum(logits(vectors))
        return list(tape.gradient(total, vectors, unconnected_gradients=tf.UnconnectedGradients.ZERO))

    points, weights = (each.astype(np.float32) for each in np.polynomial.legendre.leggauss(POINTS))

    def add(sums: list[tf.Tensor], node: tuple[tf.Tensor, tf.Tensor]) -> list[tf.Tensor]:
        point, weight = node
        return [total + weight * each for total, each in zip(sums, gradients(point), strict=True)]

    means = tf.foldl(add, ((points + 1) / 2, weights / 2), initializer=[tf.zeros_like(step) for step in steps])
    parts = _with(inputs, [step * mean for step, mean in zip(steps, means, strict=True)])
    named, events = _by_name(parts, plan, dataset), tf.zeros([tf.size(inputs.rows), 0])
    if parts.events is not None:
        events = tf.reduce_sum(parts.events, axis=-1)
    attributions = tf.stack([named.get(name, tf.zeros(tf.size(inputs.rows))) for name in explained_names(dataset)], axis=-1)
    end, begin = logits(ends), logits(begins)
    total = tf.reduce_sum(attributions, axis=-1) + tf.reduce_sum(events, axis=-1)
    return {
        "attributions": attributions,
        "events": events,
        "logits": end,
        "baseline": begin,
        "completeness_error": tf.abs(total - (end - begin)),
    }


def _match_name(plan: Layout, field: str) -> str:
    return f"{plan.history}.same_{field}"


def _vectors(inputs: Encoded) -> list[tf.Tensor]:
    """List all vectors of encoded inputs."""
    return [
        *inputs.request.values(),
        *inputs.candidate.values(),
        *inputs.matches.values(),
        *([] if inputs.events is None else [inputs.events]),
    ]


def _with(inputs: Encoded, vectors: Sequence[tf.Tensor]) -> Encoded:
    """Replace the vectors of encoded inputs, in the order of `_vectors`."""
    remaining = iter(vectors)
    request, candidate, matches = (dict(zip(each, remaining, strict=False)) for each in (inputs.request, inputs.candidate, inputs.matches))
    return replace(inputs, request=request, candidate=candidate, matches=matches, events=next(remaining, None))


def _candidate_features(plan: Layout) -> set[str]:
    """Name the transformed features of the candidates."""
    numbers = {f"candidate.{name}" for name in ("values", "buckets", "within")} if plan.candidate_numbers else set()
    return {column.name for column in plan.columns if column.axis == "candidate"} | numbers


def split_candidates(features: Features, rows: tf.Tensor, plan: Layout) -> Features:
    """Make each candidate a request of its own, with all features of its request; `rows` [N] is the request of each."""
    candidate_features, one = _candidate_features(plan), tf.constant(1, tf.int64)

    def alone(name: str, values: tf.Tensor | tf.RaggedTensor) -> tf.Tensor | tf.RaggedTensor:
        if name in candidate_features:
            return tf.RaggedTensor.from_uniform_row_length(values.values, one, nrows=tf.size(rows, tf.int64))
        return tf.gather(values, rows)

    return {name: alone(name, values) for name, values in features.items()}


def _missing(features: Features, plan: Layout) -> Features:
    """Return the same requests with every value missing, which is 0, and no word in any text."""
    bags = {bag.column.name for bag in plan.bags}

    def blank(name: str, values: tf.Tensor | tf.RaggedTensor) -> tf.Tensor | tf.RaggedTensor:
        if name not in bags:
            return tf.zeros_like(values)
        words = values.values if values.ragged_rank > 1 else values
        empty = tf.RaggedTensor.from_row_lengths(words.values[:0], tf.zeros_like(words.row_lengths()))
        return values.with_values(empty) if values.ragged_rank > 1 else empty

    return {name: blank(name, values) for name, values in features.items()}


def _by_name(parts: Encoded, plan: Layout, dataset: Dataset) -> Mapping[str, tf.Tensor]:
    """Sum the attributions of vectors to attributions [N] by feature."""
    feature_of = {column.name: column.feature for column in input_columns(dataset)}
    named: dict[str, tf.Tensor] = {}

    def add(name: str, part: tf.Tensor) -> None:
        named[name] = named[name] + part if name in named else part

    for axis, vectors in (("request", parts.request), ("candidate", parts.candidate)):
        measures = plan.numbers(axis)  # type: ignore[arg-type]
        for name, vector in vectors.items():
            if name in (f"{axis}.values", f"{axis}.embedded"):
                each = tf.reduce_sum(tf.reshape(vector, [tf.shape(vector)[0], len(measures), vector.shape[1] // len(measures)]), axis=-1)
                for at, measure in enumerate(measures):
                    add(measure.feature, each[:, at])
            else:
                add(feature_of[name], tf.reduce_sum(vector, axis=-1))
    for field, vector in parts.matches.items():
        add(_match_name(plan, field), tf.reduce_sum(vector, axis=-1))
    return named
