"""What holds for every network of the registry in every dimension."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import builder, create, options
from convivo.errors import ShapeError

DIMS = (1, 2, 3)
SIZE = (24, 16, 40)
CLASSES = 3
DEEP = ("resnet101", "resnet152")  # the blocks of resnet50, only more of them
EVERY = pytest.mark.parametrize(
    ("name", "dims"),
    [(name, dims) for name in ARCHITECTURES for dims in DIMS if dims == 2 or name not in DEEP],
)


def small(name, dims, seed=0, **settings):
    torch.manual_seed(seed)
    return create(
        name,
        spatial_dims=dims,
        in_channels=2,
        num_classes=CLASSES,
        input_size=SIZE[:dims],
        width=0.125,
        **settings,
    )


def batch(dims, count=2):
    return torch.randn(count, 2, *SIZE[:dims], generator=torch.Generator().manual_seed(1))


@EVERY
def test_output_has_the_shape_of_the_task(name, dims):
    expected = (2, CLASSES)
    if "segment" in ARCHITECTURES[name].tasks:
        expected += SIZE[:dims]
    assert small(name, dims)(batch(dims)).shape == expected


@EVERY
def test_every_parameter_gets_a_gradient(name, dims):
    net = small(name, dims)
    net(batch(dims)).square().mean().backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@EVERY
def test_same_seed_gives_the_same_answer(name, dims):
    first, second, other = (small(name, dims, seed).eval()(batch(dims)) for seed in (7, 7, 8))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@EVERY
def test_state_is_registered_once_and_survives_a_file(name, dims, tmp_path):
    net, twin = small(name, dims).eval(), small(name, dims, seed=1).eval()
    state = net.state_dict()
    assert len({t.data_ptr() for t in state.values()}) == len(state)
    save_file(state, tmp_path / "weights.safetensors")
    twin.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(net(batch(dims)), twin(batch(dims)))


@EVERY
def test_bf16_autocast_runs_forward_and_backward(name, dims):
    net = small(name, dims)
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(batch(dims)).float().square().mean()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize(("name", "dims"), [("lenet5", 1), ("resnet18", 2), ("unet", 3)])
def test_exported_program_gives_the_same_answer(name, dims):
    net = small(name, dims).eval()
    program = torch.export.export(net, (batch(dims),)).module()
    torch.testing.assert_close(program(batch(dims)), net(batch(dims)))


@EVERY
def test_wrong_channels_are_named(name, dims):
    with pytest.raises(ShapeError, match=r"must have shape \(N, 2, S1.*; got shape \(2, 5, "):
        small(name, dims)(torch.ones(2, 5, *SIZE[:dims]))


def test_default_starting_weights_keep_activations_in_range():
    for name in ARCHITECTURES:
        torch.manual_seed(0)
        net = create(name, input_size=(32, 32), in_channels=1, width=0.25)
        spread = net(torch.randn(8, 1, 32, 32)).std()
        assert 0.05 < spread < 20, name


def test_options_are_declared_by_the_network_itself():
    assert options("lenet5") == {"activation": "tanh", "pool": "max"}
    assert all(callable(builder(name)) for name in ARCHITECTURES)
    assert not set(options("resnet18")) & {"width", "spatial_dims", "input_size"}


def test_listing_the_names_does_not_import_torch():
    code = "import sys, convivo.architectures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
