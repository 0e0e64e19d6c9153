"""Call Kubeflow Pipelines by its own client, with each failure of the API as an error of one sentence."""

import json
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kfp
from kfp.client.token_credentials_base import TokenCredentialsBase
from kfp_server_api import Configuration, V2beta1GetHealthzResponse
from kfp_server_api.exceptions import ApiException
from kfp_server_api.rest import RESTClientObject, RESTResponse
from urllib3.exceptions import HTTPError

from components.contract.errors import InputError, KubeflowError
from pipeline.kubeflow.submit.api_errors import Request, from_network, from_redirect, from_response, not_json

TOKEN, UI = "KF_PIPELINES_TOKEN", "KF_PIPELINES_UI_ENDPOINT"
_HEALTH = "/apis/{}/healthz"


@dataclass(frozen=True)
class Endpoint:
    """An address of Kubeflow Pipelines, with credentials.

    Attributes:
        host: address of its UI or its API, `https://kubeflow.example.com/pipeline`.
        token_file: contains a bearer token; None: the environment's `KF_PIPELINES_TOKEN`, where it is set.
        namespace: of the user; None: the server has one for all.
        ca: file of the certificates to trust; None: those that Python trusts.
        timeout_s: for each response.
    """

    host: str
    token_file: Path | None = None
    namespace: str | None = None
    ca: Path | None = None
    timeout_s: float = 30.0

    @property
    def url(self) -> str:
        """The address, with its protocol and without a trailing slash."""
        return (self.host if "://" in self.host else f"https://{self.host}").rstrip("/")

    def page(self, kind: str, key: str) -> str:
        """Return the address of a page of the UI, `kind` being `runs`, `recurringrun` or `pipelines`."""
        return f"{os.environ.get(UI, self.url).rstrip('/')}/#/{kind}/details/{key}"


class Kubeflow(kfp.Client):
    """kfp.Client that sends no request when it is constructed, and whose every failure is a KubeflowError."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        token = _Token(endpoint.token_file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # about servers before 2.0
            super().__init__(
                host=endpoint.url, ssl_ca_cert=str(endpoint.ca) if endpoint.ca else None, credentials=token if token.read() else None
            )
        if endpoint.namespace:
            self._context_setting["namespace"] = endpoint.namespace
        self._existing_config.retries = False  # three silent retries would treble each time-out
        self._run_api.api_client.rest_client = _Rest(self._existing_config, endpoint.timeout_s)

    def get_kfp_healthz(self, sleep_duration: int = 5) -> V2beta1GetHealthzResponse:
        """Skip kfp.Client's health check, which silently retries five times, 5 s apart; `connect` checks once."""
        del sleep_duration
        return V2beta1GetHealthzResponse()

    def run_spec(self, run: Any) -> dict[str, Any]:
        """Return the PipelineSpec of a run, empty where the server doesn't return it."""
        spec = run.pipeline_spec
        if not spec and run.pipeline_version_reference:
            reference = run.pipeline_version_reference
            spec = self.get_pipeline_version(reference.pipeline_id, reference.pipeline_version_id).pipeline_spec
        pipeline_spec: dict[str, Any] = (spec or {}).get("pipeline_spec", spec or {})  # nested where there is a platform document
        return pipeline_spec

    def text(self, path: str) -> str:
        """Return the response to a GET that kfp.Client has no method for."""
        api = self._run_api.api_client
        headers: dict[str, str] = {}
        api.update_params_for_auth(headers, [], ["Bearer"])
        return bytes(api.rest_client.request("GET", api.configuration.host + path, headers=headers).data).decode("utf-8", "replace")

    def json(self, path: str) -> dict[str, Any]:
        """Return the response to a GET as a JSON object."""
        response = self.text(path)
        try:
            document = json.loads(response)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise not_json(Request("GET", self.endpoint.url + path), response)
        return document


def connect(endpoint: Endpoint) -> Kubeflow:
    """Return a client of a server that responds and is new enough.

    Raises:
        InputError: a file is missing, or the server needs a namespace.
        KubeflowError: no server of Kubeflow Pipelines 2.x responds.
    """
    if endpoint.ca and not endpoint.ca.is_file():
        raise InputError(f"--tls {endpoint.ca}: expected a file of certificates (PEM), there is none")
    client = Kubeflow(endpoint)
    try:
        health = client.json(_HEALTH.format("v2beta1"))
    except KubeflowError as error:
        if error.status == 404 and _responds(client, _HEALTH.format("v1beta1")):
            raise KubeflowError(
                f"{endpoint.url}: expected Kubeflow Pipelines 2.0 or later, got 1.x (it has no API v2beta1); have it upgraded", status=404
            ) from None
        raise
    if (health.get("multi_user") or health.get("apiServerMultiUser")) and not client.get_user_namespace():
        raise InputError(f"{endpoint.url}: expected --namespace, since this Kubeflow has one for each user; say yours")
    return client


def _responds(client: Kubeflow, path: str) -> bool:
    try:
        client.json(path)
    except KubeflowError:
        return False
    return True


class _Token(TokenCredentialsBase):
    """A token, read again for each request: Kubernetes' tokens expire after an hour, a run may take longer."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def refresh_api_key_hook(self, config: Configuration) -> None:
        config.api_key["authorization"] = self.read()

    def read(self) -> str:
        if not self._file:
            return os.environ.get(TOKEN, "")
        try:
            token = self._file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--token-file {self._file}: expected a file with a bearer token, can't read it ({error})") from None
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise InputError(f"--token-file {self._file}: expected one bearer token, got {'more than a word' if token else 'nothing'}")
        return token


class _Rest(RESTClientObject):
    """The transport of all requests, with a time-out and with errors translated."""

    def __init__(self, config: Configuration, timeout_s: float) -> None:
        super().__init__(config)
        self._timeout_s = timeout_s

    def request(self, method: str, url: str, **rest: Any) -> RESTResponse:
        request = Request(method, url.partition("?")[0], token="authorization" in (rest.get("headers") or {}), timeout_s=self._timeout_s)
        rest["_request_timeout"] = rest.get("_request_timeout") or (self._timeout_s, self._timeout_s)
        try:
            response = super().request(method, url, **rest)
        except ApiException as error:
            if not error.status:
                raise from_network(request, error.reason) from None
            if 300 <= error.status < 400:
                raise from_redirect(request, error.status, error.headers.get("location", "")) from None
            raise from_response(request, error.status, bytes(error.body or b"").decode("utf-8", "replace")) from None
        except HTTPError as error:
            raise from_network(request, f"{type(error).__name__}: {error}") from None
        if "html" in (response.getheader("content-type") or ""):
            raise not_json(request, bytes(response.data).decode("utf-8", "replace"))
        return response
