"""Parse the command line: those of TensorFlow Serving's flags that apply here, under its names."""

import argparse
from pathlib import Path

from serving.model_server.config import ServerConfig
from serving.model_server.errors import invalid


def parse(arguments: list[str] | None = None) -> ServerConfig:
    """Parse the flags. Exits with code 2 for an unknown flag; raises INVALID_ARGUMENT for contradictory flags."""
    defaults = ServerConfig(model_base_path="-")
    parser = argparse.ArgumentParser(
        prog="python -m serving.model_server",
        description="A small model server that speaks TensorFlow Serving's gRPC and REST, for development and tests.",
        allow_abbrev=False,
    )

    def text(name: str, default: str, meaning: str) -> None:
        parser.add_argument(f"--{name}", default=default, metavar="TEXT", help=meaning)

    def number(name: str, default: int, meaning: str) -> None:
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{meaning} ({default})")

    def switch(name: str, default: bool, meaning: str) -> None:
        shown = "on" if default else "off"
        parser.add_argument(
            f"--{name}", type=parse_bool, nargs="?", const=True, default=default, metavar="BOOL", help=f"{meaning} ({shown})"
        )

    text("host", defaults.host, "address to listen on; not a flag of TensorFlow Serving, which listens on all")
    number("port", 8500, "gRPC port; 0 for none")
    text("grpc_socket_path", "", "gRPC on a UNIX socket too")
    text("grpc_channel_arguments", "", "gRPC server options, name=value,name=value")
    number("grpc_max_threads", defaults.grpc_threads, "gRPC requests at a time")
    number("rest_api_port", 0, "REST port; 0 for none")
    number("rest_api_num_threads", defaults.rest_threads, "REST requests at a time")
    number("rest_api_timeout_in_ms", 30000, "how long a REST request may wait in a batch queue")
    switch("rest_api_enable_cors_support", False, "CORS headers in REST answers")
    switch("enable_grpc_healthcheck_service", False, "the standard gRPC health service")
    text("model_name", defaults.model_name, "name of the one model")
    text("model_base_path", "", "absolute folder of its numbered version folders")
    text("model_config_file", "", "ModelServerConfig in text format, in place of the two flags above")
    number("model_config_file_poll_wait_seconds", 0, "how often to read it again; 0 for never")
    number("file_system_poll_wait_seconds", 1, "how often to look for versions; 0 for once")
    number("max_num_load_retries", defaults.retries, "how often a failed load is tried again")
    number("load_retry_interval_micros", 60_000_000, "how long to wait before")
    switch("allow_version_labels_for_unavailable_models", False, "new labels may point to versions that aren't loaded yet")
    switch("enable_model_warmup", True, "replay assets.extra/tf_serving_warmup_requests before a version answers")
    text("saved_model_tags", "serve", "tags of the meta graph in the SavedModel, separated by commas")
    number("tensorflow_session_parallelism", 0, "sets the two below at once")
    number("tensorflow_intra_op_parallelism", 0, "threads for one operation; 0 is 1 here")
    number("tensorflow_inter_op_parallelism", 0, "threads for several operations; 0 and 1 run a request in its own thread")
    switch("enable_serialization_as_tensor_content", False, "answer Predict with tensor_content")
    switch("enable_batching", False, "join requests on their first dimension")
    text("batching_parameters_file", "", "BatchingParameters in text format")
    text("monitoring_config_file", "", "MonitoringConfig in text format")
    args = parser.parse_args(arguments)
    both, intra, inter = (
        args.tensorflow_session_parallelism,
        args.tensorflow_intra_op_parallelism,
        args.tensorflow_inter_op_parallelism,
    )
    if both > 0 and intra > 0 and inter > 0:
        raise invalid("Either configure --tensorflow_session_parallelism or the intra and inter op flags. You cannot configure all.")
    if intra <= 0 and inter <= 0:
        intra = inter = both
    return ServerConfig(
        host=args.host,
        grpc_port=args.port or None,
        rest_port=args.rest_api_port or None,
        socket_path=args.grpc_socket_path,
        channel_arguments=channel_arguments(args.grpc_channel_arguments),
        grpc_threads=args.grpc_max_threads,
        rest_threads=args.rest_api_num_threads,
        rest_timeout_s=args.rest_api_timeout_in_ms / 1e3,
        cors=args.rest_api_enable_cors_support,
        health=args.enable_grpc_healthcheck_service,
        model_name=args.model_name,
        model_base_path=args.model_base_path,
        model_config_file=path(args.model_config_file),
        config_poll_s=args.model_config_file_poll_wait_seconds,
        poll_s=args.file_system_poll_wait_seconds,
        retries=args.max_num_load_retries,
        retry_s=args.load_retry_interval_micros / 1e6,
        labels_for_unavailable=args.allow_version_labels_for_unavailable_models,
        warmup=args.enable_model_warmup,
        tags=tuple(args.saved_model_tags.split(",")),
        intra_op=intra,
        inter_op=inter,
        as_content=args.enable_serialization_as_tensor_content,
        batching=args.enable_batching,
        batching_file=path(args.batching_parameters_file),
        monitoring_file=path(args.monitoring_config_file),
    )


def path(name: str) -> Path | None:
    """Return the path; None for an empty name."""
    return Path(name) if name else None


def parse_bool(word: str) -> bool:
    """Parse `true`, `1`, `false`, `0`, as TensorFlow's flags do."""
    words = {"true": True, "1": True, "false": False, "0": False}
    if word.lower() not in words:
        raise argparse.ArgumentTypeError(f"expected true or false, got {word}")
    return words[word.lower()]


def channel_arguments(listed: str) -> tuple[tuple[str, int | str], ...]:
    """Parse `name=value,name=value`; whole numbers become int. Raises INVALID_ARGUMENT for a part without `=`."""
    pairs: list[tuple[str, int | str]] = []
    for part in filter(None, listed.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            raise invalid(f"--grpc_channel_arguments: expected name=value, got {part}")
        pairs.append((name, int(value) if value.lstrip("-").isdigit() else value))
    return tuple(pairs)
