"""Define the JSON of requests and responses. Docstrings and descriptions here are part of the OpenAPI document."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import core_schema

from components.contract.errors import InputError
from components.contract.values.id_text import id_of

LONGEST_ID = 200


def _as_id(value: Any) -> Any:
    try:
        return id_of(value)
    except InputError as error:
        raise ValueError(str(error)) from None


def _as_ids(values: Any) -> Any:
    return [_as_id(value) for value in values] if isinstance(values, list) else values


class _OneError:
    """Give one error for whatever doesn't fit a union, in place of one for each of its members."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.custom_error_schema(handler(source), "value", custom_error_message=self._sentence)


# No control characters: "\x00" begins the keys of guests' state, and none of them belongs into an id, a header or a line of a log.
Name = Annotated[str, Field(max_length=LONGEST_ID, pattern=r"^[^\x00-\x1f]*$")]
NonEmpty = Annotated[Name, Field(min_length=1)]
# By the rule that ingestion has for the ids of a log: 108 and "108.0" are "108".
Id = Annotated[Name, BeforeValidator(_as_id, json_schema_input_type=Name | int | float)]
RequiredId = Annotated[NonEmpty, BeforeValidator(_as_id, json_schema_input_type=NonEmpty | int | float)]
Ids = Annotated[list[NonEmpty], BeforeValidator(_as_ids, json_schema_input_type=list[NonEmpty | int | float])]
Position = Annotated[int, Field(ge=0, le=1_000_000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=0, le=1 << 62)]
# Of a feature, as ingestion has it in a column. Only with a limit does pydantic see that half a character (a lone surrogate) is no text.
_Single = Annotated[str, Field(max_length=1 << 20)] | bool | int | float | None
Value = Annotated[
    _Single | list[_Single],
    _OneError("expected text of whole characters, a number, true or false, null, or a list of these; send one of them"),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RankBody(_Body):
    """In which order does a shopper see these products?"""

    candidates: Ids = Field(
        default_factory=list, min_length=1, description="Ids of the products to be ranked, each once", examples=[["p000001", "p000002"]]
    )
    source: Name = Field(default="", description="In place of `candidates`: a source of the sources file, by its name", examples=[""])
    about: Id = Field(default="", description="What the source has to be told: a product's id, or a value", examples=[""])
    shopper: Id = Field(default="", description="His id; empty for a guest", examples=["u000001"])
    session: Id = Field(default="", description="The visit's id")
    request: Id = Field(default="", description="The request's id, under which events come back; made here when empty")
    context: dict[str, Value] = Field(default_factory=dict, description="By feature of the context or the shopper, its value")
    shown: dict[str, list[Value]] = Field(default_factory=dict, description="By feature of what is shown, a value for each candidate")
    places: Position = Field(
        default=0,
        description="How many of the first places the page shows for sure: they count as impressions. 0 where the page reports them",
    )
    exclude: Ids = Field(
        default_factory=list, description="Ids of products that aren't to be shown, such as those in the basket", examples=[[]]
    )
    first_position: Position = Field(
        default=0, description="The place, from 0, that the first of the order is shown at: on a later page, how many stand before it"
    )
    version: Whole | None = Field(
        default=None, description="Of the model to be asked, whatever the shopper's arm; only for a service that has the page (`--page`)"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "RankBody":
        if bool(self.candidates) == bool(self.source):
            raise ValueError("expected either `candidates` or the name of a `source`")
        if self.shown and self.source:
            raise ValueError("`shown` has a value for each of `candidates`; a source knows its products by the catalogue alone")
        return self


class RankedBody(BaseModel):
    """The order and how it came about."""

    request: str = Field(description="Under which events come back")
    order: list[str] = Field(description="Product ids in the order to be shown; what a rule filtered is missing")
    scores: list[float] = Field(description="For each product of `order`, the score before rules")
    rung: str = Field(
        description="What gave the scores: model, previous, segment, popularity, given; baseline or interleaved, which an experiment wanted"
    )
    version: int | None = Field(description="Of the model that answered")
    label: str = Field(description="Of the version that was asked, or `version N` where the request named one; empty: the newest, or none")
    arms: dict[str, str] = Field(description="By experiment, the shopper's arm")
    degraded: bool = Field(description="Whether something wasn't as it should be")
    reason: str = Field(description="If so, what")
    rules: list[str] = Field(description="The rules that moved or filtered something")


class ImpressionBody(_Body):
    """A list that was shown, whole."""

    request: RequiredId = Field(description="As the answer to `rank` gave it")
    items: Ids = Field(min_length=1, description="Product ids, from the first place on")
    first_position: Position = Field(default=0, description="The place, from 0, of the first of them: above 0 on a later page")
    shopper: Id = ""
    session: Id = ""
    time_us: Whole | None = Field(default=None, description="Microseconds since 1970; now when left out")
    context: dict[str, Value] = Field(default_factory=dict)
    shown: dict[str, list[Value]] = Field(default_factory=dict, description="By feature of what is shown, a value for each item")


class InteractionBody(_Body):
    """Something that a shopper did."""

    action: NonEmpty = Field(description="Its name in the dataset file", examples=["click"])
    item: Id = Field(default="", description="Empty where the action is about none")
    request: Id = Field(default="", description="Of the list that it came from, where that is known")
    shopper: Id = ""
    session: Id = ""
    time_us: Whole | None = Field(
        default=None, description="Microseconds since 1970; now when left out. To send it again, send it with its time"
    )
    position: Position | None = Field(default=None, description="The product's place in the list, from 0")
    context: dict[str, Value] = Field(default_factory=dict)
    revenue: Finite | None = Field(
        default=None, description="What it brought in; as quantity and margin, where the dataset file names the role"
    )
    quantity: Finite | None = Field(default=None, description="How many pieces were bought or returned")
    margin: Finite | None = Field(default=None, description="What was earned by it")


class EventsBody(_Body):
    """What was seen and done. Of one call impressions are taken in first."""

    impressions: list[ImpressionBody] = Field(default_factory=list)
    interactions: list[InteractionBody] = Field(default_factory=list)


class ForgetBody(_Body):
    """Who is to be forgotten."""

    shopper: RequiredId


class AcceptedBody(BaseModel):
    """All of them are in the state and in the log."""

    accepted: int


class ReasonBody(BaseModel):
    """What a feature does to a score, and what is true of its value."""

    feature: str
    effect: float = Field(description="What it adds to the score's logit, less its mean over the candidates; or to the difference of two")
    text: str = Field(description="What the values of this request show, in words")


class PairBody(BaseModel):
    """Why a candidate scores higher than the next one."""

    above: str = Field(description="The candidate's id")
    below: str = Field(description="The id of the next by score")
    reasons: list[ReasonBody] = Field(description="What speaks most for the first, the greatest difference first")


class ReasonsBody(BaseModel):
    """What each feature adds to each score."""

    request: str
    version: int | None
    candidates: list[str]
    features: list[str] = Field(description="Names of the attributions")
    attributions: list[list[float]] = Field(description="For each candidate, for each feature")
    others: dict[str, list[Any]] = Field(description="What else the model tells of each candidate")
    reasons: list[list[ReasonBody]] = Field(description="For each candidate what says most of it, in words, the greatest effect first")
    pairs: list[PairBody] = Field(description="In the order of the scores before rules, why each stands above the next")


class ErrorBody(BaseModel):
    """What was expected, what came, and what to do."""

    error: str


class ReadyBody(BaseModel):
    """Whether the service answers, and what it has to do without."""

    ready: bool
    failing: list[str] = Field(description="Labels of the model, `state`, `empty state`, `log`, `shop files`: the service goes on without")
