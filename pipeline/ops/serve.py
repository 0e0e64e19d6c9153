"""`shelfrank serve`: the embedded model server and the ranking service over a run's newest releases, on this machine."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from components.contract.errors import InputError, RunError
from components.contract.load import parse_dataset
from components.contract.storage import labels as labelling
from components.contract.storage.labels import STABLE
from components.release.labels import read_labels, refresh_config
from components.release.publish import versions
from pipeline.ops.child_servers import Server, running
from pipeline.ops.ports import listener, taken
from pipeline.results.result import RunResult
from pipeline.terminal.display import Display, display

HOST = "127.0.0.1"
VALUES = "assets/categories"  # of a release: the values of its categories
_LOOK_S = 0.2


@dataclass(frozen=True)
class Ports:
    """On loopback: of the service, of the model server's gRPC and of its REST."""

    service: int
    grpc: int
    rest: int

    def check(self) -> None:
        """Raise where they can't be listened on: InputError for two that are the same, RunError for one that is taken."""
        named = {"--port": self.service, "--grpc-port": self.grpc, "--rest-port": self.rest}
        if len({*named.values()}) < len(named):
            raise InputError(f"expected three different ports, got {', '.join(f'{name} {port}' for name, port in named.items())}")
        for name, port in named.items():
            try:
                if taken(HOST, port):
                    raise RunError(f"port {port} is taken by {listener(port)}; end that, or give another port by {name}")
            except (OSError, OverflowError) as error:
                raise RunError(f"{name}: can't listen on port {port} of {HOST}: {error}; give another one") from None


@contextmanager
def served(result: RunResult, root: Path, ports: Ports, *, kept: int, out: TextIO) -> Iterator[tuple[Server, ...]]:
    """Both servers, ready; they end with the block, or with this process.

    What they say goes to `serving/*.log` of the run's folder, beside the exposure log and the state as the service left it.

    Args:
        result: of the run.
        root: the run's folder.
        ports: to listen on.
        kept: how many of the newest releases to serve, to switch between.
        out: shows how far they are.

    Raises:
        InputError: the ports aren't three.
        RunError: a port is taken, the run has released nothing, or a server doesn't come up.
    """
    ports.check()
    releases, state = Path(result.places["releases"]), Path(result.places["feature state"])
    if not versions(releases):
        raise RunError(f"{releases}: expected a release to serve, found none; a `shelfrank run` that passes the gates makes one")
    folder = root / "serving"
    folder.mkdir(exist_ok=True)
    name = parse_dataset(result.dataset).name
    file = folder / "dataset.yaml"
    file.write_text(result.dataset, encoding="utf-8")
    refresh_config(releases)
    labels = read_labels(releases)
    labelled = {} if labels is None else {label: version for label, version in labels.now.items() if version in versions(releases)}
    (folder / "models.config").write_text(model_config(name, releases, labelled, kept=kept), encoding="utf-8")
    model_server = [
        *(f"--port={ports.grpc}", f"--rest_api_port={ports.rest}", f"--model_config_file={folder / 'models.config'}"),
        "--max_num_load_retries=0",  # what doesn't load from this machine's disk won't load in a minute, and somebody waits for the reason
        *(["--allow_version_labels_for_unavailable_models=true"] if labelled else []),  # nothing is available yet at the start
    ]
    service = [
        *(str(file), f"--state={state}", f"--model-server={HOST}:{ports.grpc}", f"--model={name}", f"--port={ports.service}"),
        *(f"--log={folder / 'exposures'}", f"--snapshot={folder / 'state'}"),
        f"--page={releases / str(max(versions(releases))) / VALUES}",
        *([f"--label={STABLE}"] if STABLE in labelled else []),
    ]
    wanted = {*versions(releases)[-kept:], *labelled.values()}
    with ExitStack() as stack:
        with display(out) as shown:
            with _step(shown, "Model server"):
                first = stack.enter_context(running("model server", "serving.model_server", model_server, folder / "model_server.log"))
                _load(first, f"http://{HOST}:{ports.rest}/v1/models/{name}", wanted, needed=labelled.get(STABLE), shown=shown)
            with _step(shown, "Service"):
                second = stack.enter_context(running("ranking service", "serving.service", service, folder / "service.log"))
                _get_ready(second, f"http://{HOST}:{ports.service}/health/ready", shown)
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


@contextmanager
def _step(shown: Display, name: str) -> Iterator[None]:
    shown.begin(name)
    try:
        yield
    except BaseException:
        shown.end("failed")
        raise
    shown.end("done")


def _load(server: Server, address: str, wanted: Collection[int], *, needed: int | None, shown: Display) -> None:
    """Wait until each version is loaded or can't be; however long that takes, as long as the server lives.

    Raises:
        RunError: the server has ended, or the version `needed` can't be loaded.
    """
    while True:
        server.check()
        states = _states(address)
        loaded = [version for version in wanted if states.get(version, ("", ""))[0] == "AVAILABLE"]
        failed = {version: states[version][1] for version in wanted if states.get(version, ("", ""))[0] == "END"}
        shown.say(f"{len(loaded)} of {len(wanted)} releases loaded")
        if needed in failed:
            raise RunError(f"release {needed}, which is labelled {STABLE}, can't be loaded: {failed[needed]} ({server.log})")
        if len(loaded) + len(failed) == len(wanted):
            break
        time.sleep(_LOOK_S)
    if failed:
        faults = "; ".join(f"release {version} isn't served, it can't be loaded: {fault}" for version, fault in sorted(failed.items()))
        shown.note(f"{faults} ({server.log})")


def _states(address: str) -> dict[int, tuple[str, str]]:
    """Version to its state and its fault; none while the server doesn't listen yet: it does when it has a version that answers."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            statuses = json.load(answer)["model_version_status"]
    except OSError:
        return {}
    return {int(each["version"]): (each["state"], each["status"]["error_message"]) for each in statuses}


def _get_ready(server: Server, address: str, shown: Display) -> None:
    while True:
        server.check()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.HTTPError as error:
            shown.say(f"not ready: {error.read().decode('utf-8', 'replace')[:300]}")
        except OSError:
            shown.say("reads the catalogue and the state")
        time.sleep(_LOOK_S)
