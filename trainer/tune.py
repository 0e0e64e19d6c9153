"""Search for settings: `tuner_fn`, the entry point of TFX's Tuner, and a Tuner that also writes the failed trials."""

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
    """Set up the search over the space of the dataset file's `tuning`; each trial trains as the Trainer does.

    Args:
        fn_args: `train_files`, `eval_files`, `transform_graph_path` and `working_dir` are read;
            `custom_config["dataset"]`, the text of the dataset file; and `custom_config["trials"]`, the folder of
            finished trials, another one for other data or code, or None to keep them for this execution only.
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
    """Write all trials; TFX's executor writes the completed ones only."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """Run the search, then write the best values and all trials."""
        search: Search = executor.search(input_dict, exec_properties, self._get_tmp_dir(), print_tuning_summary=False)
        executor.write_best_hyperparameters(search, output_dict)
        results = artifact_utils.get_single_uri(output_dict["tuner_results"])
        with tf.io.gfile.GFile(os.path.join(results, TRIALS_FILE), "w") as file:
            file.write(to_json(best_first(search.trials)))


class Tuner(component.Tuner):
    """Run the search by that executor."""

    EXECUTOR_SPEC = ExecutorClassSpec(Executor)
