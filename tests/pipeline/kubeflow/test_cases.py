"""Each case of `shelfrank submit` and `schedule`: what it ends with, what it says, and what it leaves on the server."""

import re

import pytest

from tests.pipeline.kubeflow import tiny_package
from tests.pipeline.kubeflow.cases import CASES, seen

ERRORS = [name for name, case in CASES.items() if case.code in (1, 2) and name not in ("failed",)]


@pytest.mark.parametrize("name", CASES)
def test_the_exit_code_tells_how_it_went(name: str) -> None:
    case_run = seen(name)
    assert case_run.code == CASES[name].code, case_run.text


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_a_sentence_and_no_traceback(name: str) -> None:
    text = seen(name).text
    assert "Traceback" not in text
    sentences = re.findall(r"^shelfrank (?:submit|schedule): .+", text, re.MULTILINE)
    assert len(sentences) == 1
    assert not re.search(r"ApiException|HTTPConnection|urllib3|HTTP response|<html|b'", text)


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.code == 2 and name not in ("no-namespace", "schedule-remove-none")]
)
def test_bad_input_is_found_before_the_server_is_asked(name: str) -> None:
    assert seen(name).server.asked == []


def test_a_run_is_followed_step_by_step_with_how_long_each_took() -> None:
    lines = seen("new").text.splitlines()
    shown = [line for line in lines if line.startswith("[")]
    assert shown == [
        f"[{step}] {state}"
        for step, took in zip(tiny_package.STEPS, ("1 min 5 s", "2 min 10 s", "3 min 15 s", "4 min 20 s", "5 min 25 s"), strict=True)
        for state in ("starting", "running", f"done, {took}")
    ]
    assert lines[-1] == "succeeded, 16 min 15 s of steps; the model was released as release 8 (source: the artifacts' metadata)"


@pytest.mark.parametrize(
    ("name", "source"),
    [("refused-model", "the artifacts' metadata"), ("refused-by-log", "the log of SliceReport"), ("refused-by-store", "the store")],
)
def test_a_refusal_is_told_in_the_gates_sentences_with_who_tells_it(name: str, source: str) -> None:
    last = seen(name).text.splitlines()[-1]
    assert last == (
        "shelfrank submit: the model was refused, nothing was released: ndcg_at_10 is 0.6012, below the champion's 0.6251 by more than the"
        f" interval allows. (source: {source})"
    )


def test_an_outcome_that_cant_be_known_is_no_success_and_each_source_says_why() -> None:
    lines = seen("untold-model").text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("shelfrank submit: "))
    assert lines[at].startswith("shelfrank submit: the run succeeded, 16 min 15 s of steps, but whether its model was released or refused")
    assert [line.strip().partition(":")[0] for line in lines[at + 1 : at + 4]] == [
        "the artifacts' metadata",
        "the log of SliceReport",
        "the store",
    ]
    assert "/shelfrank is a folder of the cluster's" in lines[at + 3]
    assert "released as" not in seen("untold-model").text


def test_a_workflow_that_doesnt_tell_the_outcome_isnt_taken_for_a_release() -> None:
    text = seen("untold-with-workflow").text
    assert "no step of the run's workflow was given an artifact that tells it" in text
    assert "the log of SliceReport: it is gone" in text


@pytest.mark.parametrize(("name", "kind"), [("own-root", "runs"), ("schedule-own-root", "recurringruns")])
def test_the_root_of_artifacts_is_handed_over_with_each_run(name: str, kind: str) -> None:
    (made,) = getattr(seen(name).server, kind).values()
    assert made["runtime_config"]["pipeline_root"] == "s3://shop-artifacts/kubeflow"
    assert "artifacts s3://shop-artifacts/kubeflow\n" in seen(name).text


@pytest.mark.parametrize(("name", "kind"), [("again", "runs"), ("schedule", "recurringruns")])
def test_a_pipeline_without_a_root_leaves_it_to_the_namespace(name: str, kind: str) -> None:
    for made in getattr(seen(name).server, kind).values():
        assert "pipeline_root" not in made["runtime_config"]
    assert "artifacts " not in seen(name).text


def test_the_same_content_again_is_the_same_version_and_experiment() -> None:
    server = seen("again").server
    assert len(server.versions) == len(server.pipelines) == len(server.experiments) == 1
    assert {run["pipeline_version_reference"]["pipeline_version_id"] for run in server.runs.values()} == set(server.versions)
    assert len(server.runs) == 2
    assert not [asked for asked in server.asked if "upload" in asked or asked == "POST /apis/v2beta1/experiments"]


def test_other_content_is_a_new_version_of_the_same_pipeline() -> None:
    server = seen("new-version").server
    assert len(server.pipelines) == 1
    first, second = server.runs.values()
    assert first["pipeline_version_reference"]["pipeline_version_id"] != second["pipeline_version_reference"]["pipeline_version_id"]
    assert second["runtime_config"]["parameters"] == {"training_steps": 500}
    assert [each["display_name"] for each in server.experiments.values()] == ["shop", "nightly"]


def test_a_failure_names_the_step_the_reason_and_the_end_of_its_log_without_the_launchers_lines() -> None:
    text = seen("failed").text
    assert "Trainer failed: Error (exit code 1)" in text
    assert "InputError: no request in the training window" in text
    assert "launcher_v2" not in text
    assert "main.go" not in text
    assert "#/runs/details/run-0004" in text.splitlines()[-1]


def test_why_a_step_failed_is_told_though_its_log_is_gone() -> None:
    text = seen("failed-without-log").text
    assert "Trainer failed: main: Error (exit code 1): Trainer: no request in the training window 2026-11-01 to 2026-11-27\n" in text


def test_a_schedule_is_pinned_to_a_version_and_runs_one_at_a_time_without_catching_up() -> None:
    server = seen("schedule").server
    (made,) = server.recurringruns.values()
    assert made["pipeline_version_reference"] == {"pipeline_id": "pipeline-0001", "pipeline_version_id": "version-0002"}
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (made["max_concurrency"], made["no_catchup"], made["status"]) == (1, True, "ENABLED")
    assert made["runtime_config"]["parameters"] == {"data_until": "cron 0 0 3 * * * in UTC"}


def test_the_time_zone_goes_into_the_data_window() -> None:
    (made,) = seen("schedule-five").server.recurringruns.values()
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert made["runtime_config"]["parameters"] == {"data_until": "cron 0 0 3 * * * in Europe/Berlin"}


def test_the_new_schedule_is_made_before_the_old_one_goes() -> None:
    server = seen("schedule-replaced").server
    changes = [asked for asked in server.asked if "recurringruns" in asked and not asked.startswith("GET")]
    assert changes == [
        "POST /apis/v2beta1/recurringruns",
        "POST /apis/v2beta1/recurringruns/schedule-0004:disable",
        "DELETE /apis/v2beta1/recurringruns/schedule-0004",
    ]
    assert set(server.recurringruns) == {"schedule-0005"}


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("schedule-not-made", {"schedule-0004": "ENABLED"}),
        ("schedule-perhaps-made", {"schedule-0004": "ENABLED"}),
        ("schedule-taken-back", {"schedule-0004": "ENABLED"}),
        ("schedule-left-over", {"schedule-0004": "DISABLED", "schedule-0005": "ENABLED"}),
        ("schedule-both", {"schedule-0004": "ENABLED", "schedule-0005": "ENABLED"}),
    ],
)
def test_a_failure_in_between_leaves_one_running(name: str, left: dict[str, str]) -> None:
    case_run = seen(name)
    assert {key: each["status"] for key, each in case_run.server.recurringruns.items()} == left
    assert ("may both run" in case_run.text) == (list(left.values()).count("ENABLED") == 2)


def test_a_removed_schedule_is_gone() -> None:
    assert seen("schedule-remove").server.recurringruns == {}


@pytest.mark.parametrize(("name", "said"), [("no-answer", "within 0.2 s"), ("cancelled", "was cancelled"), ("login-page", "Log in to Dex")])
def test_the_cause_is_named(name: str, said: str) -> None:
    assert said in seen(name).text


def test_a_schedules_list_tells_what_became_of_the_latest_models() -> None:
    last = seen("schedule-list-refused").text.splitlines()[-1]
    assert last == (
        "shop, latest run that has ended (run-0005): refused: ndcg_at_10 is 0.6012, below the champion's 0.6251 by more than the interval"
        " allows."
    )
    assert "latest run" not in seen("schedule-list").text
