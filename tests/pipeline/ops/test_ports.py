import os
import socket
from pathlib import Path
from textwrap import shorten

import pytest

from components.contract.errors import InputError, RunError
from pipeline.cli.main import main
from pipeline.ops.ports import in_use, listener
from pipeline.ops.serve import HOST, Ports


@pytest.fixture
def port():
    with socket.create_server((HOST, 0)) as listening:
        yield listening.getsockname()[1]


def free() -> int:
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def test_a_port_is_taken_while_somebody_listens_there(port: int) -> None:
    assert in_use(HOST, port)
    assert not in_use(HOST, free())


def test_a_port_of_all_addresses_is_taken_on_each() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        assert in_use(HOST, everywhere.getsockname()[1])


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux says who listens")
def test_who_has_taken_a_port_is_said_with_its_process_and_the_option_that_names_another(port: int) -> None:
    command = shorten(Path(f"/proc/{os.getpid()}/cmdline").read_text().rstrip("\0").replace("\0", " "), 160, placeholder=" ...")
    with pytest.raises(RunError) as raised:
        Ports(service=free(), grpc=port, rest=free()).check()
    expected = f"port {port} is taken by process {os.getpid()} ({command}); end that, or give another port by --grpc-port"
    assert str(raised.value) == expected


def test_where_the_system_does_not_say_who_listens_it_is_another_process(port: int, tmp_path: Path) -> None:
    assert listener(port, proc=tmp_path) == "another process"


def test_two_ports_that_are_one_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"expected three different ports, got --port 8080, --grpc-port 8500, --rest-port 8500"):
        Ports(8080, 8500, 8500).check()


@pytest.mark.parametrize("wrong", ["0", "65536", "-1", "http"])
def test_a_port_is_a_number_that_there_can_be(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", f"--port={wrong}"])
    assert "expected a port from 1 to 65535" in capsys.readouterr().err
