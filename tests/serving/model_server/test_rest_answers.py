"""What the REST API answers to requests that it takes, as TensorFlow Serving does."""

import base64
import gzip
import json
import math
from typing import Any

import numpy as np
import pytest

from tests.serving.model_server.conftest import Client

ECHO = "/v1/models/echo:predict"


def echoed(server: Client, signature: str, values: str) -> str:
    """The text of the answer to JSON text, columnwise."""
    body = f'{{"signature_name": "{signature}", "inputs": {values}}}'
    status, _, answer = server.http("POST", ECHO, body.encode())
    assert status == 200, answer
    return answer.decode()


def test_rows_are_answered_by_rows(server: Client) -> None:
    status, headers, body = server.http("POST", "/v1/models/default:predict", b'{"instances": [2.0, 3.0, 4.0]}')
    assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", {"predictions": [3.0, 3.5, 4.0]})


def test_columns_are_answered_by_columns(server: Client) -> None:
    assert server.post("/v1/models/default:predict", {"inputs": [2.0, 3.0, 4.0]}) == (200, {"outputs": [3.0, 3.5, 4.0]})


def test_a_version_or_a_label_may_be_asked(server: Client) -> None:
    paths = [f"/v1/models/two_versions{which}:predict" for which in ("", "/versions/123", "/labels/stable", "/labels/also%20stable")]
    assert [server.post(path, {"instances": [2.0]}) for path in paths] == [(200, {"predictions": [y]}) for y in (4.0, 3.0, 3.0, 3.0)]


@pytest.mark.parametrize(
    ("signature", "values", "answer"),
    [
        pytest.param("float", [1, 2.0, 3], [1.0, 2.0, 3.0], id="whole-numbers-as-float"),
        pytest.param("double", [[0.1, 2], [3, 4]], [[0.1, 2.0], [3.0, 4.0]], id="nested"),
        pytest.param("int64", [-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1], id="int64-limits"),
        pytest.param("uint8", [0, 255], [0, 255], id="uint8"),
        pytest.param("uint32", [2**32 - 1], [2**32 - 1], id="uint32"),
        pytest.param("bool", [True, False], [True, False], id="bool"),
        pytest.param("string", ["é", 'quote "', "line\n"], ["é", 'quote "', "line\n"], id="text"),
        pytest.param("string", [{"b64": "aGVsbG8="}, "x"], ["hello", "x"], id="base64-in-a-list"),
        pytest.param("string", {"b64": "aGVsbG8="}, "hello", id="base64-alone"),
        pytest.param("int32", 5, 5, id="scalar"),
        pytest.param("int32", [[], []], [[], []], id="no-values"),
    ],
)
def test_values_come_back_as_they_went(server: Client, signature: str, values: Any, answer: Any) -> None:
    assert server.post(ECHO, {"signature_name": signature, "inputs": values}) == (200, {"outputs": answer})


def test_rows_may_be_objects(server: Client) -> None:
    rows = [{"int_tensor": 1, "str_tensor": "a"}, {"int_tensor": 2, "str_tensor": {"b64": "Yg=="}}]
    answer = [{"doubled": 2, "word": "a"}, {"doubled": 4, "word": "b"}]
    assert server.post(ECHO, {"signature_name": "two_inputs", "instances": rows}) == (200, {"predictions": answer})


def test_columns_may_be_an_object_and_what_is_too_much_is_passed_over(server: Client) -> None:
    columns = {"int_tensor": [1, 2], "str_tensor": ["a", "b"], "unknown": 7}
    answer = {"outputs": {"doubled": [2, 4], "word": ["a", "b"]}}
    assert server.post(ECHO, {"signature_name": "two_inputs", "inputs": columns}) == (200, answer)


def test_an_output_named_bytes_is_base64(server: Client) -> None:
    raw = base64.b64encode(b"\xff\x00").decode()
    answer = {"predictions": [{"y": "a", "y_bytes": {"b64": "YQ=="}}]}
    assert server.post(ECHO, {"signature_name": "bytes", "instances": ["a"]}) == (200, answer)
    status, _, body = server.http("POST", ECHO, json.dumps({"signature_name": "bytes", "instances": [{"b64": raw}]}).encode())
    assert status == 200
    assert f'"{raw}"'.encode() in body


@pytest.mark.parametrize(
    ("signature", "given", "text"),
    [
        ("float", "3", "3.0"),
        ("float", "0.1", "0.1"),
        ("float", "9000000", "9e+06"),
        ("float", "0.00003", "3e-05"),
        ("float", "0.123456789", "0.123456791"),
        ("float", "16777216", "16777216.0"),
        ("double", "0.3333333333333333", "0.33333333333333331"),
        ("double", "0.1", "0.1"),
        ("double", "123456789", "123456789.0"),
        ("float", "NaN", "NaN"),
        ("float", "Infinity", "Infinity"),
        ("float", "-Infinity", "-Infinity"),
        ("float", "1.8e308", "Infinity"),
        ("float", "2.2e-308", "0.0"),
        ("float", "3.5e38", "Infinity"),
    ],
)
def test_a_float_is_written_as_short_as_it_reads_back(server: Client, signature: str, given: str, text: str) -> None:
    assert "".join(echoed(server, signature, given).split()) == f'{{"outputs":{text}}}'
    assert "".join(echoed(server, signature, f"[{given}, 1]").split()) == f'{{"outputs":[{text},1.0]}}'


def test_every_float32_reads_back_the_same(server: Client) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 500, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    answer = json.loads(echoed(server, "float", json.dumps(values.astype(float).tolist())))["outputs"]
    assert np.array_equal(np.array(answer, np.float32), values)


def test_no_rows_are_an_empty_list(server: Client) -> None:
    assert server.post(ECHO, {"signature_name": "float", "inputs": []}) == (200, {"outputs": []})


def test_what_follows_the_object_is_let_be(server: Client) -> None:
    assert server.post("/v1/models/default:predict", ' {"instances": [2.0]} and more') == (200, {"predictions": [3.0]})


def test_classify_and_regress_take_examples(server: Client) -> None:
    classified = server.post("/v1/models/default:classify", {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]})
    regressed = server.post("/v1/models/default:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 80.0}, {"x": 2.0}]})
    assert classified == (200, {"results": [[["", 3.0]]]})
    assert regressed == (200, {"results": [42.0, 3.0]})


def test_examples_take_text_bytes_and_lists(server: Client) -> None:
    body = {"signature_name": "classes", "examples": [{"word": ["a", {"b64": "Zm91cg=="}]}]}
    assert server.post("/v1/models/echo:classify", body) == (200, {"results": [[["a", 1.0], ["four", 4.0]]]})


def test_examples_may_share_a_context(server: Client) -> None:
    body = {"signature_name": "regress_x_to_y", "context": {"x": 2.0}, "examples": [{}, {}]}
    assert server.post("/v1/models/default:regress", body) == (200, {"results": [3.0, 3.0]})


def test_the_status_of_a_model_lists_its_versions(server: Client) -> None:
    ok = {"error_code": "OK", "error_message": ""}
    versions = [{"version": version, "state": "AVAILABLE", "status": ok} for version in ("124", "123")]
    assert server.get("/v1/models/two_versions") == (200, {"model_version_status": versions})
    assert server.get("/v1/models/two_versions/versions/123") == (200, {"model_version_status": versions[1:]})


def test_the_metadata_is_the_signatures(server: Client) -> None:
    status, answer = server.get("/v1/models/default/metadata")
    assert (status, answer["model_spec"]) == (200, {"name": "default", "signature_name": "", "version": "123"})
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "regress_x_to_y", "classify_x_to_y"}
    x = signatures["serving_default"]["inputs"]["x"]
    assert (x["dtype"], x["name"], x["tensor_shape"]["unknown_rank"]) == ("DT_FLOAT", "x:0", False)
    assert [dim["size"] for dim in x["tensor_shape"]["dim"]] == ["-1", "1"]
    assert server.get("/v1/models/two_versions/labels/stable/metadata")[1]["model_spec"]["version"] == "123"


@pytest.mark.parametrize("name", ["a%20name%2Fodd", "a%20name%2fodd"])
def test_names_are_decoded(server: Client, name: str) -> None:
    assert server.post(f"/v1/models/{name}:predict", {"instances": [2.0]}) == (200, {"predictions": [3.0]})
    assert server.get(f"/v1/models/{name}")[0] == 200


def test_paths_do_not_heed_case(server: Client) -> None:
    assert server.post("/V1/Models/default:PREDICT", {"instances": [2.0]}) == (200, {"predictions": [3.0]})


def test_a_body_may_come_as_gzip(server: Client) -> None:
    body = gzip.compress(b'{"instances": [2.0]}')
    status, _, answer = server.http("POST", "/v1/models/default:predict", body, {"Content-Encoding": "gzip"})
    assert (status, json.loads(answer)) == (200, {"predictions": [3.0]})


def test_scores_are_alike_through_both_doors(server: Client) -> None:
    x = np.random.default_rng(1).normal(size=(50, 1)).astype("f")
    over_grpc = list(server.predict({"x": x}).outputs["y"].float_val)
    _, answer = server.post("/v1/models/default:predict", {"inputs": x.astype(float).tolist()})
    assert all(math.isclose(a, b, abs_tol=1e-7) for a, (b,) in zip(over_grpc, answer["outputs"], strict=True))
