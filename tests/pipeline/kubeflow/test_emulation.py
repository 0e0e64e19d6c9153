"""The emulation itself, on containers that are a line of shell, and once on a small TFX pipeline."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import ParseError

from pipeline.kubeflow.compile.spec_patches import complete_arguments
from tests.pipeline.kubeflow.emulation.backend import Backend
from tests.pipeline.kubeflow.emulation.compiled import read
from tests.pipeline.kubeflow.emulation.driver import TYPES, text_of
from tests.pipeline.kubeflow.emulation.pod import Cluster, Mounts
from tests.pipeline.kubeflow.emulation.run import Event, Run, execute
from tests.pipeline.kubeflow.emulation.store import Store

PARAMETERS = {
    "word": {"parameterType": "STRING"},
    "count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3, "isOptional": True},
}
FILE = {"artifactType": {"instanceSchema": "title: tfx.File\ntype: object\n"}}
HOUR = {"backoffMaxDuration": "3600s"}  # from the first attempt's start; without it none is tried again
# What the shell gets: $1 the whole ExecutorInput, $2 the word, $3 where the output's folder is.
ARGUMENTS = ["{{$}}", "{{$.inputs.parameters['word']}}", "{{$.outputs.artifacts['made'].path}}"]


def task(before: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    inputs: dict[str, Any] = {"parameters": {name: {"componentInputParameter": name} for name in PARAMETERS}}
    if before:
        inputs["artifacts"] = {name: {"taskOutputArtifact": {"producerTask": name, "outputArtifactKey": "made"}} for name in before}
    return {"inputs": inputs, "dependentTasks": list(before), "taskInfo": {"name": "x"}, **more}


def pipeline(tmp_path: Path, scripts: dict[str, str], tasks: dict[str, Any], kubernetes: dict[str, Any] | None = None) -> Path:
    """Steps that each run a script of the shell, as the compiler would write them."""
    spec = {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "shell"},
        "defaultPipelineRoot": "s3://elsewhere/unread",
        "root": {
            "inputDefinitions": {"parameters": PARAMETERS},
            "dag": {"tasks": {name: each | {"componentRef": {"name": name}} for name, each in tasks.items()}},
        },
        "components": {
            name: {
                "executorLabel": f"{name}_executor",
                "inputDefinitions": {
                    "parameters": PARAMETERS,
                    "artifacts": dict.fromkeys(tasks[name]["inputs"].get("artifacts", {}), FILE),
                },
                "outputDefinitions": {"artifacts": {"made": FILE}},
            }
            for name in scripts
        },
        "deploymentSpec": {
            "executors": {
                f"{name}_executor": {
                    "container": {
                        "image": "shell",
                        "command": ["sh", "-ceu", script, "sh"],
                        "args": ARGUMENTS,
                        "env": [{"name": "GIVEN", "value": "by the specification"}],
                    }
                }
                for name, script in scripts.items()
            }
        },
    }
    platform = {
        "platforms": {
            "kubernetes": {"deploymentSpec": {"executors": {f"{key}_executor": each for key, each in (kubernetes or {}).items()}}}
        }
    }
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump_all([spec, platform]))
    return path


def run(tmp_path: Path, scripts: dict[str, str], tasks: dict[str, Any] | None = None, **more: Any) -> Run:
    kubernetes, around = more.pop("kubernetes", None), more.pop("around", {})
    path = pipeline(tmp_path, scripts, tasks or {name: task() for name in scripts}, kubernetes)
    more = {"pipeline_root": "s3://bucket/root"} | more
    return execute(read(path), Cluster(tmp_path / "cluster", **around), parameters={"word": "hello"} | more.pop("parameters", {}), **more)


def said(tmp_path: Path, step: str, attempt: int = 0) -> str:
    return (tmp_path / f"cluster/runs/run-1/logs/{step}-{attempt}.log").read_text()


MAKE = 'mkdir "$3"; echo "$2" > "$3/word"; '


def test_a_step_gets_what_the_step_before_it_left_and_nothing_else_of_its_pod(tmp_path: Path) -> None:
    first = MAKE + 'mkdir -p "$3/empty" && touch "$(dirname "$3")/scratch"'
    second = (
        'cd "$SHELFRANK_LAUNCHER_ROOT/s3/bucket/root/shell/run-1"; find . -path "./First*" -printf "%y %P\\n" | sort'
        """ | sed 's/[0-9a-f-]\\{36\\}/ID/'"""
    )
    ended = run(tmp_path, {"First": first, "Second": second}, {"First": task(), "Second": task(("First",))})
    assert ended.failed == {}
    assert ended.path("First", "made").joinpath("word").read_text() == "hello\n"
    log = (tmp_path / "cluster/runs/run-1/logs/Second-0.log").read_text().splitlines()
    # A store has no empty folders, and only what the step takes is brought.
    assert log == ["d First", "d First/ID", "d First/ID/made", "f First/ID/made/word"]
    assert list((tmp_path / "cluster/pods").iterdir()) == []


def test_a_step_is_told_its_inputs_as_the_driver_tells_them(tmp_path: Path) -> None:
    tasks = {"First": task(), "Second": task(("First",))}
    output = json.dumps(
        {"artifacts": {"made": {"artifacts": [{"metadata": {"yes": True, "list": [1], "deep": {"a": 1}, "n": 4, "third": 1 / 3}}]}}}
    )
    first = f"""{MAKE} echo '{output}' > "$(dirname "$3")/output_metadata.json" """
    ended = run(tmp_path, {"First": first, "Second": 'printf %s "$1"'}, tasks)
    given = json.loads((tmp_path / "cluster/runs/run-1/logs/Second-0.log").read_text())
    assert given["inputs"]["parameterValues"] == {"word": "hello", "count": 3.0}
    (artifact,) = given["inputs"]["artifacts"]["First"]["artifacts"]
    assert artifact["type"] == {"instanceSchema": ""}
    assert artifact["name"] == "1"
    assert artifact["uri"].startswith("s3://bucket/root/shell/run-1/First/")
    told = {name: artifact["metadata"][name] for name in ("yes", "list", "deep", "n", "third", "display_name")}
    numbers = {"yes": 1.0, "n": 4.0, "third": 0.333333}
    assert told == {**numbers, "list": {"list": [1.0]}, "deep": {"struct": {"a": 1.0}}, "display_name": "made"}
    (made,) = given["outputs"]["artifacts"]["made"]["artifacts"]
    assert made["type"] == FILE["artifactType"]
    assert "metadata" not in made
    assert set(given["outputs"]["artifacts"]) == {"made", "executor-logs"}
    (log,) = given["outputs"]["artifacts"]["executor-logs"]["artifacts"]
    assert log == {"name": "executor-logs", "uri": log["uri"], "type": {"schemaTitle": "system.Artifact"}}
    assert log["uri"].endswith("/executor-logs-0")
    assert log["uri"].rsplit("/", 1)[0] == made["uri"].rsplit("/", 1)[0]
    types = {"made": "tfx.File", "executor-logs": "system.Artifact"}
    assert ended.types == {"First": types, "Second": types}


def test_an_output_may_be_another_file_than_the_driver_meant(tmp_path: Path) -> None:
    output = '{"artifacts":{"made":{"artifacts":[{"uri":"s3://bucket/root/shell/run-1/page.html"}]}}}'
    script = f"""cd "$SHELFRANK_LAUNCHER_ROOT/s3/bucket/root/shell/run-1"; echo page > page.html
        echo '{output}' > "$(dirname "$3")/output_metadata.json" """
    assert run(tmp_path, {"First": script}).path("First", "made").read_text() == "page\n"


def test_an_output_outside_of_the_runs_folder_is_refused(tmp_path: Path) -> None:
    output = '{"artifacts":{"made":{"artifacts":[{"uri":"s3://bucket/root/page.html"}]}}}'
    ended = run(tmp_path, {"First": f"""echo '{output}' > "$(dirname "$3")/output_metadata.json" """})
    assert "does not have expected bucket prefix 's3://bucket/root/shell/run-1'" in ended.failed["First"]


def test_what_a_container_says_is_an_artifact_that_it_has_no_part_in(tmp_path: Path) -> None:
    output = '{"artifacts":{"executor-logs":{"artifacts":[{"uri":"s3://bucket/root/shell/run-1/x","metadata":{"a":null}}]}}}'
    script = f"""log="$(dirname "$3")/executor-logs-0"; [ -f "$log" ]; ! mkdir -p "$log" 2>/dev/null; {MAKE} echo first
        until grep -q first "$log"; do sleep 0.01; done; read -r line < "$log"; echo "$line"
        echo '{output}' > "$(dirname "$3")/output_metadata.json" """
    ended = run(tmp_path, {"First": script})
    assert ended.failed == {}
    assert ended.path("First", "executor-logs").name == "executor-logs-0"
    assert ended.path("First", "executor-logs").read_text() == "first\nfirst\n" == said(tmp_path, "First")
    assert "a" not in ended.metadata("First", "executor-logs")


def test_a_log_that_the_container_deleted_is_no_artifact(tmp_path: Path) -> None:
    ended = run(tmp_path, {"First": f'{MAKE} rm "$(dirname "$3")/executor-logs-0"'})
    assert set(ended.finished["First"].artifacts) == {"made"}


@pytest.mark.parametrize(
    ("backend", "logs"),
    [
        (Backend("2.17.0"), {"executor-logs-0": "attempt 0\n", "executor-logs-1": "attempt 1\n"}),
        (Backend("2.16.1"), {"executor-logs-0": "attempt 0\n", "executor-logs-1": "attempt 1\n"}),
        (Backend("2.16.0"), {"executor-logs": "attempt \n"}),
        (Backend("2.5.0"), {"executor-logs": "attempt \n"}),
        (Backend("2.4.1"), {}),
        (Backend("2.17.0", publish_logs=False), {}),
    ],
)
def test_a_log_is_kept_of_each_attempt_as_the_release_has_it(tmp_path: Path, backend: Backend, logs: dict[str, str]) -> None:
    flag = tmp_path / "tried"
    script = f'echo "attempt ${{KFP_RETRY_INDEX:-}}"; {MAKE} [ -e {flag} ] || {{ touch {flag}; exit 1; }}'
    ended = run(tmp_path, {"First": script}, {"First": task(retryPolicy={"maxRetryCount": 1, **HOUR})}, backend=backend)
    assert ended.failed == {}
    folder = ended.path("First", "made").parent
    assert {path.name: path.read_text() for path in folder.iterdir() if path.is_file()} == logs
    assert ("executor-logs" in ended.finished["First"].artifacts) == bool(logs)
    assert ("executor-logs" in ended.types["First"]) == bool(logs)


@pytest.mark.parametrize(("release", "kept"), [("2.15.0", False), ("2.16.0", True)])
def test_of_a_step_that_failed_the_log_alone_is_kept(tmp_path: Path, release: str, kept: bool) -> None:
    ended = run(tmp_path, {"First": f"{MAKE} echo why; exit 1"}, backend=Backend(release))
    assert set(ended.failed) == {"First"}
    left = [path.name for path in (tmp_path / "cluster/store").rglob("*") if path.is_file()]
    assert left == (["executor-logs"] if kept else [])


@pytest.mark.parametrize(("release", "file"), [("2.17.0", "output_metadata.json"), ("2.14.4", "kfp_outputs/output_metadata.json")])
def test_the_output_file_lies_where_the_release_puts_it(tmp_path: Path, release: str, file: str) -> None:
    run(tmp_path, {"First": f'printf %s "$1"; {MAKE}'}, backend=Backend(release))
    told = json.loads(said(tmp_path, "First"))["outputs"]["outputFile"]
    assert told.endswith(file)
    assert ("/s3/bucket/root/shell/run-1/First/" in told) == (release == "2.17.0")
    assert ("tmp/kfp_outputs/" in told) == (release == "2.14.4")


@pytest.mark.parametrize(
    ("config_maps", "pipeline_root", "root"),
    [
        ({}, None, "minio/mlpipeline/v2/artifacts/shell/run-1"),
        ({"kfp-launcher": {"defaultPipelineRoot": "gs://mine/kfp/"}}, None, "gs/mine/kfp/shell/run-1"),
        ({"kfp-launcher": {"defaultPipelineRoot": "gs://mine/kfp/"}}, "s3://b/r?region=eu", "s3/b/r/shell/run-1"),
    ],
)
def test_artifacts_go_where_the_run_says_or_the_namespace_and_never_where_the_file_does(
    tmp_path: Path, config_maps: dict[str, Any], pipeline_root: str | None, root: str
) -> None:
    ended = run(tmp_path, {"First": MAKE}, around={"config_maps": config_maps}, pipeline_root=pipeline_root)
    assert ended.path("First", "made").is_relative_to(tmp_path / "cluster/store" / root / "First")
    assert not (tmp_path / "cluster/store/s3/elsewhere").exists()


def test_a_root_that_is_none_ends_the_run_at_its_beginning(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unrecognized pipeline root format: '/shelfrank/artifacts'"):
        run(tmp_path, {"First": MAKE}, pipeline_root="/shelfrank/artifacts")


def test_a_sentence_in_the_termination_log_is_why_a_step_failed(tmp_path: Path) -> None:
    script = 'echo "the last line"; printf "no file x" > "$SHELFRANK_LAUNCHER_ROOT/dev/termination-log"; exit 1'
    assert run(tmp_path, {"First": script}).failed == {"First": "First: exit code 1: no file x"}


def test_a_parameter_of_the_drivers_own_is_filled_in(tmp_path: Path) -> None:
    given = task()
    given["inputs"]["parameters"]["word"] = {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    run(tmp_path, {"First": 'printf %s "$2"'}, {"First": given})
    assert said(tmp_path, "First") == "run-1"


@pytest.mark.parametrize(
    ("value", "text"), [(3, "3"), (2.5, "2.5"), (1e21, "1" + 21 * "0"), (True, "true"), ([1, "a"], '[1,"a"]'), ("3", "3")]
)
def test_a_parameter_stands_in_an_argument_as_the_launcher_writes_it(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_a_default_of_the_component_isnt_known_to_the_driver_that_fills_arguments(tmp_path: Path) -> None:
    given = task()
    del given["inputs"]["parameters"]["count"]
    path = pipeline(tmp_path, {"First": 'printf %s "$4"'}, {"First": given})
    spec, platform = yaml.safe_load_all(path.read_text())
    spec["deploymentSpec"]["executors"]["First_executor"]["container"]["args"].append("{{$.inputs.parameters['count']}}")
    path.write_text(yaml.safe_dump_all([spec, platform]))
    ended = {
        release: execute(
            read(path), Cluster(tmp_path / release), parameters={"word": "x"}, pipeline_root="s3://b", backend=Backend(release)
        ).failed
        for release in ("2.16.1", "2.17.0")
    }
    assert ended["2.16.1"] == {}
    assert 'parameter "count" not found in executor input' in ended["2.17.0"]["First"]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [(" 3\n", "NUMBER_INTEGER", 3), ("2.5", "NUMBER_DOUBLE", 2.5), ("True", "BOOLEAN", True), ("[1]", "LIST", [1])],
)
def test_a_file_of_an_output_parameter_is_read_by_its_type(text: str, kind: str, value: Any) -> None:
    from tests.pipeline.kubeflow.emulation.launcher import _value

    assert _value(text, TYPES.ParameterTypeEnum.Value(kind)) == value


@pytest.mark.parametrize(
    ("text", "kind"), [("3.5", "NUMBER_INTEGER"), ("yes", "BOOLEAN"), ("{}", "LIST"), ("[]", "STRUCT"), ("x", "STRUCT")]
)
def test_a_file_of_an_output_parameter_of_another_type_is_refused(text: str, kind: str) -> None:
    from tests.pipeline.kubeflow.emulation.launcher import _value

    with pytest.raises(ValueError, match=r"."):
        _value(text, TYPES.ParameterTypeEnum.Value(kind))


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ('{"artifacts":{"made":{"artifacts":[{"metadata":{"span":null}}]}}}', "unknown/unsupported value type"),
        ('{"surprise":1}', "failed to unmarshall ExecutorOutput"),
    ],
)
def test_what_the_launcher_cant_take_fails_the_step(tmp_path: Path, output: str, why: str) -> None:
    ended = run(tmp_path, {"First": f"""echo '{output}' > "$(dirname "$3")/output_metadata.json" """})
    assert why in ended.failed["First"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"other": 1}, "no parameter other; it has count, word"),
        ({"count": "three"}, "count type mismatch: expect NUMBER_INTEGER, got 'three'"),
        ({"count": True}, "count type mismatch: expect NUMBER_INTEGER, got True"),
        ({"word": 1}, "word type mismatch: expect STRING, got 1"),
    ],
)
def test_parameters_that_the_server_refuses_are_refused(tmp_path: Path, given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        run(tmp_path, {"First": "true"}, parameters=given)


def test_a_parameter_without_default_must_be_given(tmp_path: Path) -> None:
    compiled = read(pipeline(tmp_path, {"First": "true"}, {"First": task()}))
    with pytest.raises(ValueError, match="parameter word has no default"):
        execute(compiled, Cluster(tmp_path))


@pytest.mark.parametrize("count", [5, 1.5])  # Neither server nor driver looks whether a number is a whole one.
def test_a_parameter_that_is_given_counts(tmp_path: Path, count: float) -> None:
    run(tmp_path, {"First": 'printf %s "$1"'}, parameters={"count": count})
    assert json.loads(said(tmp_path, "First"))["inputs"]["parameterValues"]["count"] == count


def test_a_field_that_the_server_doesnt_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="surprise"):
        run(tmp_path, {"First": "true"}, {"First": task(surprise=1)})


def test_a_failed_step_is_tried_again_in_a_new_pod_as_often_as_its_policy_says(tmp_path: Path) -> None:
    events: list[Event] = []
    script = f'[ ! -e "$3" ]; {MAKE} [ "$KFP_RETRY_INDEX" = 2 ] || kill -9 $$'
    retried = task(retryPolicy={"maxRetryCount": 2, "backoffDuration": "600s", **HOUR})
    ended = run(tmp_path, {"First": script}, {"First": retried}, on_event=events.append)
    assert ended.failed == {}
    assert [(event.attempt, event.kind) for event in events] == [
        *((0, "started"), (0, "failed"), (1, "started"), (1, "failed"), (2, "started"), (2, "done"))
    ]
    assert f"exit code {-signal.SIGKILL}" in events[1].text
    assert ended.path("First", "made").exists()


@pytest.mark.parametrize("limit", [{}, {"backoffMaxDuration": "599s"}])
def test_a_failed_step_isnt_tried_again_past_the_longest_time_of_all_attempts(tmp_path: Path, limit: dict[str, str]) -> None:
    retried = task(retryPolicy={"maxRetryCount": 2, "backoffDuration": "600s", **limit})
    events: list[Event] = []
    ended = run(tmp_path, {"First": "exit 1"}, {"First": retried}, on_event=events.append)
    assert set(ended.failed) == {"First"}
    assert [event.attempt for event in events if event.kind == "started"] == [0]


def test_a_run_that_failed_is_tried_again_without_the_steps_that_are_done(tmp_path: Path) -> None:
    tasks = {"First": task(), "Second": task(("First",)), "Third": task(("Second",))}
    allowed = tmp_path / "allowed"
    scripts = {"First": MAKE, "Second": f"{MAKE} echo why >&2; [ -e {allowed} ]", "Third": MAKE}
    ended = run(tmp_path, scripts, tasks)
    assert ended.failed == {"Second": "Second: exit code 1: why"}
    assert set(ended.finished) == {"First"}
    allowed.touch()
    events: list[Event] = []
    again = run(tmp_path, scripts, tasks, on_event=events.append)
    assert again.failed == {}
    assert [event.step for event in events if event.kind == "started"] == ["Second", "Third"]
    assert again.finished["First"] == ended.finished["First"]
    assert [again.finished[name].artifacts["made"]["name"] for name in tasks] == ["1", "3", "5"]  # between them those of the logs


def test_a_step_that_failed_keeps_those_after_it_from_beginning_and_no_other(tmp_path: Path) -> None:
    tasks = {"Bad": task(), "AfterBad": task(("Bad",)), "Good": task(), "AfterGood": task(("Good",))}
    ended = run(tmp_path, {"Bad": "exit 3", "AfterBad": MAKE, "Good": f"sleep 0.5; {MAKE}", "AfterGood": MAKE}, tasks)
    assert set(ended.finished) == {"Good", "AfterGood"}
    assert set(ended.failed) == {"Bad"}


def test_a_step_past_its_deadline_is_ended(tmp_path: Path) -> None:
    ended = run(tmp_path, {"First": "sleep 60"}, kubernetes={"First": {"activeDeadlineSeconds": 1}})
    assert "longer than the specified deadline (1 s)" in ended.failed["First"]


def test_who_interrupts_a_run_ends_its_containers(tmp_path: Path) -> None:
    started: list[int] = []

    def interrupt(event: Event) -> None:
        if event.process is not None:
            started.append(event.process.pid)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # as a terminal would: where the main thread waits

    signal.signal(signal.SIGINT, signal.default_int_handler)  # an event loop of another test lets calls go on after a signal
    with pytest.raises(KeyboardInterrupt):
        run(
            tmp_path,
            {"First": "sleep 60"},
            {"First": task(retryPolicy={"maxRetryCount": 5, **HOUR})},
            on_event=interrupt,
        )
    (pid,) = started
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_secrets_variables_and_volumes_reach_the_container(tmp_path: Path) -> None:
    kubernetes = {
        "secretAsEnv": [{"secretName": "keys", "keyToEnv": [{"secretKey": "id", "envVar": "AWS_ACCESS_KEY_ID"}]}],
        "secretAsVolume": [{"secretName": "keys", "mountPath": "/etc/keys"}],
        "pvcMount": [{"pvcNameParameter": {"runtimeValue": {"constant": "shelfrank"}}, "constant": "shelfrank", "mountPath": "/shelfrank"}],
    }
    around = {"secrets": {"keys": {"id": "me"}}}
    script = f'{MAKE} echo "$GIVEN, $AWS_ACCESS_KEY_ID, $(cat /etc/keys/id)" > "$2/told"'
    volume = tmp_path / "cluster/volumes/shelfrank"
    lacking = run(tmp_path, {"First": script}, kubernetes={"First": kubernetes}, around=around, parameters={"word": "/shelfrank"})
    assert lacking.failed == {"First": 'First: persistentvolumeclaim "shelfrank" not found'}
    volume.mkdir(parents=True)
    ended = run(tmp_path, {"First": script}, kubernetes={"First": kubernetes}, around=around, parameters={"word": "/shelfrank"})
    assert ended.failed == {}
    assert (volume / "told").read_text() == "by the specification, me, me\n"
    no_secret = run(tmp_path, {"First": script}, kubernetes={"First": kubernetes}, parameters={"word": "/shelfrank"}, run_id="other")
    assert 'secret "keys" not found' in no_secret.failed["First"]


def test_only_whole_paths_under_a_mount_are_the_volumes(tmp_path: Path) -> None:
    mounts = Mounts({"/shelfrank": tmp_path})
    text = '/shelfrank "/shelfrank/data" s3://b/shelfrank /other/shelfrank /shelfranked shelfrank/pipeline:1 --at=/shelfrank/x'
    changed = f'{tmp_path} "{tmp_path}/data" s3://b/shelfrank /other/shelfrank /shelfranked shelfrank/pipeline:1 --at={tmp_path}/x'
    assert mounts.inward(text) == changed
    assert mounts.outward(changed) == text


def test_a_store_has_an_object_whole_or_not_at_all_and_no_others_of_a_like_name(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    store.upload(tmp_path / "a", "minio://b/model")
    store.upload(tmp_path / "a" / "x", "minio://b/model_run")
    with pytest.raises(FileNotFoundError):
        store.upload(tmp_path / "nowhere", "minio://b/nothing")
    store.download("minio://b/model", tmp_path / "got" / "model")
    store.download("minio://b/nothing", tmp_path / "got" / "nothing")
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == ["model"]
    assert [path.name for path in (tmp_path / "got" / "model").iterdir()] == ["x"]
    assert not [*(tmp_path / "store").rglob("*.unfinished")]
    store.download("minio://b/model", tmp_path / "old" / "model", by_prefix=True)
    assert sorted(path.name for path in (tmp_path / "old").iterdir()) == ["model", "model_run"]


def test_a_link_to_a_file_is_stored_as_one_and_a_link_to_a_folder_fails_the_step(tmp_path: Path) -> None:
    ended = run(tmp_path, {"First": f'{MAKE} ln -s word "$3/again"'})
    assert (ended.path("First", "made") / "again").read_text() == "hello\n"
    ended = run(tmp_path, {"First": f'{MAKE} ln -s . "$3/loop"'}, run_id="run-2")
    assert "Is a directory" in ended.failed["First"]


@pytest.mark.parametrize("release", ["2.17.0", "2.5.0"])
def test_a_small_pipeline_runs_through_its_containers_by_the_command(tmp_path: Path, release: str) -> None:
    from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig
    from tfx.orchestration.pipeline import Pipeline

    steps = Path(__file__).parents[1]
    sys.path.insert(0, str(steps))
    import tiny_pipeline

    config = KubeflowV2DagRunnerConfig(
        default_image="shelfrank/pipeline:1",
        default_commands=["python", "-m", "pipeline.kubeflow.step.entrypoint"],
        use_pipeline_spec_2_1=True,
    )
    say = tiny_pipeline.Say(word="hello", pause_s=0.0)
    graph = Pipeline("tiny", "", components=[say, tiny_pipeline.Double(said=say.outputs["said"])])
    spec = KubeflowV2DagRunner(config).run(graph, write_out=False)["pipelineSpec"]
    complete_arguments(spec, beam_steps=())
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(spec))
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.pipeline.kubeflow.emulation", str(tmp_path / "pipeline.yaml")),
            *("--root", str(tmp_path / "cluster"), "--release", release, "--pipeline-root", "s3://bucket/tiny"),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        cwd=steps.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    doubled = next(line.split(", ")[1] for line in ended.stdout.splitlines() if line.startswith("Double.doubled: tfx.File, "))
    assert Path(doubled, "word").read_text() == "hellohello"
    assert doubled.startswith(str(tmp_path / "cluster/store/s3/bucket/tiny"))
    log = next(line.split(", ")[1] for line in ended.stdout.splitlines() if line.startswith("Say.executor-logs: system.Artifact, "))
    assert Path(log).read_text().startswith("[Say] ...\n[Say] said hello\n")
    logs = tmp_path / "cluster" / "runs" / "run-1" / "logs"
    lines = (logs / "Say-0.log").read_text().splitlines()
    assert lines[:2] == ["[Say] ...", "[Say] said hello"]
    assert len(lines) == 3
