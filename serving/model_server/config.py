"""Define and check the settings of a server."""

import os
from dataclasses import dataclass
from pathlib import Path

from serving.model_server.errors import invalid


@dataclass(frozen=True)
class ServerConfig:
    """Settings of a server: a port of None is closed and 0 lets the system choose; times are in seconds.

    Models come from `model_config_file`, or are the one model of `model_name` and `model_base_path`. `intra_op` and
    `inter_op` are TensorFlow's threads for one operation and for several; 0 is 1 here.
    """

    host: str = "127.0.0.1"
    grpc_port: int | None = 0
    rest_port: int | None = 0
    socket_path: str = ""
    channel_arguments: tuple[tuple[str, int | str], ...] = ()
    grpc_threads: int = 4 * (os.cpu_count() or 1)
    rest_threads: int = 4 * (os.cpu_count() or 1)
    rest_timeout_s: float = 30.0
    cors: bool = False
    health: bool = False
    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: Path | None = None
    config_poll_s: float = 0.0
    poll_s: float = 1.0
    retries: int = 5
    retry_s: float = 60.0
    labels_for_unavailable: bool = False
    warmup: bool = True
    tags: tuple[str, ...] = ("serve",)
    intra_op: int = 0
    inter_op: int = 0
    as_content: bool = False
    batching: bool = False
    batching_file: Path | None = None
    monitoring_file: Path | None = None

    def __post_init__(self) -> None:
        if self.grpc_port is None and not self.socket_path:
            raise invalid("At least one of --port and --grpc_socket_path must be set.")
        if not self.model_base_path and self.model_config_file is None:
            raise invalid("Both --model_base_path and --model_config_file are empty; say what to serve.")
        if self.batching_file is not None and not self.batching:
            raise invalid("--batching_parameters_file is set without setting --enable_batching to true.")
        for name in ("poll_s", "config_poll_s"):
            if getattr(self, name) < 0:
                raise invalid(f"{name} is {getattr(self, name)}; expected 0 (look once) or a number of seconds")
