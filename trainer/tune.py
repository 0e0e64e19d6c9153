"""`tuner_fn`: TFX Tuner's entry point, and a Tuner that writes down the trials that failed, too."""

import os
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner import component, executor
from tfx.components.tuner.component import TunerFnResult
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import artifact_utils

from components.contract.load import parse_dataset
from trainer.config import RankerConfig
from trainer.fit.training import train
from trainer.tuning.search import Search
from trainer.tuning.trial_journal import Journal
from trainer.tuning.trials import TRIALS_FILE, best_first, to_json


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """A search over the space of the dataset file's `tuning`; each trial is trained as the Trainer trains.

    `fn_args.custom_config["dataset"]` is the text of the dataset file, `["trials"]` the folder that keeps finished trials, which must be
    another for other data or code; None: they are not kept beyond this execution. Of `fn_args` are read besides: `train_files`,
    `eval_files`, `transform_graph_path`, `working_dir`.
    """
    dataset = parse_dataset(fn_args.custom_config["dataset"])
    graph = tft.TFTransformOutput(fn_args.transform_graph_path)

    def score(config: RankerConfig) -> tuple[float, int]:
        keras.backend.clear_session()  # the graphs of earlier trials
        _, curve = train(fn_args.train_files, fn_args.eval_files, graph, dataset=dataset, config=config)
        return max(float(row["eval_auc"]) for row in curve), len(curve)

    journal = Journal(fn_args.custom_config["trials"] or os.path.join(fn_args.working_dir, "trials"))
    return TunerFnResult(Search(dataset, score=score, journal=journal, directory=fn_args.working_dir), {})


class Executor(executor.Executor):
    """TFX's writes down the trials that came to their end alone; this all."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """Search, and write the best values and all trials."""
        search: Search = executor.search(input_dict, exec_properties, self._get_tmp_dir(), print_tuning_summary=False)
        executor.write_best_hyperparameters(search, output_dict)
        results = artifact_utils.get_single_uri(output_dict["tuner_results"])
        with tf.io.gfile.GFile(os.path.join(results, TRIALS_FILE), "w") as opened:
            opened.write(to_json(best_first(search.trials)))


class Tuner(component.Tuner):
    """TFX's Tuner, with that executor."""

    EXECUTOR_SPEC = ExecutorClassSpec(Executor)
