"""Check a search whose trials are trained, on a small shop."""

import json
from types import SimpleNamespace

import pytest

from components.contract.errors import InputError
from trainer.run import run_fn
from trainer.tune import tuner_fn
from trainer.tuning.trials import best_first, from_json, to_json

pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]

TUNING = """
tuning:
  trials: 3
  algorithm: random
  trial: {epochs: 1}
  space: {learning_rate: [1.0e-4, 1.0e-2, 1.0e+30], dense: [[8], [8, 4]]}
"""


def arguments(shop, folder, *, text, train=None, trials=None):
    return SimpleNamespace(
        train_files=[train or shop.train],
        eval_files=[shop.eval],
        transform_graph_path=shop.graph,
        transform_output=shop.graph,
        serving_model_dir=str(folder / "model"),
        working_dir=str(folder / "work"),
        hyperparameters=None,
        custom_config={"dataset": text, "trials": trials},
    )


def searched(fn_args):
    fn_result = tuner_fn(fn_args)
    fn_result.tuner.search(**fn_result.fit_kwargs)
    return fn_result.tuner


@pytest.mark.slow
def test_trials_are_trained_as_the_trainer_trains_and_the_trainer_takes_the_best_values(no_shopper, tmp_path):
    text = no_shopper.text.replace("epochs: 4", "epochs: 1") + TUNING
    fn_args = arguments(no_shopper, tmp_path, text=text, trials=str(tmp_path / "trials"))
    search = searched(fn_args)
    best, *_, worst = best_first(search.trials)
    assert [trial.number for trial in search.trials] == [1, 2, 3]
    assert worst.outcome.score is None or best.outcome.score > worst.outcome.score
    assert len(list((tmp_path / "trials").iterdir())) == 3
    fn_args.hyperparameters = json.loads(json.dumps(search.get_best_hyperparameters()[0].get_config()))
    run_fn(fn_args)
    (epoch,) = json.loads((tmp_path / "model" / "assets.extra" / "history.json").read_text())
    assert epoch["eval_auc"] == best.outcome.score
    assert from_json(to_json(search.trials)) == tuple(search.trials)


@pytest.mark.slow
def test_a_learning_rate_that_breaks_the_loss_is_a_failed_trial(no_shopper, tmp_path):
    text = no_shopper.text + "tuning: {algorithm: grid, trials: 2, trial: {epochs: 1}, space: {learning_rate: [1.0e-3, 1.0e+30]}}\n"
    good, bad = searched(arguments(no_shopper, tmp_path, text=text)).trials
    assert good.outcome.score is not None
    assert bad.outcome.score is None
    assert bad.outcome.fault.startswith("expected a finite loss")


def test_a_split_without_requests_ends_the_search(no_shopper, tmp_path):
    empty = tmp_path / "part-0"
    empty.write_bytes(b"")
    with pytest.raises(Exception, match="found none") as caught:
        searched(arguments(no_shopper, tmp_path, text=no_shopper.text + TUNING, train=str(empty)))
    assert isinstance(caught.value.__cause__, InputError)
