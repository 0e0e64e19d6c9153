"""Serve a run's newest releases on this machine, by a model server and the ranking service: `shelfrank serve`."""

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
from pipeline.ops.child_servers import Server, child_server
from pipeline.ops.ports import in_use, listener
from pipeline.results.result import RunResult
from pipeline.terminal.display import Display, display

HOST = "127.0.0.1"
CATEGORY_VALUES = "assets/categories"  # in a release: the vocabulary of each categorical feature
_POLL_S = 0.2


@dataclass(frozen=True)
class Ports:
    """Ports on loopback: of the service, of the model server's gRPC and of its REST API."""

    service: int
    grpc: int
    rest: int

    def check(self) -> None:
        """Raise InputError if two are equal, RunError if one can't be listened on."""
        named = {"--port": self.service, "--grpc-port": self.grpc, "--rest-port": self.rest}
        if len({*named.values()}) < len(named):
            raise InputError(f"expected three different ports, got {', '.join(f'{name} {port}' for name, port in named.items())}")
        for name, port in named.items():
            try:
                if in_use(HOST, port):
                    raise RunError(f"port {port} is taken by {listener(port)}; end that, or give another port by {name}")
            except (OSError, OverflowError) as error:
                raise RunError(f"{name}: can't listen on port {port} of {HOST}: {error}; give another one") from None


@contextmanager
def serve_run(result: RunResult, root: Path, ports: Ports, *, kept: int, out: TextIO) -> Iterator[tuple[Server, ...]]:
    """Start both servers and yield them when they are ready; they end with the block, or with this process.

    Their output goes to `serving/*.log` in the run's folder, beside the exposure log and the service's state snapshot.

    Args:
        result: of the run.
        root: the run's folder.
        ports: to listen on.
        kept: number of the newest releases to serve.
        out: stream that the progress is shown on.

    Raises:
        InputError: the ports aren't three.
        RunError: a port is in use, the run has released nothing, or a server doesn't start.
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
    labels_by_name = {} if labels is None else {label: version for label, version in labels.now.items() if version in versions(releases)}
    (folder / "models.config").write_text(model_config(name, releases, labels_by_name, kept=kept), encoding="utf-8")
    model_server = [
        *(f"--port={ports.grpc}", f"--rest_api_port={ports.rest}", f"--model_config_file={folder / 'models.config'}"),
        "--max_num_load_retries=0",  # a model that doesn't load from a local disk won't load on a retry, and the user waits for the reason
        *(["--allow_version_labels_for_unavailable_models=true"] if labels_by_name else []),  # at the start no version is available yet
    ]
    service = [
        *(str(file), f"--state={state}", f"--model-server={HOST}:{ports.grpc}", f"--model={name}", f"--port={ports.service}"),
        *(f"--log={folder / 'exposures'}", "--logged-features=1", f"--snapshot={folder / 'state'}"),  # all can be audited
        f"--page={releases / str(max(versions(releases))) / CATEGORY_VALUES}",
        *([f"--label={STABLE}"] if STABLE in labels_by_name else []),
    ]
    versions_to_load = {*versions(releases)[-kept:], *labels_by_name.values()}
    with ExitStack() as stack:
        with display(out) as progress:
            with _step(progress, "Model server"):
                first = stack.enter_context(child_server("model server", "serving.model_server", model_server, folder / "model_server.log"))
                _load(
                    first,
                    f"http://{HOST}:{ports.rest}/v1/models/{name}",
                    versions_to_load,
                    needed=labels_by_name.get(STABLE),
                    progress=progress,
                )
            with _step(progress, "Service"):
                second = stack.enter_context(child_server("ranking service", "serving.service", service, folder / "service.log"))
                _get_ready(second, f"http://{HOST}:{ports.service}/health/ready", progress)
        yield first, second


def model_config(name: str, releases: Path, labels: Mapping[str, int], *, kept: int) -> str:
    """Return the model server's configuration: the newest `kept` releases at any time; with labels, a fixed list."""
    served = {*versions(releases)[-kept:], *labels.values()}
    policy = labelling.specific(sorted(served)) if labels else f"latest {{ num_versions: {kept} }}"
    return labelling.model_config(name, str(releases), policy=policy, labels=labels)


def curl_examples(result: RunResult, ports: Ports) -> tuple[str, ...]:
    """Return three commands to try, on a request of the run's test window; none where it had none."""
    if result.example is None:
        return ()
    _, _, shopper = result.example.caption.rpartition(" of ")
    shopper = "" if shopper == "a guest" else shopper
    items = [candidate.item for candidate in result.example.candidates][:10]
    ranking_request = {"shopper": shopper, "candidates": items, "request": "try-1"}
    action = next(iter(parse_dataset(result.dataset).label_gains))
    click = {"interactions": [{"shopper": shopper, "action": action, "item": items[-1], "request": "try-1"}]}
    base = f"http://{HOST}:{ports.service}/v1"
    calls = (("rank", ranking_request), ("events", click), ("explain", {**ranking_request, "candidates": items[:3]}))
    return tuple(f"curl -s {base}/{route} -H 'content-type: application/json' -d '{json.dumps(body)}'" for route, body in calls)


@contextmanager
def _step(progress: Display, name: str) -> Iterator[None]:
    progress.begin(name)
    try:
        yield
    except BaseException:
        progress.end("failed")
        raise
    progress.end("done")


def _load(server: Server, address: str, versions_to_load: Collection[int], *, needed: int | None, progress: Display) -> None:
    """Wait until each version is loaded or has failed, as long as the server runs.

    Raises:
        RunError: the server has ended, or the version `needed` has failed.
    """
    while True:
        server.check()
        states = _states(address)
        loaded = [version for version in versions_to_load if states.get(version, ("", ""))[0] == "AVAILABLE"]
        failed = {version: states[version][1] for version in versions_to_load if states.get(version, ("", ""))[0] == "END"}
        progress.say(f"{len(loaded)} of {len(versions_to_load)} releases loaded")
        if needed in failed:
            raise RunError(f"release {needed}, which is labelled {STABLE}, can't be loaded: {failed[needed]} ({server.log})")
        if len(loaded) + len(failed) == len(versions_to_load):
            break
        time.sleep(_POLL_S)
    if failed:
        faults = "; ".join(f"release {version} isn't served, it can't be loaded: {fault}" for version, fault in sorted(failed.items()))
        progress.note(f"{faults} ({server.log})")


def _states(address: str) -> dict[int, tuple[str, str]]:
    """Return each version's state and error; empty until the server listens, which needs an available version."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            statuses = json.load(answer)["model_version_status"]
    except OSError:
        return {}
    return {int(each["version"]): (each["state"], each["status"]["error_message"]) for each in statuses}


def _get_ready(server: Server, address: str, progress: Display) -> None:
    while True:
        server.check()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.HTTPError as error:
            progress.say(f"not ready: {error.read().decode('utf-8', 'replace')[:300]}")
        except OSError:
            progress.say("reads the catalogue and the state")
        time.sleep(_POLL_S)
