"""The cluster file: what it may say, and each fault with its line and the remedy."""

from pathlib import Path

import pytest

from components.contract.errors import ClusterFileError
from pipeline.kubeflow.compile.beam_volumes import beam_settings
from pipeline.kubeflow.compile.cluster import Cluster, load_cluster, parse_cluster, with_overrides

EXAMPLES = sorted((Path(__file__).resolve().parents[4] / "examples" / "cluster").glob("*.yaml"))
IMAGES = "images: {pipeline: shop/pipeline:1, trainer: shop/trainer:1}\n"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_is_a_cluster_file(path: Path) -> None:
    cluster = with_overrides(load_cluster(path))
    assert cluster.store
    assert cluster.data.endswith("/data")


def test_without_a_file_the_store_and_the_data_are_on_the_volume() -> None:
    cluster = Cluster()
    assert [(volume.claim, volume.path) for volume in cluster.volumes] == [("shelfrank", "/shelfrank")]
    assert (cluster.store, cluster.data, cluster.checkpoint_folder) == ("/shelfrank", "/shelfrank/data", "/shelfrank/checkpoints")


def test_a_bucket_takes_the_volumes_place_and_checkpoints_need_a_folder_then() -> None:
    cluster = parse_cluster(f"{IMAGES}volumes: []\npush_destination: gs://b/shop/\n")
    assert (cluster.store, cluster.data, cluster.checkpoint_folder) == ("gs://b/shop/", "gs://b/shop/data", None)
    with pytest.raises(ClusterFileError, match="without a volume the store is an address: give `push_destination`"):
        parse_cluster("volumes: []")


def test_a_step_gets_its_own_settings_then_the_files_defaults_then_shelfranks() -> None:
    cluster = parse_cluster("default: {memory: 4Gi, retries: 5}\nsteps: {Trainer: {memory: 16Gi, timeout: 12h, retries: 0}}")
    trainer, other = cluster.step("Trainer"), cluster.step("Transform")
    assert (trainer.memory, trainer.retries, trainer.timeout, trainer.backoff) == ("16Gi", 0, 43200.0, 60.0)
    assert (other.memory, other.retries, other.timeout, other.backoff) == ("4Gi", 5, 21600.0, 60.0)


def test_options_of_the_command_line_stand_in_place_of_the_files() -> None:
    cluster = parse_cluster(IMAGES + "gpu: {count: 1, node_selector: {pool: gpu}}")
    made = with_overrides(cluster, image="other/pipeline:2", gpu=4)
    assert (made.image("Transform"), made.image("Trainer"), made.image("Tuner")) == ("other/pipeline:2", "shop/trainer:1", "shop/trainer:1")
    assert made.gpu is not None
    assert (made.gpu.count, made.gpu.node_selector) == (4, {"pool": "gpu"})
    assert with_overrides(Cluster(), image="a:1").gpu is None
    assert with_overrides(Cluster(), image="a:1").image("Trainer") == "a:1"


def test_a_step_on_a_gpu_has_the_image_with_cuda_whichever_it_is() -> None:
    cluster = parse_cluster(IMAGES + "gpu: {steps: [Evaluator]}")
    assert {name: cluster.image(name) for name in ("Trainer", "Evaluator", "Transform")} == {
        "Trainer": "shop/trainer:1",
        "Evaluator": "shop/trainer:1",
        "Transform": "shop/pipeline:1",
    }


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "expected the pipeline's container image, got none; give --image"),
        ({"image": "a:1", "gpu": 1}, "expected an image with CUDA for the steps on a GPU, got none; give --trainer-image"),
        ({"image": "Shop/pipeline:1"}, "small letters, a tag or a digest), got 'Shop/pipeline:1'"),
        ({"image": "a:1", "trainer_image": "a b"}, "small letters, a tag or a digest), got 'a b'"),
    ],
)
def test_what_the_command_line_lacks_is_told(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ClusterFileError) as raised:
        with_overrides(Cluster(), **options)  # type: ignore[arg-type]
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("imags: {}", "line 2: imags: unknown key 'imags'; did you mean 'images'?"),
        ("default: {memroy: 4Gi}", "line 2: default.memroy: unknown key 'memroy'; did you mean 'memory'?"),
        ("default: {memory: 4 GB}", "line 2: default.memory: expected an amount of memory such as 8Gi or 500Mi, got '4 GB'"),
        ("default: {cpu: two}", "line 2: default.cpu: expected a number of CPUs such as '2' or '500m', got 'two'"),
        ("default: {timeout: 90}", "line 2: default.timeout: expected a duration such as 90s, 30m"),
        ("pull: {policy: Sometimes}", "line 2: pull.policy: expected 'Always', 'IfNotPresent' or 'Never', got 'Sometimes'"),
        ("pipeline_root: /data", "line 2: pipeline_root: expected text of the form"),
        ("gpu: {count: 0}", "line 2: gpu.count: expected a value of at least 1, got 0"),
        ("volumes: [{claim: A_B}]", "line 2: volumes[0].claim: expected a Kubernetes name of small letters, digits and hyphens, got 'A_B'"),
        ("volumes: [{}, {claim: b}]", "two volumes are mounted at one path (/shelfrank, /shelfrank); give each a path of its own"),
        ("volumes: [{path: /minio/}]", "at /minio something else is mounted already; mount the volume at another path, or below it"),
        ("secrets: [{name: s}]", "line 2: secrets[0]: a secret needs `env`, which keys become which variables, or `path`"),
        ("secrets: [{name: s, env: {k: A-B}}]", "secrets[0].env.k: expected a name of an environment variable such as AWS_REGION"),
        ("gpu: {tolerations: [{operator: Exists, value: a}]}", "a toleration with operator Exists has no `value`"),
        ("gpu: {tolerations: [{value: a}]}", "a toleration without `key` is for all taints: say `operator: Exists`"),
        ("gpu: {tolerations: [{key: a, seconds: 5}]}", "`seconds` goes with `effect: NoExecute` alone"),
    ],
)
def test_a_fault_is_told_with_its_line(line: str, complaint: str) -> None:
    with pytest.raises(ClusterFileError) as raised:
        parse_cluster(f"# a cluster\n{line}\n", "mine.yaml")
    assert str(raised.value).startswith("mine.yaml, line ")
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    "image",
    [
        "a",
        "shop/pipeline:1",
        "localhost:5000/shop/pipeline",
        "registry.example.com/a/b/c:v1.2-rc_3",
        f"a.b/shop@sha256:{'0' * 64}",
        "a__b/c-d:1",
    ],
)
def test_an_image_is_named_by_host_path_and_tag_or_digest(image: str) -> None:
    assert with_overrides(Cluster(), image=image).image("Trainer") == image


@pytest.mark.parametrize(
    "image", ["", "Shop/pipeline", "shop/pipeline:", "shop//pipeline", "https://a.b/c", "a:-1", "a@sha256:12", " a", "a:1 "]
)
def test_what_is_no_image_is_refused(image: str) -> None:
    with pytest.raises(ClusterFileError, match="expected an image such as"):
        parse_cluster(f"images: {{pipeline: '{image}'}}")


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClusterFileError, match=r"none.yaml: expected a cluster file, found none; see examples/cluster/"):
        load_cluster(tmp_path / "none.yaml")


FLINK = "beam: {preset: flink, options: {job_endpoint: 'jobs:8099'}}\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (FLINK, "expected `pipeline_root` with preset flink, got none"),
        (
            FLINK + "pipeline_root: minio://b/p",
            "expected a volume mounted at /minio/b with preset flink, got none; its workers and the steps",
        ),
        (FLINK + "pipeline_root: s3://b\nvolumes: [{path: /minio/b}]", "expected a volume mounted at /s3/b with preset flink"),
        (FLINK + "pipeline_root: s3://b\nvolumes: [{path: /s3/bb}]", "expected a volume mounted at /s3/b with preset flink"),
        ("beam: {preset: flunk}", "beam: there is no preset 'flunk'; did you mean 'flink'?"),
        (
            "beam: {preset: dataflow, options: {project: p, region: r, temp_location: 'gs://bucket/t'}}",
            "expected `pipeline_root: gs://...` with preset dataflow, got none",
        ),
    ],
)
def test_workers_elsewhere_must_see_what_the_steps_write(text: str, complaint: str) -> None:
    with pytest.raises(ClusterFileError) as raised:
        beam_settings(parse_cluster(IMAGES + text))
    assert complaint in str(raised.value)


def test_workers_get_the_pipelines_image_or_one_of_their_own() -> None:
    text = FLINK + "pipeline_root: s3://b\nvolumes: [{}, {claim: artifacts, path: /s3/b/}]\n"
    assert beam_settings(parse_cluster(IMAGES + text)).image == "shop/pipeline:1"  # type: ignore[union-attr]
    own = IMAGES.replace("}", ", beam: shop/worker:1}")
    assert beam_settings(parse_cluster(own + text)).image == "shop/worker:1"  # type: ignore[union-attr]
