import apache_beam as beam
import pytest

from components.contract.errors import InputError, RunError
from components.ingest.sources.column_selection import missing_column
from pipeline.terminal.root_cause import root_cause


def tell(error: BaseException) -> Exception:
    return root_cause(error, step="Trainer", log="logs/run.log")


def test_an_error_of_the_data_keeps_its_sentence_and_names_the_step() -> None:
    shown_error = tell(InputError("events.csv, line 3: expected a time, got 'x'"))
    assert isinstance(shown_error, InputError)
    assert str(shown_error) == "Trainer: events.csv, line 3: expected a time, got 'x'"


def test_any_other_error_names_step_kind_text_and_log() -> None:
    shown_error = tell(ValueError("shapes differ\nand more"))
    assert isinstance(shown_error, RunError)
    assert str(shown_error).splitlines() == ["Trainer failed: ValueError: shapes differ", "The whole story is in logs/run.log"]


def test_an_error_without_text_still_has_its_kind() -> None:
    assert "Trainer failed: MemoryError" in str(tell(MemoryError()))


def test_the_cause_counts_and_not_what_was_wrapped_around_it() -> None:
    outer = RuntimeError("step failed")
    outer.__cause__ = InputError("no such column")
    assert str(tell(outer)) == "Trainer: no such column"


def test_an_error_that_came_up_while_another_was_handled_is_the_cause_unless_it_repeats_its_text() -> None:
    def raised(text: str) -> BaseException:
        try:
            try:
                raise FileNotFoundError("models/3/assets.extra")
            except FileNotFoundError:
                raise OSError(text)  # noqa: B904 - as of a folder that is made since it wasn't found
        except OSError as error:
            return error

    assert str(tell(raised("No space left on device"))).startswith("Trainer failed: OSError: No space left on device")
    assert str(tell(raised("while writing: models/3/assets.extra"))).startswith("Trainer failed: FileNotFoundError: models/3/assets.extra")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InputError("line 7: bad\nline 8: worse"), "Trainer: line 7: bad\nline 8: worse"),
        (ZeroDivisionError("by zero"), "Trainer failed: ZeroDivisionError: by zero"),
        (missing_column("e.csv", "action", ("user",)), "Trainer: e.csv: expected a column 'action', which isn't there"),
    ],
)
def test_an_error_inside_beam_comes_out_as_it_went_in(error: Exception, text: str) -> None:
    def fail(_: int) -> None:
        raise error

    with pytest.raises(Exception) as caught, beam.Pipeline("FnApiRunner") as root:  # noqa: PT011
        _ = root | beam.Create([1]) | "Fails" >> beam.Map(fail)
    assert str(tell(caught.value)).startswith(text)
    assert "while running" not in str(tell(caught.value))


def test_a_failure_of_the_cluster_comes_with_its_remedy() -> None:
    failed = RuntimeError(
        "Pipeline BeamApp failed in state FAILED: java.io.IOException: Insufficient number of network buffers: required 513, but only 301"
        " available. The total number of network buffers is currently set to 4096 of 32768 bytes each."
    )
    first, second, last = str(tell(failed)).splitlines()
    assert first.startswith("Trainer failed: ")
    assert "required 513, but only 301" in first
    assert "`taskmanager.network.sort-shuffle.min-buffers: 64`" in second
    assert second.endswith("see docs/how-to/beam-runners.md")
    assert last == "The whole story is in logs/run.log"
