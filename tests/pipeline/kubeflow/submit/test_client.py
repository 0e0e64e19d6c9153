"""What is sent: tokens, namespaces, pages, and what is read of a compiled file."""

from pathlib import Path

import pytest
import yaml
from kfp import compiler, dsl

from components.contract.errors import InputError, KubeflowError
from pipeline.cli.main import main
from pipeline.kubeflow.compile.package import read_package
from pipeline.kubeflow.submit.api_errors import Request, from_redirect, from_response
from pipeline.kubeflow.submit.client import TOKEN, Endpoint, connect
from pipeline.kubeflow.submit.upload import get_or_create_experiment, upload
from tests.pipeline.kubeflow import tiny_package
from tests.pipeline.kubeflow.submit.fake_api import FakeKubeflow, Fault, Script, serving


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return tiny_package.write(tmp_path / "pipeline.yaml")


def test_a_token_file_is_read_anew_for_each_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    with serving(FakeKubeflow(token="first")) as fake:
        client = connect(Endpoint(fake.host, token_file=file))
        fake.token = "second"
        file.write_text("second\n")
        client.list_pipelines()
    assert fake.tokens == ["Bearer first", "Bearer second"]


def test_a_token_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "s3cret")
    with serving(FakeKubeflow(token="s3cret")) as fake:
        connect(Endpoint(fake.host)).list_pipelines()
    assert set(fake.tokens) == {"Bearer s3cret"}


def test_a_namespace_goes_with_all_that_is_asked(package: Path) -> None:
    with serving(FakeKubeflow(multi_user=True, script=Script(tiny_package.STEPS))) as fake:
        where = ["--host", fake.host, "--namespace", "ann"]
        assert main(["submit", str(package), *where, "--no-follow"]) == 0
        assert main(["schedule", str(package), *where, "--cron", "@daily"]) == 0
        assert main(["schedule", *where, "--remove", "shop"]) == 0
    assert {each["namespace"] for each in (*fake.pipelines.values(), *fake.experiments.values())} == {"ann"}


def test_schedules_are_found_on_every_page(package: Path) -> None:
    with serving(FakeKubeflow(page_limit=1)) as fake:
        for name in ("a", "b", "c"):
            assert main(["schedule", str(package), "--host", fake.host, "--cron", "0 0 3 * * *", "--name", name]) == 0
        assert main(["schedule", str(package), "--host", fake.host, "--cron", "0 0 4 * * *", "--name", "c"]) == 0
    assert sorted(each["display_name"] for each in fake.recurringruns.values()) == ["a", "b", "c"]


def test_what_somebody_else_makes_meanwhile_is_used(package: Path) -> None:
    with serving(FakeKubeflow()) as fake:
        client, read = connect(Endpoint(fake.host)), read_package(package)
        first = upload(client, read)
        fake.faults += [Fault("GET", ".*/pipelines", 200, "{}", times=1), Fault("GET", ".*/versions", 200, "{}", times=1)]
        again = upload(client, read)
    assert (again.pipeline_id, again.version_id) == (first.pipeline_id, first.version_id)


def test_an_archived_experiment_is_refused_with_what_to_do() -> None:
    with serving(FakeKubeflow()) as fake:
        client = connect(Endpoint(fake.host))
        fake.experiments[get_or_create_experiment(client, "shop")]["storage_state"] = "ARCHIVED"
        with pytest.raises(InputError, match="restore it in the UI"):
            get_or_create_experiment(client, "shop")


def test_a_file_of_kubeflows_own_compiler_is_read(tmp_path: Path) -> None:
    @dsl.container_component
    def step():  # type: ignore[no-untyped-def]
        return dsl.ContainerSpec(image="alpine", command=["true"])

    @dsl.pipeline(name="two-steps")
    def pipeline(wait: int, name: str = "x", share: float = 0.5, on: bool = True, days: list = []):  # type: ignore[no-untyped-def, type-arg]  # noqa: B006
        step().set_display_name("first").after()

    file = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(file))
    package = read_package(file)
    assert (package.name, package.steps, package.required) == ("two-steps", ("step",), {"wait"})
    parameters = package.parameters(["wait=3", "share=0.25", "on=false", "days=[1, 2]", "name=a=b"])
    assert parameters == {"wait": 3, "share": 0.25, "on": False, "days": [1, 2], "name": "a=b"}
    for wrong in ("wait=3.5", "share=half", "on=yes", "days={}", "days=1,2", "wait"):
        with pytest.raises(InputError, match="expected"):
            package.parameters(["wait=3", wrong])


def test_the_digest_is_that_of_the_content_and_not_of_the_text(tmp_path: Path) -> None:
    spec, platform = tiny_package.documents()
    one = tiny_package.write(tmp_path / "one.yaml", [spec, platform])
    two = tmp_path / "two.yaml"
    two.write_text("# comment\n" + "---\n".join(yaml.safe_dump(each, sort_keys=False, indent=4) for each in (spec, platform)))
    three = tiny_package.write(tmp_path / "three.yaml", [spec])
    assert read_package(one).digest == read_package(two).digest != read_package(three).digest


def test_the_steps_stand_in_the_order_that_they_run_in(package: Path) -> None:
    assert read_package(package).steps == tiny_package.STEPS


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            400,
            '{"error_message": "invalid v2 pipeline spec: name is empty"}',
            "refused POST /apis/v2beta1/x (400: invalid v2 pipeline spec",
        ),
        (413, "<html><h1>413 Request Entity Too Large</h1></html>", "failed at POST /apis/v2beta1/x (413)"),
        (401, "Jwt is missing", "(401: Jwt is missing)"),
        (500, '["no", "object"]', "(500)"),
        (504, "", "too busy, or just starting (504)"),
    ],
)
def test_what_the_server_says_for_people_is_found(status: int, body: str, said: str) -> None:
    error = from_response(Request("POST", "https://kubeflow.example/pipeline/apis/v2beta1/x".replace("/pipeline", "")), status, body)
    assert said in str(error)
    assert error.status == status


def test_being_sent_to_https_names_the_host_to_say() -> None:
    asked = Request("GET", "http://kubeflow.example/pipeline/apis/v2beta1/healthz")
    error = from_redirect(asked, 301, "https://kubeflow.example/pipeline/apis/v2beta1/healthz")
    assert str(error).endswith("say --host https://kubeflow.example/pipeline")


def test_a_200_that_is_no_json_is_refused() -> None:
    with serving(FakeKubeflow()) as fake:
        fake.faults.append(Fault("GET", ".*healthz", 200, "OK", {"content-type": "text/plain"}))
        with pytest.raises(KubeflowError, match=r"expected JSON from .* got 'OK'"):
            connect(Endpoint(fake.host))


def test_a_login_page_in_the_midst_is_refused_too() -> None:
    with serving(FakeKubeflow()) as fake:
        client = connect(Endpoint(fake.host))
        fake.faults.append(Fault("GET", ".*/pipelines", 200, "<html><title>Log in</title></html>", {"content-type": "text/html"}))
        with pytest.raises(KubeflowError, match=r"got a web page \('Log in'\)"):
            client.list_pipelines()
