"""What the service is told at its start, checked when built."""

from dataclasses import dataclass
from pathlib import Path

from components.contract.errors import InputError
from serving.exposure.keys import shopper_key


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How requests are answered.

    Attributes:
        label: of the model's version that is asked where no arm names another; "" is the newest.
        previous: the label that is asked where that one fails; "" for none.
        deadline_ms: within which `rank` answers, with whatever there is by then.
        explain_deadline_ms: within which `explain` does; it costs many times as much.
        token: that events and forgetting need; "" where whoever reaches the service may.
        salt: that shoppers' ids are hashed with in the log (see serving/exposure/keys.py); None logs them as they are.
        most_candidates: of a request.
        most_events: of a call.
        body_bytes: of a request's body.
        logged_features: the share of decisions that are logged with the tensors sent.
        grace_s: how long requests under way, and then the log, have to end in when the service stops.
    """

    label: str = ""
    previous: str = ""
    deadline_ms: float = 100.0
    explain_deadline_ms: float = 2_000.0
    token: str = ""
    salt: bytes | None = None
    most_candidates: int = 2_000
    most_events: int = 1_000
    body_bytes: int = 1 << 20
    logged_features: float = 0.01
    grace_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ("deadline_ms", "explain_deadline_ms", "most_candidates", "most_events", "body_bytes", "grace_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"the service's {name} is above 0, got {getattr(self, name)}")
        if not 0 <= self.logged_features <= 1:
            raise InputError(f"logged_features is a share from 0 to 1, got {self.logged_features}")
        shopper_key("any", self.salt)  # refuses a salt that could be guessed
        if self.token and not self.token.isascii():
            raise InputError("expected a token of ASCII characters, as a header can carry it; make one with `openssl rand -hex 16`")


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where things are.

    Attributes:
        dataset: the dataset file that the model was trained with.
        state: `state` of the last ingestion.
        model_server: HOST:PORT of its gRPC.
        model: its name there.
        redis: URL of the store; "" keeps the state in memory.
        load: bring the ingestion's state into Redis before the first request; what is there already stays.
        experiments: the experiments file, or None.
        rules: the rules file, or None.
        sources: the file of named sources of candidates, or None.
        log: folder of the exposure log; None keeps no log.
        snapshot: where the state in memory is saved at the end, and taken up at the start; None: it goes with the process.
    """

    dataset: Path
    state: Path
    model_server: str
    model: str
    redis: str = ""
    load: bool = False
    experiments: Path | None = None
    rules: Path | None = None
    sources: Path | None = None
    log: Path | None = None
    snapshot: Path | None = None

    def __post_init__(self) -> None:
        if self.load and not self.redis:
            raise InputError("`load` brings the state into Redis, and there is none; the state in memory is always loaded")
        if self.redis and self.snapshot:
            raise InputError("a snapshot is of the state in memory, and Redis keeps its own; leave one of the two out")
