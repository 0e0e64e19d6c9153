"""Kubeflow Pipelines' own client, but that each way in which its API can fail is one sentence."""

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
from pipeline.kubeflow.submit.api_errors import Asked, from_answer, from_network, from_redirect, not_json

TOKEN, UI = "KF_PIPELINES_TOKEN", "KF_PIPELINES_UI_ENDPOINT"
_HEALTH = "/apis/{}/healthz"


@dataclass(frozen=True)
class Place:
    """Where Kubeflow Pipelines is.

    Attributes:
        host: address of its UI or its API, `https://kubeflow.example.com/pipeline`.
        token_file: holds a bearer token; None: the environment's `KF_PIPELINES_TOKEN`, where it is set.
        namespace: of the user, where there is one for each; None: there is one for all.
        ca: file of the certificates to trust; None: those that Python trusts.
        timeout_s: for each answer.
    """

    host: str
    token_file: Path | None = None
    namespace: str | None = None
    ca: Path | None = None
    timeout_s: float = 30.0

    @property
    def url(self) -> str:
        """The address, with its protocol and without a slash at the end."""
        return (self.host if "://" in self.host else f"https://{self.host}").rstrip("/")

    def page(self, kind: str, key: str) -> str:
        """Address of a page of the UI, `kind` being `runs`, `recurringrun` or `pipelines`."""
        return f"{os.environ.get(UI, self.url).rstrip('/')}/#/{kind}/details/{key}"


class Kubeflow(kfp.Client):
    """kfp.Client that asks nothing while it is made, and whose every failure is a KubeflowError."""

    def __init__(self, place: Place) -> None:
        self.place = place
        token = _Token(place.token_file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # that it works only with 2.0 and later
            super().__init__(host=place.url, ssl_ca_cert=str(place.ca) if place.ca else None, credentials=token if token.read() else None)
        if place.namespace:
            self._context_setting["namespace"] = place.namespace
        self._existing_config.retries = False  # three silent ones would treble each time-out
        self._run_api.api_client.rest_client = _Rest(self._existing_config, place.timeout_s)

    def get_kfp_healthz(self, sleep_duration: int = 5) -> V2beta1GetHealthzResponse:
        """Nothing: kfp.Client would ask five times, 5 s apart, before it lets anything be seen. `connect` asks once."""
        del sleep_duration
        return V2beta1GetHealthzResponse()

    def spec_of(self, run: Any) -> dict[str, Any]:
        """The PipelineSpec of a run, empty where the server doesn't hand it out."""
        spec = run.pipeline_spec
        if not spec and run.pipeline_version_reference:
            reference = run.pipeline_version_reference
            spec = self.get_pipeline_version(reference.pipeline_id, reference.pipeline_version_id).pipeline_spec
        inner: dict[str, Any] = (spec or {}).get("pipeline_spec", spec or {})  # with a platform document it stands one deeper
        return inner

    def text(self, path: str) -> str:
        """The answer to a GET that kfp.Client has no method for."""
        api = self._run_api.api_client
        headers: dict[str, str] = {}
        api.update_params_for_auth(headers, [], ["Bearer"])
        return bytes(api.rest_client.request("GET", api.configuration.host + path, headers=headers).data).decode("utf-8", "replace")

    def json(self, path: str) -> dict[str, Any]:
        """As `text`, for an answer that is a JSON object."""
        answer = self.text(path)
        try:
            found = json.loads(answer)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise not_json(Asked("GET", self.place.url + path), answer)
        return found


def connect(place: Place) -> Kubeflow:
    """A client of a server that is there and new enough.

    Raises:
        InputError: a file isn't there, or a namespace must be said.
        KubeflowError: no server of Kubeflow Pipelines 2.x answers.
    """
    if place.ca and not place.ca.is_file():
        raise InputError(f"--tls {place.ca}: expected a file of certificates (PEM), there is none")
    client = Kubeflow(place)
    try:
        health = client.json(_HEALTH.format("v2beta1"))
    except KubeflowError as error:
        if error.status == 404 and _answers(client, _HEALTH.format("v1beta1")):
            raise KubeflowError(
                f"{place.url}: expected Kubeflow Pipelines 2.0 or later, got 1.x (it has no API v2beta1); have it upgraded", status=404
            ) from None
        raise
    if (health.get("multi_user") or health.get("apiServerMultiUser")) and not client.get_user_namespace():
        raise InputError(f"{place.url}: expected --namespace, since this Kubeflow has one for each user; say yours")
    return client


def _answers(client: Kubeflow, path: str) -> bool:
    try:
        client.json(path)
    except KubeflowError:
        return False
    return True


class _Token(TokenCredentialsBase):
    """Read anew for each request: what Kubernetes gives out lasts an hour, a run may take longer."""

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
    """What all requests go through."""

    def __init__(self, config: Configuration, timeout_s: float) -> None:
        super().__init__(config)
        self._timeout_s = timeout_s

    def request(self, method: str, url: str, **rest: Any) -> RESTResponse:
        asked = Asked(method, url.partition("?")[0], token="authorization" in (rest.get("headers") or {}), timeout_s=self._timeout_s)
        rest["_request_timeout"] = rest.get("_request_timeout") or (self._timeout_s, self._timeout_s)
        try:
            answer = super().request(method, url, **rest)
        except ApiException as error:
            if not error.status:
                raise from_network(asked, error.reason) from None
            if 300 <= error.status < 400:
                raise from_redirect(asked, error.status, error.headers.get("location", "")) from None
            raise from_answer(asked, error.status, bytes(error.body or b"").decode("utf-8", "replace")) from None
        except HTTPError as error:
            raise from_network(asked, f"{type(error).__name__}: {error}") from None
        if "html" in (answer.getheader("content-type") or ""):
            raise not_json(asked, bytes(answer.data).decode("utf-8", "replace"))
        return answer
