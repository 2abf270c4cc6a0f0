import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from convivo.training import precision
from convivo.training.precision import has_fast_bf16, is_sound
from convivo.training.schedule import learning_rate


@given(steps=st.integers(1, 300), warmup=st.integers(0, 50), peak=st.floats(1e-6, 10))
def test_rate_rises_to_the_peak_and_falls_to_almost_nothing(steps, warmup, peak):
    rates = [learning_rate(s, steps=steps, peak=peak, warmup=warmup) for s in range(steps)]
    top = min(warmup, steps)
    assert all(0 < rate <= peak * (1 + 1e-9) for rate in rates)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    if steps > warmup:
        assert rates[warmup] == peak
    if warmup and steps >= warmup:
        assert rates[warmup - 1] == pytest.approx(peak)


def test_rate_is_half_the_peak_half_way_down():
    assert learning_rate(60, steps=100, peak=2.0, warmup=20) == pytest.approx(1.0)


def kernel(factor):
    """The identity, its gradient wrong by `factor` under autocast: an unsound kernel."""

    class Kernel(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.wrong = torch.is_autocast_enabled("cpu")
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * factor if ctx.wrong else gradient

    return Kernel


class Unsound(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.kernel = kernel(factor)

    def forward(self, x):
        return self.kernel.apply(x)


def network(*after):
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), *after)


def loss_of(net):
    images = torch.randn(6, 2, 11, generator=torch.Generator().manual_seed(4))
    return lambda: net(images).float().square().mean()


def test_sound_network_is_called_sound():
    net = network()
    assert is_sound(net, loss_of(net), "bf16")
    assert is_sound(net, loss_of(net), "fp32")


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0, float("inf"), float("nan")])
def test_wrong_gradient_under_autocast_is_found(factor):
    net = network(Unsound(factor))
    assert is_sound(net, loss_of(net), "fp32")
    assert not is_sound(net, loss_of(net), "bf16")


class Look(nn.Module):
    """Notes whether its input has been rounded."""

    def forward(self, x):
        self.rounded = torch.equal(x, x.bfloat16().to(x.dtype))
        return x


class Trembling(nn.Module):
    """Its gradient moves by `moved` when the network's input is rounded, and by 0.7 in bf16."""

    def __init__(self, look, moved):
        super().__init__()
        self.wrong, self.moved = Unsound(1.7), moved
        self.look = [look]  # not a layer of its own

    def forward(self, x):
        factor = 1 + self.moved if self.look[0].rounded else 1.0
        return self.wrong(x) * factor**0.5  # the loss takes the square


@pytest.mark.parametrize(("moved", "sound"), [(0.4, True), (0.05, False)])
def test_a_network_that_answers_to_the_last_bit_of_its_input_is_given_more_room(moved, sound):
    torch.manual_seed(2)
    look = Look()
    net = nn.Sequential(look, nn.Conv1d(2, 4, 3), nn.ReLU(), Trembling(look, moved))
    assert is_sound(net, loss_of(net), "bf16") is sound
    assert not any(module._forward_pre_hooks for module in net.modules())


class Flaky(nn.Module):
    """Right the first time, wrong the second: memory that is only sometimes not filled."""

    def __init__(self):
        super().__init__()
        self.wrong, self.right, self.calls = Unsound(float("nan")), Unsound(1.0), 0

    def forward(self, x):
        self.calls += torch.is_autocast_enabled("cpu")
        return (self.wrong if self.calls == 2 else self.right)(x)


def test_gradient_that_is_wrong_only_sometimes_is_found():
    net = network(Flaky())
    assert not is_sound(net, loss_of(net), "bf16", tries=3)


class NotInBfloat16(nn.Module):
    def forward(self, x):
        if x.dtype == torch.bfloat16:
            raise RuntimeError('"strange_op" not implemented for BFloat16')
        return x


def test_operation_that_does_not_exist_in_bfloat16_is_not_sound():
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv1d(2, 4, 3), NotInBfloat16())
    assert not is_sound(net, loss_of(net), "bf16")


@pytest.mark.parametrize("after", [(), (Unsound(2.0),)])
def test_trying_leaves_buffers_weights_and_gradients_alone(after):
    net = network(*after).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    is_sound(net, loss_of(net), "bf16")
    assert net.training
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_failing_loss_is_heard_and_leaves_buffers_alone():
    net = network()
    before = net[1].running_mean.clone()

    def fails():
        loss_of(net)()
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        is_sound(net, fails, "bf16")
    assert torch.equal(net[1].running_mean, before)


@pytest.mark.parametrize(
    ("native", "seconds", "fast"),
    [(True, 0.5, True), (True, 2.0, False), (False, 0.5, False)],
)
def test_bf16_is_fast_where_the_processor_has_it_and_it_takes_less_time(
    monkeypatch, native, seconds, fast
):
    taken = {torch.bfloat16: seconds, torch.float32: 1.0}
    monkeypatch.setattr(precision, "multiplies_bf16", lambda: native)
    monkeypatch.setattr(precision, "_seconds_of_product", taken.__getitem__)
    assert has_fast_bf16.__wrapped__() is fast


def test_machine_is_asked_without_error():
    assert has_fast_bf16() in (True, False)
    assert precision._seconds_of_product(torch.float32) > 0


def test_keeping_memory_is_harmless():
    code = (
        "from convivo.training.allocator import keep_memory\n"
        "import numpy\n"
        "kept = keep_memory()\n"
        "for _ in range(20):\n"
        "    total = numpy.ones(3_000_000).sum()\n"
        "print(kept, keep_memory(), total)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kept, again, total = run.stdout.split()
    assert kept == again
    assert kept in ("True", "False")
    assert total == "3000000.0"
    assert run.stderr == ""
