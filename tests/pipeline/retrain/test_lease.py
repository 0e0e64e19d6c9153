"""One retrains: the kernel's lock on this machine, the owner's record where that doesn't reach."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.contract.errors import RunError
from pipeline.retrain import lease as leases
from pipeline.retrain.lease import TTL_S, Busy, held_lease, read_owner

HOLD = """
import sys
from pathlib import Path
from pipeline.retrain.lease import held_lease
with held_lease(Path(sys.argv[1])):
    print("in", flush=True)
    input()
"""


@contextmanager
def holder(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that holds the lease."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        try:
            yield other
        finally:
            other.kill()


def test_a_second_process_is_told_whose_turn_it_is_and_a_dead_owner_is_none(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        with pytest.raises(Busy, match=rf"process {other.pid} of \S+ is at work since 20"), held_lease(tmp_path):
            pass
        other.kill()
        other.wait()
        assert read_owner(tmp_path) is not None
        with held_lease(tmp_path):  # at once, although the record hasn't expired
            owner = read_owner(tmp_path)
            assert owner is not None
            assert owner.pid == os.getpid()
    assert read_owner(tmp_path) is None


def test_another_machines_lease_counts_until_it_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "CONFIRM_S", 0.0)
    record = {"host": "elsewhere", "pid": 1, "since": 1000.0, "expires": 1120.0}
    (tmp_path / "lease.json").write_text(json.dumps(record))
    with (
        pytest.raises(Busy, match="process 1 of elsewhere is at work since 1970-01-01T00:16:40"),
        held_lease(tmp_path, clock=lambda: 1119.0),
    ):
        pass
    with held_lease(tmp_path, clock=lambda: 1120.0) as lease:
        lease.check()
        owner = read_owner(tmp_path)
        assert owner is not None
        assert owner.expires == 1120.0 + TTL_S


def test_a_lease_is_renewed(tmp_path: Path) -> None:
    with held_lease(tmp_path, clock=lambda: 1000.0) as lease:
        lease.renew(1060.0)
        owner = read_owner(tmp_path)
        assert owner is not None
        assert (owner.since, owner.expires) == (1000.0, 1060.0 + TTL_S)


def test_who_lost_the_lease_writes_nothing_any_more(tmp_path: Path) -> None:
    with held_lease(tmp_path) as lease:
        record = {"host": "elsewhere", "pid": 1, "since": 1000.0, "expires": 9e9}
        (tmp_path / "lease.json").write_text(json.dumps(record))
        with pytest.raises(RunError, match="another process has taken over"):
            lease.check()
        with pytest.raises(RunError, match="another process has taken over"):
            lease.renew(1.0)
    owner = read_owner(tmp_path)
    assert owner is not None
    assert owner.host == "elsewhere"  # whose record stays
