"""A step watched without being taken: small networks whose every byte can be counted by hand."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils.checkpoint import checkpoint

from convivo.architectures.create import create
from convivo.errors import PlanError, ShapeError
from convivo.planning import trace as tracing
from convivo.planning.events import KINDS
from convivo.planning.ledger import ledger
from convivo.planning.step import cross_entropy, make_optimizer, prediction_step, training_step
from convivo.planning.trace import trace
from convivo.training.loop import Schedule, train_step
from convivo.training.state import Counters, State

FLOAT = 4
SCHEDULE = Schedule(
    steps=3, validate_every=3, steps_per_epoch=3, lr=1e-3, warmup=0, clip=1.0, patience=0, seed=0
)


def summed(network, optimizer, given):
    """Forward and backward, nothing else."""
    network(*given).sum().backward()


def watch(network, shape, step=summed, **settings):
    return trace(
        network, step, [(shape, torch.float32)], steps=settings.pop("steps", 1), **settings
    )


def born(traced, kind):
    """Bytes of all that is of a kind, and not there from the start."""
    return [h.bytes for h in traced.holdings if h.kind == kind and h.op not in ("input", "")]


def points(traced):
    return ledger(traced).timeline


def row(kind):
    return KINDS.index(kind)


def test_every_byte_of_a_linear_layer():
    traced = watch(nn.Linear(6, 4), (2, 6))
    told = [
        (h.op, h.kind, h.formula, h.layer)
        for h in traced.holdings
        if h.op in ("weight", "bias", "input", "aten::addmm", "aten::sum", "aten::mm")
    ]
    assert told == [
        ("weight", "parameters", "4*6*4 = 96", ""),
        ("bias", "parameters", "4*4 = 16", ""),
        ("input", "outputs", "2*6*4 = 48", ""),
        ("aten::addmm", "outputs", "2*4*4 = 32", "Linear"),
        ("aten::sum", "losses", "4 = 4", "loss"),
        ("aten::mm", "gradients", "4*6*4 = 96", "Linear"),
        ("aten::sum", "gradients", "1*4*4 = 16", "Linear"),
    ]
    phases = [m.phase for m in traced.moments]
    assert phases == sorted(phases, key=("forward", "loss", "backward").index)


@pytest.mark.parametrize("inplace", [True, False])
def test_what_is_written_over_its_input_costs_nothing(inplace):
    net = nn.Sequential(nn.Conv1d(2, 3, 1, bias=False), nn.ReLU(inplace))
    outputs = born(watch(net, (5, 2, 7)), "outputs")
    assert outputs == [5 * 3 * 7 * FLOAT] * (1 if inplace else 2)


def test_convolution_norm_and_activation_keep_two_maps_and_two_statistics():
    net = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3), nn.ReLU(True))
    traced = watch(net, (5, 2, 7, 9))
    grid = 5 * 3 * 7 * 9 * FLOAT
    assert born(traced, "outputs") == [grid, grid, 3 * FLOAT, 3 * FLOAT]
    assert born(traced, "gradients") == [3 * FLOAT, 3 * FLOAT, 3 * 2 * FLOAT]
    buffers = sum(b.numel() * b.itemsize for b in net.buffers())
    parameters = sum(p.numel() * FLOAT for p in net.parameters())
    assert sum(born(traced, "parameters")) == buffers + parameters


def test_views_and_slices_share_a_storage():
    class Views(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, 3:].unflatten(1, (3, 3)).transpose(1, 2).square()

    assert born(watch(Views(), (2, 3, 4), prediction_step()), "outputs") == [2 * 9 * FLOAT]


def test_a_layer_used_twice_has_one_weight_and_two_outputs():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(4, 4, bias=False)
            self.other = nn.Linear(4, 4, bias=False)
            self.other.weight = self.one.weight

        def forward(self, x):
            return self.other(self.one(self.one(x)).tanh())

    traced = watch(Twice(), (3, 4))
    weight = 4 * 4 * FLOAT
    assert sum(h.kind == "parameters" for h in traced.holdings) == 1
    assert born(traced, "gradients")[-1] == weight
    assert born(traced, "outputs") == [3 * 4 * FLOAT] * 4


@pytest.mark.parametrize(
    ("name", "copies"), [("sgd", 0), ("momentum", 1), ("adam", 2), ("adamw", 2)]
)
def test_optimizers_make_their_state_in_the_first_step(name, copies):
    step = training_step(cross_entropy)
    given = [((2, 60), torch.float32), ((2,), torch.int64)]
    traced = trace(nn.Linear(60, 50), step, given, optimizer=make_optimizer(name), steps=3)
    state = copies * (60 * 50 + 50) * FLOAT + 2 * FLOAT * (copies == 2)  # and the count of steps
    told = ledger(traced)
    in_optimizer = row("optimizer")
    before = [p.bytes[in_optimizer] for p in told.timeline if p.phase == "forward"]
    assert before == [0, state, state]
    assert told.timeline[-1].bytes[in_optimizer] == state
    assert told.peaks[1] == told.peaks[2] >= told.peaks[0]


def test_gradients_of_the_step_before_do_not_wait_for_the_next_backward_pass():
    step = training_step(cross_entropy)
    given = [((2, 6), torch.float32), ((2,), torch.int64)]
    traced = trace(nn.Linear(6, 4), step, given, optimizer=make_optimizer("sgd"))
    gradients = row("gradients")
    forward = [p.bytes[gradients] for p in points(traced) if p.phase == "forward"]
    assert forward == [0, 0]


class Recomputed(nn.Module):
    def __init__(self, on):
        super().__init__()
        self.part = nn.Sequential(*(m for _ in range(4) for m in (nn.Linear(8, 8), nn.Tanh())))
        self.on = on

    def forward(self, x):
        return checkpoint(self.part, x, use_reentrant=False) if self.on else self.part(x)


def test_checkpointing_forgets_and_computes_again():
    size = 16 * 8 * FLOAT
    plain, again = (watch(Recomputed(on), (16, 8)) for on in (False, True))
    outputs = row("outputs")
    kept = [
        next(p.bytes[outputs] for p in points(traced) if p.phase == "loss")
        for traced in (plain, again)
    ]
    assert kept[0] - kept[1] == 4 * size - size  # of four tanh the last is the answer
    assert sum(h.recomputed and h.kind == "outputs" for h in again.holdings) >= 7
    assert not any(h.recomputed for h in plain.holdings)
    assert {h.layer for h in again.holdings if h.recomputed} >= {"part.0", "part.6"}


def test_prediction_lets_go_of_what_has_been_used():
    net = nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(5)))
    traced = watch(net, (16, 8), prediction_step())
    size = 16 * 8 * FLOAT
    living = [p.bytes[row("outputs")] for p in points(traced)]
    assert living == [2 * size, 3 * size, 3 * size, 3 * size, 3 * size]  # with the input
    assert all(p.phase == "forward" for p in points(traced))


def test_autocast_keeps_copies_of_the_weights_to_the_end_of_the_forward_pass():
    net = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    step = training_step(lambda network, x: network(x).sum(), "bf16")
    traced = watch(net, (4, 8), step)
    casts = [h for h in traced.holdings if h.kind == "operations" and h.op == "aten::_to_copy"]
    copies, gradients = casts[:2], casts[2:]
    assert [h.bytes for h in copies] == [8 * 8 * 2] * 2
    assert all(traced.moments[h.died].phase in ("loss", "backward") for h in copies)
    assert gradients == []  # those of the weights are float32 again
    half = [h for h in traced.holdings if h.op == "aten::mm" and h.bytes == 8 * 8 * 2]
    assert [h.kind for h in half] == ["operations"] * 2  # before they are
    assert born(traced, "gradients") == [8 * 8 * FLOAT] * 2
    activations = [h.formula for h in traced.holdings if h.kind == "outputs" and "mm" in h.op]
    assert activations == ["4*8*2 = 64"] * 2


def test_prediction_in_half_precision_keeps_no_copy_of_the_weights():
    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    traced = watch(net, (4, 8), prediction_step("bf16"))
    told = zip(points(traced), traced.moments, strict=True)
    living = [p.bytes[row("operations")] - m.hidden for p, m in told]
    assert max(living) == (8 * 8 + 8 + 4 * 8) * 2  # one layer's weights, bias and input
    assert {h.layer for h in traced.holdings if h.kind == "operations"} == {"0", "1"}


def test_pooling_keeps_its_indices():
    net = nn.Sequential(nn.Conv1d(3, 3, 1, bias=False), nn.MaxPool1d(2))
    grid = 2 * 3 * 8
    assert born(watch(net, (2, 3, 8)), "outputs") == [
        grid * FLOAT,
        grid // 2 * FLOAT,
        grid // 2 * 8,
    ]


def test_dropout_keeps_its_mask():
    net = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)).train()
    outputs = born(watch(net, (4, 8)), "outputs")
    assert outputs == [4 * 8 * FLOAT] * 3  # the layer's, the mask, what comes out


def test_a_network_of_512_to_the_third_is_nowhere_allocated():
    seen = []

    def step(network, optimizer, given):
        seen.extend([*given, *network.parameters(), network(*given)])

    with torch.device("meta"):
        net = create("unet", spatial_dims=3, num_classes=3)
    traced = trace(net, step, [((1, 1, 512, 512, 512), torch.float32)], steps=1)
    assert all(isinstance(t, FakeTensor) and t.device.type == "cpu" for t in seen)
    assert ledger(traced).tensors_peak > 200 * 2**30


def test_the_network_itself_is_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    before = {name: (id(t), t.clone()) for name, t in net.state_dict(keep_vars=True).items()}
    watch(net, (2, 1, 7, 9), training_step(lambda network, x: network(x).sum()), steps=2,
          optimizer=make_optimizer("adamw"))  # fmt: skip
    for name, tensor in net.state_dict(keep_vars=True).items():
        assert id(tensor) == before[name][0]
        torch.testing.assert_close(tensor, before[name][1], rtol=0, atol=0)
        assert tensor.grad is None
    assert not net.training
    assert not net._forward_hooks
    assert not torch.nn.modules.module._global_forward_hooks


def test_plain_tensors_and_frozen_weights_are_followed():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.offset = torch.ones(8)
            self.frozen = nn.Parameter(torch.ones(8), requires_grad=False)
            self.scale = nn.Parameter(torch.ones(8))

        def forward(self, x):
            return (x + self.offset) * self.frozen * self.scale

    traced = watch(Constant(), (4, 8))
    assert born(traced, "gradients") == [8 * FLOAT]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_step_is_that_of_the_training_loop(precision):
    """The same operations in the same order: the two may not drift apart."""

    def real(network, optimizer, given):
        state = State(network=network, optimizer=optimizer)
        state.counters = Counters(precision=precision)
        train_step(state, cross_entropy, *given, SCHEDULE)

    with torch.device("meta"):
        net = create("lenet5", spatial_dims=1, num_classes=3, input_size=28)
        net.append(nn.BatchNorm1d(3)) if isinstance(net, nn.Sequential) else None
    given = [((4, 1, 28), torch.float32), ((4,), torch.int64)]
    ours = training_step(cross_entropy, precision)
    traces = [trace(net, step, given, optimizer=make_optimizer("adamw")) for step in (real, ours)]
    told = [
        [(m.step, m.phase, m.layer, m.op) for m in traced.moments if m.phase in ("forward", "loss")]
        for traced in traces
    ]
    assert told[0] == told[1]
    peaks = [ledger(traced) for traced in traces]
    assert peaks[0].tensors_peak == peaks[1].tensors_peak
    assert peaks[0].memory == peaks[1].memory


def test_an_operation_that_needs_values_is_named():
    class Choosy(nn.Module):
        def forward(self, x):
            return x[x > 0]

    with pytest.raises(
        PlanError, match=r"^Choosy: .*run on shapes alone; got aten.nonzero.*values"
    ):
        watch(Choosy(), (2, 3), prediction_step())


def test_a_number_asked_for_inside_the_network_is_refused():
    class Looking(nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(PlanError, match=r"^Looking: .*_local_scalar_dense.*depends on the values"):
        watch(Looking(), (2, 3), prediction_step())


def test_what_does_not_fit_together_is_a_shape_error(caplog):
    with pytest.raises(
        ShapeError, match=r"^0: the network must take this input.*; got .*reduction dim"
    ):
        watch(nn.Sequential(nn.Linear(4, 3)), (2, 5))
    with pytest.raises(ShapeError, match=r"^loss: the network must take this input, and the loss"):
        watch(
            nn.Linear(4, 3),
            (2, 4),
            lambda network, optimizer, given: network(*given) - given[0][:, :2],
        )
    assert not caplog.records


def test_hooks_are_taken_off_after_an_error():
    with pytest.raises(ShapeError):
        watch(nn.Linear(4, 3), (2, 5))
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks


@pytest.mark.skipif(torch.cuda.is_available(), reason="a device that is there is traced")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(
        PlanError, match=r"^plan: a step is traced for a device.*; got cuda\. Plan for"
    ):
        watch(nn.Linear(4, 3), (2, 4), device="cuda")


def test_an_unknown_torch_is_told(monkeypatch):
    monkeypatch.setattr(tracing, "FakeTensorMode", None)
    with pytest.raises(PlanError, match=r"traced with torch >=2.11,<2.14; got torch \d.*Install"):
        watch(nn.Linear(4, 3), (2, 4))
