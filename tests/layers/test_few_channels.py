"""Single volumes that torch would unroll whole are given to oneDNN: alike results, less memory."""

import pytest
import torch
import torch.nn.functional as F

from convivo.layers import Conv
from convivo.layers.few_channels import conv3d_by_onednn, is_unrolled
from convivo.planning.conv_backend import conv_backend
from convivo.planning.conv_workspace import convolution_by_onednn

ONE, TWO, NONE = (1, 1, 1), (2, 2, 2), (0, 0, 0)
FORMS = [
    # channels in and out, size, kernel, stride
    (1, 8, (40, 36, 44), (3, 3, 3), ONE),
    (16, 16, (32, 32, 24), (3, 3, 3), ONE),
    (5, 7, (31, 29, 33), (3, 3, 1), ONE),
    (8, 4, (29, 37, 23), (1, 3, 3), (1, 2, 2)),
    (24, 3, (17, 26, 25), (3, 3, 3), TWO),
]


def drawn(ins, outs, size, kernel):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, ins, *size, generator=generator)
    return x, torch.randn(outs, ins, *kernel, generator=generator)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("padded", [True, False])
def test_the_numbers_are_those_of_torchs_kernel_but_for_their_rounding(form, padded):
    *form, stride = form
    x, weight = drawn(*form)
    bias = torch.arange(len(weight)).float() if padded else None
    padding = tuple(k // 2 for k in weight.shape[2:]) if padded else NONE
    offset = None if bias is None else bias.double()
    whole = F.conv3d(x.double(), weight.double(), offset, stride, padding)
    with torch.inference_mode():
        found = conv3d_by_onednn(x, weight, bias, stride, padding, ONE, 1)
    torch.testing.assert_close(found.double(), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("ins", [1, 16, 19, 20, 21, 64])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 3), (3, 1, 3), (5, 5, 3), (5, 5, 5)])
@pytest.mark.parametrize("items", [1, 2])
@pytest.mark.parametrize("stride", [ONE, TWO, (1, 2, 2)])
def test_onednn_is_asked_where_torch_has_its_own_kernel(ins, kernel, items, stride):
    x = torch.zeros(items, ins, 32, 32, 6)
    weight = torch.zeros(8, ins, *kernel)
    settings = stride, tuple(k // 2 for k in kernel), ONE, False, NONE, 1
    with torch.inference_mode():
        own = conv_backend(x, weight, None, settings) == "Slow3d"
    assert is_unrolled(x, weight, ONE, 1) == own


def most(layer, x):
    """Bytes at once of a pass, told by torch's own record of what it allocates."""
    with torch.profiler.profile(profile_memory=True) as record, torch.inference_mode():
        layer(x)
    held = peak = 0
    for event in record.profiler.kineto_results.events():
        held += event.nbytes() if event.name() == "[memory]" else 0
        peak = max(peak, held)
    return peak


def test_no_columns_are_made_and_what_is_made_is_told():
    layer = Conv(4, 4, 3, padding="same", bias=False, spatial_dims=3)
    x = torch.zeros(1, 4, 64, 32, 32)
    columns, result = 27 * x.nbytes, x.nbytes
    layer(x)  # kernels are made
    told = convolution_by_onednn((x, layer.weight, None, ONE, ONE, ONE, 1), x)
    peak = most(layer, x)
    assert peak < columns / 4
    assert peak == pytest.approx(result + told, rel=0.05)
    assert most(lambda x: F.conv3d(x, layer.weight, padding=1), x) >= columns


def test_what_learns_takes_torchs_usual_operation():
    *form, _ = FORMS[1]
    x, weight = drawn(*form)
    weight.requires_grad_()
    result = conv3d_by_onednn(x, weight, None, ONE, ONE, ONE, 1)
    assert result.grad_fn is not None
    assert "Convolution" in type(result.grad_fn).__name__
