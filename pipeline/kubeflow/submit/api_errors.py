"""Translate failures of Kubeflow Pipelines' API to errors, one sentence each."""

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from components.contract.errors import KubeflowError

_FORWARD = "`kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80` gives http://localhost:8080"
_TOKEN = "give a valid token with --token-file or in KF_PIPELINES_TOKEN"


@dataclass(frozen=True)
class Request:
    """An HTTP request to the API.

    Attributes:
        method: `GET`, `POST` and so on.
        url: without the query.
        token: whether it had one.
        timeout_s: for the response.
    """

    method: str
    url: str
    token: bool = False
    timeout_s: float = 0.0

    @property
    def host(self) -> str:
        """Protocol, host and port."""
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.url))

    @property
    def what(self) -> str:
        """Method and path."""
        return f"{self.method} {urlsplit(self.url).path}"


def from_response(request: Request, status: int, body: str) -> KubeflowError:
    """Return the error for a response with an error status."""
    message = _message(body)
    detail = f": {message}" if message else ""
    match status:
        case 401:
            received = "doesn't take the one it got" if request.token else "got none"
            text = f"{request.host} expected a token and {received} (401{detail}); {_TOKEN}"
        case 403:
            text = (
                f"{request.host} doesn't allow {request.what} to this user (403{detail}); check --namespace, or have the role kubeflow-edit"
                " given to you there"
            )
        case 404 if message:
            text = f"{request.host} has none of what was asked for (404{detail}); check names, ids and --namespace"
        case 404:
            text = f"{request.host} expected to be Kubeflow Pipelines, but has nothing at {urlsplit(request.url).path} (404); check --host"
        case 409:
            text = f"{request.host} has one of that name already (409{detail}); somebody else made it just now: try again"
        case 400 | 412 | 422:
            text = f"{request.host} refused {request.what} ({status}{detail})"
        case 429 | 502 | 503 | 504:
            text = f"{request.host} is too busy, or just starting ({status}{detail}); try again in a while"
        case _:
            text = (
                f"{request.host} failed at {request.what} ({status}{detail}); its log says more: `kubectl logs -n kubeflow"
                " deployment/ml-pipeline`"
            )
    return KubeflowError(text, status=status)


def from_redirect(request: Request, status: int, location: str) -> KubeflowError:
    """Return the error for a redirect: to a login page, or to the same address under https."""
    to, here = urlsplit(location), urlsplit(request.url)
    if to.netloc.partition(":")[0] == here.netloc.partition(":")[0] and to.path == here.path:
        remedy = f"say --host {location.removesuffix(here.path[here.path.index('/apis/') :] if '/apis/' in here.path else '')}"
    else:
        remedy = f"that is a login page: {_TOKEN}, or go round it: {_FORWARD}"
    sent = location.partition("?")[0] or "nowhere"
    return KubeflowError(f"expected an answer from {request.host}, was sent on to {sent} ({status}); {remedy}", status=status)


def not_json(request: Request, body: str) -> KubeflowError:
    """Return the error for a page or a text in place of JSON."""
    title = re.search(r"<title[^>]*>\s*(.*?)\s*</title>", body, re.IGNORECASE | re.DOTALL)
    if "<html" in body.lower() or title:
        received = f"a web page ({title[1]!r})" if title else "a web page"
        return KubeflowError(
            f"expected JSON from {request.url}, got {received}: a login page (Dex, IAP), or --host isn't Kubeflow Pipelines; {_TOKEN},"
            f" or go round it: {_FORWARD}"
        )
    return KubeflowError(f"expected JSON from {request.url}, got {body.strip()[:60]!r}; check --host")


def from_network(request: Request, reason: str) -> KubeflowError:
    """Return the error for a request without a response; `reason` begins with the name of urllib3's exception."""
    kind = reason.split(":")[0].split("\n")[0].strip()
    refused = re.search(r"certificate verify failed: ([^(]+?)\s*\(", reason)
    if refused:
        text = f"the certificate of {request.host} isn't trusted ({refused[1]}); give its authority's with --tls FILE"
    elif kind == "SSLError":
        text = f"expected TLS from {request.host}, got something else; is it http:// there?"
    elif kind in ("ReadTimeoutError", "ConnectTimeoutError"):
        within = f"within {request.timeout_s:g} s; is it reachable from here (VPN, port-forward)?"
        text = f"no answer from {request.host} to {request.what} {within}"
    elif kind == "NameResolutionError":
        text = f"there is no host {urlsplit(request.url).hostname}; check --host"
    elif kind == "NewConnectionError":
        text = f"nothing listens at {request.host}; check --host, or start the port-forward: {_FORWARD}"
    elif kind in ("ProtocolError", "IncompleteRead"):
        text = f"{request.host} hung up during {request.what}; is it https:// there, or just starting? try again"
    else:
        text = f"expected an answer from {request.host}, got {reason.splitlines()[0]}; check --host"
    return KubeflowError(text)


def _message(body: str) -> str:
    """Return the server's error message: of gRPC's gateway the message in `details`, of uploads `error_message`."""
    try:
        document = json.loads(body)
    except ValueError:
        plain = body.strip()
        return "" if "<" in plain or plain.lower() in ("404 page not found", "not found") else _short(plain)
    if not isinstance(document, dict):
        return ""
    details = [str(each["message"]) for each in document.get("details") or () if isinstance(each, dict) and each.get("message")]
    return _short(details[0] if details else str(document.get("error_message") or document.get("message") or document.get("error") or ""))


def _short(text: str) -> str:
    return " ".join(text.split())[:300]
