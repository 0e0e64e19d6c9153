"""Check that a checkpoint is read as it was written, and an incomplete one never."""

import numpy as np
import pytest

from trainer.fit.checkpoints import Checkpoint, Checkpoints


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "of" / "this"


def checkpoint(number):
    model = [np.full([2, 3], number, np.float32), np.array(number, np.int64)]
    arrays = {"model": model, "random": [], "empty": [np.zeros([0, 4], np.float32)]}
    return Checkpoint(arrays, {"epoch": number, "curve": [{"loss": 0.1}], "best": None})


def same(actual, expected):
    assert actual.notes == expected.notes
    assert list(actual.arrays) == list(expected.arrays)
    for name, arrays in expected.arrays.items():
        for one, two in zip(actual.arrays[name], arrays, strict=True):
            assert (one.dtype, one.shape) == (two.dtype, two.shape)
            assert (one == two).all()
    return True


def test_the_newest_comes_back_and_the_ones_before_are_gone(folder):
    checkpoints = Checkpoints(str(folder))
    for step in (9, 10):
        checkpoints.write(step, checkpoint(step))
    assert same(Checkpoints(str(folder)).read(), checkpoint(10))
    assert len(list(folder.iterdir())) == 1


def test_where_there_is_none_there_is_none(folder):
    assert Checkpoints(str(folder)).read() is None
    Checkpoints(str(folder)).clear()


def test_when_training_has_ended_nothing_is_left(folder):
    checkpoints = Checkpoints(str(folder))
    checkpoints.write(1, checkpoint(1))
    checkpoints.clear()
    assert not folder.exists()


def test_however_much_of_the_newest_is_missing_the_whole_one_before_it_is_read(folder, tmp_path):
    # As if the kill came before the older one was removed, and the disk had lost the last writes.
    older, newer = Checkpoints(str(folder)), Checkpoints(str(tmp_path / "newer"))
    older.write(1, checkpoint(1))
    newer.write(2, checkpoint(2))
    (written,) = (tmp_path / "newer").iterdir()
    content = written.read_bytes()
    for length in range(len(content)):
        (folder / written.name).write_bytes(content[:length])
        assert same(older.read(), checkpoint(1))
    (folder / written.name).write_bytes(content)
    assert same(older.read(), checkpoint(2))


def test_a_changed_byte_is_found(folder):
    Checkpoints(str(folder)).write(1, checkpoint(1))
    (written,) = folder.iterdir()
    content = bytearray(written.read_bytes())
    content[-10] ^= 1
    written.write_bytes(bytes(content))
    assert Checkpoints(str(folder)).read() is None


def test_what_isn_t_finished_is_never_read_and_goes_with_the_next(folder, tmp_path):
    checkpoints = Checkpoints(str(folder))
    checkpoints.write(1, checkpoint(1))
    Checkpoints(str(tmp_path / "other")).write(2, checkpoint(2))
    (written,) = (tmp_path / "other").iterdir()
    written.rename(folder / "000000000002.unfinished")
    assert same(checkpoints.read(), checkpoint(1))
    checkpoints.write(3, checkpoint(3))
    assert [path.name for path in folder.iterdir()] == ["000000000003.checkpoint"]
