"""What kernels take beside their results, against torch's own allocator."""

import pytest
import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from convivo.planning.conv_layer import WIDE, lane
from convivo.planning.tile_kernels import has_tiles
from convivo.planning.workspace import hidden_bytes, kept_bytes
from convivo.training.precision import multiplies_bf16

aten = torch.ops.aten
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
SCRATCH = 2**18
"""Bytes that a rule may leave out."""
TILES = {"rel": 0.25, "abs": 2 * SCRATCH}
"""With matrix tiles the threads' scratch is told at its median only."""
SMALL = 2**12
"""Likewise, beside small tensors."""
EMULATED = lane() == WIDE and not multiplies_bf16()
NATIVE_ALONE = (
    "bfloat16 by AVX-512 that has no such products: never chosen there, kernels not known"
)


def taken(function):
    """Result, and bytes that lived beside it at the worst moment."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        out = function()
    events, changes = list(profiler.profiler.kineto_results.experimental_event_tree()), []
    while events:
        event = events.pop()
        events += event.children
        if event.name == "[memory]":
            changes.append((event.start_time_ns, event.extra_fields.alloc_size))
    living = most = 0
    for _, change in sorted(changes):
        living += change
        most = max(most, living)
    results = [t for t in (out if isinstance(out, tuple) else (out,)) if t is not None]
    return out, most - sum(t.untyped_storage().nbytes() for t in results)


def settings(dims, stride, padding, groups=1, transposed=False):
    return (stride,) * dims, (padding,) * dims, (1,) * dims, transposed, (0,) * dims, groups


SHAPES = [
    # dims, batch, in, out, kernel, stride, side, groups
    (1, 4, 32, 64, 3, 1, 4000, 1),
    (2, 4, 3, 64, 7, 2, 128, 1),
    (2, 4, 64, 64, 3, 1, 64, 1),
    (2, 4, 48, 100, 3, 2, 64, 1),
    (2, 4, 64, 128, 1, 1, 64, 1),
    (2, 4, 256, 256, 3, 1, 32, 8),
    (2, 4, 32, 32, 3, 1, 64, 8),
    (3, 2, 32, 64, 3, 1, 24, 1),
    (3, 1, 24, 24, 3, 1, 20, 1),
    (2, 2, 64, 128, 7, 1, 2, 1),
    (2, 2, 256, 512, 7, 1, 2, 1),
    (3, 2, 64, 64, 5, 1, 3, 1),
    (3, 2, 8, 12, 3, 1, 24, 1),
    (2, 8, 9, 4, 3, 1, 96, 1),
    (3, 2, 64, 96, 1, 1, 24, 1),
    pytest.param(3, 2, 128, 800, 7, 1, 1, 1, marks=pytest.mark.slow),  # copies beyond 1 GiB
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("dims", "batch", "ins", "outs", "kernel", "stride", "side", "groups"), SHAPES
)
def test_convolutions(dims, batch, ins, outs, kernel, stride, side, groups, dtype):
    x = torch.zeros(batch, ins, *(side,) * dims, dtype=dtype)
    w = torch.zeros(outs, ins // groups, *(kernel,) * dims, dtype=dtype)
    asked = settings(dims, stride, kernel // 2, groups)
    out, real = taken(lambda: aten.convolution(x, w, None, *asked))
    told = hidden_bytes("aten::convolution", (x, w, None, *asked), out)
    tiles = has_tiles() and dtype == torch.bfloat16
    assert told == pytest.approx(real, **(TILES if tiles else {"rel": 0.05, "abs": SCRATCH}))
    asked = (torch.zeros_like(out), x, w, None, *asked, (True, True, False))
    out, real = taken(lambda: aten.convolution_backward(*asked))
    told = hidden_bytes("aten::convolution_backward", asked, out)
    half = TILES if tiles else {"rel": 0.15, "abs": SCRATCH}
    assert told == pytest.approx(
        real, **(half if dtype == torch.bfloat16 else {"rel": 0.05, "abs": SCRATCH})
    )


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_convolutions(dims):
    side = (4000, 64, 16)[dims - 1]
    x, w = torch.zeros(4, 64, *(side,) * dims), torch.zeros(64, 32, *(2,) * dims)
    asked = settings(dims, 2, 0, transposed=True)
    out, real = taken(lambda: aten.convolution(x, w, None, *asked))
    told = hidden_bytes("aten::convolution", (x, w, None, *asked), out)
    assert told == pytest.approx(real, rel=0.05, abs=SCRATCH)
    asked = (torch.zeros_like(out), x, w, None, *asked, (True, True, False))
    out, real = taken(lambda: aten.convolution_backward(*asked))
    told = hidden_bytes("aten::convolution_backward", asked, out)
    assert told == pytest.approx(real, rel=0.05, abs=SCRATCH)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize(
    ("dims", "kernel", "stride", "transposed"),
    [
        (1, 3, 1, False),
        (2, 1, 1, False),
        (2, 3, 2, False),
        (3, 1, 1, False),
        (3, 3, 1, False),
        (1, 2, 2, True),
        (2, 2, 2, True),
        (3, 2, 2, True),
    ],
)
def test_torchs_own_convolutions(dims, kernel, stride, transposed, groups, batch):
    """Those of float64 on every machine, and of bfloat16 where oneDNN has none for it."""
    side = (500, 24, 8)[dims - 1]
    x = torch.zeros(batch, 16, *(side,) * dims, dtype=torch.float64)
    ins, outs = (16, 24 // groups) if transposed else (24, 16 // groups)
    w = torch.zeros(ins, outs, *(kernel,) * dims, dtype=torch.float64)
    padding = 0 if transposed else kernel // 2
    asked = settings(dims, stride, padding, groups=groups, transposed=transposed)
    out, real = taken(lambda: aten.convolution(x, w, None, *asked))
    told = hidden_bytes("aten::convolution", (x, w, None, *asked), out)
    assert told == pytest.approx(real, abs=SMALL)
    for mask in ((True, True, False), (False, True, False), (True, False, False)):
        given = (torch.zeros_like(out), x, w, None, *asked, mask)
        back, real = taken(lambda given=given: aten.convolution_backward(*given))
        told = hidden_bytes("aten::convolution_backward", given, back)
        assert told == pytest.approx(real, abs=SMALL)


@pytest.mark.skipif(lane() != WIDE or has_tiles(), reason="told for AVX-512 alone")
@pytest.mark.parametrize(
    "dtype",
    [torch.float32,
     pytest.param(torch.bfloat16, marks=pytest.mark.skipif(
         not multiplies_bf16(), reason="told for processors that multiply bf16"))],
)  # fmt: skip
@pytest.mark.parametrize(
    ("batch", "ins", "outs", "kernel", "stride", "side", "by_input"),
    [
        (4, 64, 64, 3, 1, 64, True),
        (4, 64, 64, 3, 1, 64, False),
        (4, 128, 256, 3, 2, 32, True),
        (4, 64, 128, 1, 1, 64, True),
        (4, 256, 512, 1, 2, 32, True),
        (4, 3, 64, 7, 2, 128, False),
        (2, 512, 512, 3, 1, 7, True),
    ],
)
def test_channels_last_needs_no_blocks(batch, ins, outs, kernel, stride, side, by_input, dtype):
    """Either the images lie so, or the weights, after which torch orders the images."""
    form = torch.channels_last
    x = torch.zeros(batch, ins, side, side, dtype=dtype)
    w = torch.zeros(outs, ins, kernel, kernel, dtype=dtype).contiguous(memory_format=form)
    x = x.contiguous(memory_format=form) if by_input else x
    asked = (x, w, None, *settings(2, stride, kernel // 2))
    out, real = taken(lambda: aten.convolution(*asked))
    assert out.is_contiguous(memory_format=form)
    told = hidden_bytes("aten::convolution", asked, out)
    assert told == pytest.approx(real, rel=0.05, abs=SCRATCH)
    for mask in ((True, True, False), (False, True, False)):
        given = (torch.zeros_like(out), *asked, mask)
        back, real = taken(lambda given=given: aten.convolution_backward(*given))
        told = hidden_bytes("aten::convolution_backward", given, back)
        assert told == pytest.approx(real, rel=0.15, abs=2 * SCRATCH)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_norm_backward_has_a_second_gradient_for_a_while(dtype):
    x, (weight, mean, var) = torch.ones(4, 8, 900).to(dtype), torch.ones(3, 8)
    asked = (x, x, weight, mean, var, mean, var, True, 1e-5, [True] * 3)
    out, real = taken(lambda: aten.native_batch_norm_backward(*asked))
    assert hidden_bytes("aten::native_batch_norm_backward", asked, out) == real


@pytest.mark.parametrize(
    ("name", "op", "arguments"),
    [
        ("aten::add", aten.add, (torch.ones(9, 900), torch.ones(9, 900, dtype=torch.bfloat16))),
        ("aten::mul", aten.mul, (torch.ones(9, 900), torch.ones(9, 900) > 0)),
        ("aten::add", aten.add, (torch.ones(9, 900), torch.ones(9, 900))),
        ("aten::mean", aten.mean, (torch.ones(9, 900, dtype=torch.bfloat16), [1])),
        ("aten::sum", aten.sum, (torch.ones(9, 900) > 0, [1])),
        ("aten::sum", aten.sum, (torch.ones(9, 900), [1])),
        (
            "aten::binary_cross_entropy_with_logits",
            aten.binary_cross_entropy_with_logits,
            (torch.ones(9, 900), torch.ones(9, 900)),
        ),
    ],
)
def test_other_number_formats_are_copied(name, op, arguments):
    out, real = taken(lambda: op(*arguments))
    assert hidden_bytes(name, arguments, out) == pytest.approx(real, abs=256)


def test_products_in_half_precision_are_packed():
    a, b = torch.ones(2, 256, 512, dtype=torch.bfloat16).unbind(), torch.ones(512, 256).bfloat16()
    out, real = taken(lambda: aten.mm(a[0], b))
    assert hidden_bytes("aten::mm", (a[0], b), out) == pytest.approx(real, abs=2**16)
    assert hidden_bytes("aten::mm", (a[0], b), out.float()) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mean_squared_error_keeps_all_squares(dtype):
    x = torch.ones(9, 900, dtype=dtype)
    out, real = taken(lambda: aten.mse_loss(x, x))
    assert hidden_bytes("aten::mse_loss", (x, x), out) == pytest.approx(real, abs=256)
    assert out.untyped_storage().nbytes() == kept_bytes("aten::mse_loss", (x, x))
    assert kept_bytes("aten::mse_loss", (x, x, 0)) == kept_bytes("aten::sum", (x,)) == 0
