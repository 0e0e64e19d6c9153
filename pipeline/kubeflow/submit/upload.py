"""Upload a compiled pipeline, and create an experiment to run it in, unless the server has them already."""

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
        created: what is new: the pipeline, this version of it, or nothing.
    """

    pipeline_id: str
    version_id: str
    version: str
    created: Literal["pipeline", "version", "nothing"]


def upload(client: Kubeflow, package: Package) -> Uploaded:
    """Return the version with the content of `package`, uploaded if need be; a version's name has the content's digest.

    Raises:
        KubeflowError: the server refuses.
    """
    pipeline_id, created = _get_or_create_pipeline(client, package.name)
    version_id = _existing_version(client, pipeline_id, package.version) if created == "version" else None
    if version_id:
        return Uploaded(pipeline_id, version_id, package.version, "nothing")
    try:
        # `upload_pipeline_version` of kfp.Client is this and a print.
        new_version = client.pipeline_uploads.upload_pipeline_version(str(package.file), name=package.version, pipelineid=pipeline_id)
    except KubeflowError as error:
        version_id = _existing_version(client, pipeline_id, package.version) if error.status == 409 else None
        if version_id is None:
            raise
        return Uploaded(pipeline_id, version_id, package.version, "nothing")
    return Uploaded(pipeline_id, new_version.pipeline_version_id, package.version, created)


def get_or_create_experiment(client: Kubeflow, name: str) -> str:
    """Return the id of the experiment of that name, created if need be.

    Raises:
        InputError: it is archived.
        KubeflowError: the server refuses.
    """
    namespace = client.get_user_namespace() or None
    matches = client.list_experiments(filter=_name_filter(name), namespace=namespace).experiments or []
    if not matches:
        new = kfp_server_api.V2beta1Experiment(display_name=name, namespace=namespace)
        return str(client.experiments.experiment_service_create_experiment(experiment=new).experiment_id)
    if matches[0].storage_state == "ARCHIVED":
        raise InputError(f"experiment {name!r} is archived; restore it in the UI, or say another with --experiment")
    return str(matches[0].experiment_id)


def all_pages(list_page: Any) -> Iterator[Any]:
    """Yield every page of a paginated request; `list_page` takes `page_token` and `page_size`."""
    token = ""
    while True:
        page = list_page(page_token=token, page_size=_PAGE)
        yield page
        token = page.next_page_token
        if not token:
            return


def _get_or_create_pipeline(client: Kubeflow, name: str) -> tuple[str, Literal["pipeline", "version"]]:
    """Return the id of the pipeline of that name, created if need be, and what an upload to it adds."""
    namespace = client.get_user_namespace() or None
    if pipeline_id := _existing_pipeline(client, name, namespace):
        return pipeline_id, "version"
    try:
        new = kfp_server_api.V2beta1Pipeline(display_name=name, namespace=namespace)
        return str(client.pipelines.pipeline_service_create_pipeline(pipeline=new).pipeline_id), "pipeline"
    except KubeflowError as error:
        pipeline_id = _existing_pipeline(client, name, namespace) if error.status == 409 else None
        if not pipeline_id:
            raise
        return pipeline_id, "version"


def _existing_pipeline(client: Kubeflow, name: str, namespace: str | None) -> str | None:
    matches = client.list_pipelines(filter=_name_filter(name), namespace=namespace).pipelines or []
    return str(matches[0].pipeline_id) if matches else None


def _existing_version(client: Kubeflow, pipeline_id: str, name: str) -> str | None:
    matches = client.list_pipeline_versions(pipeline_id, filter=_name_filter(name)).pipeline_versions or []
    return str(matches[0].pipeline_version_id) if matches else None


def _name_filter(name: str) -> str:
    return json.dumps({"predicates": [{"operation": 1, "key": "display_name", "stringValue": name}]})  # 1: equals
