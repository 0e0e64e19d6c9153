"""`shelfrank serve`: the embedded model server and the ranking service over a run's newest releases, on this machine."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.contract import labels as labelling
from components.contract.errors import RunError
from components.contract.labels import STABLE
from components.contract.load import parse_dataset
from components.release.labels import read_labels
from components.release.releases import versions
from pipeline.result import RunResult

HOST = "127.0.0.1"
READY_S = 90.0
VALUES = "assets/categories"  # of a release: the values of its categories
STOP_S = 15.0


@dataclass(frozen=True)
class Ports:
    """On loopback: of the service, of the model server's gRPC and of its REST."""

    service: int
    grpc: int
    rest: int


@contextmanager
def served(result: RunResult, root: Path, ports: Ports, *, kept: int = 3) -> Iterator[tuple["subprocess.Popen[bytes]", ...]]:
    """Both servers, ready; they end with the block.

    What they say goes to `serving/*.log` of the run's folder, beside the exposure log and the state as the service left it.

    Args:
        result: of the run.
        root: the run's folder.
        ports: to listen on.
        kept: how many of the newest releases to serve, to switch between.

    Raises:
        RunError: the run has released nothing, or a server doesn't come up.
    """
    releases, state = Path(result.places["releases"]), Path(result.places["feature state"])
    if not versions(releases):
        raise RunError(f"{releases}: expected a release to serve, found none; a `shelfrank run` that passes the gates makes one")
    folder = root / "serving"
    folder.mkdir(exist_ok=True)
    name = parse_dataset(result.dataset).name
    file = folder / "dataset.yaml"
    file.write_text(result.dataset, encoding="utf-8")
    labels = read_labels(releases)
    labelled = {} if labels is None else {label: version for label, version in labels.now.items() if version in versions(releases)}
    (folder / "models.config").write_text(model_config(name, releases, labelled, kept=kept), encoding="utf-8")
    model_server = [f"--port={ports.grpc}", f"--rest_api_port={ports.rest}", f"--model_config_file={folder / 'models.config'}"]
    if labelled:
        model_server += ["--allow_version_labels_for_unavailable_models=true"]  # nothing is available yet at the start
    service = [
        *(str(file), f"--state={state}", f"--model-server={HOST}:{ports.grpc}", f"--model={name}", f"--port={ports.service}"),
        *(f"--log={folder / 'exposures'}", f"--snapshot={folder / 'state'}"),
        f"--page={releases / str(max(versions(releases))) / VALUES}",
        *([f"--label={STABLE}"] if STABLE in labelled else []),
    ]
    with ExitStack() as stack:
        first = stack.enter_context(_running("serving.model_server", model_server, folder / "model_server.log"))
        for version in sorted({*versions(releases)[-kept:], *labelled.values()}):  # a label may point to one that is loaded last
            address = f"http://{HOST}:{ports.rest}/v1/models/{name}/versions/{version}/metadata"
            _ready(first, address, folder / "model_server.log")
        second = stack.enter_context(_running("serving.service", service, folder / "service.log"))
        _ready(second, f"http://{HOST}:{ports.service}/health/ready", folder / "service.log")
        yield first, second


def model_config(name: str, releases: Path, labels: Mapping[str, int], *, kept: int) -> str:
    """What the model server reads: the newest `kept` releases, those that are made later too; where there are labels, the newest of now and
    the labelled ones."""
    served = {*versions(releases)[-kept:], *labels.values()}
    policy = labelling.specific(sorted(served)) if labels else f"latest {{ num_versions: {kept} }}"
    return labelling.model_config(name, str(releases), policy=policy, labels=labels)


def commands(result: RunResult, ports: Ports) -> tuple[str, ...]:
    """Three calls to try, on a request of the run's test window; none where it had none."""
    if result.example is None:
        return ()
    _, _, shopper = result.example.caption.rpartition(" of ")
    shopper = "" if shopper == "a guest" else shopper
    items = [candidate.item for candidate in result.example.candidates][:10]
    asked = {"shopper": shopper, "candidates": items, "request": "try-1"}
    action = next(iter(parse_dataset(result.dataset).label_gains))
    click = {"interactions": [{"shopper": shopper, "action": action, "item": items[-1], "request": "try-1"}]}
    base = f"http://{HOST}:{ports.service}/v1"
    calls = (("rank", asked), ("events", click), ("explain", {**asked, "candidates": items[:3]}))
    return tuple(f"curl -s {base}/{route} -H 'content-type: application/json' -d '{json.dumps(body)}'" for route, body in calls)


def wait(processes: Sequence["subprocess.Popen[bytes]"], logs: Path) -> None:
    """Until one of them ends, which neither should.

    Raises:
        RunError: one did.
    """
    while all(process.poll() is None for process in processes):
        time.sleep(0.5)
    raise RunError(f"a server has ended by itself; {logs}/*.log tells why")


@contextmanager
def _running(module: str, args: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-m", module, *args], stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RunError(f"a server ended before it was ready: {_last_line(log)} ({log})")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RunError(f"{address} doesn't answer after {READY_S:.0f} s: {_last_line(log)} ({log})")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
