"""The computing process: it answers, fails in words, and is started anew when it is gone."""

import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the extra lab")

from convivo.errors import ShapeError
from convivo.lab.answers import Refusal
from convivo.lab.worker import Worker

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker(seconds=2.0)
    yield made
    made.close()
    assert made.pid is None


def test_it_answers_with_values(worker: Worker) -> None:
    assert worker.call(divmod, 17, 5) == (3, 2)
    assert worker.call(np.cumsum, [1, 2, 3]).tolist() == [1, 3, 6]
    assert worker.call(os.getpid) == worker.pid != os.getpid()


def test_our_own_errors_come_through(worker: Worker) -> None:
    from convivo.layers.windows import Windows, check_windows

    windows = Windows((5,), (1,), ((0, 0),), (1,))
    with pytest.raises(ShapeError, match="no axis may be shorter"):
        worker.call(check_windows, windows, (3,), "Pool")


def test_other_errors_are_told(worker: Worker) -> None:
    with pytest.raises(Refusal, match="ZeroDivisionError"):
        worker.call(divmod, 1, 0)
    assert worker.call(divmod, 4, 2) == (2, 0)


def test_it_is_started_anew_when_it_dies(worker: Worker) -> None:
    worker.start()
    first = worker.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    time.sleep(0.2)
    assert worker.call(abs, -1) == 1
    assert worker.pid != first


def test_it_is_started_anew_when_it_dies_at_work(worker: Worker) -> None:
    with pytest.raises(Refusal, match="the computing process ended"):
        worker.call(os._exit, 3)
    assert worker.call(abs, -2) == 2


def test_it_is_ended_when_it_takes_too_long(worker: Worker) -> None:
    with pytest.raises(Refusal, match="the computing process ended") as caught:
        worker.call(time.sleep, 60)
    assert caught.value.status == 503
    assert worker.call(abs, -3) == 3
