import io
import logging

from rich.console import Console
from rich.progress import Progress, TextColumn

from pipeline.display import PROGRESS, Live, display


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
