import io
import logging

from rich.console import Console
from rich.progress import Progress, TextColumn

from pipeline.terminal.display import PROGRESS, Live, display


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_each_start_news_and_end_is_a_line() -> None:
    out = io.StringIO()
    with display(out) as shown:
        shown.begin("Trainer")
        logging.getLogger(PROGRESS).info("epoch %d", 1)
        shown.end("done")
        shown.begin("Evaluator")
        shown.end("cached")
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["[Trainer] ...", "[Trainer] epoch 1"]
    assert lines[2].startswith("[Trainer] done, 0.0 s")
    assert lines[4].startswith("[Evaluator] from the cache, ")


def test_without_a_terminal_a_step_has_a_line_of_news_in_ten_seconds_at_most_and_its_last_news_at_its_end() -> None:
    out, clock = io.StringIO(), Clock()
    with display(out, clock) as shown:
        shown.begin("Simulate")
        for day in range(242):  # a second each
            clock.now = float(day)
            logging.getLogger(PROGRESS).info("day %d", day)
        shown.end("done")
        shown.begin("Trainer")
        logging.getLogger(PROGRESS).info("epoch 1")
        shown.end("done")
    lines = out.getvalue().splitlines()
    assert lines[0] == "[Simulate] ..."
    assert lines[1:26] == [f"[Simulate] day {day}" for day in range(0, 242, 10)]
    assert lines[26:] == ["[Simulate] done, 241.0 s (day 241)", "[Trainer] ...", "[Trainer] epoch 1", "[Trainer] done, 0.0 s"]


def test_a_warning_is_a_line_that_no_news_takes_the_place_of() -> None:
    out = io.StringIO()
    with display(out, Clock()) as shown:
        shown.begin("Trainer")
        for text in ("epoch 1", "epoch 2"):
            logging.getLogger(PROGRESS).info(text)
            logging.getLogger(PROGRESS).warning("no warm start")
        shown.end("done")
    assert out.getvalue().splitlines() == [
        *("[Trainer] ...", "[Trainer] epoch 1", "[Trainer] no warm start", "[Trainer] no warm start"),
        "[Trainer] done, 0.0 s (epoch 2)",
    ]


def test_news_outside_a_step_or_a_display_is_not_shown() -> None:
    out = io.StringIO()
    with display(out):
        logging.getLogger(PROGRESS).info("early")
    logging.getLogger(PROGRESS).info("late")
    assert out.getvalue() == ""


def test_live_keeps_the_last_news_of_each_step_and_marks_its_end() -> None:
    progress = Progress(
        TextColumn("{task.fields[mark]} {task.description} {task.fields[said]}"), console=Console(file=io.StringIO(), force_terminal=True)
    )
    shown = Live(progress)
    shown.begin("Trainer")
    shown.say("epoch 1 [of 2]")
    shown.say("epoch 2 [of 2]")
    shown.end("done")
    shown.begin("Evaluator")
    shown.end("cached")
    shown.begin("Release")
    shown.end("failed")
    shown.say("late")
    assert [(task.description, task.fields["said"], task.finished) for task in progress.tasks] == [
        ("Trainer", "epoch 2 [of 2]", True),
        ("Evaluator", "from the cache", True),
        ("Release", "failed", True),
    ]
