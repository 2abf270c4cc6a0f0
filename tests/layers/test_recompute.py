import pytest
import torch
from torch import nn

from convivo.layers import Conv, Norm
from convivo.layers.recompute import buffers_set_aside, recomputed


def part(dims, kind="batch"):
    torch.manual_seed(0)
    conv = Conv(2, 6, 3, padding=1, spatial_dims=dims)
    norm = Norm(6, kind, spatial_dims=dims)
    return nn.Sequential(conv, norm, nn.Softplus(), Conv(6, 3, 1, spatial_dims=dims))


def calls_of(net):
    calls = []
    net[0].register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", ["batch", "instance"])
def test_gradients_and_averages_are_those_of_the_plain_call(kind, dims):
    x = torch.randn(2, 2, *(7, 9, 11)[:dims])
    plain, again = part(dims, kind), part(dims, kind)
    plain(x).square().sum().backward()
    calls = calls_of(again)
    recomputed(again, x, part=again).square().sum().backward()
    assert len(calls) == 2
    for a, b in zip(plain.parameters(), again.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)
    for (name, a), (_, b) in zip(plain.named_buffers(), again.named_buffers(), strict=True):
        assert torch.equal(a, b), name


def test_buffers_are_the_same_tensors_afterwards():
    net, x = part(2), torch.randn(2, 2, 7, 9)
    before = dict(net.named_buffers())
    recomputed(net, x, part=net).sum().backward()
    assert all(tensor is before[name] for name, tensor in net.named_buffers())
    assert list(net.state_dict()) == list(part(2).state_dict())


def test_buffers_come_back_when_something_fails():
    net = part(1)
    before = dict(net.named_buffers())

    def fail():
        with buffers_set_aside(net):
            net[1].running_mean.add_(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert all(tensor is before[name] for name, tensor in net.named_buffers())
    assert not net[1].running_mean.any()


def test_only_the_inputs_are_kept():
    net, x, kept = part(2), torch.randn(2, 2, 7, 9, requires_grad=True), []
    hooks = torch.autograd.graph.saved_tensors_hooks(kept.append, lambda _: None)
    with hooks:
        recomputed(net, x, part=net)
    assert [tensor is x for tensor in kept] == [True]
