"""Hold the objects of a running service, which HTTP and gRPC share."""

from collections.abc import Callable
from dataclasses import dataclass

from serving.client.model import ModelClient
from serving.exposure.log import EventLog
from serving.features.catalogue import SecondIds
from serving.service.metrics.metrics import Metrics
from serving.service.page.page import Page
from serving.service.ranking.explain import Explainer
from serving.service.ranking.ranking import Ranking
from serving.service.ranking.shadow import Shadow
from serving.service.ranking.shop_files import LiveShopFiles
from serving.service.rate_limit import RateLimiter
from serving.service.state.event_intake import EventIntake
from serving.service.state.null_ids import NullIds
from serving.service.state.state_client import StateClient
from serving.service.tracing.tracing import Tracing


@dataclass(frozen=True, kw_only=True)
class ServiceContext:
    """Hold a service's objects; the limits are of calls that rank or explain, and of calls that write."""

    ranking: Ranking
    explainer: Explainer
    intake: EventIntake
    model: ModelClient
    shadow: Shadow | None
    state: StateClient
    log: EventLog | None
    shop_files: LiveShopFiles
    page: Page | None
    second_ids: SecondIds
    null_ids: NullIds
    metrics: Metrics
    tracing: Tracing
    read_limit: RateLimiter
    write_limit: RateLimiter
    failing: Callable[[], list[str]]  # names the model's labels and the files that fail
