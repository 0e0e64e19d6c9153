import pytest

from pipeline.kubeflow.step.artifact_paths import ROOT, ArtifactPaths
from pipeline.kubeflow.step.invocation import output_folders, to_executor_input, to_executor_output

MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
DECLARED = {"artifacts": {"model": {"artifactType": MODEL}, "examples": {"artifactType": {"schemaTitle": "tfx.Examples"}}}}


def invocation_with(kind: dict | None, **metadata: object) -> dict:
    artifact = {"name": "7", "uri": "minio://bucket/root/Trainer/model", "metadata": metadata}
    if kind is not None:
        artifact["type"] = kind
    return {"inputs": {"artifacts": {"model": {"artifacts": [artifact]}}}, "outputs": {"outputFile": "/minio/x/output_metadata.json"}}


def taken(whole: dict, declared: dict, *, paths: ArtifactPaths = ArtifactPaths()) -> dict:  # noqa: B008 - frozen
    """What TFX gets where the component declares each output that there is."""
    return to_executor_input(whole, declared, paths, output_names=whole.get("outputs", {}).get("artifacts", {}))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://bucket/a/b", "/minio/bucket/a/b"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("gs://bucket/a", "/gcs/bucket/a"),
    ],
)
def test_an_address_has_the_launchers_folder_and_the_folder_its_address(uri: str, path: str) -> None:
    assert ArtifactPaths().local(uri) == path
    assert ArtifactPaths().remote(path) == uri
    assert ArtifactPaths("/pods/1").local(uri) == f"/pods/1{path}"
    assert ArtifactPaths("/pods/1/").remote(f"/pods/1{path}") == uri


@pytest.mark.parametrize("other", ["/shelfrank/releases", "hdfs://host/a", "", "minio", "/minio", "/elsewhere/minio/a"])
def test_what_isnt_of_the_store_stays(other: str) -> None:
    assert ArtifactPaths().local(other) == other
    assert ArtifactPaths().remote(other) == other


def test_a_scheme_that_is_kept_stays_both_ways() -> None:
    paths = ArtifactPaths(kept=("gs://",))
    assert paths.local("gs://bucket/a") == "gs://bucket/a"
    assert paths.remote("gs://bucket/a") == "gs://bucket/a"
    assert paths.local("minio://bucket/a") == "/minio/bucket/a"


def test_a_pods_folders_lie_under_its_root_or_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ROOT, raising=False)
    assert ArtifactPaths.here() == ArtifactPaths("/")
    monkeypatch.setenv(ROOT, "/pods/1")
    assert ArtifactPaths.here(kept=("gs://",)) == ArtifactPaths("/pods/1", ("gs://",))


@pytest.mark.parametrize("kind", [{"instanceSchema": ""}, {}, None])
def test_an_input_without_a_type_gets_the_declared_one(kind: dict | None) -> None:
    (artifact,) = taken(invocation_with(kind), DECLARED)["inputs"]["artifacts"]["model"]["artifacts"]
    assert artifact["type"] == {"schemaTitle": "tfx.Model"}
    assert artifact["uri"] == "/minio/bucket/root/Trainer/model"
    assert artifact["name"] == "7"


def test_a_type_that_the_driver_sends_counts() -> None:
    (artifact,) = taken(invocation_with({"schemaTitle": "tfx.File"}), DECLARED)["inputs"]["artifacts"]["model"]["artifacts"]
    assert artifact["type"] == {"schemaTitle": "tfx.File"}


def test_an_input_that_is_marked_absent_or_empty_is_dropped() -> None:
    assert taken(invocation_with(None, absent=1.0), DECLARED)["inputs"]["artifacts"] == {}
    assert "model" in taken(invocation_with(None, absent=0.0), DECLARED)["inputs"]["artifacts"]
    assert taken({"inputs": {"artifacts": {"model": {"artifacts": []}}}}, DECLARED)["inputs"]["artifacts"] == {}
    assert taken({"inputs": {"artifacts": {"model": {}}}}, DECLARED)["inputs"]["artifacts"] == {}


def test_parameters_and_all_else_pass_unchanged() -> None:
    whole = {"inputs": {"parameterValues": {"word": "minio://left/alone", "n": 3.0}}, "outputs": {"outputFile": "/minio/f"}}
    assert taken(whole, {}) == {
        "inputs": {"parameterValues": {"word": "minio://left/alone", "n": 3.0}, "artifacts": {}},
        "outputs": {"outputFile": "/minio/f", "artifacts": {}},
    }


@pytest.mark.parametrize(
    ("title", "tfx"),
    [
        ("system.Metrics", "tfx.Metrics"),
        ("system.HTML", "tfx.File"),
        ("system.Model", "tfx.Model"),
        ("system.Artifact", "tfx.File"),
        ("tfx.Schema", "tfx.Schema"),
    ],
)
def test_a_type_of_kubeflows_own_becomes_one_of_tfx(title: str, tfx: str) -> None:
    for kind in ({"schemaTitle": title}, {"instanceSchema": f"title: {title}\ntype: object\n"}):
        outputs = {"artifacts": {"page": {"artifacts": [{"uri": "s3://b/page", "type": kind}]}}}
        made = taken({"outputs": outputs}, {})
        assert made["outputs"]["artifacts"]["page"]["artifacts"] == [{"uri": "/s3/b/page", "type": {"schemaTitle": tfx}}]


def test_folders_are_of_local_outputs_that_arent_single_files() -> None:
    def output(uri: str, title: str) -> dict:
        return {"artifacts": [{"uri": uri, "type": {"schemaTitle": title}}]}

    outputs = {"model": output("s3://b/m", "tfx.Model"), "best": output("s3://b/f", "tfx.Float"), "far": output("gs://b/e", "tfx.Examples")}
    assert list(output_folders(taken({"outputs": {"artifacts": outputs}}, {}, paths=ArtifactPaths(kept=("gs://",))))) == ["/s3/b/m"]


@pytest.mark.parametrize("kind", [{"schemaTitle": "system.Artifact"}, {"schemaTitle": "tfx.Model"}, {"instanceSchema": ""}, {}, None])
@pytest.mark.parametrize("name", ["executor-logs", "executor-logs-2", "lineage", "of_2.19"])
def test_an_output_that_the_component_doesnt_declare_is_left_alone(name: str, kind: dict | None) -> None:
    extra = {"name": name, "uri": f"minio://b/Trainer/1/{name}", "customPath": "/elsewhere/x"} | ({} if kind is None else {"type": kind})
    model = {"uri": "minio://b/Trainer/1/model", "type": {"schemaTitle": "tfx.Model"}}
    listed = {"model": {"artifacts": [model]}, name: {"artifacts": [extra]}}
    made = to_executor_input({"outputs": {"artifacts": listed, "outputFile": "/f"}}, {}, ArtifactPaths(), output_names=["model"])
    assert list(made["outputs"]["artifacts"]) == ["model"]
    assert list(output_folders(made)) == ["/minio/b/Trainer/1/model"]


def test_an_output_of_that_name_that_the_component_declares_is_its_own() -> None:
    log = {"uri": "minio://b/x/executor-logs", "type": {"schemaTitle": "tfx.File"}}
    made = to_executor_input(
        {"outputs": {"artifacts": {"executor-logs": {"artifacts": [log]}}}}, {}, ArtifactPaths(), output_names=["executor-logs"]
    )
    assert list(output_folders(made)) == ["/minio/b/x/executor-logs"]


def test_an_output_goes_back_with_addresses_and_without_nulls() -> None:
    metadata = {"span": None, "blessed": 1.0, "current_model": "/minio/b/Trainer/model", "splits": '["train"]', "by": {"deep": None}}
    made = {
        "artifacts": {"model": {"artifacts": [{"uri": "/minio/b/model/page.html", "metadata": metadata}]}},
        "parameterValues": {"n": 1.0},
    }
    assert to_executor_output(made, ArtifactPaths()) == {
        "artifacts": {
            "model": {
                "artifacts": [
                    {
                        "uri": "minio://b/model/page.html",
                        "metadata": {
                            "blessed": 1.0,
                            "current_model": "minio://b/Trainer/model",
                            "splits": '["train"]',
                            "by": {"deep": None},
                        },
                    }
                ]
            }
        },
        "parameterValues": {"n": 1.0},
    }


def test_an_output_without_artifacts_goes_back_as_it_is() -> None:
    assert to_executor_output({}, ArtifactPaths()) == {"artifacts": {}}
