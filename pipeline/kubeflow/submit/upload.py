"""Brings a compiled pipeline, and an experiment to run it in, onto a server. What is there already is used."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import kfp_server_api

from components.contract.errors import InputError, KubeflowError
from pipeline.kubeflow.compile.package import Package
from pipeline.kubeflow.submit.client import Kubeflow

_PAGE = 100


@dataclass(frozen=True)
class Uploaded:
    """A version of a pipeline on a server.

    Attributes:
        pipeline_id: of the pipeline.
        version_id: of the version.
        version: its name.
        news: what wasn't there before: the pipeline, this version of it, or nothing.
    """

    pipeline_id: str
    version_id: str
    version: str
    news: Literal["pipeline", "version", "nothing"]


def upload(client: Kubeflow, package: Package) -> Uploaded:
    """The version with the content of `package`; the name of a version tells its content.

    Raises:
        KubeflowError: the server refuses.
    """
    pipeline_id, news = _pipeline(client, package.name)
    version_id = _version(client, pipeline_id, package.version) if news == "version" else None
    if version_id:
        return Uploaded(pipeline_id, version_id, package.version, "nothing")
    try:
        # `upload_pipeline_version` of kfp.Client is this and a print.
        made = client.pipeline_uploads.upload_pipeline_version(str(package.file), name=package.version, pipelineid=pipeline_id)
    except KubeflowError as error:
        version_id = _version(client, pipeline_id, package.version) if error.status == 409 else None
        if version_id is None:
            raise
        return Uploaded(pipeline_id, version_id, package.version, "nothing")
    return Uploaded(pipeline_id, made.pipeline_version_id, package.version, news)


def experiment(client: Kubeflow, name: str) -> str:
    """Id of the experiment of that name, made where there is none.

    Raises:
        InputError: it is archived.
        KubeflowError: the server refuses.
    """
    namespace = client.get_user_namespace() or None
    found = client.list_experiments(filter=_named(name), namespace=namespace).experiments or []
    if not found:
        wanted = kfp_server_api.V2beta1Experiment(display_name=name, namespace=namespace)
        return str(client.experiments.experiment_service_create_experiment(experiment=wanted).experiment_id)
    if found[0].storage_state == "ARCHIVED":
        raise InputError(f"experiment {name!r} is archived; restore it in the UI, or say another with --experiment")
    return str(found[0].experiment_id)


def pages(ask: Any) -> Iterator[Any]:
    """All answers to a question that is answered page by page; `ask` takes `page_token` and `page_size`."""
    token = ""
    while True:
        page = ask(page_token=token, page_size=_PAGE)
        yield page
        token = page.next_page_token
        if not token:
            return


def _pipeline(client: Kubeflow, name: str) -> tuple[str, Literal["pipeline", "version"]]:
    """Id of the pipeline of that name, made where there is none, and what is new about it."""
    namespace = client.get_user_namespace() or None
    if pipeline_id := _pipeline_there(client, name, namespace):
        return pipeline_id, "version"
    try:
        wanted = kfp_server_api.V2beta1Pipeline(display_name=name, namespace=namespace)
        return str(client.pipelines.pipeline_service_create_pipeline(pipeline=wanted).pipeline_id), "pipeline"
    except KubeflowError as error:
        pipeline_id = _pipeline_there(client, name, namespace) if error.status == 409 else None
        if not pipeline_id:
            raise
        return pipeline_id, "version"


def _pipeline_there(client: Kubeflow, name: str, namespace: str | None) -> str | None:
    found = client.list_pipelines(filter=_named(name), namespace=namespace).pipelines or []
    return str(found[0].pipeline_id) if found else None


def _version(client: Kubeflow, pipeline_id: str, name: str) -> str | None:
    found = client.list_pipeline_versions(pipeline_id, filter=_named(name)).pipeline_versions or []
    return str(found[0].pipeline_version_id) if found else None


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": 1, "key": "display_name", "stringValue": name}]})  # 1: equals
