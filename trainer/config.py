"""Sizes and training settings: the `model` part of the dataset file."""

from typing import Literal

from pydantic import Field, ValidationError, model_validator

from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.strict import Duration, Strict


class RankerConfig(Strict):
    """What of the ranker can be set; the defaults suit some ten thousand to some million requests."""

    batch_requests: int = Field(default=128, ge=1, description="Requests in a training step")
    epochs: int = Field(default=10, ge=1, description="At most; early stopping ends sooner")
    patience: int = Field(default=2, ge=1, description="Epochs without a better eval AUC before training ends")
    max_impressions: int | None = Field(default=None, ge=1, description="Stop after so many training impressions")
    learning_rate: float = Field(default=2e-3, gt=0)
    averaging: float = Field(default=0.999, ge=0, lt=1, description="Decay of the averaged weights, which are what is judged and kept")
    l2: float = Field(default=1e-5, ge=0, description="L2 of the layers' kernels")
    embedding_l2: float = Field(default=1e-4, ge=0, description="L2 of the embeddings a batch looks up")
    listwise: float = Field(
        default=0.0, ge=0, le=1, description="Share of the listwise softmax cross-entropy in the loss; the rest is binary"
    )
    position_bias: bool = Field(
        default=False,
        description="Learn in training how likely each place is looked at (PAL); a score is then the chance of an action once looked at",
    )
    dropout: float = Field(default=0.2, ge=0, lt=1, description="Between dense layers")
    embedding_dropout: float = Field(default=0.5, ge=0, lt=1, description="On embeddings of ids")
    dense: tuple[int, ...] = Field(default=(128, 64), description="Units of the dense layers")
    request_units: int = Field(default=48, ge=1, description="Width of the request's side, computed once a request")
    factors: int = Field(default=64, ge=1, description="Width of the space in which the request's side meets a candidate's")
    cross_layers: int = Field(default=2, ge=0)
    cross_rank: int = Field(default=32, ge=1, description="Rank of a cross layer's kernel")
    bucket_dim: int = Field(default=4, ge=1, description="Embedding of a number's quantile bucket")
    attention: Literal["unit", "dot"] = Field(
        default="unit", description="unit: DIN's activation unit, a small network for each pair; dot: scaled dot products, quicker"
    )
    attention_dim: int = Field(default=16, ge=1, description="Width of an event of the history")
    attention_units: int = Field(default=16, ge=1, description="Hidden units of the activation unit")
    attention_heads: int = Field(default=2, ge=1)
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


def ranker_config(dataset: Dataset) -> RankerConfig:
    """The settings of a dataset.

    Raises:
        DatasetFileError: `model` has an unknown key or a value that can't be.
    """
    try:
        return RankerConfig.model_validate(dataset.model)
    except ValidationError as error:
        faults = (
            f"model{''.join(f'.{part}' for part in fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}" for fault in error.errors()
        )
        raise DatasetFileError("\n".join(faults)) from None
