"""What a person sees of `shelfrank submit` and `shelfrank schedule`, case by case: the page docs/how-to/kubeflow-submit.md shows these."""

import atexit
import copy
import io
import re
import shlex
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import yaml

from components.contract.storage.object_store import Address
from components.contract.values.cron import parse_cron
from components.contract.values.data_cutoff import zone_in, zone_of
from components.release.outcomes import record_outcome
from components.release.run_outcome import PROPERTY, RunOutcome
from pipeline.cli.main import main
from tests.pipeline.kubeflow import tiny_package
from tests.pipeline.kubeflow.submit.fake_api import FakeKubeflow, Fault, Script, certificate, serving

_LOGIN = "<!DOCTYPE html><html><head><title>Log in to Dex</title></head><body></body></html>"
_WHY = "Trainer: no request in the training window 2026-11-01 to 2026-11-27"
_TRACE = """I1128 03:01:22.300 launcher_v2.go:158] PipelineTaskInfo
Traceback (most recent call last):
  File "/app/trainer/run.py", line 88, in run_fn
    examples = read(fn_args.train_files)
InputError: no request in the training window 2026-11-01 to 2026-11-27
F1128 03:01:27.810 main.go:49] failed to execute component: exit status 1
"""

_SENTENCE = "ndcg_at_10 is 0.6012, below the champion's 0.6251 by more than the interval allows."
_REFUSED = RunOutcome(False, None, [_SENTENCE])


def _release_metadata(outcome: RunOutcome) -> dict[str, dict[str, dict[str, object]]]:
    """What SliceReport is given by Release, through ML Metadata."""
    metadata = {"display_name": "pushed_model", "pushed": float(outcome.released), PROPERTY: outcome.to_json()}
    return {"SliceReport": {"evaluation": {"display_name": "evaluation"}, "pushed": metadata}}


def _script(**given: object) -> Script:
    return Script(**({"steps": tiny_package.STEPS, "inputs": _release_metadata(RunOutcome(True, 8))} | given))  # type: ignore[arg-type]


def _fake(**fields: object) -> FakeKubeflow:
    return FakeKubeflow(**({"script": _script()} | fields))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    """A command against a server.

    Attributes:
        command: without `shelfrank` and `--host`.
        code: that it ends with.
        fake: makes the server; None: nothing listens.
        before: commands that were given before.
        prepared: changes the server between those and the command.
        host: in the place of the server's own.
        tls: whether the server speaks it.
    """

    command: str
    code: int
    fake: Callable[[], FakeKubeflow] | None = _fake
    before: tuple[str, ...] = ()
    prepared: Callable[[FakeKubeflow], None] = lambda _fake: None
    host: Callable[[FakeKubeflow], str] = lambda fake: fake.host
    tls: bool = False


def _faults(*faults: Fault) -> Callable[[FakeKubeflow], None]:
    return lambda fake: fake.faults.extend(faults)


def _run_gone_on(fake: FakeKubeflow) -> None:
    for key in fake.runs:
        fake.runs[key]["state_history"] = [{"state": "CANCELING"}]


def _denied(fake: FakeKubeflow) -> None:
    body = '{"code": 7, "message": "x", "details": [{"message": "User \'ann@shop.example\' is not authorized with reason"}]}'
    fake.faults.append(Fault("GET", "/apis/v2beta1/pipelines", 403, body))


def _recorded(fake: FakeKubeflow) -> None:
    """Release has written into the store what became of the model, of a server that tells nothing of it."""
    fake.tells_workflows = False
    for key in fake.runs:
        record_outcome(Address.parse("store"), key, _REFUSED)


def _ran_on_schedule(fake: FakeKubeflow) -> None:
    """Two runs of the schedule: one has ended, one is running."""
    (schedule,) = fake.recurringruns
    for state in ("SUCCEEDED", "RUNNING"):
        key = fake.key("run")
        fake.runs[key] = {"run_id": key, "display_name": key, "recurring_run_id": schedule, "state": state}
        fake.runs[key]["created_at"] = f"2026-11-28T0{len(fake.runs)}:00:00Z"
        fake.end(key)


_SUBMIT, _SCHEDULE = "submit pipeline.yaml --poll 0.001", "schedule pipeline.yaml"
_SERVER_FAILED = '{"error": "Internal Server Error", "code": 13, "message": "database is down", "details": []}'

CASES: dict[str, Case] = {
    # -- submit
    "new": Case(_SUBMIT, 0),
    "again": Case(f"{_SUBMIT} --no-follow", 0, before=(f"{_SUBMIT} --no-follow",)),
    "new-version": Case(
        "submit changed.yaml --no-follow --parameter training_steps=500 --experiment nightly", 0, before=(f"{_SUBMIT} --no-follow",)
    ),
    "json": Case(f"{_SUBMIT} --json", 0),
    "own-root": Case("submit own_root.yaml --no-follow", 0),
    "refused-model": Case(_SUBMIT, 3, lambda: _fake(script=_script(inputs=_release_metadata(_REFUSED)))),
    "refused-by-log": Case(
        _SUBMIT, 3, lambda: _fake(script=_script(inputs={}, logs={"SliceReport": f"INFO:root:done\n{_REFUSED.line()}\n"}))
    ),
    "refused-by-store": Case(
        "submit --follow run-0004 --poll 0.001",
        3,
        before=(f"{_SUBMIT} --no-follow --parameter push_destination=store",),
        prepared=_recorded,
    ),
    "untold-model": Case(_SUBMIT, 4, lambda: _fake(tells_workflows=False)),
    "untold-with-workflow": Case(_SUBMIT, 4, lambda: _fake(script=_script(inputs={}))),
    "failed": Case(_SUBMIT, 1, lambda: _fake(script=_script(failing="Trainer", logs={"Trainer": _TRACE}))),
    "failed-without-log": Case(_SUBMIT, 1, lambda: _fake(script=_script(failing="Trainer", message=f"main: Error (exit code 1): {_WHY}"))),
    "out-of-memory": Case(_SUBMIT, 1, lambda: _fake(script=_script(failing="Trainer", message="OOMKilled (exit code 137)", logs={}))),
    "driver-failed": Case(
        _SUBMIT,
        1,
        lambda: _fake(
            script=_script(failing="Evaluator", driver_fails=True, message="Unschedulable: 0/3 nodes are available: insufficient memory")
        ),
    ),
    "failed-untold": Case(_SUBMIT, 1, lambda: _fake(tells_workflows=False, script=_script(failing="Trainer"))),
    "cancelled": Case("submit --follow run-0004 --poll 0.001", 1, before=(f"{_SUBMIT} --no-follow",), prepared=_run_gone_on),
    "timeout": Case(f"{_SUBMIT} --timeout 1", 1, lambda: _fake(script=_script(stands_at="Trainer"))),
    "follow": Case("submit --follow run-0004 --poll 0.001", 0, before=(f"{_SUBMIT} --no-follow",)),
    "terminate": Case("submit --terminate run-0004", 0, before=(f"{_SUBMIT} --no-follow",)),
    "no-such-run": Case("submit --follow run-0004", 1),
    "restarting": Case(_SUBMIT, 0, prepared=_faults(Fault("GET", "/apis/v2beta1/runs/.*", 503, "no healthy upstream", times=2))),
    "gone": Case(_SUBMIT, 1, prepared=_faults(Fault("GET", "/apis/v2beta1/runs/.*", hang_up=True))),
    "unknown-parameter": Case(f"{_SUBMIT} --parameter training_step=500", 2),
    "wrong-kind": Case(f"{_SUBMIT} --parameter training_steps=many", 2),
    "missing-parameter": Case("submit demanding.yaml", 2),
    "not-compiled": Case("submit dataset.yaml", 2),
    "vertex-file": Case("submit pipeline.json", 2),
    "no-file": Case("submit pipline.yaml", 2),
    "old-schema": Case("submit old.yaml", 2),
    "unknown-field": Case("submit misspelt.yaml", 2),
    # -- what the API can answer
    "no-token": Case(_SUBMIT, 1, lambda: _fake(token="s3cret")),
    "wrong-token": Case(f"{_SUBMIT} --token-file token", 1, lambda: _fake(token="s3cret")),
    "empty-token": Case(f"{_SUBMIT} --token-file empty", 2),
    "forbidden": Case(_SUBMIT, 1, prepared=_denied),
    "no-namespace": Case(_SUBMIT, 2, lambda: _fake(multi_user=True)),
    "not-kubeflow": Case(_SUBMIT, 1, prepared=_faults(Fault("GET", ".*", 404, "404 page not found", {"content-type": "text/plain"}))),
    "conflict": Case(
        _SUBMIT,
        1,
        prepared=_faults(Fault("POST", "/apis/v2beta1/experiments", 409, '{"details": [{"message": "Experiment shop already exist"}]}')),
    ),
    "server-failed": Case(_SUBMIT, 1, prepared=_faults(Fault("POST", "/apis/v2beta1/runs", 500, _SERVER_FAILED))),
    "starting": Case(_SUBMIT, 1, prepared=_faults(Fault("GET", ".*", 503, "upstream connect error", {"content-type": "text/plain"}))),
    "no-answer": Case(f"{_SUBMIT} --answer-within 0.2", 1, prepared=_faults(Fault("POST", ".*upload_version", hang_s=1.0))),
    "no-answer-to-run": Case(
        f"{_SUBMIT} --answer-within 0.2 --run-name tuesday", 1, prepared=_faults(Fault("POST", "/apis/v2beta1/runs", hang_s=1.0))
    ),
    "hung-up": Case(_SUBMIT, 1, prepared=_faults(Fault("GET", ".*healthz", hang_up=True))),
    "nothing-listens": Case(_SUBMIT, 1, None),
    "no-such-host": Case(_SUBMIT, 1, host=lambda _fake: "http://kubeflow.invalid"),
    "plain-for-tls": Case(_SUBMIT, 1, host=lambda fake: fake.host.replace("http:", "https:")),
    "not-trusted": Case(_SUBMIT, 1, tls=True),
    "trusted": Case(f"{_SUBMIT} --no-follow --tls ca.pem", 0, tls=True),
    "no-certificates": Case(f"{_SUBMIT} --tls none.pem", 2),
    "login-page": Case(_SUBMIT, 1, prepared=_faults(Fault("GET", ".*", 200, _LOGIN, {"content-type": "text/html"}))),
    "sent-to-login": Case(
        _SUBMIT, 1, prepared=_faults(Fault("GET", ".*", 302, "", {"location": "https://dex.shop.example/auth?client_id=kubeflow"}))
    ),
    "too-old": Case(_SUBMIT, 1, lambda: _fake(v2=False)),
    # -- schedule
    "schedule": Case(f"{_SCHEDULE} --cron '0 0 3 * * *'", 0),
    "schedule-replaced": Case(
        f"{_SCHEDULE} --cron '0 30 3 * * mon-fri' --parameter training_steps=500", 0, before=(f"{_SCHEDULE} --cron '0 0 3 * * *'",)
    ),
    "schedule-own-root": Case("schedule own_root.yaml --cron '0 0 3 * * *'", 0),
    "schedule-five": Case(f"{_SCHEDULE} --cron '0 3 * * *' --time-zone Europe/Berlin --name nightly", 0),
    "schedule-list": Case(
        "schedule --list",
        0,
        before=(f"{_SCHEDULE} --cron '0 0 3 * * *'", f"{_SCHEDULE} --cron '0 0 4 * * sun' --name weekly"),
    ),
    "schedule-list-refused": Case(
        "schedule --list",
        0,
        lambda: _fake(script=_script(inputs=_release_metadata(_REFUSED))),
        before=(f"{_SCHEDULE} --cron '0 0 3 * * *'",),
        prepared=_ran_on_schedule,
    ),
    "schedule-list-empty": Case("schedule --list", 0),
    "schedule-remove": Case("schedule --remove shop", 0, before=(f"{_SCHEDULE} --cron '0 0 3 * * *'",)),
    "schedule-remove-none": Case("schedule --remove shopp", 2, before=(f"{_SCHEDULE} --cron '0 0 3 * * *'",)),
    "cron-short": Case(f"{_SCHEDULE} --cron '3 * *'", 2),
    "cron-hour": Case(f"{_SCHEDULE} --cron '0 0 24 * * *'", 2),
    "cron-never": Case(f"{_SCHEDULE} --cron '0 0 3 30 2 ?'", 2),
    "zone": Case(f"{_SCHEDULE} --cron '0 0 3 * * *' --time-zone Berlin", 2),
    "schedule-not-made": Case(
        f"{_SCHEDULE} --cron '0 0 4 * * *'",
        1,
        before=(f"{_SCHEDULE} --cron '0 0 3 * * *'",),
        prepared=_faults(Fault("POST", "/apis/v2beta1/recurringruns", 500, _SERVER_FAILED)),
    ),
    "schedule-perhaps-made": Case(
        f"{_SCHEDULE} --cron '0 0 4 * * *'",
        1,
        before=(f"{_SCHEDULE} --cron '0 0 3 * * *'",),
        prepared=_faults(Fault("POST", "/apis/v2beta1/recurringruns", hang_up=True)),
    ),
    "schedule-taken-back": Case(
        f"{_SCHEDULE} --cron '0 0 4 * * *'",
        1,
        before=(f"{_SCHEDULE} --cron '0 0 3 * * *'",),
        prepared=_faults(Fault("POST", ".*:disable", 500, _SERVER_FAILED)),
    ),
    "schedule-both": Case(
        f"{_SCHEDULE} --cron '0 0 4 * * *'",
        1,
        before=(f"{_SCHEDULE} --cron '0 0 3 * * *'",),
        prepared=_faults(Fault("POST", ".*:disable", 500, _SERVER_FAILED), Fault("DELETE", ".*", 500, _SERVER_FAILED)),
    ),
    "schedule-left-over": Case(
        f"{_SCHEDULE} --cron '0 0 4 * * *'",
        1,
        before=(f"{_SCHEDULE} --cron '0 0 3 * * *'",),
        prepared=_faults(Fault("DELETE", ".*", 500, _SERVER_FAILED)),
    ),
}


@dataclass(frozen=True)
class Seen:
    """What a command wrote, on both outputs, as it came, with the name of a host that anybody could have; and what the server was asked."""

    text: str
    code: int
    server: FakeKubeflow


@cache
def seen(name: str) -> Seen:
    """Run a case; once, however often it is asked for."""
    case, folder = CASES[name], _folder()
    fake = case.fake() if case.fake else FakeKubeflow()
    with chdir(folder), _server(case, fake, folder):
        for before in case.before:
            _run(f"{before} --host {fake.host}")
        case.prepared(fake)
        fake.asked.clear()
        text, code = _run(f"{case.command} --host {case.host(fake)}")
    return Seen(_pinned(re.sub(r"(https?)://127\.0\.0\.1:\d+", r"\1://kubeflow.example", text), fake), code, fake)


@cache
def _folder() -> Path:
    """The files that the commands name."""
    made = tempfile.TemporaryDirectory()
    atexit.register(made.cleanup)
    folder = Path(made.name)
    spec, platform = tiny_package.documents()
    tiny_package.write(folder / "pipeline.yaml")
    changed = copy.deepcopy(spec)
    changed["deploymentSpec"]["executors"]["Trainer_executor"]["container"]["image"] = "shelfrank/trainer:2"
    tiny_package.write(folder / "changed.yaml", [changed, platform])
    tiny_package.write(folder / "own_root.yaml", [spec | {"defaultPipelineRoot": "s3://shop-artifacts/kubeflow"}, platform])
    tiny_package.write(folder / "demanding.yaml", tiny_package.documents(shop_id=tiny_package.parameter("STRING")))
    tiny_package.write(folder / "old.yaml", [spec | {"schemaVersion": "2.0.0"}])
    tiny_package.write(folder / "misspelt.yaml", [spec | {"defaultPipelineRot": "s3://bucket"}])
    (folder / "dataset.yaml").write_text(yaml.safe_dump({"name": "shop", "events": {"path": "events.parquet"}}))
    (folder / "pipeline.json").write_text("{}")
    (folder / "token").write_text("of-yesterday\n")
    (folder / "empty").write_text("\n")
    certificate(folder / "ca.pem", folder / "server.pem")
    return folder


@contextmanager
def _server(case: Case, fake: FakeKubeflow, folder: Path) -> Iterator[None]:
    if case.fake is None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            fake.host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        yield
    else:
        with serving(fake, certificate=folder / "server.pem" if case.tls else None):
            yield


def _run(command: str) -> tuple[str, int]:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = main(shlex.split(command))
    return out.getvalue(), code


def _pinned(text: str, fake: FakeKubeflow) -> str:
    """The times that are still to come, as they would be shown on one Saturday."""
    now, then = datetime.now(UTC), datetime(2026, 11, 28, 12, tzinfo=UTC)
    shown = {}
    for each in fake.recurringruns.values():
        cron = parse_cron(each["trigger"]["cron_schedule"]["cron"])
        zone = zone_of(zone_in(each["runtime_config"]["parameters"]["data_until"]))
        real, pinned = (cron.after(moment, 3, zone=zone) for moment in (now, then))
        shown |= {there.isoformat(): here.isoformat() for there, here in zip(real, pinned, strict=True)}
    return re.sub("|".join(map(re.escape, shown)), lambda match: shown[match[0]], text) if shown else text


def transcript(name: str, *, brief: bool = False) -> str:
    """As it looks where the output is no terminal: the command, what it wrote, and its exit code; when brief without the steps."""
    case, case_run = CASES[name], seen(name)
    host = re.sub(r"127\.0\.0\.1:\d+", "kubeflow.example", case.host(case_run.server))
    text = re.sub(r"(?m)(^\[\w+\] .*\n)+", "...\n", case_run.text) if brief else case_run.text
    command = re.sub(r" --poll 0\.\d+", "", case.command)
    return f"$ shelfrank {command} --host {host}\n{text.rstrip()}\n$ echo $?\n{case_run.code}"
