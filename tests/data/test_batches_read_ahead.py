"""The next batch is drawn beforehand; which one a step gets never depends on it."""

import threading

import pytest

from convivo.data.ahead import Ahead


def test_any_order_of_steps_gives_what_drawing_gives() -> None:
    ahead = Ahead(lambda step: step * step)
    assert [ahead(step) for step in (0, 1, 2, 2, 7, 8, 3, 0)] == [0, 1, 4, 4, 49, 64, 9, 0]
    ahead.close()


def test_the_next_batch_is_drawn_by_another_thread_before_it_is_asked_for() -> None:
    drawn: dict[int, str] = {}
    ready = threading.Event()

    def draw(step: int) -> int:
        drawn[step] = threading.current_thread().name
        if step == 1:
            ready.set()
        return step

    ahead = Ahead(draw)
    ahead(0)
    assert ready.wait(20)
    assert drawn[0] == threading.current_thread().name != drawn[1]
    assert sorted(drawn) == [0, 1]  # no more than one waits
    ahead.close()
    assert sorted(drawn) == [0, 1]


def test_an_error_of_drawing_is_told_at_its_own_step() -> None:
    def draw(step: int) -> int:
        if step == 1:
            raise MemoryError("short")
        return step

    ahead = Ahead(draw)
    assert ahead(0) == 0
    with pytest.raises(MemoryError, match="short"):
        ahead(1)
    assert ahead(2) == 2
    ahead.close()
