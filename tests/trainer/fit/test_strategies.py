"""Check that training on several devices or machines is as good as on one; devices are logical CPUs, machines
processes.
"""

import json
import socket

import numpy as np
import pytest

from components.contract.errors import RunError
from tests.trainer.fit.processes import exported, finish, launch, process
from trainer.fit.strategy import is_chief, strategy

SETTINGS = "{{batch_requests: 16, epochs: 6, learning_rate: 0.003, strategy: {}}}"


@pytest.fixture(scope="module")
def alone(every_kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    finish(launch(every_kind, folder, SETTINGS.format("single")))
    return exported(folder)


def best(curve):
    return max(row["eval_auc"] for row in curve)


def as_good_as(trained, alone):
    """Check for the same steps, a falling loss near that of one device, and the eval AUC.

    The requests of a step are others, and so is dropout: losses of the first epochs are as far apart as those of two
    seeds on one device, whose ratio is up to 1.4 here.
    """
    steps, few = [row["step"] for row in trained.curve], min(len(trained.curve), len(alone.curve))
    assert steps == [12 * epoch for epoch in range(1, len(steps) + 1)]
    losses, expected = ([row["loss"] for row in each.curve[:few]] for each in (trained, alone))
    assert losses == pytest.approx(expected, rel=0.4, abs=0.05)
    assert losses[-1] < 0.9 * losses[0]
    assert best(trained.curve) == pytest.approx(best(alone.curve), abs=0.03)
    assert all(np.isfinite(weight).all() for weight in trained.weights)
    return True


@pytest.mark.slow
def test_a_step_of_two_devices_follows_the_mean_of_their_gradients(every_kind, tmp_path):
    settings = "{batch_requests: 16, dropout: 0, embedding_dropout: 0}"
    text = every_kind.text[: every_kind.text.index("model:")] + f"model: {settings}\n"
    config_text, out = tmp_path / "told.json", tmp_path / "sizes.json"
    config_text.write_text(json.dumps({"text": text, "train": every_kind.train, "graph": every_kind.graph}))
    finish(process("shared_step.py", str(config_text), str(out)))
    sizes = json.loads(out.read_text())
    assert sum(expected > 1e-3 for expected, _ in sizes.values()) > 30  # weights that learn
    assert {name: (expected, off) for name, (expected, off) in sizes.items() if off > 1e-5 * expected + 1e-7} == {}


@pytest.mark.slow
def test_two_devices_learn_as_one(every_kind, tmp_path, alone):
    finish(launch(every_kind, tmp_path, SETTINGS.format("mirrored"), devices=2))
    assert as_good_as(exported(tmp_path), alone)


@pytest.mark.slow
def test_two_machines_learn_as_one_and_only_the_chief_exports(every_kind, tmp_path, alone):
    addresses = []
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
            addresses.append(f"127.0.0.1:{each.getsockname()[1]}")
    cluster = {"cluster": {"worker": addresses}}
    configs = [json.dumps({**cluster, "task": {"type": "worker", "index": index}}) for index in (0, 1)]
    workers = [
        launch(every_kind, tmp_path, SETTINGS.format("multi_worker"), attempt=index + 1, TF_CONFIG=config)
        for index, config in enumerate(configs)
    ]
    outputs = [finish(worker) for worker in workers]
    assert as_good_as(exported(tmp_path), alone)
    assert not (tmp_path / "Trainer" / "model" / "2").exists()
    # Both report the metrics of the chief.
    judged = [[line.split("eval AUC ")[1][:6] for line in each.splitlines() if "eval AUC" in line] for each in outputs]
    assert judged[0] == judged[1] == [f"{row['eval_auc']:.4f}" for row in exported(tmp_path).curve]


@pytest.mark.parametrize(
    "config_text",
    [None, "", "{}", '{"cluster": {"worker": ["a:1"]}}', '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'],
)
def test_several_workers_that_nobody_named_are_a_clear_error(config_text, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config_text is not None:
        monkeypatch.setenv("TF_CONFIG", config_text)
    with pytest.raises(RunError, match=r"model.strategy is multi_worker: expected TF_CONFIG to hold .*; set it for each worker"):
        strategy("multi_worker")


def test_the_chief_is_the_one_named_so_or_else_the_first_worker(monkeypatch):
    def chief(kind, index, **cluster):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))
        return is_chief("multi_worker")

    assert [chief("worker", at, worker=["a:1", "b:1"]) for at in (0, 1)] == [True, False]
    assert [chief(kind, 0, chief=["a:1"], worker=["b:1"]) for kind in ("chief", "worker")] == [True, False]
    monkeypatch.delenv("TF_CONFIG")
    assert is_chief("single")
    assert is_chief("mirrored")
