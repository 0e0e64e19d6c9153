"""What the REST API refuses, with which code and which words, as TensorFlow Serving does."""

import gzip
import json
from typing import Any

import pytest

from tests.serving.model_server.conftest import Client

PREDICT, ECHO = "/v1/models/default:predict", "/v1/models/echo:predict"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param("", "JSON Parse error: The document is empty", id="empty"),
        pytest.param("instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0", id="no-json"),
        pytest.param("[1, 2]", "JSON Value: [1, 2] Is not object", id="a-list"),
        pytest.param({}, "Missing 'inputs' or 'instances' key", id="nothing-in-it"),
        pytest.param(
            {"instances": [1], "inputs": [1]},
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
            id="both",
        ),
        pytest.param({"instances": 5}, "Expecting 'instances' to be an list/array", id="no-list"),
        pytest.param({"instances": []}, "No values in 'instances' array", id="no-rows"),
        pytest.param({"instances": ["x", "y"]}, 'JSON Value: "x" Type: String is not of expected type: float', id="text-for-float"),
        pytest.param({"inputs": [None]}, "Type: Null is not of expected type: float", id="null"),
        pytest.param({"inputs": [True]}, "Type: True is not of expected type: float", id="bool-for-float"),
        pytest.param({"inputs": [{"b64": "aGVsbG8="}]}, "Type: Object is not of expected type: float", id="bytes-for-float"),
        pytest.param({"instances": [[1, 2], [3, 4], [5, 6, 7]]}, "Expecting tensor size: 2 but got: 3", id="ragged-rows"),
        pytest.param({"instances": [1, [1]]}, "Expecting shape [] but got: [1]", id="another-rank"),
        pytest.param(
            {"instances": [[[1, 2], [3, 4, 5]]]}, "Encountered list at unexpected size: 3 at level: 1 expected size: 2", id="ragged-inside"
        ),
        pytest.param({"inputs": [[1, 2], [3]]}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2", id="ragged-columns"),
        pytest.param({"inputs": [[1], 2]}, "found at incorrect level: 2 in the JSON DOM. Expected at level: 2", id="a-value-among-lists"),
        pytest.param({"inputs": [1, [2]]}, "Encountered list at unexpected level: 1 expected < 1", id="a-list-among-values"),
        pytest.param({"signature_name": 100, "instances": [1]}, "'signature_name' key must be a string value.", id="signature-no-text"),
        pytest.param(
            {"signature_name": "S", "instances": [1]}, 'Serving signature name: "S" not found in signature def', id="unknown-signature"
        ),
        pytest.param({"instances": [{"x": 1}, 2]}, "Expecting object but got list at item 1 of input list", id="object-then-value"),
        pytest.param({"instances": [2, {"x": 1}]}, "Expecting value/list but got object at item 1 of input list", id="value-then-object"),
        pytest.param({"instances": [{"z": 1}]}, "JSON object: does not have named input: z", id="unknown-input"),
        pytest.param({"inputs": {"z": 1}}, "Missing named input: x in 'inputs' object.", id="missing-column"),
    ],
)
def test_a_body_that_is_no_request_is_refused(server: Client, body: Any, text: str) -> None:
    status, answer = server.post(PREDICT, body)
    assert status == 400
    assert text in answer["error"]


@pytest.mark.parametrize(
    ("signature", "body", "text"),
    [
        pytest.param(
            "two_inputs",
            {"instances": [1, 2]},
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map",
            id="plain-rows-for-two",
        ),
        pytest.param(
            "two_inputs",
            {"inputs": [1, 2]},
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map",
            id="plain-columns-for-two",
        ),
        pytest.param("two_inputs", {"instances": [{"int_tensor": 1}]}, "keys must be equal to: int_tensor,str_tensor", id="a-missing-key"),
        pytest.param("two_inputs", {"instances": [{"int_tensor": 1}]}, "Failed to process element: 0 of 'instances' list.", id="which-row"),
        pytest.param("int32", {"inputs": [1.5]}, "JSON Value: 1.5 Type: Number is not of expected type: int32", id="fraction"),
        pytest.param("int32", {"inputs": [2**31]}, "is not of expected type: int32", id="beyond-int32"),
        pytest.param("int64", {"inputs": [2**63]}, "is not of expected type: int64", id="beyond-int64"),
        pytest.param("uint32", {"inputs": [-1]}, "is not of expected type: uint32", id="negative"),
        pytest.param("bool", {"inputs": [1]}, "Type: Number is not of expected type: bool", id="number-for-bool"),
        pytest.param("string", {"inputs": [1]}, "Type: Number is not of expected type: string", id="number-for-text"),
        pytest.param("string", {"inputs": [{"b64": "!!"}]}, "Unable to base64 decode", id="no-base64"),
        pytest.param("string", {"inputs": [{"b64": "YQ==", "more": 1}]}, "not formatted correctly for base64 data", id="more-than-base64"),
        pytest.param("uneven", {"instances": [1, 2, 3]}, "has inconsistent batch size: ", id="outputs-of-other-lengths"),
    ],
)
def test_values_that_do_not_fit_the_signature_are_refused(server: Client, signature: str, body: dict[str, Any], text: str) -> None:
    status, answer = server.post(ECHO, {"signature_name": signature, **body})
    assert status == 400
    assert text in answer["error"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        pytest.param({"examples": {"x": 1.0}}, "Expecting 'examples' value to be an list/array", id="no-list"),
        pytest.param({"examples": []}, "'examples' value is an empty array", id="none"),
        pytest.param({}, "key 'examples' is expected and was not found", id="missing"),
        pytest.param({"examples": [[1.0]]}, "Example must be JSON object but got JSON Array", id="no-object"),
        pytest.param({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null", id="null"),
        pytest.param({"examples": [{"x": [1, 2.0]}]}, "Unexpected element type in feature: x expecting type: int64", id="mixed"),
        pytest.param({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array", id="nested"),
        pytest.param({"examples": [{"x": 2**63}]}, "Feature: x has uint64_t element. Only int64_t is supported.", id="uint64"),
        pytest.param({"examples": [{"x": {"a": 1}}]}, "Feature: x has element with unexpected JSON type: Object", id="object"),
        pytest.param({"context": 1, "examples": [{}]}, "Example must be JSON object but got JSON Number", id="context-no-object"),
    ],
)
@pytest.mark.parametrize("method", ["classify", "regress"])
def test_examples_that_are_none_are_refused(server: Client, method: str, given: dict[str, Any], text: str) -> None:
    status, answer = server.post(f"/v1/models/default:{method}", {"signature_name": f"{method}_x_to_y", **given})
    assert status == 400
    assert text in answer["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("GET", "/v1/models/default:predict"),
        ("POST", "/v1/models/default/metadata"),
        ("POST", "/v1/models/default"),
        ("POST", "/v1/models/default/versions/HELLO:regress"),
        ("POST", "/v1/models/default/versions/1/labels/stable:predict"),
        ("GET", "/v1/models/default/version/1"),
        ("POST", "/v1/models/default:explain"),
    ],
)
def test_a_path_that_is_none_is_told_back(server: Client, method: str, path: str) -> None:
    status, _, body = server.http(method, path, b"{}" if method == "POST" else b"")
    assert (status, json.loads(body)) == (400, {"error": f"Malformed request: {method} {path}"})


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/v1/models", 400, "Missing model name in request."),
        ("/v1/models/nobody", 404, "Could not find any versions of model nobody"),
        ("/v1/models/default/versions/9", 404, "Could not find version 9 of model default"),
        ("/v1/models/default/versions/18446744073709551615", 400, "Failed to convert version: 18446744073709551615 to numeric."),
        ("/v1/models/nobody/metadata", 404, "Servable not found for request: Latest(nobody)"),
        ("/v1/models/two_versions/labels/nope/metadata", 400, "Unrecognized servable version label: nope"),
    ],
)
def test_what_is_not_there_can_not_be_read(server: Client, path: str, status: int, text: str) -> None:
    assert server.get(path) == (status, {"error": text})


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/v1/models/nobody:predict", 404, "Servable not found for request: Latest(nobody)"),
        ("/v1/models/two_versions/versions/9:predict", 404, "Servable not found for request: Specific(two_versions, 9)"),
        ("/v1/models/two_versions/labels/nope:predict", 400, "Unrecognized servable version label: nope"),
    ],
)
def test_what_is_not_there_can_not_be_asked(server: Client, path: str, status: int, text: str) -> None:
    assert server.post(path, {"instances": [1.0]}) == (status, {"error": text})


@pytest.mark.parametrize("path", ["/statuspage", "/", "/monitoring", "/v2/models/default"])
def test_outside_the_api_there_is_nothing(server: Client, path: str) -> None:
    status, headers, _ = server.http("GET", path)
    assert status == 404
    assert headers.get("content-type") != "application/json"


def test_a_preflight_names_its_origin(server: Client) -> None:
    assert server.http("OPTIONS", PREDICT, headers={"Origin": "https://shop.example"})[0] == 200
    status, _, body = server.http("OPTIONS", PREDICT)
    assert status == 400
    assert b"Origin header is missing in CORS preflight" in body or body == b""


def test_cors_headers_are_off_by_default(server: Client) -> None:
    _, headers, _ = server.http("GET", "/v1/models/default", headers={"Origin": "https://shop.example"})
    assert not [name for name in headers if name.startswith("access-control")]


def test_a_body_that_is_no_gzip_is_refused(server: Client) -> None:
    status, _, _ = server.http("POST", PREDICT, b'{"instances": [2.0]}', {"Content-Encoding": "gzip"})
    assert status == 400


def test_a_body_that_inflates_without_end_is_refused(server: Client) -> None:
    bomb = gzip.compress(b" " * (80 * 2**20), compresslevel=1)
    status, _, _ = server.http("POST", PREDICT, bomb, {"Content-Encoding": "gzip"})
    assert status == 400


@pytest.mark.parametrize("body", ['{"instances": ' + "[" * 5000 + "]" * 5000 + "}", '{"instances": [1' + "0" * 400 + "]}"])
def test_an_absurd_body_is_refused_and_not_a_fault_of_the_server(server: Client, body: str) -> None:
    assert server.post(PREDICT, body)[0] == 400


def test_a_failing_model_is_a_client_error_only_where_the_runtime_says_so(server: Client) -> None:
    status, answer = server.post(ECHO, {"signature_name": "sum", "inputs": {"a": [1, 2], "b": [1, 2, 3]}})
    assert status == 400
    assert "ncompatible shapes" in answer["error"]
