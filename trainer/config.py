"""Define and check the ranker's sizes and training settings: the `model` part of the dataset file."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError

from components.contract.base_model import Duration, Strict
from components.contract.columns import gains
from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError, InputError
from components.contract.sources import Amount
from components.contract.yaml_loader import faults_of
from trainer.model.calibration import Form
from trainer.model.position_bias import PositionBias


class RankerConfig(Strict):
    """Sizes and training settings of a ranker; the defaults suit some ten thousand to some million requests."""

    batch_requests: int = Field(default=128, ge=1, description="Requests in a training step")
    epochs: int = Field(default=10, ge=1, description="Epochs at most; early stopping may end training sooner")
    patience: int = Field(default=2, ge=1, description="Epochs without a better eval AUC before training ends")
    max_impressions: int | None = Field(default=None, ge=1, description="Stop after so many training impressions")
    max_steps: int | None = Field(default=None, ge=1, description="Stop after so many training steps")
    judged_by: Literal["auc", "ndcg"] = Field(
        default="auc", description="Metric on the eval split that stops training and selects the epoch: AUC of all candidates or NDCG@10"
    )
    learning_rate: float = Field(default=2e-3, gt=0, description="Greatest learning rate of Adam, or of AdamW with `weight_decay`")
    schedule: Literal["constant", "cosine", "linear"] = Field(default="constant", description="How the learning rate decays to 0")
    warmup_steps: int = Field(default=0, ge=0, description="Steps over which the learning rate rises from near 0 to `learning_rate`")
    decay_steps: int | None = Field(
        default=None, ge=1, description="Steps after the warm-up until the learning rate is 0; the steps of all epochs when not given"
    )
    weight_decay: float = Field(
        default=0.0, ge=0, description="AdamW's decay of the layers' kernels in a step, times the learning rate; embeddings don't decay"
    )
    clip_norm: float | None = Field(default=None, gt=0, description="Greatest global norm of a step's gradients; null: no clipping")
    positive_weight: float = Field(
        default=1.0, gt=0, description="Weight of a positive in the binary loss; scores are probabilities only with 1"
    )
    weight_by: Amount | None = Field(
        default=None,
        description="Weigh each positive in the loss by its revenue, quantity or margin over their mean; scores are no probabilities then",
    )
    strategy: Literal["single", "mirrored", "multi_worker"] = Field(
        default="single", description="One device; all devices of this machine; the machines that TF_CONFIG names"
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        default="float32", description="Precision of the layers in training; weights and the exported model are float32"
    )
    checkpoint_steps: int = Field(default=1000, ge=1, description="Steps between checkpoints, the most that a kill can cost")
    log_steps: int = Field(default=50, ge=1, description="Steps from one point of TensorBoard's curves to the next")
    averaging: float = Field(default=0.999, ge=0, lt=1, description="Decay of the weights' moving averages, which are evaluated")
    l2: float = Field(default=1e-5, ge=0, description="L2 regularization of the layers' kernels")
    embedding_l2: float = Field(default=1e-4, ge=0, description="L2 regularization of the embeddings a batch looks up")
    listwise: float = Field(
        default=0.0, ge=0, le=1, description="Share of the listwise softmax cross-entropy in the loss; the rest is binary"
    )
    distillation: float = Field(default=0.0, ge=0, le=1, description="Share of soft labels that boosted trees estimate")
    position_bias: PositionBias = Field(
        default="none",
        description="examination: learn the probability of examination by position together with the ranker (PAL); ips: estimate it first, "
        "then weigh actions by its inverse. A score is then the probability of an action given examination",
    )
    calibration: Form = Field(
        default="platt", description="Calibration of the scores, fitted on the eval split: Platt scaling or isotonic regression"
    )
    dropout: float = Field(default=0.2, ge=0, lt=1, description="Dropout between dense layers")
    embedding_dropout: float = Field(default=0.5, ge=0, lt=1, description="Dropout of embeddings of ids")
    dense: tuple[int, ...] = Field(default=(128, 64), description="Units of the dense layers")
    request_units: int = Field(default=48, ge=1, description="Width of the dense layer over a request's inputs, computed once a request")
    factors: int = Field(default=64, ge=1, description="Width of the factorization of request and candidate inputs")
    members: int = Field(default=1, ge=1, description="Members of the ensemble, which share all but scales, offsets and the last layer")
    heads: bool = Field(
        default=False, description="A head for each labelled action; a score is the mean of their probabilities weighted by gain"
    )
    cross_layers: int = Field(default=2, ge=0, description="How many cross layers (DCN-v2)")
    cross_rank: int | None = Field(default=32, ge=1, description="Rank of a cross layer's kernel; null: full rank")
    cross_form: Literal["parallel", "stacked"] = Field(default="parallel", description="Cross layers beside or below the dense ones")
    numbers: Literal["buckets", "piecewise"] = Field(
        default="buckets", description="Embedding of a number, beside its value: by quantile bucket, or piecewise linear between quantiles"
    )
    bucket_dim: int = Field(default=4, ge=1, description="Width of a number's embedding")
    attention: Literal["unit", "dot", "none"] = Field(
        default="unit", description="unit: DIN's activation unit, a network for each pair; dot: scaled dot products, quicker"
    )
    history_layers: int = Field(default=0, ge=0, description="Layers of self-attention over the history (BST)")
    attention_dim: int = Field(default=16, ge=1, description="Width of an encoded event of the history")
    attention_units: int = Field(default=16, ge=1, description="Hidden units of the activation unit")
    attention_heads: int = Field(default=2, ge=1, description="Heads of each attention")
    warm_start: bool = Field(default=False, description="Start from the weights of the current release, where there is one")
    warm_window: Duration | None = Field(
        default=None,
        description="A warm start trains on the requests of the last so long, and always on those since the release's own; default: those",
    )
    warm_replay: float = Field(
        default=1.0, ge=0, description="Earlier requests that a warm start draws to train on beside them, over their number"
    )
    warm_learning_rate: float = Field(default=5e-4, gt=0, description="`learning_rate` of a warm start")
    warm_epochs: int = Field(default=1, ge=1, description="`epochs` of a warm start")


def ranker_config(dataset: Dataset, tuned: Mapping[str, Any] | None = None) -> RankerConfig:
    """Return the checked settings of a dataset, overridden by those of `tuned`.

    Raises:
        DatasetFileError: `model` has an unknown key or an invalid value, or settings that exclude each other.
    """
    settings = {**dataset.model, **(tuned or {})}
    try:
        config = RankerConfig.model_validate(settings)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, ('model', *path)))}: {text}" for path, text in faults_of(error, settings))
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
        columns = f"named are {', '.join(dataset.amounts)}" if dataset.amounts else "none is named"
        raise DatasetFileError(
            f"model.weight_by: expected a role that `events.columns` names a column for, got {config.weight_by!r}; {columns}"
        )
    if config.weight_by is not None and config.position_bias == "ips":
        raise DatasetFileError(
            "model.weight_by: expected none beside `position_bias: ips`, whose loss weighs actions by their place; leave one of them out"
        )
    return config


def started(config: RankerConfig, start: str) -> RankerConfig:
    """Return the settings with what training starts from as `start` says: `warm`, `full`, or "" for no change.

    Raises:
        InputError: it says something else.
    """
    match start:
        case "":
            return config
        case "warm":
            return config.model_copy(update={"warm_start": True})
        case "full":
            return config.model_copy(update={"warm_start": False})
    raise InputError(f"training_start: expected warm, full or nothing, got {start!r}")


def warmed(config: RankerConfig) -> RankerConfig:
    """Return the settings of a training that begins with a champion's weights.

    Trees aren't fitted anew: what they knew is in the champion's weights.
    """
    return config.model_copy(update={"learning_rate": config.warm_learning_rate, "epochs": config.warm_epochs, "distillation": 0.0})


def heads(dataset: Dataset, config: RankerConfig) -> dict[str, float]:
    """Return the label columns that have a head, and the weight of each action's probability in a score."""
    return gains(dataset) if config.heads else {"label": 1.0}
