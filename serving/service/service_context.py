"""A running service's parts, which both of its doors share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from serving.exposure.log import ExposureLog
from serving.features.catalogue import SecondIds
from serving.service.page.page import Page
from serving.service.ranking.explain import Explaining
from serving.service.ranking.ranking import Ranking
from serving.service.ranking.shop_files import LiveShopFiles
from serving.service.rate_limit import Rates
from serving.service.state.event_intake import Intake
from serving.service.state.null_ids import NullIds
from serving.service.state.state_client import Knowledge
from serving.service.telemetry.metrics import Metrics
from serving.service.telemetry.tracing import NoTracing, Tracing


@dataclass(frozen=True)
class Parts:
    """What a running service is put together from; `asking` and `telling` are the limits of calls that read and that write."""

    ranking: Ranking
    intake: Intake
    explaining: Explaining
    knowledge: Knowledge
    log: ExposureLog | None
    failing: Callable[[], list[str]]
    shop: LiveShopFiles
    asking: Rates
    telling: Rates
    metrics: Metrics
    second_ids: SecondIds
    tracing: Tracing = field(default_factory=NoTracing)
    page: Page | None = None
    null_ids: NullIds = field(default_factory=NullIds)
