"""Whether Beam's workers, where a preset has some outside of the step's pod, can open what the steps write."""

from components.contract.errors import ClusterFileError
from pipeline.beam.preset_options import Dataflow, Local, MultiProcess
from pipeline.beam.presets import Settings, settings
from pipeline.kubeflow.compile.cluster import Cluster
from pipeline.kubeflow.step.artifact_paths import Places


def beam_settings(cluster: Cluster) -> Settings:
    """The Beam preset of a cluster (with an image).

    Raises:
        ClusterFileError: there is no such preset, or its workers couldn't open what the steps write.
    """
    told = cluster.beam
    made = settings(told.preset, told.options, image=cluster.images.beam or cluster.image(""))
    if isinstance(made, Local | MultiProcess) or (isinstance(made, Dataflow) and (cluster.pipeline_root or "").startswith("gs://")):
        return made
    if isinstance(made, Dataflow):
        raise ClusterFileError(
            f"beam: expected `pipeline_root: gs://...` with preset dataflow, got {cluster.pipeline_root or 'none'};"
            " its workers reach no other"
        )
    if not cluster.pipeline_root:
        raise ClusterFileError(f"beam: expected `pipeline_root` with preset {told.preset}, got none; its workers must open what lies there")
    folder = local_folder(cluster.pipeline_root)
    if not any(f"{folder}/".startswith(f"{volume.path.rstrip('/')}/") for volume in cluster.volumes):
        raise ClusterFileError(
            f"beam: expected a volume mounted at {folder} with preset {told.preset}, got none; its workers and the steps must open the"
            " same files, and a step's artifacts lie there. Add it to `volumes`, and mount the same claim in the workers"
        )
    return made


def local_folder(root: str) -> str:
    """Where Kubeflow's launcher has the artifacts of a pipeline root, in each step's own pod: the bucket's folder.

    It mounts an empty folder of the pod at `/minio`, `/s3` and `/gcs`, so that a volume can be mounted below them only.
    """
    scheme, _, rest = root.partition("://")
    return Places().local(f"{scheme}://{rest.split('/', 1)[0]}")
