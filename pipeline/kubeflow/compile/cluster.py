"""Read the cluster file: images, resources, volumes and secrets of the pipeline's steps."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from components.contract.base_model import Duration, Strict
from components.contract.errors import ClusterFileError
from components.contract.json_schema import finished
from components.contract.yaml_loader import parse_strict, read_text
from pipeline.beam.preset_options import matching
from pipeline.kubeflow.compile.image_ref import image_fault

LEARNING_STEPS = ("Trainer", "Tuner")
VOLUME, STORE = "shelfrank", "/shelfrank"
# Where Kubeflow itself mounts folders in each step's pod.
RESERVED_MOUNTS = ("/minio", "/s3", "/gcs", "/.local", "/.cache", "/.config", "/kfp-launcher", "/dev/shm")

# Kubernetes' notation of amounts.
CPU, MEMORY = r"([0-9]*\.)?[0-9]+m?", r"[0-9]+([KMGTPE]i?)?"

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _image(text: str) -> str:
    if fault := image_fault(text):
        raise ValueError(fault)
    return text


Image = Annotated[str, AfterValidator(_image)]
Cpu = Annotated[str, matching(CPU, "a number of CPUs such as '2' or '500m'")]
Memory = Annotated[str, matching(MEMORY, "an amount of memory such as 8Gi or 500Mi")]
Name = Annotated[str, matching(_LABEL.pattern, "a Kubernetes name of small letters, digits and hyphens")]
EnvName = Annotated[str, matching(_ENV.pattern, "a name of an environment variable such as AWS_REGION")]
Mount = Annotated[str, matching(r"/[^:\s]+", "an absolute path such as /shelfrank")]


class Images(Strict):
    """Container images, each with its tag or digest."""

    pipeline: Image | None = Field(default=None, description="Of every step but those below; must be given here or by --image")
    trainer: Image | None = Field(
        default=None, description="Of Trainer and Tuner, and of all steps on a GPU, with CUDA; default: as `pipeline`"
    )
    beam: Image | None = Field(default=None, description="Of Beam's workers on Flink, Spark or Dataflow; default: as `pipeline`")


class Pull(Strict):
    """How images are pulled."""

    policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(default=None, description="Default: Kubernetes' own")
    secrets: tuple[Name, ...] = Field(default=(), description="Names of secrets with a registry's credentials")


class Toleration(Strict):
    """A taint that is put up with."""

    key: str | None = Field(default=None, description="Of the taint; default: any")
    operator: Literal["Equal", "Exists"] = Field(default="Equal", description="Whether `value` must be the taint's")
    value: str | None = Field(default=None, description="Of the taint")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(default=None, description="Default: all effects")
    seconds: int | None = Field(default=None, ge=0, description="How long NoExecute is put up with; default: forever")

    @model_validator(mode="after")
    def _as_kubernetes_has_it(self) -> "Toleration":
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("a toleration with operator Exists has no `value`; drop it, or say `operator: Equal`")
        if self.key is None and self.operator != "Exists":
            raise ValueError("a toleration without `key` is for all taints: say `operator: Exists`")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError("`seconds` goes with `effect: NoExecute` alone")
        return self


class Gpu(Strict):
    """GPUs of the steps that learn."""

    count: int = Field(default=1, ge=1, description="For each of the steps")
    type: str = Field(default="nvidia.com/gpu", min_length=1, description="Name of the resource that the device plugin offers")
    steps: tuple[str, ...] = Field(default=LEARNING_STEPS, min_length=1, description="Which steps get them, where the graph has them")
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels of the nodes with GPUs")
    tolerations: tuple[Toleration, ...] = Field(
        default=(Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule"),), description="Of the taints of these nodes"
    )
    shared_memory: Memory | None = Field(
        default="2Gi", description="Size of /dev/shm, in memory, counted to the step's own; several GPUs exchange gradients through it"
    )


class Step(Strict):
    """What a step gets; what isn't said is as `default` of the file says."""

    cpu: Cpu | None = Field(default=None, description="CPUs that are asked for, such as 2 or 500m")
    cpu_limit: Cpu | None = Field(default=None, description="CPUs that it may use at most")
    memory: Memory | None = Field(default=None, description="Memory that is asked for, such as 8Gi")
    memory_limit: Memory | None = Field(default=None, description="Memory at which it is killed")
    retries: int | None = Field(default=None, ge=0, le=100, description="How often it is tried again; default: 2")
    backoff: Duration | None = Field(
        default=None, description="Pause before the first retry, twice as long before each further one; default: 1m"
    )
    timeout: Duration | None = Field(default=None, description="How long an attempt may take; default: 6h")
    node_selector: dict[str, str] | None = Field(default=None, description="Labels of the nodes it may run on")
    tolerations: tuple[Toleration, ...] | None = Field(default=None, description="Of those nodes' taints")

    def over(self, other: "Step") -> "Step":
        """Return this step's settings, and the other's where this one has none."""
        return other.model_copy(update={name: getattr(self, name) for name in type(self).model_fields if getattr(self, name) is not None})


RETRIED = Step.model_validate({"retries": 2, "backoff": "1m", "timeout": "6h"})


class Volume(Strict):
    """A claim on a volume that many pods write, mounted in each step."""

    claim: Name = Field(default=VOLUME, description="Name of the PersistentVolumeClaim (access mode ReadWriteMany)")
    path: Mount = Field(default=STORE, description="Where it is mounted")
    sub_path: str | None = Field(default=None, description="A folder of it, if not the whole")


class Secret(Strict):
    """A secret whose keys become environment variables, or files."""

    name: Name = Field(description="Of the secret")
    env: dict[str, EnvName] = Field(default_factory=dict, description="Key of the secret to environment variable")
    path: Mount | None = Field(default=None, description="Folder in which each key is a file; default: none")
    optional: bool = Field(default=False, description="Whether steps start without it")

    @model_validator(mode="after")
    def _of_use(self) -> "Secret":
        if not self.env and not self.path:
            raise ValueError("a secret needs `env`, which keys become which variables, or `path`, a folder for its keys as files")
        return self


class Beam(Strict):
    """Where the steps on Apache Beam run."""

    preset: str = Field(
        default="local", description="`local` or `multi_process`: in the step's pod; or `flink`, `spark`, `dataflow` and so on"
    )
    options: dict[str, str | int] = Field(default_factory=dict, description="Of the preset, by name (docs/how-to/beam-runners.md)")


class Cluster(Strict):
    """All of the cluster file."""

    images: Images = Field(default=Images(), description="Container images")
    pull: Pull = Field(default=Pull(), description="How images are pulled")
    pipeline_root: str | None = Field(
        default=None, pattern=r"^(minio|s3|gs)://[^/]+(/.*)?$", description="Where artifacts go; default: as Kubeflow is configured"
    )
    volumes: tuple[Volume, ...] = Field(default=(Volume(),), description="Mounted in each step; default: claim `shelfrank` at /shelfrank")
    push_destination: str | None = Field(
        default=None, description="The store: folder or address; default: where the first volume is mounted"
    )
    data_root: str | None = Field(default=None, description="Where the dataset file's paths are looked up; default: `data` in the store")
    checkpoints: str | None = Field(
        default=None, description="Folder that a retried Trainer goes on from; default: `checkpoints` on the first volume, none without one"
    )
    gpu: Gpu | None = Field(default=None, description="GPUs of Trainer and Tuner; default: none")
    default: Step = Field(default=Step(), description="What each step gets")
    steps: dict[str, Step] = Field(default_factory=dict, description="What single steps get, by name, such as Trainer")
    env: dict[EnvName, str] = Field(default_factory=dict, description="Environment variables of each step")
    secrets: tuple[Secret, ...] = Field(default=(), description="Secrets that each step gets, as environment variables or files")
    beam: Beam = Field(default=Beam(), description="Where the steps on Apache Beam run")

    @model_validator(mode="after")
    def _together(self) -> "Cluster":
        if not self.volumes and self.push_destination is None:
            raise ValueError("without a volume the store is an address: give `push_destination`, such as gs://BUCKET/shelfrank")
        paths = [volume.path.rstrip("/") for volume in self.volumes]
        if len(set(paths)) < len(paths):
            raise ValueError(f"two volumes are mounted at one path ({', '.join(sorted(paths))}); give each a path of its own")
        if reserved := [path for path in paths if path in RESERVED_MOUNTS]:
            raise ValueError(f"at {reserved[0]} something else is mounted already; mount the volume at another path, or below it")
        return self

    @property
    def store(self) -> str:
        """The store of releases: the default of the runtime parameter `push_destination`."""
        return self.push_destination or self.volumes[0].path

    @property
    def data(self) -> str:
        """The default of the runtime parameter `data_root`."""
        return self.data_root or f"{self.store.rstrip('/')}/data"

    @property
    def checkpoint_folder(self) -> str | None:
        """The folder of checkpoints that outlive the Trainer's pod; None: there is none."""
        return self.checkpoints or (f"{self.volumes[0].path.rstrip('/')}/checkpoints" if self.volumes else None)

    @property
    def fault_folder(self) -> str | None:
        """The folder of the faults that steps found in their input, beside the checkpoints; None: there is none."""
        return f"{self.checkpoint_folder.rstrip('/')}/faults" if self.checkpoint_folder else None

    def step(self, name: str) -> Step:
        """Return a step's settings, with the defaults of the file and then of ShelfRank."""
        return self.steps.get(name, Step()).over(self.default.over(RETRIED))

    def image(self, name: str) -> str:
        """Return the image of a step."""
        learns = name in LEARNING_STEPS or (self.gpu is not None and name in self.gpu.steps)
        image = self.images.trainer if learns and self.images.trainer else self.images.pipeline
        assert image is not None, "see `with_overrides`"
        return image


def with_overrides(cluster: Cluster, *, image: str | None = None, trainer_image: str | None = None, gpu: int | None = None) -> Cluster:
    """Override the file's settings by the command line's.

    Raises:
        ClusterFileError: neither has a setting that is required.
    """
    for reference in (image, trainer_image):
        if reference is not None and (fault := image_fault(reference)):
            raise ClusterFileError(fault)
    images = cluster.images
    images = images.model_copy(update={"pipeline": image or images.pipeline, "trainer": trainer_image or images.trainer})
    if not images.pipeline:
        raise ClusterFileError("expected the pipeline's container image, got none; give --image, or `images.pipeline` in the cluster file")
    gpus = cluster.gpu if gpu is None else (cluster.gpu or Gpu()).model_copy(update={"count": gpu})
    if gpus and not images.trainer:
        raise ClusterFileError(
            "expected an image with CUDA for the steps on a GPU, got none; give --trainer-image, or `images.trainer` in the cluster file"
            " (the pipeline's image again, if CUDA is in it)"
        )
    return cluster.model_copy(update={"images": images, "gpu": gpus})


def load_cluster(path: str | Path) -> Cluster:
    """Read a cluster file.

    Raises:
        ClusterFileError: it is missing or invalid; the text names the line.
    """
    text = read_text(path, what="a cluster file", remedy="see examples/cluster/ for some", error=ClusterFileError)
    return parse_cluster(text, str(path))


def parse_cluster(text: str, name: str = "cluster file") -> Cluster:
    """Parse a cluster file's YAML text.

    Raises:
        ClusterFileError: it is invalid; the text names the line.
    """
    return parse_strict(
        text, name, model=Cluster, check=lambda _: (), error=ClusterFileError, example="images: {pipeline: shelfrank/pipeline:0.1.0}"
    )


def json_schema() -> dict[str, Any]:
    """Return the cluster file's JSON Schema, for editors."""
    return finished(Cluster.model_json_schema(), title="ShelfRank cluster file")
