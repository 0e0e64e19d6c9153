"""`tuner_fn`: TFX Tuner's entry point, and the Tuner that also writes down the trials that failed."""

import logging
import math
import os
import time
from collections.abc import Sequence
from typing import Any

import keras_tuner
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from keras_tuner.engine.base_tuner import BaseTuner
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner import component, executor
from tfx.components.tuner.component import TunerFnResult
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import artifact_utils

from components.contract.dataset import Dataset
from components.contract.errors import InputError, RunError
from components.contract.load import parse_dataset
from trainer.config import RankerConfig
from trainer.journal import Journal, trial_key
from trainer.oracles import oracle
from trainer.progress import PROGRESS
from trainer.space import decoded, own_values, search_space, trial_config
from trainer.training import train
from trainer.trials import TRIALS_FILE, Outcome, Trial, best_first, to_json, values_text

_log = logging.getLogger(__name__)


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """A search over the space of the dataset file's `tuning`, each trial trained as the Trainer trains.

    `fn_args.custom_config["dataset"]` is the text of the dataset file, `["trials"]` the folder that keeps finished trials, which must be
    another for other data or code; None: they are not kept beyond this execution. Of `fn_args` are read besides: `train_files`,
    `eval_files`, `transform_graph_path`, `working_dir`.
    """
    dataset = parse_dataset(fn_args.custom_config["dataset"])
    search = Search(
        dataset,
        journal=Journal(fn_args.custom_config["trials"] or os.path.join(fn_args.working_dir, "trials")),
        directory=fn_args.working_dir,
    )
    graph = tft.TFTransformOutput(fn_args.transform_graph_path)
    return TunerFnResult(search, {"train_files": fn_args.train_files, "eval_files": fn_args.eval_files, "graph": graph})


class Search(BaseTuner):
    """KerasTuner's loop over trials that are trained by `trainer.training`; it holds no model, and no Keras of its own.

    Finished trials are found in the journal and not trained again. A trial whose training fails is counted, and the search goes on.

    Args:
        dataset: with a part `tuning`.
        journal: of finished trials.
        directory: for KerasTuner's own files, written anew.

    Attributes:
        trials: those that have ended, in their order.
    """

    def __init__(self, dataset: Dataset, *, journal: Journal, directory: str) -> None:
        space = search_space(dataset)
        assert dataset.tuning is not None, "search_space has seen it"
        seed = dataset.seed if dataset.tuning.seed is None else dataset.tuning.seed
        chosen = oracle(dataset.tuning, space, own=own_values(dataset, space), seed=seed)
        chosen.verbose = 0
        super().__init__(chosen, directory=directory, project_name="search", overwrite=True)
        self.trials: list[Trial] = []
        self._dataset, self._tuning, self._journal = dataset, dataset.tuning, journal

    def run_trial(
        self, trial: Any, *, train_files: Sequence[str], eval_files: Sequence[str], graph: tft.TFTransformOutput
    ) -> dict[str, float]:
        """Train with the trial's values, or find what came of them before; returns the objective."""
        number, values = len(self.trials) + 1, decoded(trial.hyperparameters.values)
        called = f"trial {number} of {self._tuning.trials}"
        PROGRESS.info("%s  %s", called, values_text(values))
        config = trial_config(self._dataset, values)
        key = trial_key(self._dataset, config)
        found = self._journal.find(key)
        outcome = found or self._trained(key, values, config, train_files, eval_files, graph)
        self.trials.append(Trial(number, values, outcome, kept=found is not None))
        PROGRESS.info("%s  %s", called, _told(self.trials))
        if outcome.score is None:
            raise keras_tuner.errors.FailedTrialError(outcome.fault)
        return {self._tuning.objective: outcome.score}

    def on_search_end(self) -> None:
        """Tell the best.

        Raises:
            RunError: no trial came to a score.
        """
        ranked = best_first(self.trials)
        best = ranked[0]
        if best.outcome.score is None:
            raise RunError(
                f"expected a trial that comes to its end, all {len(ranked)} failed, the first by: {self.trials[0].outcome.fault}; "
                "narrow `tuning.space` in the dataset file"
            )
        for trial in ranked:
            _log.info("trial %d  %s  %s", trial.number, trial.outcome, values_text(trial.values))
        failed = sum(trial.outcome.score is None for trial in ranked)
        PROGRESS.info(
            "best of %d trials%s: %d, eval AUC %.4f  %s",
            len(ranked),
            f", {failed} failed" if failed else "",
            best.number,
            best.outcome.score,
            values_text(best.values),
        )

    def _trained(
        self,
        key: str,
        values: dict[str, Any],
        config: RankerConfig,
        train_files: Sequence[str],
        eval_files: Sequence[str],
        graph: tft.TFTransformOutput,
    ) -> Outcome:
        keras.backend.clear_session()  # the graphs of earlier trials
        # As the Trainer does, so that it comes to the score of the best trial.
        keras.utils.set_random_seed(self._dataset.seed)
        tf.config.experimental.enable_op_determinism()
        began = time.monotonic()
        try:
            _, curve = train(train_files, eval_files, graph, dataset=self._dataset, config=config)
            score = max(float(row["eval_auc"]) for row in curve)
            if not math.isfinite(score):
                raise RunError(f"expected an eval AUC, got {score}")
        except InputError as error:
            # No other values would help.
            raise keras_tuner.errors.FatalError(str(error)) from error
        except RunError as error:
            outcome = Outcome(None, 0, round(time.monotonic() - began, 1), str(error))
        except Exception as error:
            # It may be for want of memory or disk: counted now, tried again by a run that is started again.
            _log.exception("trial with %s failed", values)
            return Outcome(None, 0, round(time.monotonic() - began, 1), f"{type(error).__name__}: {error}")
        else:
            outcome = Outcome(score, len(curve), round(time.monotonic() - began, 1))
        self._journal.keep(key, outcome, values)
        return outcome


def _told(trials: Sequence[Trial]) -> str:
    last = trials[-1]
    if last.outcome.score is None:
        return f"failed: {last.outcome.fault}"
    kept = "kept from an earlier run" if last.kept else f"{last.outcome.epochs} epochs in {last.outcome.seconds:.0f} s"
    best = best_first(trials)[0]
    rank = "the best so far" if best is last else f"the best so far {best.outcome.score:.4f}"
    return f"eval AUC {last.outcome.score:.4f}, {rank}  {kept}"


class Executor(executor.Executor):
    """TFX's, which writes down the trials that came to their end alone; this writes all."""

    def Do(self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """Search, and write the best values and all trials."""
        search: Search = executor.search(input_dict, exec_properties, self._get_tmp_dir(), print_tuning_summary=False)
        executor.write_best_hyperparameters(search, output_dict)
        results = artifact_utils.get_single_uri(output_dict["tuner_results"])
        with tf.io.gfile.GFile(os.path.join(results, TRIALS_FILE), "w") as opened:
            opened.write(to_json(best_first(search.trials)))


class Tuner(component.Tuner):
    """TFX's Tuner with an executor that keeps account of failed trials too."""

    EXECUTOR_SPEC = ExecutorClassSpec(Executor)
