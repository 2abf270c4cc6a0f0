import signal
import threading
import time

import pytest

from convivo.errors import Interrupted
from convivo.files import write_json


def control(training, action):
    write_json(training.folder / "control.json", {"schema": 1, "action": action})


def stop_at(training, step, action):
    batches = training.batches

    def draw(number):
        if number == step:
            control(training, action)
        return batches(number)

    training.batches = draw


def test_clock_ends_the_run_early_with_its_state_saved(training):
    training.deadline = time.monotonic() - 1
    assert training.start() == "clock"
    assert training.state.step == 0
    assert training.last.exists()
    training.deadline = None
    assert training.start() == "schedule"


def test_stop_ends_at_once(training):
    stop_at(training, 5, "stop")
    assert training.start() == "control"
    assert training.state.step == 6
    assert training.last.exists()


def test_stop_after_epoch_finishes_the_epoch(training):
    stop_at(training, 5, "stop-after-epoch")
    assert training.start() == "control"
    assert training.state.step == 8


def test_stop_after_epoch_asked_before_the_first_step_still_trains_an_epoch(training):
    control(training, "stop-after-epoch")
    assert training.start() == "control"
    assert training.state.step == 4


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"action": "fly"}', '{"action": {}}', "{}"])
def test_damaged_control_file_is_no_command(training, text):
    training.folder.mkdir()
    (training.folder / "control.json").write_text(text, encoding="utf-8")
    assert training.start() == "schedule"


def test_pause_waits_and_run_goes_on(training):
    stop_at(training, 5, "pause")
    waiting = threading.Event()
    other = threading.Thread(target=lambda: waiting.wait(0.5) or control(training, "run"))
    other.start()
    assert training.start() == "schedule"
    other.join()
    assert training.state.step == 12


def test_signal_ends_a_pause(training):
    stop_at(training, 5, "pause")
    main, before = threading.main_thread().ident, signal.getsignal(signal.SIGTERM)

    def end_it():
        while signal.getsignal(signal.SIGTERM) is before:  # until the loop listens
            time.sleep(0.05)
        time.sleep(0.3)
        signal.pthread_kill(main, signal.SIGTERM)

    other = threading.Thread(target=end_it)
    other.start()
    with pytest.raises(Interrupted, match="SIGTERM after step 6"):
        training.start()
    other.join()
    assert training.last.exists()


def test_clock_ends_a_pause(training):
    training.folder.mkdir()
    control(training, "pause")
    training.deadline = time.monotonic() - 1
    assert training.start() == "clock"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_finishes_the_step_saves_and_ends(training, number, status):
    batches, handlers = training.batches, [signal.getsignal(s) for s in (2, 15)]

    def draw(step):
        if step == 4:
            signal.raise_signal(number)
        return batches(step)

    training.batches = draw
    text = f"train: the run was stopped and its state saved; got {number.name} after step 5. Run"
    with pytest.raises(Interrupted, match=text) as caught:
        training.start()
    assert caught.value.exit_status == status
    assert [signal.getsignal(s) for s in (2, 15)] == handlers
    training.batches = batches
    assert training.start() == "schedule"


def test_loop_runs_outside_the_main_thread(training):
    """A server trains in a thread of its own, where signals cannot be caught."""
    ended = []
    thread = threading.Thread(target=lambda: ended.append(training.start()))
    thread.start()
    thread.join()
    assert ended == ["schedule"]


def test_finished_run_does_nothing(training):
    training.start()
    before = training.last.read_bytes()
    assert training.start() == "schedule"
    assert training.last.read_bytes() == before
