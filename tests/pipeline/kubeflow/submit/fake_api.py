"""Kubeflow Pipelines' API v2beta1 on loopback, as the server's source has it: as strict in what it takes, as sparing in what it tells.

Read in kubeflow/pipelines 2.16 and 2.17: `backend/src/apiserver/{server,template,resource}`, and the Argo workflow that
`backend/src/v2/compiler/argocompiler` makes of a pipeline. A run goes one state further each time that it is asked for.
"""

import base64
import gzip
import json
import re
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec, PlatformSpec

_BEGAN = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
_YEAR_ONE = "0001-01-01T00:00:00Z"  # how the server says "not yet"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14}
_KINDS: dict[str, type | tuple[type, ...]] = {
    "STRING": str,
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}
# Fields that a request may have; protojson refuses any other.
_RUN = {"display_name", "description", "experiment_id", "pipeline_version_reference", "pipeline_spec", "runtime_config", "service_account"}
_FIELDS = {
    "pipelines": {"display_name", "name", "description", "namespace", "tags"},
    "experiments": {"display_name", "description", "namespace"},
    "runs": _RUN,
    "recurringruns": _RUN | {"max_concurrency", "trigger", "mode", "no_catchup", "namespace"},
}
_RUNTIME = {"parameters", "pipeline_root"}
_ROOT = re.compile(r"(gs|s3|minio)://[^/?]+(/[^?]*)?(\?.+)?")
_KEYS = {"pipelines": "pipeline_id", "experiments": "experiment_id", "runs": "run_id", "recurringruns": "recurring_run_id"}


class Refusal(Exception):  # noqa: N818 - an answer
    """Answered as gRPC's gateway does: what is meant for people stands in the details."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def body(self) -> dict[str, Any]:
        code, text = _CODES[self.status], str(self)
        inner = f"rpc error: {text}: goroutine 1 [running]"
        return {
            "error": inner,
            "code": code,
            "message": inner,
            "details": [{"@type": "type.googleapis.com/google.rpc.Status", "code": code, "message": text}],
        }


@dataclass
class Fault:
    """An answer out of turn to requests that fit, `times` of them; `hang_s` waits first, `hang_up` closes the connection instead."""

    method: str
    path: str
    status: int = 500
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    hang_up: bool = False
    times: int = 1_000_000


@dataclass
class Script:
    """How runs go: the steps, the one that fails and how, what pods write and were given, and how the run ends."""

    steps: Sequence[str] = ()
    failing: str = ""
    message: str = "Error (exit code 1)"
    driver_fails: bool = False
    logs: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # by step and input artifact, its metadata
    stands_at: str = ""  # never gets past this step,
    pending: str = ""  # since its container can't start, for this reason


@dataclass
class FakeKubeflow:
    """What the server holds. `token` must come with each request; `tells_workflows` says whether it still answers v1beta1."""

    host: str = ""
    token: str = ""
    multi_user: bool = False
    v2: bool = True
    tells_workflows: bool = True
    packs_nodes: bool = False  # as Argo does with those of a workflow above 1 MB
    script: Script = field(default_factory=Script)
    faults: list[Fault] = field(default_factory=list)
    page_limit: int = 100
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recurringruns: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    _frames: dict[str, int] = field(default_factory=dict)
    _made: int = 0

    def key(self, kind: str) -> str:
        self._made += 1
        return f"{kind}-{self._made:04d}"

    # -- what is asked ------------------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> Any:
        if not self.v2 and path.startswith("/apis/v2beta1/"):
            raise FileNotFoundError
        match method, path.removeprefix("/apis/").split("/"):
            case "GET", [_, "healthz"]:
                return {"multi_user": self.multi_user, "pipeline_store": "database"} if "v2beta1" in path else {"tag_name": "1.8.5"}
            case "GET", ["v1beta1", "runs", key]:
                if not self.tells_workflows:
                    raise FileNotFoundError
                return {"run": {"id": key}, "pipeline_runtime": {"workflow_manifest": json.dumps(self.workflow(key))}}
            case "POST", ["v2beta1", "pipelines", "upload_version"]:
                return self.upload_version(query, headers, body)
            case "GET", ["v2beta1", "pipelines", pipeline, "versions"]:
                return self.listed("pipeline_versions", [v for v in self.versions.values() if v["pipeline_id"] == pipeline], query)
            case "GET", ["v2beta1", "pipelines", pipeline, "versions", key]:
                return self.one(self.versions, key, "pipeline version") if self.one(self.pipelines, pipeline, "pipeline") else None
            case "POST", ["v2beta1", "runs", action] if action.endswith(":terminate"):
                run = self.one(self.runs, action.removesuffix(":terminate"), "run")
                run["state_history"] = [{"state": "RUNNING"}, {"state": "CANCELING"}]
                return {}
            case "POST", ["v2beta1", "recurringruns", action] if ":" in action:
                key, _, mode = action.partition(":")
                self.one(self.recurringruns, key, "recurring run")["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[mode]
                return {}
            case "DELETE", ["v2beta1", "recurringruns", key]:
                self.one(self.recurringruns, key, "recurring run")
                del self.recurringruns[key]
                return {}
            case "GET", ["v2beta1", "runs", key]:
                return self.run(key)
            case "GET", ["v2beta1", kind] if kind in _KEYS:
                known = {"runs": "runs", "recurringruns": "recurringRuns"}.get(kind, kind)
                return self.listed(known, list(getattr(self, kind).values()), query)
            case "POST", ["v2beta1", kind] if kind in _KEYS:
                return self.create(kind, body)
        raise FileNotFoundError

    def one(self, held: dict[str, dict[str, Any]], key: str, kind: str) -> dict[str, Any]:
        if key not in held:
            raise Refusal(404, f"{kind} {key} not found")
        return held[key]

    def listed(self, name: str, rows: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        if self.multi_user and name != "pipeline_versions" and not query.get("namespace"):
            raise Refusal(400, "A list request must have a namespace in multi-user mode")
        if query.get("namespace"):
            rows = [row for row in rows if row.get("namespace", "") == query["namespace"]]
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", ()):
            if set(predicate) != {"operation", "key", "stringValue"} or predicate["operation"] not in (1, "EQUALS"):
                raise Refusal(400, f"filter can't be read: {predicate}")
            rows = [row for row in rows if row.get(predicate["key"]) == predicate["stringValue"]]
        if query.get("sort_by"):
            key, _, order = query["sort_by"].partition(" ")
            rows = sorted(rows, key=lambda row: str(row[key]), reverse=order == "desc")
        start, size = int(query.get("page_token") or 0), min(int(query.get("page_size") or 20), self.page_limit)
        next_page = {"next_page_token": str(start + size)} if start + size < len(rows) else {}
        return ({name: rows[start : start + size], "total_size": len(rows)} if rows else {}) | next_page

    def create(self, kind: str, body: bytes) -> dict[str, Any]:
        resource = json.loads(body)
        unknown = set(resource) - _FIELDS[kind]
        if unknown:
            raise Refusal(400, f"unknown field {sorted(unknown)[0]!r}")
        if not resource.get("display_name"):
            raise Refusal(400, f"The {kind} name is empty. Please specify a valid name")
        if kind in ("pipelines", "experiments"):
            if bool(resource.get("namespace")) != self.multi_user:
                raise Refusal(400, f"namespace {'can not be empty' if self.multi_user else 'must be empty'} in this mode")
            if any(row["display_name"] == resource["display_name"] for row in getattr(self, kind).values()):
                raise Refusal(409, f"The name {resource['display_name']} already exist")
        else:
            self.one(self.experiments, resource.get("experiment_id", ""), "experiment")
            reference = resource["pipeline_version_reference"]
            version = self.one(self.versions, reference.get("pipeline_version_id", ""), "pipeline version")
            if version["pipeline_id"] != reference["pipeline_id"]:
                raise Refusal(400, "the version belongs to another pipeline")
            runtime = resource.get("runtime_config", {})
            if unknown := set(runtime) - _RUNTIME:
                raise Refusal(400, f"unknown field {sorted(unknown)[0]!r}")
            self.check_parameters(version, runtime.get("parameters", {}))
        if kind == "recurringruns":
            fields = resource["trigger"]["cron_schedule"]["cron"].split()
            if len(fields) not in (5, 6):
                raise Refusal(400, f"Schedule cron is not a valid cron: Expected 5 to 6 fields, found {len(fields)}")
            if not 1 <= int(resource["max_concurrency"]) <= 10:
                raise Refusal(400, "The max concurrency must be in range [1, 10]")
            resource |= {"status": {"ENABLE": "ENABLED", "DISABLE": "DISABLED"}[resource.pop("mode")]}
            resource |= {"namespace": self.experiments[resource["experiment_id"]].get("namespace", "")}
        key = self.key({"recurringruns": "schedule"}.get(kind, kind.removesuffix("s")))
        state = {"storage_state": "AVAILABLE"} if kind == "experiments" else {"state": "PENDING"} if kind == "runs" else {}
        getattr(self, kind)[key] = {_KEYS[kind]: key, **resource, **state}
        return dict(getattr(self, kind)[key])

    def check_parameters(self, version: dict[str, Any], values: dict[str, Any]) -> None:
        declared = version["pipeline_spec"]["pipeline_spec"]["root"].get("inputDefinitions", {}).get("parameters", {})
        for name, declaration in declared.items():
            if name not in values:
                if not declaration.get("isOptional") and "defaultValue" not in declaration:
                    raise Refusal(400, f"parameter {name} is not optional, yet has neither default value nor user provided value")
            elif not isinstance(values[name], _KINDS[declaration["parameterType"]]):
                raise Refusal(400, f"input parameter {name} requires type {declaration['parameterType']}")
        if extra := set(values) - set(declared):
            raise Refusal(400, f"parameter(s) provided are not required by pipeline: {', '.join(sorted(extra))}")

    def upload_version(self, query: dict[str, str], headers: Any, body: bytes) -> dict[str, Any]:
        self.one(self.pipelines, query.get("pipelineid", ""), "pipeline")
        parts = message_from_bytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body).get_payload()
        (part,) = [each for each in parts if each.get_param("name", header="content-disposition") == "uploadfile"]
        if not str(part.get_filename()).endswith((".yaml", ".yml")):
            raise UploadError(400, "Failed to read a pipeline spec file")
        spec, platform = _read(part.get_payload(decode=True))
        if any(each["display_name"] == query["name"] for each in self.versions.values()):
            raise UploadError(409, "Failed to create a pipeline version")
        key = self.key("version")
        self.versions[key] = {
            "pipeline_id": query["pipelineid"],
            "pipeline_version_id": key,
            "display_name": query["name"],
            "pipeline_spec": {"pipeline_spec": spec, "platform_spec": platform},
        }
        return self.versions[key]

    def end(self, key: str) -> None:
        """Let the workflow of a run be that of one which has gone through all of its steps."""
        self._frames[key] = 2 * len(self.script.steps) + 1

    # -- how a run goes -----------------------------------------------------------------------------------------------------------

    def run(self, key: str) -> dict[str, Any]:
        run = self.one(self.runs, key, "run")
        frame = self._frames[key] = self._frames.get(key, -1) + 1
        tasks = self.tasks(key, frame)
        states = {task["display_name"]: task["state"] for task in tasks}
        if run.get("state_history"):
            run["state"] = "FAILED"  # Argo knows no other way to end one early
        elif "FAILED" in states.values():
            run["state"] = "FAILED"
        elif (root := run.get("runtime_config", {}).get("pipeline_root")) and not _ROOT.fullmatch(root):
            run["state"] = "FAILED"  # the server takes any; the driver of the whole graph ends at it
        elif all(states.get(step) == "SUCCEEDED" for step in self.script.steps):
            run["state"] = "SUCCEEDED"
        else:
            run["state"] = "RUNNING"
        return run | {"run_details": {"task_details": tasks}}

    def tasks(self, key: str, frame: int) -> list[dict[str, Any]]:
        """A task for each node of the workflow, as the server stores them: no error, no pod, no word of what they made."""
        details = []
        for node in self.nodes(key, frame).values():
            child = [{"pod_name": each} for each in node["children"]]
            details.append(
                {
                    "run_id": key,
                    "task_id": f"task-{node['id']}",
                    "display_name": node["displayName"],
                    "create_time": _BEGAN.isoformat(),
                    "start_time": node["startedAt"],
                    "end_time": node.get("finishedAt") or _YEAR_ONE,
                    "state": {"Error": "FAILED", "Failed": "FAILED"}.get(node["phase"], node["phase"].upper()),
                    "execution_id": "0",
                    "child_tasks": child,
                }
            )
        return details

    def workflow(self, key: str) -> dict[str, Any]:
        self.one(self.runs, key, "run")
        nodes: dict[str, Any] = {"nodes": self.nodes(key, self._frames.get(key, 0))}
        if self.packs_nodes:
            nodes = {"compressedNodes": base64.b64encode(gzip.compress(json.dumps(nodes["nodes"]).encode())).decode()}
        return {"metadata": {"name": f"wf-{key}", "namespace": "kubeflow"}, "status": {"phase": "Failed"} | nodes}

    def nodes(self, key: str, frame: int) -> dict[str, dict[str, Any]]:
        """Argo's nodes: two pods and a part of the workflow for each step, one step after the other."""
        name, nodes = f"wf-{key}", {}

        def node(shown: str, kind: str, template: str, boundary: str, phase: str, start: int, seconds: int | None) -> str:
            made = f"{name}-{1000 + len(nodes)}"
            nodes[made] = {
                "id": made,
                "displayName": shown,
                "type": kind,
                "templateName": template,
                "boundaryID": boundary,
                "phase": phase,
                "startedAt": _iso(start),
                "children": [],
            } | ({"finishedAt": _iso(start + seconds)} if seconds is not None else {})
            return made

        root = node("root", "DAG", "root", "", "Running", 0, None)
        node("root-driver", "Pod", "system-dag-driver", "", "Succeeded", 0, 4)
        script, at, moment = self.script, 0, 10
        for number, step in enumerate(script.steps):
            seconds, fails = 65 * (number + 1), step == script.failing
            stuck = step == script.stands_at
            if frame < at or (number and "Failed" in {each["phase"] for each in nodes.values()}):
                break
            early = frame == at or (stuck and frame == at)
            broken = fails and script.driver_fails
            phase = "Running" if early else "Failed" if broken else "Succeeded"
            driver = node(f"{step}-driver", "Pod", "system-container-driver", root, phase, moment, None if early else 5)
            if broken and not early:
                nodes[driver] |= {"message": script.message}
            elif not early:
                nodes[driver] |= {"outputs": {"parameters": self.driver_outputs(key, step)}}
            if early or broken:
                break
            running = frame == at + 1 or stuck
            phase = "Running" if running else "Failed" if fails else "Succeeded"
            took = None if running else seconds
            part = node(step, "DAG", "system-container-executor", root, phase, moment + 5, took)
            pod = node("executor", "Pod", "system-container-impl", part, phase, moment + 6, took)
            nodes[part]["children"] = [pod]
            if stuck and script.pending:
                nodes[pod] |= {"phase": "Pending", "message": script.pending}
            if fails and not running:
                nodes[pod] |= {"message": script.message}
            if running:
                break
            at, moment = at + 2, moment + 10 + seconds
        return nodes

    def driver_outputs(self, key: str, step: str) -> list[dict[str, str]]:
        """What a container driver leaves for the workflow: the pod of its step, whose launcher is given `ExecutorInput`."""
        artifacts = {
            name: {"artifacts": [{"name": "7", "uri": f"minio://b/{key}/{name}", "type": {"instanceSchema": ""}, "metadata": metadata}]}
            for name, metadata in self.script.inputs.get(step, {}).items()
        }
        executor_input = {
            "inputs": {"parameterValues": {}, "artifacts": artifacts},
            "outputs": {"outputFile": "/minio/b/output_metadata.json"},
        }
        command = [
            "/kfp-launcher/launch",
            "--executor_type",
            "container",
            "--run_id",
            key,
            "--executor_input",
            json.dumps(executor_input),
            "--",
        ]
        patch = {"containers": [{"name": "main", "image": "shelfrank/pipeline:1", "command": command, "args": ["true"], "resources": {}}]}
        values = {"pod-spec-patch": json.dumps(patch), "cached-decision": "false", "condition": "nil"}
        return [{"name": name, "value": value} for name, value in values.items()]

    def log(self, query: dict[str, str]) -> str:
        nodes = self.nodes(query["runid"], self._frames.get(query["runid"], 0))
        for node in nodes.values():
            if query["podname"] == f"wf-{query['runid']}-{node['templateName']}-{node['id'].rsplit('-', 1)[-1]}":
                step = node["displayName"] if node["displayName"] != "executor" else nodes[node["boundaryID"]]["displayName"]
                return self.script.logs.get(step, "")
        raise Refusal(404, f"pods {query['podname']!r} not found")


class UploadError(Refusal):
    """Uploads have another form of error."""

    def body(self) -> dict[str, Any]:
        return {"error_message": str(self), "error_details": str(self)}


def _iso(second: int) -> str:
    return (_BEGAN + timedelta(seconds=second)).isoformat()


def _read(text: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """`NewV2SpecTemplate`."""
    spec: dict[str, Any] = {}
    platform: dict[str, Any] = {}
    for document in yaml.safe_load_all(text):
        if "pipelineInfo" in document:
            if spec:
                raise UploadError(400, "multiple pipeline specs provided")
            try:
                read = json_format.ParseDict(document, PipelineSpec())
            except json_format.ParseError as error:
                raise UploadError(400, f"invalid v2 pipeline spec: {error}") from None
            if read.schema_version != "2.1.0":
                raise UploadError(400, f"KFP only supports schema version 2.1.0, but the pipeline spec has version {read.schema_version}")
            if not _NAME.fullmatch(read.pipeline_info.name):
                raise UploadError(400, "invalid v2 pipeline spec: name should consist of lower case alphanumeric characters")
            spec = document
        elif "kubernetes" in json_format.ParseDict(document, PlatformSpec()).platforms:
            platform = document
    if not spec:
        raise UploadError(400, "no pipeline spec is provided")
    return spec, platform


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet
    fake: FakeKubeflow

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.fake.asked.append(f"{self.command} {url.path}")
        for fault in self.fake.faults:
            if fault.times and fault.method == self.command and re.fullmatch(fault.path, url.path):
                fault.times -= 1
                time.sleep(fault.hang_s)
                if fault.hang_up:
                    self.close_connection = True
                    return
                self._reply(fault.status, fault.body.encode(), {"content-type": "application/json"} | fault.headers)
                return
        sent = self.headers.get("authorization", "")
        self.fake.tokens.append(sent)
        try:
            if self.fake.token and sent != f"Bearer {self.fake.token}":
                raise Refusal(401, "Request header error: there is no user identity header")
            if url.path == "/k8s/pod/logs":
                self._reply(200, self.fake.log(query).encode(), {"content-type": "text/plain"})
                return
            answer = self.fake.answer(self.command, url.path, query, self.headers, body)
            self._reply(200, json.dumps(answer).encode(), {"content-type": "application/json"})
        except Refusal as refusal:
            self._reply(refusal.status, json.dumps(refusal.body()).encode(), {"content-type": "application/json"})
        except FileNotFoundError:
            self._reply(404, b"404 page not found", {"content-type": "text/plain; charset=utf-8"})

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status, HTTPStatus(status).phrase)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked has given up
            self.wfile.write(body)
            self.wfile.flush()


def certificate(authority: Path, server: Path) -> None:
    """An authority that nobody trusts, and key and certificate of 127.0.0.1 signed by it."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("shop authority", "127.0.0.1")]
    host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    extensions = (x509.BasicConstraints(ca=True, path_length=None), host)
    texts = []
    for name, key, extension in zip(names, keys, extensions, strict=True):
        made = x509.CertificateBuilder(names[0], name, key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(_BEGAN - timedelta(days=3650)).not_valid_after(_BEGAN + timedelta(days=3650))
        texts.append(made.add_extension(extension, critical=True).sign(keys[0], hashes.SHA256()).public_bytes(Encoding.PEM))
    authority.write_bytes(texts[0])
    server.write_bytes(texts[1] + keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@contextmanager
def serving(fake: FakeKubeflow, *, certificate: Path | None = None) -> Iterator[FakeKubeflow]:
    """`fake` on a free port of loopback; with a PEM file of key and certificate over TLS."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    fake.host = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
