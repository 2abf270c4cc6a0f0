"""Convolutions that torch would unroll whole are done in pieces: the same numbers, less memory."""

import pytest
import torch
import torch.nn.functional as F

from convivo.layers import Conv, unrolling
from convivo.layers.unrolling import conv3d_in_pieces, is_unrolled
from convivo.planning.conv_backend import conv_backend

ONE, NONE = (1, 1, 1), (0, 0, 0)
FORMS = [
    # channels in and out, size, kernel
    (1, 8, (40, 36, 44), (3, 3, 3)),
    (16, 16, (32, 32, 24), (3, 3, 3)),
    (5, 7, (31, 29, 33), (3, 3, 1)),
    (8, 4, (29, 37, 23), (1, 3, 3)),
    (24, 12, (17, 26, 25), (3, 3, 3)),
]


def drawn(ins, outs, size, kernel):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, ins, *size, generator=generator)
    return x, torch.randn(outs, ins, *kernel, generator=generator)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("padded", [True, False])
def test_pieces_give_the_numbers_of_the_whole_to_the_bit(form, padded, monkeypatch):
    monkeypatch.setattr(unrolling, "PIECE", 2**19)
    x, weight = drawn(*form)
    bias = torch.arange(len(weight)).float() if padded else None
    padding = tuple(k // 2 for k in weight.shape[2:]) if padded else NONE
    with torch.inference_mode():
        found = conv3d_in_pieces(x, weight, bias, ONE, padding, ONE, 1)
        assert torch.equal(found, F.conv3d(x, weight, bias, ONE, padding))


@pytest.mark.parametrize("ins", [1, 16, 19, 20, 21, 64])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 3), (3, 1, 3), (5, 5, 3), (5, 5, 5)])
@pytest.mark.parametrize("items", [1, 2])
def test_pieces_are_made_where_torch_has_its_own_kernel(ins, kernel, items):
    x = torch.zeros(items, ins, 32, 32, 6)
    weight = torch.zeros(8, ins, *kernel)
    settings = ONE, tuple(k // 2 for k in kernel), ONE, False, NONE, 1
    with torch.inference_mode():
        own = conv_backend(x, weight, None, settings) == "Slow3d"
    assert is_unrolled(x, weight, ONE, ONE, 1) == own


def unrolled(layer, x):
    """Bytes of the largest window matrix, told by torch's own record of what it allocates."""
    with torch.profiler.profile(profile_memory=True) as record, torch.inference_mode():
        layer(x)
    return max(event.cpu_memory_usage for event in record.events())


def test_columns_do_not_grow_with_the_volume(monkeypatch):
    layer = Conv(4, 4, 3, padding="same", spatial_dims=3)
    x = torch.zeros(1, 4, 64, 32, 32)
    columns, result = 27 * x.nbytes, x.nbytes
    assert unrolled(layer, x) < result + 3 * unrolling.PIECE
    monkeypatch.setattr(unrolling, "PIECE", columns)
    assert unrolled(layer, x) >= columns


def test_what_learns_stays_whole():
    x, weight = drawn(*FORMS[1])
    weight.requires_grad_()
    result = conv3d_in_pieces(x, weight, None, ONE, ONE, ONE, 1)
    assert result.grad_fn is not None
    assert "Convolution" in type(result.grad_fn).__name__
