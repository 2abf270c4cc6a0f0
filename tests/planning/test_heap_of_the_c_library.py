"""The C library's rules, played through by hand on a few blocks."""

import ctypes
import ctypes.util
import subprocess
import sys

import pytest

from convivo.planning.events import Holding, Moment, Trace
from convivo.planning.heap import CUT_STAYS, Heap
from convivo.planning.residence import heap_peak, settled_peak, taken_again

MIB = 2**20
SLACK = 64 * 1024  # headers, cut-off ends, pages


def trace_of(
    rows: list[tuple[int, int, int]], moments: int, hidden: int = 0, steps: int = 1
) -> Trace:
    """From (bytes, born, died); steps are equally long."""
    times = tuple(
        Moment(step=1 + n * steps // moments, phase="forward", layer="", op="", hidden=hidden)
        for n in range(moments)
    )
    things = tuple(
        Holding(
            bytes=size, born=born, died=died, shape=(size,), itemsize=1, kind="outputs",
            layer="", op="",
        )
        for size, born, died in rows
    )  # fmt: skip
    return Trace(moments=times, holdings=things, steps=steps)


def test_what_lives_together_is_resident_together() -> None:
    trace = trace_of([(3 * MIB, 0, 2), (2 * MIB, 1, 1), (MIB, 2, 2)], 3)
    assert heap_peak(trace, keeps=True) == pytest.approx(5 * MIB, abs=SLACK)


def test_a_hole_that_is_too_small_stays_resident_when_memory_is_kept() -> None:
    rows = [(4 * MIB, 0, 0), (MIB, 0, 2), (5 * MIB, 1, 2)]
    assert heap_peak(trace_of(rows, 3), keeps=True) == pytest.approx(10 * MIB, abs=SLACK)
    assert heap_peak(trace_of(rows, 3), keeps=False) == pytest.approx(6 * MIB, abs=SLACK)


def test_a_hole_serves_a_smaller_block() -> None:
    rows = [(4 * MIB, 0, 0), (MIB, 0, 2), (3 * MIB, 1, 2)]
    assert heap_peak(trace_of(rows, 3), keeps=True) == pytest.approx(5 * MIB, abs=SLACK)


def test_neighbouring_holes_are_joined() -> None:
    rows = [(2 * MIB, 0, 0), (2 * MIB, 0, 0), (MIB, 0, 1 + CUT_STAYS)]
    rows += [(4096, i + 1, i + 1) for i in range(CUT_STAYS)]  # small ones come and go
    rows += [(4 * MIB - SLACK, 1 + CUT_STAYS, 1 + CUT_STAYS)]
    assert heap_peak(trace_of(rows, 2 + CUT_STAYS), keeps=True) < 5.5 * MIB


def test_a_block_of_the_same_size_needs_a_place_of_its_own_at_first() -> None:
    heap = Heap(keeps=True)
    first, _ = heap.take(MIB), heap.take(MIB)
    heap.give(first)
    again = heap.take(MIB)
    assert again[0] != first[0]
    assert heap.take(MIB - 4096)[0] == first[0]


def test_what_a_kernel_takes_for_itself_counts() -> None:
    trace = trace_of([(MIB, 0, 0)], 1, hidden=3 * MIB)
    assert heap_peak(trace, keeps=True) == pytest.approx(4 * MIB, abs=SLACK)


def test_the_threshold_follows_what_is_freed() -> None:
    heap = Heap(keeps=False)
    heap.give(heap.take(8 * MIB))
    assert heap.resident == 0  # it was mapped, and went back
    heap.give(heap.take(4 * MIB))
    assert heap.resident == pytest.approx(4 * MIB, abs=SLACK)  # below the threshold by now
    heap.give(heap.take(20 * MIB))
    assert heap.resident == pytest.approx(4 * MIB, abs=SLACK)


def test_nothing_lives_in_an_empty_trace() -> None:
    assert heap_peak(trace_of([], 0), keeps=True) == 0


REAL = """
import ctypes, re, sys
libc = ctypes.CDLL("libc.so.6")
libc.memalign.restype = ctypes.c_void_p
libc.memalign.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "True":
    libc.mallopt(-4, 0), libc.mallopt(-1, 2**31 - 1)
def held():
    text = open("/proc/self/status").read()
    return int(re.search(r"RssAnon:\\s+(\\d+)", text)[1]) * 1024
blocks, peak, first = {}, 0, held()
for line in sys.argv[2].split(";"):
    word, name, size = line.split(",")
    if word == "take":
        blocks[name] = libc.memalign(64, int(size))
        ctypes.memset(blocks[name], 1, int(size))
    else:
        libc.free(blocks.pop(name))
    peak = max(peak, held() - first)
print(peak)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's rules")
@pytest.mark.parametrize("keeps", [False, True])
def test_the_real_library_does_the_same(keeps: bool) -> None:
    if ctypes.util.find_library("c") != "libc.so.6":
        pytest.skip("another C library")
    words, heap, blocks = [], Heap(keeps=keeps), {}
    sizes = [3, 9, 2, 14, 5, 40, 1, 8, 6, 11, 4, 7]
    for number, size in enumerate(sizes * 2):
        words.append(f"take,{number},{size * MIB}")
        blocks[number] = heap.take(size * MIB)
        old = number - 3 if number % 3 else number - 2
        if old in blocks:
            words.append(f"free,{old},0")
            heap.give(blocks.pop(old))
    command = [sys.executable, "-c", REAL, str(keeps), ";".join(words)]
    real = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # Python's own objects lie between; a busy system takes pages back that nobody has touched
    assert 0.9 * real <= heap.peak <= 1.25 * real


def test_what_the_first_steps_leave_makes_no_holes_in_later_ones() -> None:
    first = [(4 * MIB, 0, 0), (MIB, 0, 4), (5 * MIB, 1, 1)]  # as above, and the small one stays
    small = [(4096, 2, 2)] * (CUT_STAYS + 1)  # come and go
    trace = trace_of([*first, *small, (5 * MIB, 3, 3)], 4, steps=2)
    assert heap_peak(trace, keeps=True) > 10 * MIB
    assert settled_peak(trace, keeps=True, stays=CUT_STAYS) == pytest.approx(6 * MIB, abs=SLACK)
    assert settled_peak(trace, keeps=False, stays=CUT_STAYS) == pytest.approx(6 * MIB, abs=SLACK)


def test_holes_of_the_steps_that_keep_memory_count() -> None:
    rows = [(4 * MIB, 2, 2), (MIB, 2, 3), (5 * MIB, 3, 3)]
    trace = trace_of(rows, 4, steps=2)
    assert settled_peak(trace, keeps=True, stays=CUT_STAYS) == pytest.approx(10 * MIB, abs=SLACK)
    assert settled_peak(trace, keeps=False, stays=CUT_STAYS) == pytest.approx(6 * MIB, abs=SLACK)


def test_the_longer_ends_stay_in_use_the_more_holes_do_not_fit_again() -> None:
    rows = [(4 * MIB, n, n) for n in range(4)]
    peaks = [settled_peak(trace_of(rows, 4), keeps=True, stays=stays) for stays in (0, 1, 3)]
    assert peaks == [pytest.approx(n * 4 * MIB, abs=SLACK) for n in (1, 2, 4)]


def test_what_outlives_a_step_is_let_go_before_the_next_one() -> None:
    small = [(4096, 2, 2)] * (CUT_STAYS + 1)  # come and go
    trace = trace_of([(4 * MIB, 1, 2), *small, (4 * MIB, 3, 4)], 4, steps=2)  # gradients
    assert settled_peak(trace, keeps=True, stays=CUT_STAYS) == pytest.approx(4 * MIB, abs=SLACK)
    assert settled_peak(trace_of([], 0), keeps=True) == 0


def test_the_largest_block_that_comes_again_is_told() -> None:
    rows = [(4 * MIB, 0, 1), (2 * MIB, 0, 0), (2 * MIB, 1, 1), (MIB, 1, 1), (64 * MIB, 0, 0)]
    assert taken_again(trace_of(rows, 3), keeps=True) == 2 * MIB
    rows += [(64 * MIB, 2, 2), (4 * MIB, 2, 2)]
    assert taken_again(trace_of(rows, 3), keeps=True) == 64 * MIB
    # such a block has pages of its own where memory is given back
    assert taken_again(trace_of(rows, 3), keeps=False) == 4 * MIB
    assert taken_again(trace_of([], 0), keeps=True) == 0
    assert taken_again(trace_of([], 1, hidden=MIB), keeps=True) == 0
    assert taken_again(trace_of([], 2, hidden=MIB), keeps=True) == MIB  # a kernel's own


@pytest.mark.parametrize("pins", [0, 1])
def test_a_hole_whose_end_is_taken_for_good_serves_smaller_blocks_only(pins: int) -> None:
    heap = Heap(keeps=True)
    first = heap.take(MIB)
    heap.pin(pins)
    guard, *others = [heap.take(4096) for _ in range(CUT_STAYS + 2)]
    heap.give(first)
    for block in others:  # as many as an end stays away for
        heap.give(block)
    assert (heap.take(MIB)[0] == first[0]) == (pins == 0)
    assert guard[0] is not None


def test_what_is_never_written_to_is_not_resident() -> None:
    for keeps in (True, False):
        heap = Heap(keeps=keeps)
        heap.take(4 * MIB, unwritten=3 * MIB)
        assert heap.peak == pytest.approx(MIB, abs=SLACK)
