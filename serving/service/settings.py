"""Define the service's settings, checked when built."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from components.contract.errors import InputError
from serving.exposure.pseudonym import pseudonym
from serving.exposure.retention import Retention

MOST_REUSE_MS = 5_000
_ABOVE_0 = (
    *("deadline_ms", "explain_deadline_ms", "explain_at_once", "explain_candidates", "most_candidates", "most_events"),
    *("body_bytes", "body_s", "most_at_once", "grace_s"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Configure how requests are answered.

    Attributes:
        label: of the model's version that is called where no arm names another; "" is the newest.
        previous: the label that is called where that one fails; "" for none.
        deadline_ms: of `rank`, which then answers by a fallback.
        explain_deadline_ms: of `explain`; it costs many times as much.
        explain_at_once: explanations under way at a time, of all clients together.
        explain_candidates: of a request for one.
        explain_needs_token: whether `explain` needs the token as well.
        token: that events and forgetting need; "" for none.
        salt: of shoppers' pseudonyms (see serving/exposure/pseudonym.py) in the log and in the model's input `user`; None for
            plain ids.
        most_candidates: of a request.
        most_events: of a call.
        body_bytes: greatest size of a request's body.
        body_s: within which a request's body has to arrive; else the connection is closed.
        cors_origins: of pages that may call the service from a browser, such as `https://shop.example`; `*` for all.
        path_prefix: under which a proxy serves it, such as `/ranking`; "" where it has a host of its own.
        logged_features: the share of decisions that are logged with the tensors sent.
        retention: of the log.
        hedged_share: of requests, that may be sent to a second model server where the first is slow; 0 for none.
        reuse_ms: for so long one call of the model serves identical requests; 0 to disable. A request's time is then
            rounded up to a multiple, so that times in its features, and only those, may be up to so much later.
        shadow: the label that a share of requests is also sent to, to compare; "" for none.
        shadow_share: of requests.
        asks_per_s: rate of `rank` and `explain` of one client; 0 for no limit.
        tells_per_s: likewise of calls that write.
        most_at_once: requests that wait for the model at a time; those beyond are ranked without it.
        proxies: addresses whose `X-Forwarded-For` is trusted.
        page: whether to serve a page to try the shop with, and let requests name a version: not for a public service.
        grace_s: how long requests under way, and then the log, have to end in when the service stops.
    """

    label: str = ""
    previous: str = ""
    deadline_ms: float = 100.0
    explain_deadline_ms: float = 2_000.0
    explain_at_once: int = 2
    explain_candidates: int = 200
    explain_needs_token: bool = False
    token: str = ""
    salt: bytes | None = None
    most_candidates: int = 2_000
    most_events: int = 1_000
    body_bytes: int = 1 << 20
    body_s: float = 10.0
    cors_origins: tuple[str, ...] = ()
    path_prefix: str = ""
    logged_features: float = 0.01
    retention: Retention = Retention()  # noqa: RUF009 - frozen
    hedged_share: float = 0.05
    reuse_ms: float = 0.0
    shadow: str = ""
    shadow_share: float = 0.1
    asks_per_s: float = 0.0
    tells_per_s: float = 0.0
    most_at_once: int = 256
    proxies: tuple[str, ...] = ()
    page: bool = False
    grace_s: float = 10.0

    def __post_init__(self) -> None:
        for name in _ABOVE_0:
            if not getattr(self, name) > 0:
                raise InputError(f"the service's {name} is above 0, got {getattr(self, name)}")
        for name in ("logged_features", "hedged_share", "shadow_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is a share from 0 to 1, got {getattr(self, name)}")
        for name in ("asks_per_s", "tells_per_s"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is calls a second, or 0 for no limit, got {getattr(self, name)}")
        if not 0 <= self.reuse_ms <= MOST_REUSE_MS:
            raise InputError(f"reuse_ms is from 0, for not at all, to {MOST_REUSE_MS}: features age meanwhile; got {self.reuse_ms}")
        if self.shadow and self.shadow == self.label:
            raise InputError(f"the shadow {self.shadow!r} is the label that is asked anyway; name another, or leave it out")
        for origin in self.cors_origins:
            if not re.fullmatch(r"\*|https?://[^/\s]+", origin):
                raise InputError(f"expected an origin as browsers name it, such as https://shop.example, or *, got {origin!r}")
        if not re.fullmatch(r"(/[\w.~-]+)*", self.path_prefix):
            raise InputError(f"expected a path prefix such as /ranking, without a slash at its end, got {self.path_prefix!r}")
        pseudonym("any", self.salt)  # refuses a salt that could be guessed
        if self.explain_needs_token and not self.token:
            raise InputError("expected a token, which `explain` is to need, and the service has none; set SHELFRANK_TOKEN")
        if self.token and not self.token.isascii():
            raise InputError("expected a token of ASCII characters, as a header can carry it; make one with `openssl rand -hex 16`")


@dataclass(frozen=True, kw_only=True)
class Locations:
    """Hold paths and addresses.

    Attributes:
        dataset: the dataset file that the model was trained with.
        state: `state` of the last ingestion.
        model_server: HOST:PORT of its gRPC endpoint.
        model: its name there.
        replicas: of other model servers that serve the same versions under the same labels.
        model_server_tls: whether to connect to it by TLS.
        model_server_ca: trusted CA there; None: those that the machine trusts.
        redis: URL of the store, without a password; "" keeps the state in memory.
        redis_cluster: whether it is a node of a Redis Cluster.
        redis_password: of the store; "" for none.
        load: load the ingestion's state into Redis before the first request; existing keys stay.
        experiments: the experiments file, or None.
        rules: the rules file, or None.
        sources: the file of named sources of candidates, or None.
        out_of_stock: a file with an id a line of products that aren't shown, or None.
        log: folder of the exposure log; None keeps no log.
        events_to: address of a stream to which events go, instead of to the log and the state; "" for none.
        page_values: a file of lines FEATURE=VALUE with context values for the page to offer, or None.
        snapshot: folder to save the state in memory to, and to load it from at the start; None loses it.
    """

    dataset: Path
    state: Path
    model_server: str
    model: str
    replicas: tuple[str, ...] = ()
    model_server_tls: bool = False
    model_server_ca: Path | None = None
    redis: str = ""
    redis_cluster: bool = False
    redis_password: str = field(default="", repr=False)
    load: bool = False
    experiments: Path | None = None
    rules: Path | None = None
    sources: Path | None = None
    out_of_stock: Path | None = None
    log: Path | None = None
    events_to: str = ""
    page_values: Path | None = None
    snapshot: Path | None = None

    @property
    def model_servers(self) -> tuple[str, ...]:
        """Return the addresses of all model servers."""
        return (self.model_server, *self.replicas)

    def __post_init__(self) -> None:
        if len(set(self.model_servers)) < len(self.model_servers):
            raise InputError(f"expected each model server once, got {', '.join(self.model_servers)}; a second request goes to another one")
        if self.load and not self.redis:
            raise InputError("`load` brings the state into Redis, and there is none; the state in memory is always loaded")
        if (self.redis_cluster or self.redis_password) and not self.redis:
            raise InputError("a cluster or a password is of Redis, and there is none; name its URL, or leave them out")
        if self.model_server_ca and not self.model_server_tls:
            raise InputError("a CA of the model server is for TLS to it, which isn't asked for; add `--model-server-tls`")
        if self.events_to and not self.redis:
            raise InputError(
                "with events_to it is `shelfrank stream` that changes the state, and the state in this process' memory never would; keep"
                " it where both reach it (`--redis`), or leave `--events-to` out"
            )
        if self.redis and self.snapshot:
            raise InputError("a snapshot is of the state in memory, and Redis keeps its own; leave one of the two out")
