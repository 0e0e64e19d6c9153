"""Check that Beam's workers outside the step's pod, where a preset has any, can open the steps' artifacts."""

from components.contract.errors import ClusterFileError
from pipeline.beam.preset_options import Dataflow, Local, MultiProcess
from pipeline.beam.presets import Settings, settings
from pipeline.kubeflow.compile.cluster import Cluster
from pipeline.kubeflow.step.artifact_paths import ArtifactPaths


def beam_settings(cluster: Cluster) -> Settings:
    """Return the Beam preset of a cluster (with an image).

    Raises:
        ClusterFileError: there is no such preset, or its workers couldn't open the steps' artifacts.
    """
    beam = cluster.beam
    preset = settings(beam.preset, beam.options, image=cluster.images.beam or cluster.image(""))
    if isinstance(preset, Local | MultiProcess) or (isinstance(preset, Dataflow) and (cluster.pipeline_root or "").startswith("gs://")):
        return preset
    if isinstance(preset, Dataflow):
        raise ClusterFileError(
            f"beam: expected `pipeline_root: gs://...` with preset dataflow, got {cluster.pipeline_root or 'none'};"
            " its workers reach no other"
        )
    if not cluster.pipeline_root:
        raise ClusterFileError(f"beam: expected `pipeline_root` with preset {beam.preset}, got none; its workers must open what lies there")
    folder = local_folder(cluster.pipeline_root)
    if not any(f"{folder}/".startswith(f"{volume.path.rstrip('/')}/") for volume in cluster.volumes):
        raise ClusterFileError(
            f"beam: expected a volume mounted at {folder} with preset {beam.preset}, got none; its workers and the steps must open the"
            " same files, and a step's artifacts lie there. Add it to `volumes`, and mount the same claim in the workers"
        )
    return preset


def local_folder(root: str) -> str:
    """Return the folder where Kubeflow's launcher mounts a pipeline root's bucket in each step's own pod.

    It mounts an empty folder of the pod at `/minio`, `/s3` and `/gcs`, so a volume can only be mounted below them.
    """
    scheme, _, rest = root.partition("://")
    return ArtifactPaths().local(f"{scheme}://{rest.split('/', 1)[0]}")
