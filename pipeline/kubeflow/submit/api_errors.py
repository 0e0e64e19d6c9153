"""What the API of Kubeflow Pipelines can answer in place of an answer, each as one sentence."""

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from components.contract.errors import KubeflowError

_FORWARD = "`kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80` gives http://localhost:8080"
_TOKEN = "give a valid token with --token-file or in KF_PIPELINES_TOKEN"


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        method: of HTTP.
        url: without its query.
        token: whether it carried one.
        timeout_s: that the answer may take.
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


def from_answer(asked: Asked, status: int, body: str) -> KubeflowError:
    """For an answer that says by its status that it is none."""
    said = _said(body)
    behind = f": {said}" if said else ""
    match status:
        case 401:
            got = "doesn't take the one it got" if asked.token else "got none"
            text = f"{asked.host} expected a token and {got} (401{behind}); {_TOKEN}"
        case 403:
            text = (
                f"{asked.host} doesn't allow {asked.what} to this user (403{behind}); check --namespace, or have the role kubeflow-edit"
                " given to you there"
            )
        case 404 if said:
            text = f"{asked.host} has none of what was asked for (404{behind}); check names, ids and --namespace"
        case 404:
            text = f"{asked.host} expected to be Kubeflow Pipelines, but has nothing at {urlsplit(asked.url).path} (404); check --host"
        case 409:
            text = f"{asked.host} has one of that name already (409{behind}); somebody else made it just now: try again"
        case 400 | 412 | 422:
            text = f"{asked.host} refused {asked.what} ({status}{behind})"
        case 429 | 502 | 503 | 504:
            text = f"{asked.host} is too busy, or just starting ({status}{behind}); try again in a while"
        case _:
            text = (
                f"{asked.host} failed at {asked.what} ({status}{behind}); its log says more: `kubectl logs -n kubeflow"
                " deployment/ml-pipeline`"
            )
    return KubeflowError(text, status=status)


def from_redirect(asked: Asked, status: int, location: str) -> KubeflowError:
    """For an answer that sends elsewhere: to a login page, or to the same address under https."""
    to, here = urlsplit(location), urlsplit(asked.url)
    if to.netloc.partition(":")[0] == here.netloc.partition(":")[0] and to.path == here.path:
        remedy = f"say --host {location.removesuffix(here.path[here.path.index('/apis/') :] if '/apis/' in here.path else '')}"
    else:
        remedy = f"that is a login page: {_TOKEN}, or go round it: {_FORWARD}"
    sent = location.partition("?")[0] or "nowhere"
    return KubeflowError(f"expected an answer from {asked.host}, was sent on to {sent} ({status}); {remedy}", status=status)


def not_json(asked: Asked, body: str) -> KubeflowError:
    """For a page or a text where JSON should be."""
    title = re.search(r"<title[^>]*>\s*(.*?)\s*</title>", body, re.IGNORECASE | re.DOTALL)
    if "<html" in body.lower() or title:
        got = f"a web page ({title[1]!r})" if title else "a web page"
        return KubeflowError(
            f"expected JSON from {asked.url}, got {got}: a login page (Dex, IAP), or --host isn't Kubeflow Pipelines; {_TOKEN},"
            f" or go round it: {_FORWARD}"
        )
    return KubeflowError(f"expected JSON from {asked.url}, got {body.strip()[:60]!r}; check --host")


def from_network(asked: Asked, reason: str) -> KubeflowError:
    """For no answer at all; `reason` begins with the name of urllib3's exception."""
    kind = reason.split(":")[0].split("\n")[0].strip()
    refused = re.search(r"certificate verify failed: ([^(]+?)\s*\(", reason)
    if refused:
        text = f"the certificate of {asked.host} isn't trusted ({refused[1]}); give its authority's with --tls FILE"
    elif kind == "SSLError":
        text = f"expected TLS from {asked.host}, got something else; is it http:// there?"
    elif kind in ("ReadTimeoutError", "ConnectTimeoutError"):
        text = f"no answer from {asked.host} to {asked.what} within {asked.timeout_s:g} s; is it reachable from here (VPN, port-forward)?"
    elif kind == "NameResolutionError":
        text = f"there is no host {urlsplit(asked.url).hostname}; check --host"
    elif kind == "NewConnectionError":
        text = f"nothing listens at {asked.host}; check --host, or start the port-forward: {_FORWARD}"
    elif kind in ("ProtocolError", "IncompleteRead"):
        text = f"{asked.host} hung up during {asked.what}; is it https:// there, or just starting? try again"
    else:
        text = f"expected an answer from {asked.host}, got {reason.splitlines()[0]}; check --host"
    return KubeflowError(text)


def _said(body: str) -> str:
    """What the server says for people: of gRPC's gateway the message in `details`, of uploads `error_message`."""
    try:
        given = json.loads(body)
    except ValueError:
        plain = body.strip()
        return "" if "<" in plain or plain.lower() in ("404 page not found", "not found") else _short(plain)
    if not isinstance(given, dict):
        return ""
    details = [str(each["message"]) for each in given.get("details") or () if isinstance(each, dict) and each.get("message")]
    return _short(details[0] if details else str(given.get("error_message") or given.get("message") or given.get("error") or ""))


def _short(text: str) -> str:
    return " ".join(text.split())[:300]
