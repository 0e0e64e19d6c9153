"""Presets of Beam give arguments that Beam itself takes, and refuse in sentences what would fail far away and late."""

import logging
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
    WorkerOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.runner import create_runner
from tfx.utils.dependency_utils import make_beam_dependency_flags

from components.contract.errors import ClusterFileError
from pipeline.beam.presets import PRESETS, BeamArgs, beam_args, settings
from pipeline.local.runner import BEAM

IMAGE = "shop/pipeline:1"
DATAFLOW: dict[str, str | int] = {"project": "our-shop", "region": "europe-west1", "temp_location": "gs://our-bucket/temp"}
EVERYTHING: dict[str, list[dict[str, str | int]]] = {
    "local": [{}, {"threads": 3}],
    "multi_process": [{}, {"processes": 3}],
    "portable": [{"job_endpoint": "jobs:8099"}, {"job_endpoint": "jobs:8099", "artifact_endpoint": "jobs:8098", "pool": "pool:1"}],
    "flink": [
        {"master": "flink:8081"},
        {"master": "flink:8081", "version": "1.20", "job_server_jar": "/jars/flink.jar", "parallelism": 8, "processes": 2},
        {"job_endpoint": "jobs:8099", "parallelism": 8, "environment": "docker"},
    ],
    "spark": [
        {"rest_url": "http://spark:6066"},
        {"rest_url": "http://spark:6066", "job_server_jar": "/jars/spark.jar"},
        {"job_endpoint": "jobs:8099", "environment": "docker"},
    ],
    "dataflow": [
        DATAFLOW,
        DATAFLOW
        | {
            "staging_location": "gs://our-bucket/staging",
            "service_account": "beam@our-shop.iam.gserviceaccount.com",
            "machine_type": "n2-highmem-4",
            "disk_gb": 50,
            "workers": 2,
            "max_workers": 8,
            "threads": 2,
            "network": "ours",
            "subnetwork": "regions/europe-west1/subnetworks/ours",
        },
    ],
}
JAVA_ONLY = "--storage_level=MEMORY_ONLY"  # Python passes it on; tests/engines/spark has it arrive
EACH = [(preset, options) for preset, choices in EVERYTHING.items() for options in choices]


def args(preset: str, options: dict[str, str | int]) -> BeamArgs:
    return beam_args(settings(preset, options, image=IMAGE))


def parsed(preset: str, options: dict[str, str | int]) -> PipelineOptions:
    made = args(preset, options)
    return PipelineOptions([*made.steps, *made.ingestion])


@pytest.mark.parametrize(("preset", "options"), EACH)
def test_beam_knows_every_argument(preset: str, options: dict[str, str | int], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        parsed(preset, options).get_all_options()
    messages = [record.getMessage() for record in caplog.records if JAVA_ONLY not in record.getMessage()]
    assert not [message for message in messages if "args" in message or "flag" in message]


def test_an_argument_that_beam_does_not_know_would_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    PipelineOptions(["--flink_mastre=a:1"]).get_all_options()
    assert "unparseable args" in caplog.text


@pytest.mark.parametrize(("preset", "options"), [each for each in EACH if each[0] != "dataflow"])
def test_beam_finds_no_fault_and_takes_the_runner_meant(preset: str, options: dict[str, str | int]) -> None:
    name = "PortableRunner" if "job_endpoint" in options else {"flink": "FlinkRunner", "spark": "SparkRunner"}.get(preset, "FnApiRunner")
    made = args(preset, options)
    pipeline = beam.Pipeline(argv=[*made.steps, *made.ingestion])  # Its constructor validates.
    assert type(pipeline.runner) is type(create_runner(name))


@pytest.mark.parametrize("options", EVERYTHING["dataflow"])
def test_beam_finds_no_fault_with_what_dataflow_gets(options: dict[str, str | int]) -> None:
    """All that Beam checks without asking Google."""
    options_view = parsed("dataflow", options)
    validator = PipelineOptionsValidator(options_view, create_runner("DataflowRunner"))
    cloud = options_view.view_as(GoogleCloudOptions)
    assert validator.validate_cloud_options(cloud) == []
    assert validator.validate_gcs_path(cloud, "temp_location") == []
    assert validator.validate_num_workers(options_view.view_as(WorkerOptions)) == []
    assert options_view.view_as(StandardOptions).runner == "DataflowRunner"


@pytest.mark.parametrize(("preset", "options"), EACH)
def test_every_option_of_the_presets_is_among_those_tried(preset: str, options: dict[str, str | int]) -> None:
    del options
    tried = {"image", *(name for choices in EVERYTHING[preset] for name in choices)}
    shared = {name for choices in (*EVERYTHING["portable"], *EVERYTHING["flink"]) for name in choices}
    assert set(PRESETS[preset].model_fields) <= tried | shared


@pytest.mark.parametrize(("preset", "options"), [each for each in EACH if "image" in PRESETS[each[0]].model_fields])
def test_tfx_ships_no_source_package_to_workers_that_have_the_image(preset: str, options: dict[str, str | int]) -> None:
    made = args(preset, options)
    assert make_beam_dependency_flags(list(made.steps)) == list(made.steps)
    assert parsed(preset, options).view_as(WorkerOptions).sdk_container_image == IMAGE


@pytest.mark.parametrize(("preset", "options"), [each for each in EACH if each[0] in ("portable", "flink", "spark")])
def test_workers_outlive_a_stage(preset: str, options: dict[str, str | int]) -> None:
    portable: Any = parsed(preset, options).view_as(PortableOptions)
    assert int(portable.environment_cache_millis) == 60_000


def test_options_arrive_where_beam_looks_for_them() -> None:
    flink = parsed("flink", EVERYTHING["flink"][1])
    mine: Any = flink.view_as(FlinkRunnerOptions)
    assert (mine.flink_master, mine.flink_submit_uber_jar, mine.flink_version) == ("flink:8081", True, "1.20")
    assert (mine.flink_job_server_jar, mine.parallelism) == ("/jars/flink.jar", 8)
    assert int(flink.view_as(PortableOptions).sdk_worker_parallelism) == 2
    spark: Any = parsed("spark", EVERYTHING["spark"][1]).view_as(SparkRunnerOptions)
    assert (spark.spark_rest_url, spark.spark_submit_uber_jar, spark.spark_job_server_jar) == ("http://spark:6066", True, "/jars/spark.jar")
    cloud: Any = parsed("dataflow", EVERYTHING["dataflow"][1]).view_as(GoogleCloudOptions)
    assert (cloud.project, cloud.region, cloud.temp_location) == ("our-shop", "europe-west1", "gs://our-bucket/temp")
    assert (cloud.staging_location, cloud.service_account_email) == ("gs://our-bucket/staging", "beam@our-shop.iam.gserviceaccount.com")
    workers: Any = parsed("dataflow", EVERYTHING["dataflow"][1]).view_as(WorkerOptions)
    assert (workers.machine_type, workers.disk_size_gb, workers.num_workers, workers.max_num_workers) == ("n2-highmem-4", 50, 2, 8)
    assert (workers.network, workers.subnetwork) == ("ours", "regions/europe-west1/subnetworks/ours")
    assert parsed("multi_process", {"processes": 3}).view_as(DirectOptions).direct_num_workers == 3


def test_workers_come_from_a_pool_or_from_the_image() -> None:
    pool: Any = parsed("portable", EVERYTHING["portable"][1]).view_as(PortableOptions)
    docker: Any = parsed("spark", EVERYTHING["spark"][2]).view_as(PortableOptions)
    assert (pool.environment_type, pool.environment_config) == ("EXTERNAL", "pool:1")
    assert (docker.environment_type, docker.environment_config) == ("DOCKER", IMAGE)


def test_a_run_on_this_machine_is_the_preset_local() -> None:
    assert (
        BeamArgs(
            ("--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"),
            ("--direct_running_mode=multi_threading", BEAM.ingestion[1]),
        )
        == BEAM
    )
    assert 1 <= int(BEAM.ingestion[1].removeprefix("--direct_num_workers=")) <= 4


@pytest.mark.parametrize(
    ("preset", "options", "complaint"),
    [
        ("flnk", {}, "there is no preset 'flnk'; did you mean 'flink'?"),
        ("flink", {"mastr": "flink:8081"}, "unknown key 'mastr'; did you mean 'master'?"),
        ("flink", {}, "give either `job_endpoint` of Beam's job server or `master`, got neither"),
        ("flink", {"master": "a:1", "job_endpoint": "b:2"}, "or `master`, got both"),
        ("flink", {"master": "http://flink:8081"}, "master: expected host:port, got 'http://flink:8081'"),
        ("flink", {"job_endpoint": "jobs:8099", "job_server_jar": "/jars/flink.jar"}, "the job server at jobs:8099 has its own"),
        ("flink", {"master": "a:1", "parallelism": 0}, "parallelism: expected a value of at least 1, got 0"),
        ("flink", {"master": "a:1", "environment": "process"}, "environment: expected 'pool' or 'docker', got 'process'"),
        ("spark", {"rest_url": "spark:6066"}, "expected an address such as http://spark-master:6066, got 'spark:6066'"),
        ("spark", {}, "or `rest_url`, got neither"),
        ("portable", {}, "`job_endpoint` is missing"),
        ("portable", {"job_endpoint": "jobs:8099", "pool": ""}, "pool: expected host:port, got ''"),
        ("local", {"threads": "4"}, "threads: expected a whole number, got '4'"),
        ("local", {"threads": 0}, "threads: expected a value of at least 1, got 0"),
        ("dataflow", {}, "`temp_location` is missing"),
        ("dataflow", DATAFLOW | {"temp_location": "/temp"}, "temp_location: expected gs://BUCKET/FOLDER, which Dataflow's workers reach"),
        ("dataflow", DATAFLOW | {"temp_location": "gs://bucket"}, "temp_location: expected gs://BUCKET/FOLDER"),
        ("dataflow", DATAFLOW | {"workers": 9, "max_workers": 8}, "`workers` (9) can't be more than `max_workers` (8)"),
    ],
)
def test_a_wrong_setting_is_told(preset: str, options: dict[str, str | int], complaint: str) -> None:
    with pytest.raises(ClusterFileError) as raised:
        settings(preset, options, image=IMAGE)
    assert complaint in str(raised.value)


@pytest.mark.parametrize("preset", ["portable", "flink", "spark", "dataflow"])
def test_workers_elsewhere_need_an_image(preset: str) -> None:
    with pytest.raises(ClusterFileError, match="`image` is missing"):
        settings(preset, EVERYTHING[preset][0])
    assert settings(preset, EVERYTHING[preset][0] | {"image": "own:2"}, image=IMAGE) == settings(
        preset, EVERYTHING[preset][0], image="own:2"
    )
