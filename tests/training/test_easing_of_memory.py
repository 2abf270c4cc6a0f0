"""A step that is refused its memory is taken again in a milder way; a run is never just killed."""

import sys

import pytest
import torch
from torch import nn

from convivo.errors import PlanError
from convivo.progress import Progress
from convivo.training import easing
from convivo.training.allocator import keep_memory, keeps_memory, return_memory
from convivo.training.easing import Cap, ease, normalizes_over_the_batch
from convivo.training.journal import Journal
from convivo.training.loop import Schedule, fit, train_step
from convivo.training.state import Counters, State


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Another training of this process may have asked to keep memory."""
    return_memory()


REFUSALS = [
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("could not create a primitive"),
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
]


def refusing(step, fits):
    """A step that is refused its memory for batches of more than `fits` items."""
    refused = []

    def limited(network, images, targets):
        answer = step(network, images, targets)
        if len(images) > fits:
            refused.append(len(images))
            raise REFUSALS[len(refused) % len(REFUSALS)]
        return answer

    limited.refused = refused
    return limited


def test_the_same_step_is_taken_again_with_fewer_items_a_pass(make_training, capsys):
    training, calm = make_training("refused"), make_training("calm")
    training.step = refusing(training.step, fits=3)
    assert training.start() == "schedule"
    counters = training.state.counters
    assert (counters.step, counters.passes) == (12, 2)
    assert training.step.refused == [5]
    assert counters.eased == ["from step 0 on 2 passes of 3 an update"]
    told = capsys.readouterr().err
    assert "step 0: out of memory; going on with 2 passes of 3 an update" in told
    # as if it had been planned so from the start: nothing of the failed attempts is left
    fresh = calm.fresh

    def planned():
        state = fresh()
        state.counters.passes = 2
        return state

    calm.fresh = planned
    calm.start()
    assert calm.tensors() == training.tensors()


def test_what_was_changed_survives_a_resumed_run(training):
    training.step = refusing(training.step, fits=3)
    training.plan["steps"] = 6
    training.start()
    eased = training.state.counters.eased
    assert eased
    refused = list(training.step.refused)
    training.plan["steps"] = 12
    training.start()
    assert training.state.counters.eased == eased
    assert training.step.refused == refused


def test_in_the_end_the_state_is_saved_and_the_least_is_told(training):
    training.step = refusing(training.step, fits=0)
    cap = Cap(limit=300 * 2**20, least=lambda: 411 * 2**20)
    state, journal = training.fresh(), Journal(training.folder, Progress("step", 1), rest=0.0)
    message = (
        r"^train: needs at least 411 MiB; step 0 failed in its smallest form; got 300 MiB\. "
        r"Give --ram 420M, or choose a smaller network or input\.$"
    )
    before = [value.clone() for value in state.network.state_dict().values()]
    with pytest.raises(PlanError, match=message) as refused:
        fit(
            state, training.batches, training.step, schedule=Schedule(**training.plan),
            validate=training.validate, journal=journal, cap=cap,
        )  # fmt: skip
    assert refused.value.exit_status == 1
    assert training.last.exists()
    after = state.network.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None for p in state.network.parameters())


def test_without_a_known_least_more_is_asked_for(training):
    training.step = refusing(training.step, fits=0)
    with pytest.raises(PlanError, match=r"must hold one step.*got no more memory\. Give more"):
        training.start()


def test_other_errors_are_heard_at_once(training):
    def failing(network, images, targets):
        raise RuntimeError("shapes do not match")

    training.step = failing
    with pytest.raises(RuntimeError, match="shapes do not match"):
        training.start()
    assert training.state.counters.eased == []


def state_of(network, **counters):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    return State(network=network, optimizer=optimizer, counters=Counters(**counters))


def test_first_fewer_items_then_checkpointing_then_nothing():
    blocks = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 2))
    state, ways = state_of(blocks), []
    while way := ease(state, (5, False)):
        ways.append(way)
    assert ways == [
        "2 passes of 3 an update", "4 passes of 2 an update", "5 passes of 1 an update",
        "checkpointing",
    ]  # fmt: skip
    assert len(state.counters.eased) == 4


def test_a_batch_that_is_normalized_keeps_two_items_a_pass():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert normalizes_over_the_batch(network)
    assert not normalizes_over_the_batch(nn.Linear(2, 2))
    state = state_of(network)
    while ease(state, (5, False)):
        pass
    assert state.counters.passes == 2
    maps = state_of(network)
    while ease(maps, (5, True)):
        pass
    assert maps.counters.passes == 5


def test_a_first_update_that_fails_leaves_no_half_of_the_optimizers_state(training):
    state = training.fresh()
    images, targets = training.batches(0)
    first = next(iter(state.network.parameters()))

    def step_of_optimizer():
        state.optimizer.state[first]["exp_avg"] = torch.zeros(1)
        raise MemoryError

    state.optimizer.step = step_of_optimizer
    with pytest.raises(MemoryError):
        train_step(state, training.step, images, targets, Schedule(**training.plan))
    assert not state.optimizer.state


def test_a_peak_past_the_limit_makes_the_next_steps_milder(training, monkeypatch, capsys):
    # of each step before and after; the second step takes more
    peaks = iter([(10, 0)] * 3 + [(90, 20)] * 100)
    monkeypatch.setattr(easing, "_peak", lambda: next(peaks))
    state, journal = training.fresh(), Journal(training.folder, Progress("step", 1), rest=0.0)
    reason = fit(
        state, training.batches, training.step, schedule=Schedule(**training.plan),
        validate=training.validate, journal=journal, cap=Cap(limit=60),
    )  # fmt: skip
    assert reason == "schedule"
    assert state.counters.eased == ["from step 1 on 2 passes of 3 an update"]
    assert "more memory than there is; going on with 2 passes" in capsys.readouterr().err


def test_only_a_new_peak_past_the_limit_counts(monkeypatch):
    monkeypatch.setattr(easing, "_peak", lambda: (100, 30))
    assert Cap(limit=69).passed(before=99)
    assert not Cap(limit=70).passed(before=99)
    assert not Cap(limit=69).passed(before=100)
    assert not Cap().passed(before=0)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps memory where it is asked to")
def test_memory_that_was_kept_is_given_back_first(make_training, capsys):
    training, calm = make_training("kept"), make_training("calm")
    step, failed = training.step, []

    def tight(network, images, targets):
        if keeps_memory():
            failed.append(len(images))
            raise REFUSALS[0]
        return step(network, images, targets)

    training.step = tight
    assert keep_memory()
    assert training.start() == "schedule"
    assert failed == [5]
    counters = training.state.counters
    assert (counters.passes, counters.checkpointing) == (1, False)
    assert counters.eased == ["from step 0 on memory given back as soon as it is free"]
    assert "out of memory; going on with memory given back" in capsys.readouterr().err
    calm.start()
    assert calm.tensors() == training.tensors()  # not a bit of the result is another
