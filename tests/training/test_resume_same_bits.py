import json
import signal

import pytest
import torch

from convivo.errors import Interrupted, ReadError
from convivo.files import replacing
from convivo.training.checkpoint import load_tensors, save_tensors, save_weights
from convivo.training.journal import Journal
from convivo.training.state import save_state


class Killed(Exception):
    """The process is gone: nothing after this is saved."""


def dying_at(step, batches):
    def draw(number):
        if number == step:
            raise Killed
        return batches(number)

    return draw


def lines(training):
    """metrics.jsonl without what the clock wrote."""
    text = (training.folder / "metrics.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in row.items() if "seconds" not in k} for row in rows]


@pytest.fixture
def whole(make_training):
    """The same training, never stopped."""
    run = make_training("whole")
    assert run.start() == "schedule"
    return run


@pytest.mark.parametrize("step", range(12))
def test_killed_run_goes_on_to_the_same_bits(training, whole, step):
    batches = training.batches
    training.batches = dying_at(step, batches)
    with pytest.raises(Killed):
        training.start()
    training.batches = batches
    assert training.start() == "schedule"
    assert training.tensors() == whole.tensors()
    assert lines(training) == lines(whole)
    best = [run.folder / "weights.safetensors" for run in (training, whole)]
    assert best[0].read_bytes() == best[1].read_bytes()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_stopped_after_every_single_step_goes_on_to_the_same_bits(make_training, optimizer):
    whole = make_training("whole", optimizer=optimizer)
    whole.start()
    training = make_training("stopped", optimizer=optimizer)
    batches = training.batches

    def signalled(number):
        signal.raise_signal(signal.SIGTERM)
        return batches(number)

    training.batches = signalled
    for step in range(1, 13):
        torch.manual_seed(step)  # whatever ran in between
        with pytest.raises(Interrupted):
            training.start()
        assert training.state.step == step
    training.batches = batches
    assert training.start() == "schedule"
    assert training.tensors() == whole.tensors()
    assert lines(training) == lines(whole)


def test_resumed_run_has_trained_at_all(whole):
    fresh = whole.fresh().network.state_dict()
    assert all(value.numpy().tobytes() != whole.tensors()[key] for key, value in fresh.items())
    assert [line["step"] for line in lines(whole)] == [3, 6, 9, 12]


def test_lines_logged_after_the_saved_state_are_taken_back(training):
    training.batches = dying_at(8, training.batches)
    with pytest.raises(Killed):
        training.start()
    path = training.folder / "metrics.jsonl"
    kept = path.read_text(encoding="utf-8")
    assert [json.loads(line)["step"] for line in kept.splitlines()] == [3, 6]
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 9, "loss": 1.0}\n{"step": 12, "lo')  # a line too far, and half a line
    with pytest.raises(Killed):
        training.start()
    assert path.read_text(encoding="utf-8") == kept


def test_new_run_forgets_the_lines_of_one_that_saved_nothing(training):
    training.folder.mkdir()
    (training.folder / "metrics.jsonl").write_text('{"step": 3}\n', encoding="utf-8")
    training.start()
    assert [line["step"] for line in lines(training)] == [3, 6, 9, 12]


def test_failed_save_leaves_the_old_state_whole(training, whole):
    batches = training.batches
    training.batches = dying_at(7, batches)
    with pytest.raises(Killed):
        training.start()
    before = training.last.read_bytes()

    def half_written():
        with replacing(training.last) as part:
            part.write_bytes(before[: len(before) // 2])
            raise Killed

    with pytest.raises(Killed):
        half_written()
    with pytest.raises(TypeError):
        save_tensors(training.last, {"a": torch.zeros(3)}, {"facts": object()})
    assert training.last.read_bytes() == before
    assert [path.name for path in training.last.parent.iterdir()] == [training.last.name]
    # What a process killed outright leaves behind is beside the state, never in its place.
    (training.last.parent / f".{training.last.name}.x1.part").write_bytes(before[:100])
    training.batches = batches
    assert training.start() == "schedule"
    assert training.tensors() == whole.tensors()


def test_damaged_state_is_named(training):
    training.start()
    training.last.write_bytes(training.last.read_bytes()[:-7])
    with pytest.raises(ReadError, match=r"state\.safetensors: the weights must be a whole"):
        training.start()


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ReadError, match="the weights must be a whole safetensors file"):
        load_tensors(tmp_path / "none.safetensors")


def test_weights_alone_are_not_a_state_to_resume_from(training):
    training.start()
    save_weights(training.last, training.state.network)
    with pytest.raises(ReadError, match="must belong to this network and optimizer; got"):
        training.start()


def test_state_of_another_network_is_refused(training):
    other = training.fresh()
    other.network = torch.nn.Linear(2, 2)
    other.optimizer = torch.optim.AdamW(other.network.parameters())
    save_state(training.last, other)
    with pytest.raises(ReadError, match="must belong to this network and optimizer"):
        training.start()


def test_tensors_and_facts_come_back_as_they_were(tmp_path):
    path = tmp_path / "deep" / "state.safetensors"
    tensors = {
        "half": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3).T,
        "scalar": torch.tensor(3, dtype=torch.int64),
        "none": torch.zeros(0, 4),
    }
    facts = {"score": 0.1 + 0.2, "list": [1, 2], "none": None}
    save_tensors(path, tensors, facts)
    found, told = load_tensors(path)
    assert told == facts
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_resume_says_whether_there_was_something(training):
    journal = Journal(training.folder, None)
    assert journal.resume(training.fresh()) is False
    training.start()
    state = training.fresh()
    assert journal.resume(state) is True
    assert state.step == 12
    assert state.counters == training.state.counters
