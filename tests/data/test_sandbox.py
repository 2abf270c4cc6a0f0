"""A file that kills, hangs or floods its reader costs that file, and nothing else."""

import math
import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data import sandbox
from convivo.data.inspection import inspect_data
from convivo.data.sample import Case
from convivo.data.survey import GUARDED, guard_of
from convivo.errors import ReadError

pytestmark = pytest.mark.skipif(not sandbox.possible(), reason="needs POSIX processes")

KILLER = """
import os, signal

def png_decode(data):
    os.kill(os.getpid(), signal.SIGSEGV)
"""


@pytest.fixture
def fresh():
    """No children of other tests, which know another search path or limit."""
    sandbox.rest()
    yield
    sandbox.rest()


def guarded(work, items, **more):
    told = {"bytes_of": lambda item: 0, "lost": lambda item, why: f"lost {item}: {why}"}
    return list(sandbox.guarded(work, items, **(told | more)))


def test_results_come_in_order_from_another_process(fresh):
    assert guarded(abs, [-3, 2, -1]) == [3, 2, 1]
    assert len(sandbox._KEPT) == 1
    assert guarded(partial(pow, 2), [3, 4]) == [8, 16]
    assert len(sandbox._KEPT) == 1  # the same child again
    assert sandbox._KEPT[0].process.pid != os.getpid()


def test_a_child_that_went_to_rest_costs_nothing(fresh, monkeypatch):
    assert guarded(abs, [-1]) == [1]
    (child,) = sandbox._KEPT
    child.send(os._exit, [sandbox.IDLE])  # as it does itself after a while without work
    child.process.wait()
    assert guarded(abs, [-2, -3]) == [2, 3]


def test_a_process_that_dies_costs_its_own_item(fresh):
    assert guarded(os._exit, [3, 0]) == ["lost 3: exit status 3", "lost 0: exit status 0"]


def test_what_takes_too_long_is_ended(fresh, monkeypatch):
    monkeypatch.setattr(sandbox, "LEAST_S", 0.5)
    assert guarded(time.sleep, [60, 0]) == ["lost 60: no answer within 0 seconds", None]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs a limit of memory")
def test_what_asks_for_all_memory_is_refused(fresh, monkeypatch):
    monkeypatch.setattr(sandbox, "_memory", lambda: 2**30)
    assert guarded(bytes, [2**31, 3]) == ["lost 2147483648: out of memory", bytes(3)]


def test_work_that_cannot_be_imported_there_is_done_here(fresh):
    assert guarded(double, [2, 3]) == [4, 6]
    assert len(sandbox._KEPT) == 1  # the child is still good


def double(number):
    return 2 * number


def test_what_the_work_raises_is_raised_here(fresh):
    with pytest.raises(ValueError, match="math domain"):
        guarded(math.sqrt, [4.0, -1.0])


def test_one_file_that_kills_its_reader_is_unreadable_and_the_rest_go_on(
    fresh, tmp_path, monkeypatch
):
    imagecodecs = pytest.importorskip("imagecodecs")
    rng = np.random.default_rng(3)
    root = tmp_path / "data"
    for folder in ("a", "b"):
        (root / folder).mkdir(parents=True)
        for number in range(6):
            array = rng.integers(0, 255, (7, 9, 3), dtype=np.uint8)
            Image.fromarray(array).save(root / folder / f"x{number}y.png")
    deep = rng.integers(0, 65535, (7, 9, 3), dtype=np.uint16)
    (root / "a" / "deep.png").write_bytes(imagecodecs.png_encode(deep))
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "imagecodecs.py").write_text(KILLER)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules"), *sys.path])
    found = inspect_data(root)
    (told,) = (p for p in found.problems if p.path)
    assert (told.severity, told.code, told.path) == ("warning", "unreadable", "a/deep.png")
    assert "ended the process that read it (signal 11)" in told.message
    assert len(found.cases) == 12
    assert found.excluded == ("a/deep.png",)


def test_a_file_that_never_ends_is_an_error_that_names_it(fresh, tmp_path, monkeypatch):
    path = tmp_path / "pipe.mha"
    os.mkfifo(path)
    monkeypatch.setattr(sandbox, "LEAST_S", 0.5)
    with pytest.raises(ReadError, match=r"pipe.mha: .* got the end of the process .*no answer"):
        sandbox.alone(Path.read_bytes, path)


def test_plain_arrays_are_read_here_and_images_in_a_child() -> None:
    def guarded_by(name: str, label: str | None = None) -> bool:
        return guard_of([Case(id=name, image=(name,), label=label)], GUARDED)

    assert not guarded_by("/data/train-images-idx3-ubyte.gz")
    assert not guarded_by("/data/101.hea", "/data/101.atr.hea")
    assert guarded_by("/data/a.png")
    assert guarded_by("/data/a.npy", "/data/a_mask.png")
    assert guarded_by("/data/1.2.840.7")  # a DICOM series
