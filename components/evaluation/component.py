"""`FeatureImportance`: what the exported model loses with each feature, on a sample of the test window."""

import json
import logging
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils.path_utils import serving_model_path

from components.contract.load import parse_dataset
from components.evaluation.exported import ExportedModel
from components.evaluation.importance import FILE, importance
from components.evaluation.sample import sampled

_log = logging.getLogger("shelfrank.progress")


@component
def FeatureImportance(  # noqa: N802 - TFX names a component by its function
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    dataset: Parameter[str],
    code: Parameter[str],
    report: OutputArtifact[File],
) -> None:
    """Write `importance.json`. It judges nothing: a model is released without waiting for it.

    Args:
        examples: as ingested, with a split `test`.
        model: as exported.
        dataset: the dataset file's text.
        code: version of the code; TFX's cache goes by it.
        report: where the file goes.

    Raises:
        InputError: the test window holds no request.
    """
    shop = parse_dataset(dataset)
    found = importance(sampled(examples.uri, "test", seed=shop.seed), ExportedModel(serving_model_path(model.uri)), dataset=shop)
    (Path(report.uri) / FILE).write_text(json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    _log.info("%d features on %d requests", len(found.features), found.requests)
