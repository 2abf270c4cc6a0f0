"""Seconds from work and speeds: by hand on a table made up for it, and the form of real tables."""

import json
import math

import pytest
import torch
from torch import nn

from convivo.planning import speeds
from convivo.planning.document import plan_document
from convivo.planning.step_time import step_seconds, step_work
from convivo.planning.timing import FORM, default_speeds, refine, seconds_per_step
from convivo.planning.work import Tally, Work

GRID = [[i, o, i * o * 1e-9] for i in (1, 16) for o in (1, 16)]


def table(**changes):
    kinds = ("conv_forward", "conv_data", "conv_weight")
    keys = [f"{kind}.{speed}" for kind in kinds for speed in ("fp32", "native")]
    return {
        "form": FORM,
        "threads": 1,
        "fixed": dict.fromkeys(keys, 1e-6),
        "weight": {key: [[4, 2e-9], [16, 1e-9]] for key in keys},
        "conv": {
            f"{kind}.{axes}.{speed}": [[i, o, t * factor] for i, o, t in GRID]
            for kind in kinds
            for axes, factor in (("point", 1), ("2", 9))
            for speed in ("fp32", "native")
        }
        | {f"{kind}.grouped.fp32": [[1, 2e-9], [4, 32e-9]] for kind in kinds},
        "matmul": {"fp32": [1e-9, 4e-9]},
        "bytes": {"elementwise.fp32": [[1000, 2e-9], [10000, 4e-9]]},
        "call": {"called": 1.0, "replayed": 10.0, "handled": 100.0},
    } | changes


def seconds(*items, **changes):
    return seconds_per_step(Tally(work=dict.fromkeys(items, 1)), table(**changes))


def convolution(**changes):
    words = {"flops": 1, "channels": (4, 4), "kernel": (3, 3), "positions": 100} | changes
    return Work("conv_forward", "fp32", 1000, **words)


def test_a_convolution_is_its_call_its_weight_and_its_positions():
    assert seconds(convolution()) == pytest.approx(1e-6 + 1e-6 + 100 * 9 * 16e-9)


def test_larger_kernels_and_more_channels_take_longer_in_proportion():
    five = seconds(convolution(kernel=(5, 5)))
    assert five == pytest.approx(2e-6 + 100 * 25 * 16e-9)
    wide = seconds(convolution(channels=(16, 64)))
    assert wide == pytest.approx(2e-6 + 100 * 9 * 16 * 64e-9)


def test_kernels_of_torch_itself_start_anew_for_each_item():
    native = seconds(convolution(native=True, items=5))
    assert native == pytest.approx(5 * 2e-6 + 100 * 9 * 16e-9)


def test_groups_are_told_from_their_own_row():
    grouped = seconds(convolution(groups=8, channels=(2, 2)))
    assert grouped == pytest.approx(2e-6 + 100 * 9 * 8 * 8e-9)


def test_small_and_large_sums_have_their_own_speeds_and_unknown_kinds_those_of_a_sum():
    assert seconds(Work("elementwise", "fp32", 100)) == pytest.approx(100 * 2e-9)
    assert seconds(Work("elementwise", "bf16", 10**6)) == pytest.approx(1e6 * 4e-9)
    assert seconds(Work("resize", "fp32", 10**4)) == pytest.approx(1e4 * 4e-9)


def test_a_product_is_bound_by_arithmetic_or_by_memory():
    assert seconds(Work("matmul", "fp32", 10, flops=1000)) == pytest.approx(1e-6)
    assert seconds(Work("matmul", "fp32", 1000, flops=1000)) == pytest.approx(4e-6)


def test_a_weight_costs_more_where_the_grid_is_small():
    small = seconds(convolution(positions=10, items=5))
    assert small == pytest.approx(1e-6 + 1000 * 2e-9 + 10 * 9 * 16e-9)


def test_calls_are_counted():
    assert seconds_per_step(Tally(called=1, replayed=2, handled=3), table()) == 321


def test_default_speeds_are_shared_out_over_the_threads_in_use():
    net = nn.Conv2d(16, 32, 3)
    tally = step_work(net, (16, 65, 63), 2, mode="infer")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = seconds_per_step(tally)
        torch.set_num_threads(2)
        two = seconds_per_step(tally)
    finally:
        torch.set_num_threads(before)
    assert two < one


def test_speeds_of_another_form_are_not_used():
    tally = Tally(called=1)
    assert seconds_per_step(tally, {"form": FORM + 1}) == seconds_per_step(tally)


def test_refined_by_the_third_to_the_tenth_step():
    assert refine(0.5, []) == refine(0.5, [9.0, 9.0]) == 0.5
    assert refine(0.5, [9.0, 9.0, 2.0]) == 2.0
    assert refine(0.5, [9.0, 9.0, *[1.0] * 8, *[100.0] * 90]) == 1.0


@pytest.mark.parametrize("mode", ["train", "infer"])
def test_more_items_take_longer(mode):
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 29 * 31, 3))
    few, many = (step_seconds(net, (1, 31, 33), n, mode=mode) for n in (2, 20))
    assert 0 < few < many


def test_the_document_has_seconds_where_it_has_memory():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 5 * 7, 3))
    assert plan_document("mine", net, (1, 7, 9), 2)["seconds_per_step"] > 0
    assert plan_document("mine", net, (1, 7, 9), 2, memory=False)["seconds_per_step"] is None


def test_measured_speeds_have_the_form_of_the_defaults(monkeypatch):
    """One run of each task is enough for the form."""

    def once(task):
        task()
        return 1e-3

    monkeypatch.setattr(speeds, "shortest", once)
    monkeypatch.setattr(speeds, "LEVELS", (1, 4))
    monkeypatch.setattr(speeds, "BYTES", (2**12,))
    ticks = []
    state = torch.random.get_rng_state()
    found = speeds.measure_speeds(tick=lambda: ticks.append(1))
    assert len(ticks) == len(speeds.MEASUREMENTS)
    assert torch.equal(state, torch.random.get_rng_state())
    known = default_speeds()
    assert found.keys() == known.keys()
    for part in speeds.MEASUREMENTS:
        assert found[part].keys() == known[part].keys(), part
    assert json.loads(json.dumps(found)) == found
    net = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(14, 3))
    assert math.isfinite(seconds_per_step(step_work(net, (1, 9), 2), found))
