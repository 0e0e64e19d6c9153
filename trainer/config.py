"""Sizes and training settings: the `model` part of the dataset file."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from components.contract.base_model import Duration, Strict
from components.contract.columns import gains
from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.sources import Amount
from components.contract.yaml_loader import faults_of
from trainer.model.calibration import Form
from trainer.model.position_bias import PositionBias


class RankerConfig(Strict):
    """What of the ranker can be set; the defaults suit some ten thousand to some million requests."""

    batch_requests: int = Field(default=128, ge=1, description="Requests in a training step")
    epochs: int = Field(default=10, ge=1, description="At most; early stopping ends sooner")
    patience: int = Field(default=2, ge=1, description="Epochs without a better eval AUC before training ends")
    max_impressions: int | None = Field(default=None, ge=1, description="Stop after so many training impressions")
    max_steps: int | None = Field(default=None, ge=1, description="Stop after so many training steps")
    judged_by: Literal["auc", "ndcg"] = Field(
        default="auc",
        description="What of the eval split ends training and chooses the epoch that is kept: AUC of all candidates or NDCG@10",
    )
    learning_rate: float = Field(default=2e-3, gt=0, description="Greatest learning rate of Adam, or of AdamW with `weight_decay`")
    schedule: Literal["constant", "cosine", "linear"] = Field(default="constant", description="How the learning rate falls to 0")
    warmup_steps: int = Field(default=0, ge=0, description="Steps over which the learning rate rises from near 0 to its full height")
    decay_steps: int | None = Field(
        default=None, ge=1, description="Steps after the warm-up until the learning rate is 0; the steps of all epochs when not given"
    )
    weight_decay: float = Field(
        default=0.0, ge=0, description="AdamW: share of a layer's kernel taken off in a step, times the learning rate; not of embeddings"
    )
    clip_norm: float | None = Field(default=None, gt=0, description="Greatest norm of all gradients of a step together")
    positive_weight: float = Field(
        default=1.0, gt=0, description="Weight of a positive in the binary loss; anything but 1 makes scores no probabilities any more"
    )
    weight_by: Amount | None = Field(
        default=None,
        description="A positive weighs its revenue, quantity or margin over their mean in the loss; scores are no probabilities then",
    )
    strategy: Literal["single", "mirrored", "multi_worker"] = Field(
        default="single", description="One device; all devices of this machine; several machines as TF_CONFIG names them"
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        default="float32", description="What the layers compute in while training; weights and the exported model are float32"
    )
    checkpoint_steps: int = Field(default=1000, ge=1, description="Steps from one checkpoint to the next: what a kill can cost")
    log_steps: int = Field(default=50, ge=1, description="Steps from one point of TensorBoard's curves to the next")
    averaging: float = Field(default=0.999, ge=0, lt=1, description="Decay of the averaged weights, which are what is judged and kept")
    l2: float = Field(default=1e-5, ge=0, description="L2 of the layers' kernels")
    embedding_l2: float = Field(default=1e-4, ge=0, description="L2 of the embeddings a batch looks up")
    listwise: float = Field(
        default=0.0, ge=0, le=1, description="Share of the listwise softmax cross-entropy in the loss; the rest is binary"
    )
    distillation: float = Field(
        default=0.0, ge=0, le=1, description="Share of the labels that boosted trees give, which learn from the same requests first"
    )
    position_bias: PositionBias = Field(
        default="none",
        description="examination: learn beside the ranker how likely each place is looked at (PAL); ips: learn it first, then weigh "
        "actions by its inverse. A score is then the chance of an action once looked at",
    )
    calibration: Form = Field(
        default="platt", description="Map of the trained scores to chances, fitted on the eval split: two parameters, or a rising curve"
    )
    dropout: float = Field(default=0.2, ge=0, lt=1, description="Between dense layers")
    embedding_dropout: float = Field(default=0.5, ge=0, lt=1, description="On embeddings of ids")
    dense: tuple[int, ...] = Field(default=(128, 64), description="Units of the dense layers")
    request_units: int = Field(default=48, ge=1, description="Width of the request's side, computed once a request")
    factors: int = Field(default=64, ge=1, description="Width of the space in which the request's side meets a candidate's")
    members: int = Field(default=1, ge=1, description="Of the ensemble that shares all but scales, offsets and the last layer")
    heads: bool = Field(
        default=False, description="A head for each labelled action; a score is the mean of their chances by what each is worth"
    )
    cross_layers: int = Field(default=2, ge=0, description="How many cross layers (DCN-v2)")
    cross_rank: int | None = Field(default=32, ge=1, description="Rank of a cross layer's kernel; null: a full one")
    cross_form: Literal["parallel", "stacked"] = Field(default="parallel", description="Cross layers beside the dense ones or beneath them")
    numbers: Literal["buckets", "piecewise"] = Field(
        default="buckets", description="Embedding of a number beside its value: by quantile bucket, or in straight lines between quantiles"
    )
    bucket_dim: int = Field(default=4, ge=1, description="Width of a number's embedding")
    attention: Literal["unit", "dot", "none"] = Field(
        default="unit", description="unit: DIN's activation unit, a small network for each pair; dot: scaled dot products, quicker"
    )
    history_layers: int = Field(default=0, ge=0, description="Layers of self-attention over the history (BST)")
    attention_dim: int = Field(default=16, ge=1, description="Width of an event of the history")
    attention_units: int = Field(default=16, ge=1, description="Hidden units of the activation unit")
    attention_heads: int = Field(default=2, ge=1, description="Heads of each attention")
    warm_start: bool = Field(default=False, description="Begin with the weights of the release in force, where there is one")
    warm_window: Duration | None = Field(
        default=None,
        description="From a warm start train on the requests of the last so long only, and on all since the release's own; default: on all",
    )

    @model_validator(mode="after")
    def _window_of_a_warm_start(self) -> "RankerConfig":
        if self.warm_window is not None and not self.warm_start:
            raise ValueError("`warm_window` goes with `warm_start: true`: an untrained model needs all of the training window")
        return self


def ranker_config(dataset: Dataset, tuned: Mapping[str, Any] | None = None) -> RankerConfig:
    """The settings of a dataset, with those of `tuned` in their place.

    Raises:
        DatasetFileError: `model` has an unknown key or a value that can't be, or corrects for the position while it is a feature.
    """
    given = {**dataset.model, **(tuned or {})}
    try:
        config = RankerConfig.model_validate(given)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, ('model', *place)))}: {text}" for place, text in faults_of(error, given))
        raise DatasetFileError("\n".join(faults)) from None
    if config.distillation and len(heads(dataset, config)) > 1:
        raise DatasetFileError(
            "model.distillation: expected 0 where `model.heads` is on, for the trees learn whether anything was done; leave one of them out"
        )
    if config.distillation and config.position_bias != "none":
        raise DatasetFileError(
            f"model.distillation: expected 0 beside `position_bias: {config.position_bias}`, for the trees learn what happened in the log "
            "and not what would have once looked at; leave one of them out"
        )
    if config.position_bias != "none" and any(feature.name == "position" for feature in dataset.features):
        raise DatasetFileError(
            f"model.position_bias: expected no feature `position` beside {config.position_bias!r}, which keeps the place out of the score; "
            "leave the feature out, or set `position_bias: none`"
        )
    if config.position_bias == "ips" and config.positive_weight != 1:
        raise DatasetFileError(
            "model.positive_weight: expected 1 beside `position_bias: ips`, whose loss weighs actions by their place; leave one of them out"
        )
    if config.weight_by is not None and config.weight_by not in dataset.amounts:
        known = f"named are {', '.join(dataset.amounts)}" if dataset.amounts else "none is named"
        raise DatasetFileError(
            f"model.weight_by: expected a role that `events.columns` names a column for, got {config.weight_by!r}; {known}"
        )
    if config.weight_by is not None and config.position_bias == "ips":
        raise DatasetFileError(
            "model.weight_by: expected none beside `position_bias: ips`, whose loss weighs actions by their place; leave one of them out"
        )
    return config


def heads(dataset: Dataset, config: RankerConfig) -> dict[str, float]:
    """The label columns that have a head, and what each is worth in a score."""
    return gains(dataset) if config.heads else {"label": 1.0}
