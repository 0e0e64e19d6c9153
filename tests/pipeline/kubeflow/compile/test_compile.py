"""The graph as documents for Kubeflow: strictly readable, the same each time, and with all that the cluster file says."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import ParseDict
from kfp import compiler, dsl, kubernetes
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, PipelineSpec, PlatformSpec

from components.contract.errors import ClusterFileError
from pipeline.graph import GraphConfig, create_pipeline
from pipeline.kubeflow.compile.cluster import Cluster, load_cluster, parse_cluster, with_overrides
from pipeline.kubeflow.compile.compile import Compiled, compile_pipeline
from pipeline.kubeflow.compile.package import read_package
from pipeline.kubeflow.compile.spec_patches import patch_spec

ROOT = Path(__file__).resolve().parents[4]
DATASETS = sorted((ROOT / "examples").glob("*.yaml"))
SHOP = (ROOT / "examples" / "simulated_shop.yaml").read_text(encoding="utf-8")
CPU = with_overrides(Cluster(), image="shop/pipeline:1")
GPU = with_overrides(load_cluster(ROOT / "examples" / "cluster" / "gpu.yaml"))

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def shop() -> Compiled:
    return compile_pipeline(SHOP, CPU)


def tasks(made: Compiled) -> dict[str, Any]:
    part: dict[str, Any] = made.spec["root"]["dag"]["tasks"]
    return part


def container(made: Compiled, name: str) -> dict[str, Any]:
    part: dict[str, Any] = made.spec["deploymentSpec"]["executors"][f"{name}_executor"]["container"]
    return part


def on_kubernetes(made: Compiled, name: str) -> dict[str, Any]:
    part: dict[str, Any] = made.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][f"{name}_executor"]
    return part


@pytest.mark.parametrize("cluster", [CPU, GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize("path", DATASETS, ids=lambda path: path.stem)
def test_each_example_compiles_and_both_documents_are_read_strictly(path: Path, cluster: Cluster) -> None:
    made = compile_pipeline(path.read_text(encoding="utf-8"), cluster)
    spec, platform = yaml.safe_load_all(made.to_yaml())
    assert (spec, platform) == (made.spec, made.platform)
    read = ParseDict(spec, PipelineSpec())
    ParseDict(spec["deploymentSpec"], PipelineDeploymentConfig())
    ParseDict(platform, PlatformSpec())
    for declared in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        ParseDict(declared, KubernetesExecutorConfig())
    assert read.schema_version == "2.1.0"
    assert read.pipeline_info.name == path.stem.replace("_", "-")
    assert made.to_yaml() == compile_pipeline(path.read_text(encoding="utf-8"), cluster).to_yaml()


def test_it_is_the_graph_that_runs_on_one_machine(shop: Compiled) -> None:
    here = create_pipeline(
        GraphConfig(name="shop", root="/a", dataset=SHOP, data_root="/d", push_destination="/s", champion=0, fingerprint=None, code="c")
    )
    assert set(tasks(shop)) == {component.id for component in here.components}
    for component in here.components:
        assert set(tasks(shop)[component.id]["dependentTasks"] if component.upstream_nodes else []) >= {
            node.id for node in component.upstream_nodes
        }


def test_kubeflows_own_reader_takes_it(shop: Compiled, tmp_path: Path) -> None:
    from kfp.components import load_component_from_text

    inputs = load_component_from_text(shop.to_yaml()).component_spec.inputs
    assert inputs is not None
    assert {name: declared.default for name, declared in inputs.items()} == {
        "data_root": "/shelfrank/data",
        "push_destination": "/shelfrank",
        "data_until": "",
        "training_steps": 0,
        "training_start": "",
    }
    assert all(declared.optional for declared in inputs.values())


def test_each_parameter_reaches_the_steps_that_it_is_for(shop: Compiled) -> None:
    bound = {
        (name, key, source["componentInputParameter"])
        for name, task in tasks(shop).items()
        for key, source in task.get("inputs", {}).get("parameters", {}).items()
        if "componentInputParameter" in source
    }
    assert bound >= {
        ("DataFingerprint", "data_root", "data_root"),
        ("DataFingerprint", "data_until", "data_until"),
        ("EventExampleGen", "data_root", "data_root"),
        ("Trainer", "training_steps", "training_steps"),
        ("Trainer", "training_start", "training_start"),
        ("Champion", "push_destination", "push_destination"),
        ("Release", "push_destination", "push_destination"),
    }
    version = tasks(shop)["Champion"]["inputs"]["parameters"]["version"]["runtimeValue"]["constant"]
    assert version == -1  # the one in force when the step runs
    assert "state" in tasks(shop)["Release"]["inputs"]["artifacts"]
    run_id = tasks(shop)["Release"]["inputs"]["parameters"]["run_id"]["runtimeValue"]["constant"]
    assert run_id == "{{$.pipeline_job_uuid}}"  # Kubeflow's driver puts the run's in its place


def test_only_what_depends_on_files_and_on_the_store_is_never_cached(shop: Compiled) -> None:
    uncached = {name for name, task in tasks(shop).items() if not task["cachingOptions"].get("enableCache")}
    assert uncached == {"DataFingerprint", "Champion", "Release"}


def test_ingestions_cache_key_has_the_files_digest_and_the_datas_end_of_each_run(shop: Compiled) -> None:
    sources = tasks(shop)["EventExampleGen"]["inputs"]["parameters"]
    for parameter, output in (("fingerprint", "fingerprint"), ("data_until", "data_end")):
        assert sources[parameter] == {"taskOutputParameter": {"producerTask": "DataFingerprint", "outputParameterKey": output}}


ON_BEAM = {"EventExampleGen", "StatisticsGen", "Transform", "Evaluator"}


def test_a_step_runs_our_entrypoint_with_tfx_s_arguments(shop: Compiled) -> None:
    for name in tasks(shop):
        made = container(shop, name)
        assert made["command"] == ["python", "-m", "pipeline.kubeflow.step.entrypoint"]
        assert made["args"][0] == "--executor_class_path"
        assert made["args"][2:5:2] == ["--json_serialized_invocation_args", "--json_serialized_inputs_spec_args"]
        assert made["args"][3] == "{{$}}"
        assert ("--runner=FnApiRunner" in made["args"]) == (name in ON_BEAM)
        assert made["args"][made["args"].index("--step") + 1] == name
        assert made["args"][-4] == "--json_serialized_output_names"
        declared = shop.spec["components"][name].get("outputDefinitions", {}).get("artifacts", {})
        assert json.loads(made["args"][-3]) == sorted(declared)
        assert made["args"][-2:] == ["--faults", "/shelfrank/checkpoints/faults"]
    assert json.loads(container(shop, "SliceReport")["args"][-3]) == ["metrics", "page", "report"]
    assert json.loads(container(shop, "AnomalyGate")["args"][-3]) == []


def test_checkpoints_lie_on_the_volume_where_there_is_one(shop: Compiled) -> None:
    def config(made: Compiled) -> str:
        return str(tasks(made)["Trainer"]["inputs"]["parameters"]["custom_config"]["runtimeValue"]["constant"])

    assert '"checkpoints": "/shelfrank/checkpoints"' in config(shop)
    bucket = parse_cluster("images: {pipeline: a}\nvolumes: []\npush_destination: gs://b/shop\n")
    assert "checkpoints" not in config(compile_pipeline(SHOP, bucket))


def test_only_what_learns_gets_gpus_and_what_goes_with_them() -> None:
    made = compile_pipeline(SHOP + "\ntuning: {trials: 2}\n", GPU)
    assert {name for name in tasks(made) if "accelerator" in container(made, name).get("resources", {})} == {"Trainer", "Tuner"}
    images = {name: step["image"].split("/")[-1] for name, step in made.steps(GPU).items()}
    assert {name for name, image in images.items() if image == "trainer:0.1.0"} == {"Trainer", "Tuner"}
    assert set(images.values()) == {"trainer:0.1.0", "pipeline:0.1.0"}
    for name in tasks(made):
        declared = on_kubernetes(made, name)
        learns = name in ("Trainer", "Tuner")
        assert ("nodeSelector" in declared, "tolerations" in declared, "emptyDirMounts" in declared) == (learns, learns, learns)


def test_nodes_of_gpus_come_on_top_of_those_of_the_step() -> None:
    cluster = parse_cluster(
        "images: {pipeline: a, trainer: a}\ngpu: {node_selector: {gpu: l4}}\n"
        "default: {node_selector: {zone: a}, tolerations: [{key: batch, operator: Exists}]}\n"
    )
    made = compile_pipeline(SHOP, cluster)
    assert on_kubernetes(made, "Transform")["nodeSelector"] == {"labels": {"zone": "a"}}
    assert on_kubernetes(made, "Trainer")["nodeSelector"] == {"labels": {"gpu": "l4", "zone": "a"}}
    assert [each["key"] for each in on_kubernetes(made, "Transform")["tolerations"]] == ["batch"]
    assert [each["key"] for each in on_kubernetes(made, "Trainer")["tolerations"]] == ["batch", "nvidia.com/gpu"]


CLUSTER = """
images: {pipeline: shop/pipeline:1, trainer: shop/trainer:1}
pull: {policy: IfNotPresent, secrets: [registry]}
pipeline_root: s3://bucket/pipelines
volumes: [{claim: shelfrank, path: /shelfrank}, {claim: logs, path: /logs, sub_path: shop}]
secrets: [{name: s3, env: {access: AWS_ACCESS_KEY_ID, secret: AWS_SECRET_ACCESS_KEY}, optional: true}, {name: key, path: /keys}]
env: {AWS_REGION: eu-central-1, ROUND: "1e5"}
gpu:
  count: 2
  node_selector: {pool: gpu}
  tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}, {key: spot, value: "yes", effect: NoExecute, seconds: 60}]
  shared_memory: 4Gi
steps:
  Trainer: {cpu: 500m, cpu_limit: "4", memory: 8Gi, memory_limit: 16G, retries: 3, backoff: 30s, timeout: 12h}
"""


def by_kubeflow(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Container, task and platform of a step with the settings of CLUSTER, as Kubeflow's own compiler writes them."""

    @dsl.container_component
    def trainer() -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image="shop/trainer:1", command=["train"])

    @dsl.pipeline(name="shop")
    def pipeline() -> None:
        task = trainer()
        task.set_cpu_request("500m").set_cpu_limit("4").set_memory_request("8Gi").set_memory_limit("16G")
        task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2)
        task.set_retry(3, "30s", 2.0, "600s")
        task.set_env_variable("AWS_REGION", "eu-central-1").set_env_variable("ROUND", "1e5")
        kubernetes.set_timeout(task, 12 * 3600)
        kubernetes.set_image_pull_policy(task, "IfNotPresent")
        kubernetes.set_image_pull_secrets(task, ["registry"])
        kubernetes.add_node_selector(task, "pool", "gpu")
        kubernetes.add_toleration(task, "nvidia.com/gpu", "Exists", effect="NoSchedule")
        kubernetes.add_toleration(task, "spot", "Equal", "yes", "NoExecute", 60)
        kubernetes.mount_pvc(task, "shelfrank", "/shelfrank")
        kubernetes.mount_pvc(task, "logs", "/logs", sub_path="shop")
        kubernetes.use_secret_as_env(task, "s3", {"access": "AWS_ACCESS_KEY_ID", "secret": "AWS_SECRET_ACCESS_KEY"}, optional=True)
        kubernetes.use_secret_as_volume(task, "key", "/keys")
        kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", "Memory", "4Gi")

    compiler.Compiler().compile(pipeline, str(path))
    spec, platform = yaml.safe_load_all(path.read_text())
    ((_, executor),) = spec["deploymentSpec"]["executors"].items()
    ((_, task),) = spec["root"]["dag"]["tasks"].items()
    ((_, declared),) = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].items()
    return executor["container"], task, declared


def test_resources_retries_and_platform_are_written_as_kubeflows_own_compiler_writes_them(tmp_path: Path) -> None:
    made = compile_pipeline(SHOP, parse_cluster(CLUSTER))
    expected, task, declared = by_kubeflow(tmp_path / "pipeline.yaml")
    ours = container(made, "Trainer")
    assert ours["resources"] == expected["resources"]
    assert ours["env"] == expected["env"]
    # Kubeflow's compiler writes an hour at most, after which Argo would try no attempt again: here four of them, each with a day's wait.
    longest_s = 30 * (1 + 2 + 4) + 4 * (12 * 3600 + 24 * 3600)
    assert tasks(made)["Trainer"]["retryPolicy"] == task["retryPolicy"] | {"backoffMaxDuration": f"{longest_s}s"}
    assert on_kubernetes(made, "Trainer") == declared
    assert made.spec["defaultPipelineRoot"] == "s3://bucket/pipelines"


def test_the_file_keeps_the_root_that_its_runs_must_be_given(shop: Compiled, tmp_path: Path) -> None:
    def root(made: Compiled) -> str | None:
        (tmp_path / "pipeline.yaml").write_text(made.to_yaml())
        return read_package(tmp_path / "pipeline.yaml").pipeline_root

    assert root(compile_pipeline(SHOP, parse_cluster(CLUSTER))) == "s3://bucket/pipelines"
    assert root(shop) is None


def test_texts_that_look_like_numbers_are_quoted() -> None:
    """The server reads YAML 1.2, where `1e5` and `0o17` are numbers; this writer would leave them bare."""
    made = compile_pipeline(SHOP, parse_cluster(CLUSTER.replace("ROUND: ", "OCTAL: '0o17', ROUND: ")))
    assert 'value: "1e5"' in made.to_yaml()
    assert 'value: "0o17"' in made.to_yaml()


def test_a_step_that_no_graph_has_is_told_with_the_closest_name() -> None:
    cluster = parse_cluster(
        "images: {pipeline: a, trainer: a}\nsteps: {Trainr: {cpu: '1'}, Tuner: {cpu: '1'}}\ngpu: {steps: [Trainer, Evalator]}"
    )
    with pytest.raises(ClusterFileError) as raised:
        compile_pipeline(SHOP, cluster)
    assert str(raised.value).splitlines() == [
        "steps: no step 'Trainr'; did you mean 'Trainer'?",
        "gpu.steps: no step 'Evalator'; did you mean 'Evaluator'?",
    ]


def test_kubeflow_shows_numbers_and_a_page_beside_the_report(shop: Compiled) -> None:
    made = shop.spec["components"]["SliceReport"]["outputDefinitions"]["artifacts"]
    assert {name: declared["artifactType"].get("schemaTitle") for name, declared in made.items()} == {
        "metrics": "system.Metrics",
        "page": "system.HTML",
        "report": None,
    }
    made = shop.spec["components"]["DriftCheck"]["outputDefinitions"]["artifacts"]
    assert (made["page"]["artifactType"].get("schemaTitle"), made["report"]["artifactType"].get("schemaTitle")) == ("system.HTML", None)


def test_steps_come_in_an_order_in_which_they_can_run(shop: Compiled) -> None:
    order = list(shop.steps(CPU))
    assert sorted(order) == sorted(tasks(shop))
    for name, task in tasks(shop).items():
        assert all(order.index(other) < order.index(name) for other in task.get("dependentTasks", []))


def test_compiling_leaves_nothing_behind_for_the_next(shop: Compiled) -> None:
    before = copy.deepcopy(shop.spec)
    compile_pipeline(SHOP, GPU)
    assert compile_pipeline(SHOP, CPU).spec == before


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(shop: Compiled, tmp_path: Path) -> None:
    out = tmp_path / "pipeline.yaml"
    command = [
        sys.executable,
        "-m",
        "pipeline.cli",
        "compile",
        str(ROOT / "examples/simulated_shop.yaml"),
        "--image",
        "shop/pipeline:1",
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "-o", str(out)], check=True, env=environment, cwd=tmp_path, timeout=300, capture_output=True)
    assert out.read_text(encoding="utf-8") == shop.to_yaml()


def test_what_tfx_gets_wrong_is_put_right(shop: Compiled) -> None:
    """A value that a task gives is looked for under a name that no task has, and a driver is named that the server never runs."""
    spec = copy.deepcopy(shop.spec)
    source = {"taskOutputParameter": {"producerTask": "Champion_task", "outputParameterKey": "steps"}}
    spec["root"]["dag"]["tasks"]["Trainer"]["inputs"]["parameters"]["training_steps"] = source
    spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]["lifecycle"] = {"preCacheCheck": {"command": ["x"]}}
    made = patch_spec(spec, CPU, shop.parameters, beam_steps=ON_BEAM)
    source = made["root"]["dag"]["tasks"]["Trainer"]["inputs"]["parameters"]["training_steps"]
    assert source["taskOutputParameter"]["producerTask"] == "Champion"
    assert "lifecycle" not in made["deploymentSpec"]["executors"]["Trainer_executor"]["container"]
    assert spec != made, "the input stays as it is"


def test_a_step_without_retries_has_no_policy() -> None:
    made = compile_pipeline(SHOP, parse_cluster("images: {pipeline: a}\nsteps: {Trainer: {retries: 0}}"))
    assert "retryPolicy" not in tasks(made)["Trainer"]
    assert tasks(made)["Transform"]["retryPolicy"]["maxRetryCount"] == 2
