"""What holds for every network of the registry in every dimension."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import builder, options
from convivo.errors import ShapeError

from .every_network import (
    EVERY,
    batch,
    output_shape,
    size_of,
    small,
    whole_pass,
)


@EVERY
def test_output_has_the_shape_of_the_task(name, dims):
    net = small(name, dims)
    assert net(batch(name, dims)).shape == output_shape(name, dims, net)


@EVERY
def test_every_parameter_gets_a_gradient(name, dims):
    net = small(name, dims)
    whole_pass(name, net, batch(name, dims)).square().mean().backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@EVERY
def test_same_seed_gives_the_same_answer(name, dims):
    first, second, other = (small(name, dims, seed).eval()(batch(name, dims)) for seed in (7, 7, 8))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@EVERY
def test_state_is_registered_once_and_survives_a_file(name, dims, tmp_path):
    net, twin = small(name, dims).eval(), small(name, dims, seed=1).eval()
    state = net.state_dict()
    assert len({t.data_ptr() for t in state.values()}) == len(state)
    save_file(state, tmp_path / "weights.safetensors")
    twin.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(net(batch(name, dims)), twin(batch(name, dims)))


@EVERY
def test_bf16_autocast_runs_forward_and_backward(name, dims):
    net = small(name, dims)
    with torch.autocast("cpu", torch.bfloat16):
        loss = whole_pass(name, net, batch(name, dims)).float().square().mean()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.dtype == torch.float32 for p in net.parameters())


@EVERY
def test_wrong_channels_are_named(name, dims):
    with pytest.raises(ShapeError, match=r"must have shape \(N, 2, S1.*; got shape \(2, 5, "):
        small(name, dims)(torch.ones(2, 5, *size_of(name, dims)))


@EVERY
def test_default_starting_weights_keep_activations_in_range(name, dims):
    net, x = small(name, dims), batch(name, dims, count=4)
    # these papers start small: uniform within 2.4 / fan-in, normal of 0.01, of 0.02
    least = 1e-9 if name in ("lenet5_1998", "alexnet", "dcgan") else 0.02
    assert least < net(x).std() < 20


def test_options_are_declared_by_the_network_itself():
    assert options("lenet5") == {"activation": "relu", "pool": "max"}
    assert all(callable(builder(name)) for name in ARCHITECTURES)
    assert not set(options("resnet18")) & {"width", "spatial_dims", "input_size"}


def test_listing_the_names_does_not_import_torch():
    code = "import sys, convivo.architectures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
