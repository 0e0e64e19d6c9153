"""`FeatureImportance`: permutation importance of the exported model's features."""

import json
import logging
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils.path_utils import serving_model_path

from components.contract.load import parse_dataset
from components.evaluation.importance.feature_importance import FILE, importance
from components.evaluation.importance.request_sample import sampled
from components.evaluation.tfma.saved_model_scorer import SavedModelScorer

_log = logging.getLogger("shelfrank.progress")


@component
def FeatureImportance(  # noqa: N802 - TFX names a component by its function
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    dataset: Parameter[str],
    code: Parameter[str],
    report: OutputArtifact[File],
) -> None:
    """Write `importance.json`; no gate reads it, so a model is released without waiting for it.

    Args:
        examples: as ingested, with a split `test`.
        model: as exported.
        dataset: the dataset file's text.
        code: version of the code; TFX's cache goes by it.
        report: the artifact that the file is written to.

    Raises:
        InputError: the test window holds no request.
    """
    shop = parse_dataset(dataset)
    drops = importance(sampled(examples.uri, "test", seed=shop.seed), SavedModelScorer(serving_model_path(model.uri)), dataset=shop)
    (Path(report.uri) / FILE).write_text(json.dumps(drops.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    _log.info("%d features on %d requests", len(drops.features), drops.requests)
