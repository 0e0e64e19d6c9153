"""Hold the objects of a running service, which HTTP and gRPC share."""

from collections.abc import Callable
from dataclasses import dataclass

from serving.exposure.log import ExposureLog
from serving.features.catalogue import SecondIds
from serving.service.api.rate_limit import RateLimiter
from serving.service.metrics.metrics import Metrics
from serving.service.page.page import Page
from serving.service.ranking.explain import Explainer
from serving.service.ranking.ranking import Ranking
from serving.service.ranking.shop_files import LiveShopFiles
from serving.service.state.event_intake import EventIntake
from serving.service.state.null_ids import NullIds
from serving.service.state.state_client import StateClient
from serving.service.tracing.tracing import Tracing


@dataclass(frozen=True, kw_only=True)
class ServiceContext:
    """Hold a service's objects.

    Attributes:
        ranking: ranks requests.
        explainer: explains scores.
        intake: records events and forgets shoppers.
        state: of shoppers and items.
        log: of exposures and interactions, or None.
        shop_files: rules, experiments and sources in force.
        page: to try the shop with, or None.
        second_ids: maps ids to the shopper they stand for.
        null_ids: ids that mean none.
        metrics: for Prometheus.
        tracing: of requests.
        read_limit: rate limit of ranking and explaining, by client.
        write_limit: rate limit of events and forgetting, by client.
        failing: names the model labels and files that currently fail.
    """

    ranking: Ranking
    explainer: Explainer
    intake: EventIntake
    state: StateClient
    log: ExposureLog | None
    shop_files: LiveShopFiles
    page: Page | None
    second_ids: SecondIds
    null_ids: NullIds
    metrics: Metrics
    tracing: Tracing
    read_limit: RateLimiter
    write_limit: RateLimiter
    failing: Callable[[], list[str]]
