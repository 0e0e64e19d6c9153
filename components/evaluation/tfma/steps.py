"""TFMA extractors that work on whole blocks: `Evaluator(module_path="components.evaluation.tfma.steps")`.

TFMA's own extractors convert each request of a block to a dictionary and pass each of those to every slice, which takes
most of an evaluation's time. Here a block is scored, the metrics' summands are computed once, and each slice receives
sums: one element a slice and bundle of blocks.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.transforms.window import GlobalWindows
from numpy.typing import NDArray
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import extractor, slice_key_extractor
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import model_util
from threadpoolctl import ThreadpoolController

from components.evaluation.metrics.arrow_columns import candidate_ids, candidate_values, shoppers
from components.evaluation.metrics.metric_accumulator import RankingSums, Requests, RequestSums, gains_from, listwise_of, request_sums
from components.evaluation.metrics.slices import SliceKey, slices
from components.evaluation.tfma.eval_config import settings_of
from components.evaluation.tfma.metrics import SUMS_KEY
from components.evaluation.tfma.saved_model_scorer import call_signature, unpadded

Block = Mapping[str, Any]

# The matrix products of a block take 2 ms on one core; BLAS threads on a busy machine wait for each other many times as long.
_BLAS = ThreadpoolController().select(user_api="blas")


def custom_extractors(eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any) -> list[extractor.Extractor]:
    """Return the extractors; TFX's Evaluator looks for this name and these argument names."""
    del tensor_adapter_config  # made from a schema, which Evaluator doesn't get here: the columns are read as they are in the file
    models = eval_shared_model if isinstance(eval_shared_model, list) else [eval_shared_model]
    sum_by_slice = _SumBySlice({model.model_name: model.model_loader for model in models}, eval_config)
    return [extractor.Extractor(stage_name=slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME, ptransform=beam.ParDo(sum_by_slice))]


class _SumBySlice(model_util.DoFnWithModels):
    """Sum blocks of serialized requests by slice, to one extract for each slice of the bundle."""

    def __init__(self, model_loaders: Mapping[str, Any], eval_config: config_pb2.EvalConfig) -> None:
        super().__init__(dict(model_loaders))
        self._specs = list(eval_config.model_specs)
        settings = settings_of(eval_config)
        self._gains: dict[str, float] = settings.get("gains", {})
        self._gain_amounts: dict[str, str] = settings.get("gain_amounts", {})
        self._amounts: list[str] = settings.get("amounts", [])
        self._bands: dict[str, list[float]] = settings.get("bands", {})
        self._item_slices = frozenset(settings.get("item_slices", ()))
        self._slices = [tuple(spec.feature_keys) for spec in eval_config.slicing_specs] or [()]

    def start_bundle(self) -> None:
        self._sums: dict[SliceKey, dict[str, RankingSums]] = {}

    def process(self, elem: Block) -> None:
        block: pa.RecordBatch = elem[constants.ARROW_RECORD_BATCH_KEY]
        serialized = tf.constant(block.column(constants.ARROW_INPUT_COLUMN).flatten().to_numpy(zero_copy_only=False))
        users, items = shoppers(block), candidate_ids(block, "item")
        amounts = {name: candidate_values(block, name)[0] for name in {*self._amounts, *self._gain_amounts.values()}}
        by_model: dict[str, RequestSums] = {}
        for spec in self._specs:
            labels, row_lengths = candidate_values(block, spec.label_key)
            gain_table = {name: candidate_values(block, name)[0] for name in self._gains}
            padded = call_signature(self._loaded_models[spec.name].signatures[spec.signature_name], serialized)[spec.prediction_key].numpy()
            requests = Requests(
                labels,
                unpadded(padded, row_lengths, model=spec.name),
                gains=gains_from(gain_table, self._gains, {name: amounts[source] for name, source in self._gain_amounts.items()})
                if gain_table
                else labels,
                row_lengths=row_lengths,
                users=users,
                items=items,
                amounts=amounts,
            )
            by_model[spec.name] = request_sums(requests, listwise_of(self._amounts))
            row = by_model[spec.name].row
        with _BLAS.limit(limits=1):
            self._add(block, by_model, row)

    def _add(self, block: pa.RecordBatch, by_model: Mapping[str, RequestSums], row: NDArray[np.int64]) -> None:
        for names in self._slices:
            of_items = not self._item_slices.isdisjoint(names)
            for key, places in slices(block, names, bands=self._bands, item_slices=self._item_slices, row=row).items():
                for name, sums in by_model.items():
                    summed = sums.total_of_candidates(places) if of_items else sums.total(places)
                    so_far = self._sums.setdefault(key, {})
                    so_far[name] = so_far[name] + summed if name in so_far else summed

    def finish_bundle(self) -> Iterator[Any]:
        for key, by_model in self._sums.items():
            yield GlobalWindows.windowed_value({constants.SLICE_KEY_TYPES_KEY: [key], SUMS_KEY: by_model})
