"""Check when the progress log writes lines and rows."""

import logging
from types import SimpleNamespace

import pytest

from trainer.fit.progress_log import ProgressLog


def progress(written, times, **options):
    metric = lambda value: SimpleNamespace(result=lambda: value())  # noqa: E731
    seen = iter(range(0, 10_000, 100))
    model = SimpleNamespace(mean_loss=metric(lambda: 0.5), running_auc=metric(lambda: 0.75), requests_seen=metric(lambda: next(seen)))
    log = ProgressLog(model, log_steps=3, write_row=written.append, clock=iter(times).__next__, **options)
    log.begin_epoch(1)
    return log


def test_a_line_comes_every_ten_seconds_and_a_row_every_so_many_steps(caplog):
    written = []
    log = progress(written, [0.0, 4.0, 8.0, 12.0, 13.0, 16.0, 24.0])
    log.epoch_steps = 8
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        for step in range(4, 10):
            log.end_step(step, learning_rate=lambda: 0.01)
    assert [(row["step"], row["loss"], row["auc"], row["learning_rate"]) for row in written] == [(6, 0.5, 0.75, 0.01), (9, 0.5, 0.75, 0.01)]
    assert caplog.messages[0] == "epoch 2  38%  step 6  loss 0.5000  AUC 0.7500  0 requests/s"
    assert caplog.messages[1].startswith("epoch 2  75%  step 9")
    assert written[1]["requests_per_s"] == pytest.approx(100 / 12, abs=0.1)


def test_among_several_workers_no_clock_decides_when_metrics_are_read(caplog):
    written = []
    log = progress(written, [0.0, 40.0, 80.0, 81.0], in_step=True)
    with caplog.at_level(logging.INFO, "shelfrank.progress"):
        for step in (1, 2, 3):
            log.end_step(step, learning_rate=lambda: 0.01)
    assert [row["step"] for row in written] == [3]
    assert len(caplog.messages) == 1
