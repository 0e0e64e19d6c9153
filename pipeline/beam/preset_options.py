"""Declare the options of each preset of `pipeline.beam.presets`."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from components.contract.base_model import Strict

POOL = "localhost:50000"  # the worker pool's port in Beam's own images


def matching(pattern: str, expected: str) -> AfterValidator:
    """Validate that text matches a pattern; `expected` describes it in the error message."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"expected {expected}, got {text!r}")
        return text

    return AfterValidator(check)


Word = Annotated[str, matching(r"\S+", "a name")]
Address = Annotated[str, matching(r"[^/:\s]+:\d+", "host:port")]
Url = Annotated[str, matching(r"https?://[^/:\s]+:\d+/?", "an address such as http://spark-master:6066")]
GcsFolder = Annotated[str, matching(r"gs://[a-z0-9][-_.a-z0-9]+/[^/\s]\S*", "gs://BUCKET/FOLDER, which Dataflow's workers reach")]


class Local(Strict):
    """In the process of the step."""

    threads: int = Field(default=1, ge=1, description="Blocks that ingestion works on at once, of some hundred megabytes each")


class MultiProcess(Strict):
    """In processes on the step's machine, each of which loads TensorFlow anew (about 1 GB)."""

    processes: int = Field(default=0, ge=0, description="0: one for each core of the machine, whatever the pod's share of it")


class Remote(Strict):
    """Workers on other machines, behind a Beam job service."""

    image: Word = Field(description="The workers', with this very code: none is shipped to them")
    job_endpoint: Address | None = Field(default=None, description="host:port of the job service")
    artifact_endpoint: Address | None = Field(default=None, description="host:port of its artifact service; default: as it says itself")
    environment: Literal["pool", "docker"] = Field(
        default="pool",
        description="`pool`: each worker of the runner has Beam's worker pool beside it; `docker`: it starts containers from `image`",
    )
    pool: Address = Field(default=POOL, description="host:port of the worker pool, as a worker of the runner sees it")
    processes: int = Field(default=1, ge=1, description="Python processes on each worker of the runner")


class Portable(Remote):
    """Any runner behind a Beam job service."""

    job_endpoint: Address = Field(description="host:port of the job service")


class Flink(Remote):
    """Apache Flink: by `job_endpoint` of Beam's job server for it, or by `master`. A worker's memory is the TaskManager's own setting."""

    master: Address | None = Field(default=None, description="host:port of the JobManager's REST API, which gets the pipeline as a jar")
    version: Word | None = Field(default=None, description="Flink's, such as 1.20, for `master`; default: the newest that Beam knows")
    job_server_jar: Word | None = Field(
        default=None, description="Path or address of Beam's job server for that version, for `master`; default: fetched from Maven"
    )
    parallelism: int | None = Field(default=None, ge=1, description="Of the job; default: as Flink is configured")

    @model_validator(mode="after")
    def _one_entry_point(self) -> Self:
        _exactly_one("master", self.master, self.job_endpoint, jar=self.job_server_jar)
        return self


class Spark(Remote):
    """Apache Spark 3: by `job_endpoint` of Beam's job server for it, or by `rest_url`. Parallelism and memory are Spark's own settings."""

    rest_url: Url | None = Field(default=None, description="http://host:6066 of the master's REST server, which gets the pipeline as a jar")
    job_server_jar: Word | None = Field(
        default=None, description="Path or address of Beam's job server for Spark, for `rest_url`; default: fetched from Maven"
    )

    @model_validator(mode="after")
    def _one_entry_point(self) -> Self:
        _exactly_one("rest_url", self.rest_url, self.job_endpoint, jar=self.job_server_jar)
        return self


class Dataflow(Strict):
    """Google Cloud Dataflow; an option that isn't set has Dataflow's own default."""

    image: Word = Field(description="The workers', with this very code, in a registry that the project can read")
    project: Word = Field(description="The project's id")
    region: Word = Field(description="Such as europe-west1")
    temp_location: GcsFolder = Field(description="Folder of a bucket for what workers pass on, gs://BUCKET/FOLDER")
    staging_location: GcsFolder | None = Field(default=None, description="The same for what a job is made of; default: as `temp_location`")
    service_account: Word | None = Field(default=None, description="E-mail address of the workers' account")
    machine_type: Word | None = Field(default=None, description="Of a worker, such as n2-highmem-4: it tells the memory")
    disk_gb: int | None = Field(default=None, ge=1, description="Of a worker")
    workers: int | None = Field(default=None, ge=1, description="How many at the start")
    max_workers: int | None = Field(default=None, ge=1, description="How many at most")
    threads: int = Field(default=1, ge=1, description="Blocks that ingestion works on at once in each process; a CPU has a process")
    network: Word | None = Field(default=None, description="That workers are in")
    subnetwork: Word | None = Field(default=None, description="That workers are in")

    @model_validator(mode="after")
    def _workers_within_maximum(self) -> Self:
        if self.workers and self.max_workers and self.workers > self.max_workers:
            raise ValueError(f"`workers` ({self.workers}) can't be more than `max_workers` ({self.max_workers})")
        return self


def _exactly_one(name: str, address: str | None, job_endpoint: str | None, *, jar: str | None) -> None:
    if bool(address) == bool(job_endpoint):
        raise ValueError(f"give either `job_endpoint` of Beam's job server or `{name}`, got {'both' if address else 'neither'}")
    if jar and not address:
        raise ValueError(f"`job_server_jar` goes with `{name}`: the job server at {job_endpoint} has its own")
