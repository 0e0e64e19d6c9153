from pathlib import Path

import pytest

from components.rehearsal.batching_file import batching_parameters
from serving.model_server.batching import parameters

SHAPES = {"price": (None, None), "device": (None,), "image": (None, None, 2)}


@pytest.mark.parametrize(("longest", "sizes"), [(20, (1, 2, 4, 8, 16, 32, 64)), (200, (1, 2, 4, 8)), (300, (1, 2, 4)), (5_000, (1,))])
def test_a_batch_holds_as_many_requests_as_two_thousand_candidates_leave_room_for(
    tmp_path: Path, longest: int, sizes: tuple[int, ...]
) -> None:
    text = batching_parameters(SHAPES, (10, longest))
    assert text is not None
    (tmp_path / "batching.txt").write_text(text)
    read = parameters.read(tmp_path / "batching.txt")
    read.check()
    assert (read.allowed_sizes, read.max_size, read.timeout_s, read.pad_lengths) == (sizes, sizes[-1], 0.001, True)


@pytest.mark.parametrize("shape", [(), (1,), (4, None)])
def test_requests_that_cannot_be_joined_have_no_file(shape: tuple[int | None, ...]) -> None:
    assert batching_parameters(SHAPES | {"one": shape}, (10,)) is None
