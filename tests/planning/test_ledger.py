"""A trace summed up: kinds, layers, the peak and its place, and the sums behind the figures."""

from itertools import accumulate

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from convivo.architectures.create import create
from convivo.planning.events import KINDS, Holding, Moment, Trace
from convivo.planning.ledger import ledger
from convivo.planning.rehearsal import rehearse
from convivo.planning.step import cross_entropy, make_optimizer, training_step
from convivo.planning.trace import trace


def holding(size, born, died, kind, layer="a", **settings):
    return Holding(
        bytes=size, born=born, died=died, shape=(size,), itemsize=1, kind=kind, layer=layer,
        op="", **settings,
    )  # fmt: skip


def moment(phase, layer="a", hidden=0, step=1):
    return Moment(step=step, phase=phase, layer=layer, op="aten::mm", hidden=hidden)


EXAMPLE = Trace(
    moments=(moment("forward"), moment("loss", "loss", hidden=7), moment("backward", step=2)),
    holdings=(
        holding(100, 0, 3, "parameters"),
        holding(10, 0, 1, "outputs"),
        holding(1, 1, 1, "losses", "loss"),
        holding(2, 2, 3, "gradients"),
    ),
    steps=2,
)


def test_what_lives_at_each_moment():
    told = ledger(EXAMPLE)
    assert [point.bytes for point in told.timeline] == [
        (100, 10, 0, 0, 0, 0),
        (100, 10, 0, 1, 0, 7),
        (100, 0, 2, 0, 0, 0),
    ]
    assert told.tensors_peak == 118
    assert told.memory == dict(zip(KINDS, (100, 10, 0, 1, 0, 7), strict=True))
    assert told.peaks == (118, 102)
    assert told.peak_at == "loss"


def test_layers_at_the_peak_with_their_sums():
    rows = {layer.name: layer for layer in ledger(EXAMPLE).layers}
    assert rows["a"].formulas == ("parameters: 100*1 = 100", "outputs: 10*1 = 10")
    assert rows["loss"].formulas == ("operations: 7", "losses: 1*1 = 1")
    assert rows["loss"].bytes["operations"] == 7


@pytest.mark.parametrize(
    ("phase", "layer", "place"),
    [
        ("backward", "layer4.1.conv2", "layer4.1.conv2 (backward)"),
        ("forward", "Linear", "Linear (forward)"),
        ("backward", "loss", "loss (backward)"),
        ("loss", "loss", "loss"),
        ("optimizer", "", "optimizer"),
    ],
)
def test_the_place_of_the_peak_in_words(phase, layer, place):
    told = ledger(Trace(moments=(moment(phase, layer),), holdings=(), steps=1))
    assert told.peak_at == place


def test_of_equal_peaks_the_first_is_told():
    moments = (moment("forward", "first"), moment("forward", "second"))
    told = ledger(Trace(moments=moments, holdings=(holding(5, 0, 2, "outputs"),), steps=1))
    assert told.peak_at == "first (forward)"


def lenet():
    with torch.device("meta"):
        return create("lenet5", num_classes=10, input_size=28)


def test_the_lectures_figures_for_lenet():
    told = ledger(rehearse(lenet(), (1, 28, 28), 1))
    formulas = {name: [h.formula for h in found] for name, found in told.outputs.items()}
    assert formulas["c1"] == ["1*6*28*28*4 = 18,816"]
    assert formulas["c3"] == ["1*16*10*10*4 = 6,400"]
    assert formulas["s4"][0] == "1*16*5*5*4 = 1,600"
    assert formulas["c5"] == ["1*120*4 = 480"]
    assert told.outputs["c3"][0].bytes == 16 * 10 * 10 * 4


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("mode", ["train", "infer"])
@pytest.mark.parametrize(
    ("name", "dims"), [("lenet5", 1), ("resnet18", 2), ("unet", 3), ("googlenet", 1)]
)
def test_kinds_and_layers_add_up_to_the_peak(name, dims, mode, precision):
    size = (32, 40, 48)[:dims]
    with torch.device("meta"):
        net = create(name, spatial_dims=dims, num_classes=3, input_size=size, width=0.25)
    traced = rehearse(net, (1, *size), 2, mode=mode, precision=precision)
    told = ledger(traced)
    assert sum(told.memory.values()) == told.tensors_peak == max(told.peaks)
    assert sum(sum(layer.bytes.values()) for layer in told.layers) == told.tensors_peak
    for point in told.timeline[:: max(1, len(told.timeline) // 20)]:
        living = [h.bytes for h in traced.holdings if h.born <= point.index <= h.died]
        assert sum(living) + traced.moments[point.index].hidden == point.total
    trained = {"gradients", "optimizer"} if mode == "train" else set()
    assert {kind for kind in ("gradients", "optimizer") if told.memory[kind]} <= trained


def test_every_parameter_gets_a_gradient_of_its_size():
    traced = rehearse(lenet(), (1, 28, 28), 2)
    sizes = {
        kind: sorted(h.bytes for h in traced.holdings if h.kind == kind)
        for kind in ("parameters", "gradients")
    }
    assert sizes["gradients"] == sorted(2 * sizes["parameters"])  # of two steps


def test_a_network_that_allocates_nothing():
    told = ledger(rehearse(nn.Identity(), (1, 5), 2, mode="infer"))
    assert told.tensors_peak == 2 * 5 * 4
    assert told.memory["outputs"] == 40
    assert told.timeline[0].phase == "start"


@pytest.mark.parametrize(
    ("task", "dims"), [("classify", 1), ("segment", 2), ("reconstruct", 3), ("generate", 1)]
)
def test_targets_and_loss_follow_from_the_task(task, dims):
    net = (
        nn.Sequential(nn.Flatten(), nn.LazyLinear(3)) if task in ("classify", "generate") else None
    )
    size = (7, 9, 11)[:dims]
    if net is None:
        kernel = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        net = kernel(2, 2, 1)
    else:
        net(torch.zeros(1, 2, *size))
    traced = rehearse(net, (2, *size), 4, task=task)
    shapes = [h.shape for h in traced.holdings if h.op == "input"]
    expected = {"classify": (4,), "generate": (4,), "segment": (4, *size), "reconstruct": (0,)}
    assert shapes == [(4, 2, *size), expected[task]]
    guessed = rehearse(net, (2, *size), 4)
    same = [h.shape for h in guessed.holdings if h.op == "input"] == shapes
    assert same == (task != "reconstruct")  # which looks like segmentation


def real_peak(net, step, optimizer, given):
    """Bytes of torch's CPU allocator at the worst moment of three real steps."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        net = net()
        made = optimizer(net)
        tensors = tuple(torch.zeros(shape, dtype=dtype) for shape, dtype in given)
        with record_function("STEPS"):
            for _ in range(3):
                step(net, made, tensors)
    events, changes = list(profiler.profiler.kineto_results.experimental_event_tree()), []
    while events:
        event = events.pop()
        events += event.children
        if event.name == "[memory]":
            changes.append((event.start_time_ns, event.extra_fields.alloc_size))
        elif event.name == "STEPS":
            start = event.start_time_ns
    changes.sort()
    totals = accumulate(size for _, size in changes)
    return max(total for (when, _), total in zip(changes, totals, strict=True) if when >= start)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_the_peak_is_that_of_the_real_allocator(optimizer, precision):
    """No convolution here, whose workspace depends on the processor: so it is exact."""

    def net():
        parts = [nn.BatchNorm1d(5), nn.GELU(), nn.MaxPool1d(2), nn.Flatten(), nn.Dropout(0.5)]
        return nn.Sequential(*parts, nn.Linear(5 * 300, 200), nn.Tanh(), nn.Linear(200, 7))

    step = training_step(cross_entropy, precision)
    given = [((8, 5, 600), torch.float32), ((8,), torch.int64)]
    traced = trace(net(), step, given, optimizer=make_optimizer(optimizer), steps=3)
    told, real = ledger(traced).tensors_peak, real_peak(net, step, make_optimizer(optimizer), given)
    # a few numbers of eight bytes, and torch's wrapped ones, are nobody's tensors
    assert told == pytest.approx(real, rel=2e-3)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_peak_of_convolutions_is_that_of_the_real_allocator(dims):
    size = (600, 32, 24)[dims - 1]
    sizes = (size,) * dims

    def net():
        return create("unet", spatial_dims=dims, num_classes=3, width=0.5)

    step = training_step(cross_entropy)
    given = [((3, 1, *sizes), torch.float32), ((3, *sizes), torch.int64)]
    traced = trace(net(), step, given, optimizer=make_optimizer("momentum"))
    real = real_peak(net, step, make_optimizer("momentum"), given)
    assert ledger(traced).tensors_peak == pytest.approx(real, rel=0.03)


@pytest.mark.parametrize("options", [{}, {"activation": "tanh", "pool": "avg"}])
def test_the_peak_of_convolution_and_pooling_at_once_is_that_of_the_real_allocator(options):
    """No convolution of torch's is in it: so it is exact."""

    def net():
        return create("lenet5", num_classes=10, input_size=28, **options)

    step = training_step(cross_entropy)
    given = [((64, 1, 28, 28), torch.float32), ((64,), torch.int64)]
    traced = trace(net(), step, given, optimizer=make_optimizer("adamw"))
    told, real = ledger(traced), real_peak(net, step, make_optimizer("adamw"), given)
    assert told.tensors_peak == pytest.approx(real, rel=2e-3)
    assert told.peak.layer in ("c1", "c3")
