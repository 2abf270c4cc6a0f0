"""bfloat16 convolutions in three dimensions, on the grids that torch's CPU kernels get wrong."""

import pytest
import torch

from convivo.layers import Conv, UpConv


def gradients(layer, x, *, bf16):
    x = x.clone().requires_grad_()
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = layer(x)
    assert out.dtype == (torch.bfloat16 if bf16 else torch.float32)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(3))
    out.float().backward(weights)
    return [out.detach().float(), x.grad, layer.weight.grad.clone()]


def assert_bfloat16_is_close(layer, grid):
    torch.manual_seed(0)
    x = torch.randn(2, layer.in_channels, *grid)
    exact = gradients(layer, x, bf16=False)
    for _ in range(3):
        for rounded, reference in zip(gradients(layer, x, bf16=True), exact, strict=True):
            assert (rounded - reference).norm() < 0.03 * reference.norm()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d], ids=str)
@pytest.mark.parametrize(
    ("grid", "kernel"), [((2, 3, 2), 3), ((2, 8, 8), 3), ((4, 4, 4), 5), ((3, 3, 3), 3)]
)
def test_first_axis_shorter_than_the_kernel(grid, kernel, layout):
    layer = Conv(32, 32, kernel, padding="same", spatial_dims=3).to(memory_format=layout)
    assert_bfloat16_is_close(layer, grid)


def test_unequal_padding_that_once_wrote_out_of_bounds():
    layer = Conv(16, 16, (4, 3, 3), padding=(3, 1, 1), spatial_dims=3)
    assert_bfloat16_is_close(layer, (1, 5, 5))


@pytest.mark.parametrize("grid", [(4, 4, 2), (2, 2, 2), (7, 9, 1)])
def test_stride_that_leaves_one_sample_on_the_last_axis(grid):
    assert_bfloat16_is_close(Conv(32, 32, 3, stride=2, padding=1, spatial_dims=3), grid)


@pytest.mark.parametrize("stride", [1, 2])
def test_transposed_convolution_to_a_short_axis(stride):
    layer = UpConv(16, 16, 5, stride=stride, padding=2, spatial_dims=3)
    assert_bfloat16_is_close(layer, (2, 4, 4))


@pytest.mark.parametrize("dims", [1, 2])
def test_signals_and_images_on_grids_shorter_than_the_kernel(dims):
    assert_bfloat16_is_close(Conv(32, 32, 5, padding=2, spatial_dims=dims), (2, 3)[:dims])
