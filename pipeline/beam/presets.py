"""Where the steps on Apache Beam run: a preset and its options -> `beam_pipeline_args`.

    args = beam_args(settings("flink", {"master": "flink-jobmanager:8081", "parallelism": 8}, image="shop/pipeline:1"))
    create_pipeline(..., beam_args=args.steps, ingestion_beam_args=args.ingestion)

local          in the process of the step
multi_process  on the step's machine, in processes of their own
portable       any runner behind a Beam job service
flink, spark   by a job service, or by a jar that is uploaded to Flink's JobManager or Spark's REST server; neither needs Java in the step
dataflow       Google's

All but the first two run workers elsewhere; these must open the same paths as the step that submits (docs/how-to/beam-runners.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from components.contract.base_model import closest
from components.contract.errors import ClusterFileError
from components.contract.yaml_loader import faults_of
from pipeline.beam.preset_options import Dataflow, Flink, Local, MultiProcess, Portable, Remote, Spark

Settings = Local | MultiProcess | Portable | Flink | Spark | Dataflow

PRESETS: dict[str, type[Settings]] = {
    "local": Local,
    "multi_process": MultiProcess,
    "portable": Portable,
    "flink": Flink,
    "spark": Spark,
    "dataflow": Dataflow,
}


@dataclass(frozen=True)
class BeamArgs:
    """Arguments of all steps on Beam, and those that ingestion gets after them (of an argument said twice the last counts)."""

    steps: tuple[str, ...]
    ingestion: tuple[str, ...] = ()


def settings(preset: str, options: Mapping[str, str | int] | None = None, *, image: str = "") -> Settings:
    """A preset with its options.

    Args:
        preset: its name.
        options: by name; what isn't said is as the preset has it (`pipeline.beam.preset_options`).
        image: of the workers, where the preset has workers elsewhere and `options` doesn't say it.

    Raises:
        ClusterFileError: there is no such preset or option, or an option is missing or has a wrong value.
    """
    if preset not in PRESETS:
        raise ClusterFileError(f"beam: there is no preset {preset!r}; {closest(preset, tuple(PRESETS))}")
    kind = PRESETS[preset]
    given = ({"image": image} if "image" in kind.model_fields and image else {}) | dict(options or {})
    try:
        return kind.model_validate(given, strict=True)
    except ValidationError as invalid:
        faults = [f"beam: preset {preset}: {': '.join((*map(str, place), message))}" for place, message in faults_of(invalid, given)]
        raise ClusterFileError("\n".join(faults)) from None


def beam_args(chosen: Settings) -> BeamArgs:
    """The arguments of a preset with its options (`settings` made it)."""
    match chosen:
        case Local():
            in_threads = ("--direct_running_mode=multi_threading", f"--direct_num_workers={chosen.threads}")
            return BeamArgs(("--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"), in_threads)
        case MultiProcess():
            return BeamArgs(("--runner=FnApiRunner", "--direct_running_mode=multi_processing", f"--direct_num_workers={chosen.processes}"))
        case Portable():
            return BeamArgs((*_job_service(chosen), *_workers(chosen)))
        case Flink():
            uploaded = ("--runner=FlinkRunner", f"--flink_master={chosen.master}", "--flink_submit_uber_jar")
            own = _said(flink_version=chosen.version, flink_job_server_jar=chosen.job_server_jar, parallelism=chosen.parallelism)
            return BeamArgs((*(uploaded if chosen.master else _job_service(chosen)), *own, *_workers(chosen)))
        case Spark():
            uploaded = ("--runner=SparkRunner", f"--spark_rest_url={chosen.rest_url}", "--spark_submit_uber_jar")
            own = _said(spark_job_server_jar=chosen.job_server_jar)
            return BeamArgs((*(uploaded if chosen.rest_url else _job_service(chosen)), *own, *_workers(chosen)))
        case Dataflow():
            own = _said(
                project=chosen.project,
                region=chosen.region,
                temp_location=chosen.temp_location,
                staging_location=chosen.staging_location,
                service_account_email=chosen.service_account,
                sdk_container_image=chosen.image,
                worker_machine_type=chosen.machine_type,
                disk_size_gb=chosen.disk_gb,
                num_workers=chosen.workers,
                max_num_workers=chosen.max_workers,
                network=chosen.network,
                subnetwork=chosen.subnetwork,
            )
            return BeamArgs(("--runner=DataflowRunner", *own), (f"--number_of_worker_harness_threads={chosen.threads}",))


def _said(**options: str | int | None) -> tuple[str, ...]:
    return tuple(f"--{name}={value}" for name, value in options.items() if value is not None)


def _job_service(chosen: Remote) -> tuple[str, ...]:
    return ("--runner=PortableRunner", *_said(job_endpoint=chosen.job_endpoint, artifact_endpoint=chosen.artifact_endpoint))


def _workers(chosen: Remote) -> tuple[str, ...]:
    """Without `sdk_container_image` TFX would make a source package of itself and ship it, even to a pool that has it."""
    pool = ("--environment_type=EXTERNAL", f"--environment_config={chosen.pool}")
    docker = ("--environment_type=DOCKER", f"--environment_config={chosen.image}")
    where = pool if chosen.environment == "pool" else docker
    return (*where, f"--sdk_container_image={chosen.image}", f"--sdk_worker_parallelism={chosen.processes}")
