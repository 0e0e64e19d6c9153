"""TensorFlow Serving's command line: read, refused where it makes no sense, and run."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from serving.model_server.errors import ServingError
from serving.model_server.flags import channel_arguments, parse
from tests.serving.model_server.conftest import ADDRESS, Client
from tests.serving.model_server.test_lifecycle import TWO, until

Base = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[3]
EVERY_FLAG = """--host=0.0.0.0 --port=1 --grpc_socket_path=s --grpc_channel_arguments=a=1,b=x --grpc_max_threads=3 --rest_api_port=2
    --rest_api_num_threads=4 --rest_api_timeout_in_ms=500 --rest_api_enable_cors_support --enable_grpc_healthcheck_service=true
    --model_name=shop --model_config_file=m --model_config_file_poll_wait_seconds=7 --file_system_poll_wait_seconds=0
    --max_num_load_retries=1 --load_retry_interval_micros=250000 --allow_version_labels_for_unavailable_models=1
    --enable_model_warmup=false --saved_model_tags=serve,gpu --tensorflow_intra_op_parallelism=2 --tensorflow_inter_op_parallelism=3
    --enable_serialization_as_tensor_content --enable_batching --batching_parameters_file=b --monitoring_config_file=c"""
needs_a_process = pytest.mark.skipif(ADDRESS in os.environ, reason=f"starts a server of its own; {ADDRESS} names another")


def test_the_defaults_are_those_of_the_real_server() -> None:
    config = parse(["--model_base_path=/models/shop"])
    assert (config.grpc_port, config.rest_port, config.model_name, config.poll_s) == (8500, None, "default", 1)
    assert (config.retries, config.retry_s, config.config_poll_s, config.warmup, config.health) == (5, 60.0, 0, True, False)


def test_every_flag_arrives() -> None:
    config = parse(EVERY_FLAG.split())
    assert (config.host, config.grpc_port, config.socket_path, config.channel_arguments) == ("0.0.0.0", 1, "s", (("a", 1), ("b", "x")))
    assert (config.grpc_threads, config.rest_port, config.rest_threads, config.rest_timeout_s) == (3, 2, 4, 0.5)
    assert (config.cors, config.health, config.model_name, config.model_config_file) == (True, True, "shop", Path("m"))
    assert (config.config_poll_s, config.poll_s, config.retries, config.retry_s) == (7, 0, 1, 0.25)
    assert (config.labels_for_unavailable, config.warmup, config.tags) == (True, False, ("serve", "gpu"))
    assert (config.intra_op, config.inter_op, config.as_content, config.batching) == (2, 3, True, True)
    assert (config.batching_file, config.monitoring_file) == (Path("b"), Path("c"))


def test_session_parallelism_sets_both() -> None:
    config = parse(["--model_base_path=/models/shop", "--tensorflow_session_parallelism=4"])
    assert (config.intra_op, config.inter_op) == (4, 4)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--port=0", "At least one of --port and --grpc_socket_path must be set."),
        ("--model_base_path=", "Both --model_base_path and --model_config_file are empty"),
        ("--batching_parameters_file=b", "without setting --enable_batching to true"),
        ("--file_system_poll_wait_seconds=-1", "expected 0 (look once) or a number of seconds"),
        ("--grpc_channel_arguments=a", "expected name=value, got a"),
        (
            "--tensorflow_session_parallelism=1 --tensorflow_intra_op_parallelism=1 --tensorflow_inter_op_parallelism=1",
            "You cannot configure all.",
        ),
    ],
)
def test_flags_that_make_no_sense_are_refused(line: str, text: str) -> None:
    with pytest.raises(ServingError) as error:
        parse(["--model_base_path=/models/shop", *line.split()])
    assert text in str(error.value)


@pytest.mark.parametrize("flag", ["--prefer_tflite_model=true", "--port=x", "--enable_batching=perhaps"])
def test_an_unknown_flag_or_value_ends_with_code_2(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--model_base_path=/models/shop", flag])
    assert ended.value.code == 2
    assert flag.split("=")[1] in capsys.readouterr().err


def test_channel_arguments_are_numbers_or_words() -> None:
    assert channel_arguments("grpc.max_connection_age_ms=2000,grpc.x=-1,grpc.y=word") == (
        ("grpc.max_connection_age_ms", 2000),
        ("grpc.x", -1),
        ("grpc.y", "word"),
    )


def process(*flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "serving.model_server", *flags]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


@needs_a_process
def test_the_command_serves_until_it_is_told_to_end(base: Base, tmp_path: Path) -> None:
    socket = tmp_path / "socket"
    (base(versions={1: TWO}) / "1").rename(tmp_path / "later")
    running = process("--port=0", f"--grpc_socket_path={socket}", f"--model_base_path={base()}", "--file_system_poll_wait_seconds=1")
    try:
        (tmp_path / "later").rename(base() / "1")
        until(socket.exists, 60)
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            assert Client("", "", 0, channel).y(2.0) == 3.0
        running.send_signal(signal.SIGTERM)
        _, told = running.communicate(timeout=20)
    finally:
        running.kill()
    assert running.returncode == 0
    assert "for development and tests: in production run TensorFlow Serving" in told
    assert f"gRPC unix:{socket}, REST closed" in told
    assert "Traceback" not in told


@needs_a_process
def test_a_bad_config_file_ends_the_command_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "models.config").write_text("improperly formatted file")
    running = process(f"--model_config_file={tmp_path / 'models.config'}")
    _, told = running.communicate(timeout=60)
    assert running.returncode == 2
    assert "Failed to start server. Error: INVALID_ARGUMENT: Error parsing text-format tensorflow.serving.ModelServerConfig" in told
    assert "Traceback" not in told
