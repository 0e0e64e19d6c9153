"""`ServingRehearsal`: check the model in a model server, as TFX's InfraValidator does, without a container."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model
from tfx.utils.path_utils import serving_model_path, stamped_model_path

from components.contract.dataset import Dataset
from components.contract.errors import InputError, RunError
from components.contract.load import parse_dataset
from components.drift.sketch.sketch_file import FILE as REFERENCE
from components.evaluation.importance.request_sample import sampled_records
from components.evaluation.tfma.saved_model_scorer import call_signature
from components.rehearsal import batching_file
from components.rehearsal.length_buckets import shown
from components.rehearsal.parity import Scores, parity
from components.rehearsal.remote_server import RemoteServer, served_by
from components.rehearsal.replay import replay
from components.rehearsal.report import FILE, TOLERANCE, Rehearsal
from components.rehearsal.sampled_requests import SampledRequest, read_requests
from components.rehearsal.warmup import SIGNATURE, warmup_requests, write_warmup
from serving.model_server.config import ServerConfig
from serving.model_server.errors import ServingError
from serving.model_server.server import ModelServer

REQUESTS = 200

_log = logging.getLogger("shelfrank.progress")


@component
def ServingRehearsal(  # noqa: N802 - TFX names a component by its function
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    reference: InputArtifact[File],
    dataset: Parameter[str],
    code: Parameter[str],
    blessing: OutputArtifact[InfraBlessing],
) -> None:
    """Add warm-up, batching and reference files to the model, replay sampled requests in a model server, and bless it or not.

    The blessing holds the model with these files (as InfraValidator's does with `make_warmup`) and `rehearsal.json`.

    Args:
        examples: as ingested, with a split `test`.
        model: as exported.
        reference: sketch of the window that the model was made from, which the release carries.
        dataset: the dataset file's text.
        code: version of the code, part of TFX's cache key.
        blessing: the artifact to write; its property `blessed` is 1 where the model may be released.

    Raises:
        InputError: the test window holds no request.
    """
    shop = parse_dataset(dataset)
    serialized = sampled_records(examples.uri, "test", seed=shop.seed)
    if not serialized:
        raise InputError("the test window holds no request to rehearse with; move `windows.test`")
    target = Path(stamped_model_path(blessing.uri))
    shutil.copytree(serving_model_path(model.uri), target, dirs_exist_ok=True)
    (target / REFERENCE).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(reference.uri) / REFERENCE, target / REFERENCE)
    rehearsal = rehearsed(target, serialized, shop, where=RemoteServer.from_environment(dict(os.environ)))
    (Path(blessing.uri) / FILE).write_text(rehearsal.to_json(), encoding="utf-8")
    blessing.set_int_custom_property("blessed", int(rehearsal.passed))
    blessing.set_int_custom_property("has_model", 1)
    for finding in rehearsal.findings:
        _log.info("%s", finding.sentence)


def rehearsed(model: Path, serialized: list[bytes], dataset: Dataset, *, where: RemoteServer | None = None) -> Rehearsal:
    """Write the warm-up and batching files into a SavedModel's folder, then serve it and compare its scores.

    Args:
        model: folder of the SavedModel.
        serialized: sampled requests; list lengths are taken from all, the first `REQUESTS` are replayed.
        dataset: the dataset file.
        where: a running model server; None: the embedded one is started and stopped.
    """
    requests = read_requests(serialized, dataset)
    lengths = shown(max(each.candidates for each in requests), dataset.serving.list_lengths)
    loaded = tf.saved_model.load(str(model))
    write_warmup(warmup_requests(requests, lengths, dataset), model, dataset, name=dataset.name, signatures=loaded.signatures)
    specs = loaded.signatures[SIGNATURE].structured_input_signature[1]
    parameters = batching_file.batching_parameters({name: spec.shape.as_list() for name, spec in specs.items()}, lengths)
    if parameters:
        (model / batching_file.FILE).write_text(parameters, encoding="utf-8")
    replayed = requests[:REQUESTS]
    offline = _offline(loaded, serialized[:REQUESTS], replayed)
    rehearsal = Rehearsal(len(replayed), lengths, dataset.serving.latency_ms)
    try:
        with _embedded(model, dataset) if where is None else served_by(where, model, model=dataset.name) as address:
            answers = replay(replayed, address, dataset, model=dataset.name)
        compared = parity([each.name for each in replayed], offline, answers.scores, tolerance=TOLERANCE)
    except (ServingError, RunError, grpc.RpcError, ValueError, KeyError) as error:
        return replace(rehearsal, fault=_one_line(error))
    p50, p99 = np.percentile(answers.latency_ms, [50, 99])
    return replace(
        rehearsal,
        differing=compared.differing,
        difference=compared.difference,
        example=compared.example,
        p50_ms=round(float(p50), 3),
        p99_ms=round(float(p99), 3),
    )


@contextmanager
def _embedded(model: Path, dataset: Dataset) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as base:
        (Path(base) / "1").symlink_to(model.absolute(), target_is_directory=True)
        config = ServerConfig(model_name=dataset.name, model_base_path=base, rest_port=None, retries=0, poll_s=0)
        with ModelServer(config) as server:
            yield f"127.0.0.1:{server.grpc_port}"


def _offline(loaded: Any, serialized: list[bytes], requests: tuple[SampledRequest, ...]) -> list[Scores]:
    answers = {name: values.numpy() for name, values in call_signature(loaded.signatures["examples"], tf.constant(serialized)).items()}
    return [{name: values[row, : each.candidates] for name, values in answers.items()} for row, each in enumerate(requests)]


def _one_line(error: Exception) -> str:
    """Return the error in one line, without a full stop."""
    match error:
        case grpc.RpcError():
            text = f"{error.code().name}: {error.details()}"
        case KeyError():
            text = f"its answer lacks {error}"
        case _:
            text = str(error)
    return " ".join(text.split())[:500].rstrip(".")
