"""Define the ranker: embeddings, target attention, exact matches, cross and dense layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras

from components.contract.dataset import Dataset
from components.contract.features import Category, Id
from components.schema.parsing import Features
from trainer.config import RankerConfig, heads
from trainer.model.attention import ActivationUnit, DotProduct, SelfAttention
from trainer.model.calibration import Calibration
from trainer.model.candidate_blocks import Blocks, in_blocks
from trainer.model.dcn import DeepCrossNetwork, mean_logit
from trainer.model.embedding import Table
from trainer.model.history_match import HistoryMatch
from trainer.model.losses import softmax_cross_entropy
from trainer.model.network_inputs import AGE_BUCKETS, BUCKETS, CATEGORIES, SHOWN_POSITION, Layout, layout, vocabulary_name
from trainer.model.position_bias import position_bias
from trainer.model.positive_weights import SHOWN_WEIGHT
from trainer.model.running_auc import RunningAuc


@dataclass(frozen=True)
class Encoded:
    """Hold all inputs of B requests and their N candidates as vectors, which gradients can be taken by.

    Attributes:
        request: by name [B, D]: columns, and `request.values` and `request.embedded` of the numbers.
        candidate: by name [N, D], likewise.
        events: of the histories, after self-attention, padded [B, H, D]; None without history.
        matches: features of exact matches by field of the history [N, D].
        lengths: number of events of each history, [B].
        rows: the request of each candidate, [N].
        row_lengths: candidates of each request, [B].
    """

    request: dict[str, tf.Tensor]
    candidate: dict[str, tf.Tensor]
    events: tf.Tensor | None
    matches: dict[str, tf.Tensor]
    lengths: tf.Tensor | None
    rows: tf.Tensor
    row_lengths: tf.Tensor


class Ranker(tfrs.Model):
    """Score each candidate of a request independently of the others.

    A request's side is computed once a request and gathered for its candidates; candidates are flat, [N] over all
    requests, so there is no padding among them. Features are the outputs of `trainer.preprocess`; the network has no
    layers for features that the dataset lacks.

    Args:
        dataset: names the inputs.
        config: sizes.
        vocabulary_sizes: size of each vocabulary by its name among Transform's assets.
    """

    def __init__(self, dataset: Dataset, config: RankerConfig, vocabulary_sizes: Mapping[str, int]) -> None:
        super().__init__(name="ranker")
        self.plan: Layout = layout(dataset)
        self.config = config
        self.action_weights = tuple(heads(dataset, config).values())
        self.tables: dict[str, Table] = {}
        for feature in self.plan.features:
            name = table_name(feature)
            if name not in self.tables:
                self.tables[name] = Table(name, _rows(feature, self.plan, vocabulary_sizes), feature.dim)
        self.words = {bag.feature.name: Table(bag.feature.name, bag.feature.buckets + 1, bag.feature.dim) for bag in self.plan.bags}
        self.buckets = {
            axis: Table(f"{axis}_buckets", (BUCKETS + 1) * len(self.plan.numbers(axis)), config.bucket_dim)
            for axis in ("request", "candidate")
            if self.plan.numbers(axis)
        }
        self.embedding_dropout = keras.layers.Dropout(config.embedding_dropout)
        kernels = {"kernel_regularizer": keras.regularizers.L2(config.l2)}
        self.request_side = keras.layers.Dense(config.request_units, activation="relu", name="request_side", **kernels)
        self.request_factors = keras.layers.Dense(config.factors, name="request_factors", **kernels)
        self.candidate_factors = keras.layers.Dense(config.factors, name="candidate_factors", **kernels)
        if self.plan.history:
            self.event = keras.layers.Dense(config.attention_dim, name="event", **kernels)
            self.event_action = Table("event_action", len(self.plan.actions) + 1, config.attention_dim)
            self.event_age = Table("event_age", AGE_BUCKETS, config.attention_dim)
            self.event_place = Table("event_place", dataset.history.length if dataset.history else 0, config.attention_dim)
            self.history_layers = [SelfAttention(config.attention_heads, config.dropout) for _ in range(config.history_layers)]
            if config.attention == "dot":
                self.attention = DotProduct(config.attention_dim, config.attention_heads)
            elif config.attention == "unit":
                self.attention = ActivationUnit(config.attention_units, config.attention_heads)
            self.matches = [HistoryMatch(token.feature.name, len(self.plan.actions)) for token in self.plan.on("history")]
        self.head = DeepCrossNetwork(config, actions=len(self.action_weights))
        self.calibration = Calibration(len(self.action_weights))
        self.bias = position_bias(config.position_bias)
        self.task = tfrs.tasks.Ranking(loss=self.bias.loss)
        self.mean_loss = keras.metrics.Mean("mean_loss")
        self.requests_seen = keras.metrics.Sum("requests_seen")
        self.impressions_seen = keras.metrics.Sum("impressions_seen")
        self.running_auc = RunningAuc()

    def call(self, features: Features, training: bool = False) -> tf.Tensor:
        """Compute the logits of all candidates by member of the ensemble and action, [N, K, A].

        Actions: `label` alone, or with `heads` the labelled actions in their order.
        """
        return self.decoded(self.encoded(features, training=training), training=training)

    def encoded(self, features: Features, training: bool = False) -> Encoded:
        """Encode each input as a vector; only exact matches and the history's self-attention combine several."""
        candidates = self._candidates(features)
        tokens = {token.column.name: self._token(token.feature, _flat(features[token.column.name]), training) for token in self.plan.tokens}
        candidate, request = self._side(features, "candidate", tokens), self._side(features, "request", tokens)
        events, matches, lengths = None, {}, None
        if self.plan.history:
            lengths = features["history.action"].row_lengths()
            events = self._events(features, tokens)
            for layer in self.history_layers:
                events = layer(events, lengths, training=training)
            matches = self._matches(features, lengths, in_blocks(candidates.row_lengths()))
        return Encoded(request, candidate, events, matches, lengths, candidates.value_rowids(), candidates.row_lengths())

    def decoded(self, inputs: Encoded, training: bool = False) -> tf.Tensor:
        """Compute the logits [N, K, A] of encoded inputs."""
        candidate = tf.concat([*inputs.candidate.values()], axis=-1)
        parts = [candidate]
        empty = tf.zeros([tf.size(inputs.row_lengths), 0], self.compute_dtype)
        request = tf.concat([*inputs.request.values()], axis=-1) if inputs.request else empty
        if inputs.events is not None:
            mean = tf.math.divide_no_nan(tf.reduce_sum(inputs.events, axis=1), tf.cast(inputs.lengths, inputs.events.dtype)[:, None])
            request = tf.concat([request, mean], axis=-1)
            if self.config.attention != "none":
                parts.append(self.attention(self._as_event(inputs.candidate), inputs.events, inputs.lengths, in_blocks(inputs.row_lengths)))
            parts += inputs.matches.values()
        if request.shape[-1]:
            parts.append(tf.gather(self.request_side(request), inputs.rows))
            # Interactions of all pairs of a request's and a candidate's inputs (Rendle 2010, factorization machines,
            # eq. 1).
            parts.append(tf.gather(self.request_factors(request), inputs.rows) * self.candidate_factors(candidate))
        return self.head(tf.concat(parts, axis=-1), training=training)

    @tf.function(reduce_retracing=True, autograph=False)
    def action_logits(self, features: Features) -> tf.Tensor:
        """Compute the calibrated logits of each action's probability, [N, A]."""
        return self.calibration(mean_logit(self(features, training=False)))

    @tf.function(reduce_retracing=True, autograph=False)
    def logits(self, features: Features) -> tf.Tensor:
        """Compute the scores' logits, [N]; a score is the mean of the actions' probabilities by `action_weights`."""
        return mean_logit(self.action_logits(features), self.action_weights)

    def logits_of(self, inputs: Encoded) -> tf.Tensor:
        """Compute the logits of the scores of encoded inputs, [N]."""
        return mean_logit(self.calibration(mean_logit(self.decoded(inputs))), self.action_weights)

    def rows(self, features: Features) -> tf.Tensor:
        """Return the request of each candidate, [N]."""
        return self._candidates(features).value_rowids()

    @tf.function(reduce_retracing=True, autograph=False)
    def logged_logits(self, features: Features) -> tf.Tensor:
        """Compute the logits of an action at the logged positions, [N]; `logits` without position bias."""
        positions = features[SHOWN_POSITION].flat_values[:, None]
        return mean_logit(self.bias.logged(self.action_logits(features), positions), self.action_weights)

    def compute_loss(self, inputs: tuple[Features, tf.RaggedTensor], training: bool = False) -> tf.Tensor:
        """Compute the binary cross-entropy of candidates, mixed with the listwise cross-entropy of requests.

        The loss is the mean of the ensemble members' losses. Labels are ragged [B, (L)], or [B, (L), A] with a head for
        each action. With `weight_by` candidates are weighted by `SHOWN_WEIGHT`, in both parts of the loss.
        """
        features, labels = inputs
        logits = self(features, training=training)
        acted = tf.broadcast_to(tf.reshape(labels.flat_values, [-1, 1, logits.shape[2]]), tf.shape(logits))
        positions = tf.broadcast_to(features[SHOWN_POSITION].flat_values[:, None, None], tf.shape(logits))
        targets, logits = self.bias(acted, logits, positions)
        flat = tf.reshape(targets, [-1, 1])
        weights = None if self.config.positive_weight == 1 else 1 + (self.config.positive_weight - 1) * flat
        amount = None
        if self.config.weight_by is not None:
            amount = tf.broadcast_to(features[SHOWN_WEIGHT].flat_values[:, None, None], tf.shape(logits))
            by_amount = tf.reshape(amount, [-1, 1])
            weights = by_amount if weights is None else weights * by_amount
        binary = tf.reduce_mean(self.task(labels=flat, predictions=tf.reshape(logits, [-1, 1]), sample_weight=weights))
        listwise = 0.0
        if self.config.listwise:
            listwise = softmax_cross_entropy(targets, logits, labels.value_rowids(), labels.nrows(), weights=amount)
        loss = (1 - self.config.listwise) * binary + self.config.listwise * listwise
        self.mean_loss.update_state(loss)
        self.requests_seen.update_state(labels.nrows())
        self.impressions_seen.update_state(tf.shape(labels.flat_values)[0])
        self.running_auc.update_state(tf.reduce_max(acted[:, 0], axis=-1), tf.reduce_mean(logits, axis=[1, 2]))
        return loss

    def _candidates(self, features: Features) -> tf.RaggedTensor:
        """Return a feature of the candidates, whose rows are the requests."""
        plan = self.plan
        if plan.candidate_numbers:
            return features["candidate.values"]
        return features[next(column.name for column in plan.columns if column.axis == "candidate")]

    def _side(self, features: Features, axis: Literal["request", "candidate"], tokens: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encode all inputs of the requests [B, D] or of the candidates [N, D]."""
        parts = {token.column.name: tokens[token.column.name] for token in self.plan.on(axis)}
        for bag in self.plan.bags:
            if bag.column.axis == axis:
                words = features[bag.column.name]
                parts[bag.column.name] = self.words[bag.feature.name].bag(words.values if axis == "candidate" else words)
        parts |= {column.name: _flat(features[column.name]) for column in self.plan.vectors if column.axis == axis}
        if axis in self.buckets:
            values, buckets, within = (_flat(features[f"{axis}.{name}"]) for name in ("values", "buckets", "within"))
            parts |= {f"{axis}.values": values, f"{axis}.embedded": self._numbers(self.buckets[axis], buckets, within)}
        return parts

    def _numbers(self, table: Table, buckets: tf.Tensor, within: tf.Tensor) -> tf.Tensor:
        """Embed numbers, (rows, numbers) to (rows, numbers * bucket_dim).

        By quantile bucket; or by a linear map of their piecewise linear encoding (Gorishniy et al. 2022,
        https://arxiv.org/abs/2203.05556, section 3.2), which interpolates between the embeddings of the boundaries.
        """
        first = tf.range(buckets.shape[-1], dtype=tf.int64) * (BUCKETS + 1)
        if self.config.numbers == "buckets":
            embedded = table(buckets + first)
        else:
            begin = tf.maximum(
                buckets - 1, tf.minimum(buckets, 1)
            )  # a number below the first boundary is embedded as the boundary; 0 is missing
            end = tf.minimum(begin + 1, BUCKETS - 1)
            embedded = table(begin + first) + within[..., None] * (table(end + first) - table(begin + first))
        return tf.reshape(embedded, [-1, buckets.shape[-1] * self.config.bucket_dim])

    def _token(self, feature: Id | Category, ids: tf.Tensor, training: bool) -> tf.Tensor:
        """Embed ids [...]; in training add the regularization of the rows that are looked up."""
        embedded = self.tables[table_name(feature)](ids)
        if training and self.config.embedding_l2:
            self.add_loss(self.config.embedding_l2 * tf.reduce_mean(tf.reduce_sum(tf.square(tf.cast(embedded, tf.float32)), axis=-1)))
        return self.embedding_dropout(embedded, training=training) if isinstance(feature, Id) else embedded

    def _events(self, features: Features, tokens: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Encode the histories' events, padded [B, H, D]."""
        action, age = features["history.action"], features["history.age"]
        fields = [tokens[token.column.name] for token in self.plan.on("history")]
        if self.plan.history_numbers:
            fields.append(features["history.values"].flat_values)
        lengths = action.row_lengths()
        recency = tf.gather(lengths, action.value_rowids()) - 1 - tf.ragged.range(lengths).flat_values  # 0 is the newest event
        order = self.event_place(tf.minimum(recency, self.event_place.rows - 1))
        encoded = self.event(tf.concat(fields, axis=-1)) + self.event_action(action.flat_values) + self.event_age(age.flat_values) + order
        return action.with_flat_values(encoded).to_tensor()

    def _as_event(self, candidate: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Encode candidates [N, D] by the weights of the events' fields, for target attention."""
        fields = [candidate[name] for _, name in self._field_columns]
        if self.plan.history_numbers:
            columns = [measure.name for measure in self.plan.candidate_numbers]
            at = [columns.index(measure.name.removeprefix(f"{self.plan.history}_")) for measure in self.plan.history_numbers]
            fields.append(tf.gather(candidate["candidate.values"], at, axis=-1))
        return self.event(tf.concat(fields, axis=-1))

    def _matches(self, features: Features, lengths: tf.Tensor, blocks: Blocks) -> dict[str, tf.Tensor]:
        """Compute the features of exact matches by field, [N, F]."""
        action, age = (features[f"history.{name}"].to_tensor() for name in ("action", "age"))
        return {
            name: matches(features[name].flat_values, features[column].to_tensor(), lengths, blocks, action, age)
            for matches, (column, name) in zip(self.matches, self._field_columns, strict=True)
        }

    @property
    def _field_columns(self) -> list[tuple[str, str]]:
        """Return the columns of the history's embedded fields, each with the candidates' column of the same feature."""
        names = [token.column.name for token in self.plan.on("history")]
        return [(name, name.removeprefix(f"{self.plan.history}_")) for name in names]


def table_name(feature: Id | Category) -> str:
    """Name a feature's table: categories of one width share a table, as they share their ids."""
    return f"{CATEGORIES}_{feature.dim}" if isinstance(feature, Category) else feature.name


def _rows(feature: Id | Category, plan: Layout, vocabulary_sizes: Mapping[str, int]) -> int:
    """Count the rows of the feature's table: one for a missing value, then its ids."""
    if isinstance(feature, Category):
        return max(buckets.stop for buckets in plan.category_buckets.values()) + vocabulary_sizes[CATEGORIES]
    return 1 + (feature.hashed or vocabulary_sizes[vocabulary_name(feature)] + feature.oov_buckets)


def _flat(column: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    return column.flat_values if isinstance(column, tf.RaggedTensor) else column
