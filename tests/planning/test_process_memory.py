"""From the tensors' peak to the process's, and what the machine's file may say."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import nn

from convivo.planning.document import plan_document
from convivo.planning.events import Trace
from convivo.planning.ledger import ledger
from convivo.planning.machine import Machine, Memory, cache_file, remember, this_machine
from convivo.planning.overhead import approximate, process
from convivo.planning.rehearsal import rehearse
from convivo.planning.residence import new_kernels, tensors_peak

MEMORY = Memory(library=1000, training=200, kernel=10, margin=0.25)
HERE = Machine(memory=MEMORY)


def traced(mode: str = "train", batch: int = 2) -> Trace:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1), nn.Flatten(),
        nn.LazyLinear(3),
    )  # fmt: skip
    with torch.no_grad():
        net(torch.zeros(1, 1, 11, 9))
    return rehearse(net, (1, 11, 9), batch, mode=mode)


def test_tensors_are_the_ledgers() -> None:
    trace = traced()
    assert tensors_peak(trace) == ledger(trace).tensors_peak


@pytest.mark.parametrize(("mode", "library"), [("train", 1200), ("infer", 1000)])
def test_the_parts_add_up(mode: str, library: int) -> None:
    much = 2**30  # beside which luck in the heap is nothing
    found = process(traced(mode), train=mode == "train", lasting=much, machine=HERE)
    assert found.library == library
    assert found.data == much
    assert found.peak == found.tensors + found.library + found.allocator + found.kernels + much
    assert found.overhead == found.peak - found.tensors
    assert found.bound == round(1.25 * found.peak)


def test_a_limit_takes_the_reserve_for_bad_luck_and_given_back_memory_needs_little() -> None:
    trace = traced(batch=64)
    free, capped, returned = (
        process(trace, train=True, machine=HERE, **more)
        for more in ({}, {"limit": 0}, {"keeps": False})
    )
    assert free.peak == capped.peak > returned.peak
    assert free.bound > capped.bound == round(1.25 * capped.peak)
    between = (free.bound + capped.bound) // 2
    assert process(trace, train=True, limit=between, machine=HERE).bound == between
    assert process(trace, train=True, limit=2**40, machine=HERE).bound == free.bound
    assert returned.peak < returned.bound < 1.25 * returned.peak
    predicted = [process(traced("infer"), train=False, limit=n, machine=HERE) for n in (None, 0)]
    assert predicted[0] == predicted[1]  # predictions are not refused memory


def test_what_is_needed_between_steps_counts_only_beyond_the_step() -> None:
    trace = traced()
    base = process(trace, train=True, machine=HERE).peak
    assert process(trace, train=True, between=10, machine=HERE).peak == base
    large = 10 * tensors_peak(trace)
    grown = process(trace, train=True, between=large, machine=HERE).peak
    weights = sum(h.bytes for h in trace.holdings if h.died >= len(trace.moments))
    assert grown == base + weights + large - tensors_peak(trace)


def test_kernels_of_one_shape_are_counted_once() -> None:
    # three convolutions and a product
    assert len(new_kernels(traced("infer"))) == 4
    same = nn.Sequential(*[nn.Conv2d(2, 2, 3, padding=1) for _ in range(5)])
    assert len(new_kernels(rehearse(same, (2, 8, 8), 1, mode="infer"))) < 5
    assert len(new_kernels(traced("train"))) > 4


def test_the_quick_guess_is_near_the_whole_answer() -> None:
    trace = traced()
    found = process(trace, train=True, machine=Machine())
    peak, bound = approximate(found.tensors, train=True, kernels=10, machine=Machine())
    assert peak == pytest.approx(found.peak, rel=0.05)
    assert bound > peak


def test_the_plan_document_has_them() -> None:
    net = nn.Sequential(nn.Conv1d(1, 4, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2))
    memory = plan_document("own", net, (1, 50), 2)["memory"]
    assert memory["tensors_peak"] + memory["overhead"] == memory["process_peak"]
    assert memory["process_peak"] < memory["process_bound"]


def test_measurements_come_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "machine.json"
    assert remember(MEMORY, {"threads": 2}, path) == path
    found = this_machine(path)
    assert found == Machine(memory=MEMORY, speeds={"threads": 2}, measured=True)


def test_without_a_measurement_the_defaults_serve(tmp_path: Path) -> None:
    assert this_machine(tmp_path / "none.json") == Machine()


@pytest.mark.parametrize(
    "change",
    [
        {"identity": {"form": 1, "cpu": "another", "threads": 1, "torch": "1"}},
        {"memory": None},
        {"memory": asdict(MEMORY) | {"library": "much"}},
        {"memory": asdict(MEMORY) | {"kernel": -1}},
        {"memory": asdict(MEMORY) | {"margin": True}},
        {"memory": {"library": 1}},
        {"speeds": [1]},
    ],
)
def test_a_damaged_or_foreign_file_is_ignored(tmp_path: Path, change: dict) -> None:
    path = tmp_path / "machine.json"
    remember(MEMORY, {}, path)
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | change), encoding="utf-8")
    assert this_machine(path) == Machine()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"identity": 3}', "\x00\xff"])
def test_what_is_no_document_is_ignored(tmp_path: Path, text: str) -> None:
    path = tmp_path / "machine.json"
    path.write_text(text, encoding="latin-1")
    assert this_machine(path) == Machine()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert remember(MEMORY, {}, tmp_path / "file" / "machine.json") is None


def test_the_cache_follows_the_platforms_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_file() == tmp_path / "convivo" / "machine.json"
