"""Translate a preset and its options to the `beam_pipeline_args` that decide where the steps on Apache Beam run.

    args = beam_args(settings("flink", {"master": "flink-jobmanager:8081", "parallelism": 8}, image="shop/pipeline:1"))
    create_pipeline(GraphConfig(..., beam_args=args.steps, ingestion_beam_args=args.ingestion))

local          in the process of the step
multi_process  on the step's machine, in processes of their own
portable       any runner behind a Beam job service
flink, spark   by a job service, or by a jar that is uploaded to Flink's JobManager or Spark's REST server; neither needs Java in the step
dataflow       Google's

All but the first two run workers on other machines; these must open the same paths as the step that submits
(docs/how-to/beam-runners.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from components.contract.base_model import closest
from components.contract.errors import ClusterFileError
from components.contract.yaml_loader import faults_of
from pipeline.beam.preset_options import Dataflow, Flink, Local, MultiProcess, Portable, Remote, Spark

# How long Flink and Spark keep idle workers: without, each stage of a job starts its own, which import everything anew.
_KEEP_WORKERS_MS = 60_000

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
    """Arguments of all steps on Beam, and those appended for ingestion (of a repeated argument the last one counts)."""

    steps: tuple[str, ...]
    ingestion: tuple[str, ...] = ()


def settings(preset: str, options: Mapping[str, str | int] | None = None, *, image: str = "") -> Settings:
    """Validate a preset's options.

    Args:
        preset: its name.
        options: by name; the others have the preset's defaults (`pipeline.beam.preset_options`).
        image: of the workers, where the preset has workers on other machines and `options` doesn't name it.

    Raises:
        ClusterFileError: there is no such preset or option, or an option is missing or has a wrong value.
    """
    if preset not in PRESETS:
        raise ClusterFileError(f"beam: there is no preset {preset!r}; {closest(preset, tuple(PRESETS))}")
    kind = PRESETS[preset]
    values = ({"image": image} if "image" in kind.model_fields and image else {}) | dict(options or {})
    try:
        return kind.model_validate(values, strict=True)
    except ValidationError as invalid:
        faults = [f"beam: preset {preset}: {': '.join((*map(str, location), message))}" for location, message in faults_of(invalid, values)]
        raise ClusterFileError("\n".join(faults)) from None


def beam_args(preset: Settings) -> BeamArgs:
    """Return the Beam arguments of a preset with validated options."""
    match preset:
        case Local():
            in_threads = ("--direct_running_mode=multi_threading", f"--direct_num_workers={preset.threads}")
            return BeamArgs(("--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"), in_threads)
        case MultiProcess():
            return BeamArgs(("--runner=FnApiRunner", "--direct_running_mode=multi_processing", f"--direct_num_workers={preset.processes}"))
        case Portable():
            return BeamArgs((*_job_service(preset), *_workers(preset)))
        case Flink():
            uploaded = ("--runner=FlinkRunner", f"--flink_master={preset.master}", "--flink_submit_uber_jar")
            options = _options(flink_version=preset.version, flink_job_server_jar=preset.job_server_jar, parallelism=preset.parallelism)
            return BeamArgs((*(uploaded if preset.master else _job_service(preset)), *options, *_workers(preset)))
        case Spark():
            uploaded = ("--runner=SparkRunner", f"--spark_rest_url={preset.rest_url}", "--spark_submit_uber_jar")
            # Only Java knows the storage level. A job by REST whose level isn't set looks for a runner that Spark hasn't, and fails.
            options = _options(spark_job_server_jar=preset.job_server_jar, storage_level="MEMORY_ONLY" if preset.rest_url else None)
            return BeamArgs((*(uploaded if preset.rest_url else _job_service(preset)), *options, *_workers(preset)))
        case Dataflow():
            options = _options(
                project=preset.project,
                region=preset.region,
                temp_location=preset.temp_location,
                staging_location=preset.staging_location,
                service_account_email=preset.service_account,
                sdk_container_image=preset.image,
                worker_machine_type=preset.machine_type,
                disk_size_gb=preset.disk_gb,
                num_workers=preset.workers,
                max_num_workers=preset.max_workers,
                network=preset.network,
                subnetwork=preset.subnetwork,
            )
            return BeamArgs(("--runner=DataflowRunner", *options), (f"--number_of_worker_harness_threads={preset.threads}",))


def _options(**options: str | int | None) -> tuple[str, ...]:
    return tuple(f"--{name}={value}" for name, value in options.items() if value is not None)


def _job_service(preset: Remote) -> tuple[str, ...]:
    return ("--runner=PortableRunner", *_options(job_endpoint=preset.job_endpoint, artifact_endpoint=preset.artifact_endpoint))


def _workers(preset: Remote) -> tuple[str, ...]:
    """Return the workers' options; without `sdk_container_image` TFX would build and ship a source package."""
    pool = ("--environment_type=EXTERNAL", f"--environment_config={preset.pool}")
    docker = ("--environment_type=DOCKER", f"--environment_config={preset.image}")
    environment = pool if preset.environment == "pool" else docker
    kept = f"--environment_cache_millis={_KEEP_WORKERS_MS}"
    return (*environment, f"--sdk_container_image={preset.image}", f"--sdk_worker_parallelism={preset.processes}", kept)
