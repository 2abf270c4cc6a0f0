"""What convolutions take on AVX2, against what torch 2.13 took there with two threads.

Measured by its allocator's events, so that the rules are held to them on every machine.
"""

import pytest
import torch

from convivo.planning import avx2_kernels, thread_shares, unrolled_windows
from convivo.planning.conv_layer import NARROW, Layer
from convivo.planning.thread_shares import Reduction, sums

SCRATCH = 2**15
"""Bytes that a rule may leave out."""


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(unrolled_windows, "lane", lambda: NARROW)


def layer(dims, batch, ins, outs, kernel, stride, padding, side, *, groups=1):
    coarse = (side + 2 * padding - kernel) // stride + 1
    return Layer(
        batch=batch,
        ins=ins,
        outs=outs,
        kernel=(kernel,) * dims,
        stride=(stride,) * dims,
        padding=(padding,) * dims,
        dilation=(1,) * dims,
        groups=groups,
        fine=(side,) * dims,
        coarse=(coarse,) * dims,
        bytes=4,
        plain=False,
    )


@pytest.mark.parametrize(
    ("settings", "beside"),
    [
        ((2, 2, 64, 128, 7, 1, 3, 2), 100480),  # more padding than samples computed at once
        ((2, 2, 256, 256, 3, 1, 1, 2), 2367488),
        ((2, 2, 128, 96, 3, 1, 0, 3), 451584),  # a kernel as large as the grid
        ((2, 8, 256, 256, 1, 2, 0, 32), 9175168),  # points, every second one
        ((2, 4, 256, 2, 1, 2, 0, 28), 3639808),
    ],
)
def test_forward(settings, beside):
    one = layer(*settings)
    assert avx2_kernels.forward(one) - one.y == pytest.approx(beside, abs=SCRATCH)


@pytest.mark.parametrize(
    ("settings", "beside"),
    [
        ((2, 2, 64, 128, 7, 1, 3, 2), 12945664),  # a kernel larger than the image
        ((2, 2, 256, 256, 3, 1, 1, 1), 18893056),
        ((2, 2, 128, 256, 3, 1, 1, 3), 1179648),
        ((2, 4, 256, 48, 3, 2, 1, 2), 3557632),
        ((1, 4, 1, 24, 5, 2, 2, 4096), 1314080),  # one channel is a block, three are not
        ((3, 2, 24, 24, 2, 1, 1, 24), 553984),  # padded volumes, of large slices
        ((3, 2, 256, 48, 3, 1, 0, 8), 1327104),
        ((3, 4, 16, 128, 3, 1, 0, 12), 2490368),
        ((3, 4, 96, 12, 3, 2, 0, 16), 6420736),
        ((3, 2, 48, 96, 1, 1, 0, 16), 4763776),  # a single job, whose sums threads share
        ((3, 2, 128, 2, 1, 2, 0, 24), 14269440),
        ((3, 8, 128, 4, 2, 2, 0, 24), 57081856),
    ],
)
def test_gradients_of_weights(settings, beside):
    one = layer(*settings)
    assert avx2_kernels.backward_weight(one) - one.w == pytest.approx(beside, abs=SCRATCH)


@pytest.mark.parametrize(
    ("settings", "beside"),
    [
        ((2, 2, 64, 128, 7, 1, 3, 2), 100480),
        ((2, 2, 256, 256, 3, 1, 1, 2), 2367488),
        ((2, 2, 256, 256, 3, 2, 1, 2), 2420784),
        ((2, 2, 128, 256, 3, 1, 1, 3), 1198080),
    ],
)
def test_gradients_of_inputs(settings, beside):
    one = layer(*settings)
    assert avx2_kernels.backward_data(one) - one.x == pytest.approx(beside, abs=2 * SCRATCH)


@pytest.mark.parametrize(
    ("settings", "groups", "forward", "data", "weight"),
    [
        ((2, 2, 64, 64, 3, 2, 1, 56), 8, 1624064, 1605632, 2007040),  # a block each
        ((2, 2, 128, 128, 3, 2, 1, 56), 8, 3284992, 6422528, 4014080),
        ((2, 2, 96, 64, 3, 2, 1, 56), 8, 677504, 2408448, 449536),  # no whole blocks
        ((2, 2, 48, 96, 3, 2, 1, 56), 8, 602112, 2408448, 252544),
        ((3, 2, 64, 64, 3, 2, 1, 14), 8, 1460224, 1404928, 527296),
        ((3, 2, 64, 64, 3, 1, 1, 14), 8, 1460224, 1460224, 781312),
        ((1, 4, 16, 16, 3, 2, 1, 2000), 16, 512192, 512000, 768000),  # a channel each
        ((3, 2, 16, 16, 3, 1, 1, 16), 16, 1048576, 524288, 69376),
        ((2, 2, 64, 128, 3, 1, 1, 56), 8, 3211264, 3248128, 4816896),
    ],
)
def test_groups(settings, groups, forward, data, weight):
    one = layer(*settings, groups=groups)
    assert avx2_kernels.forward(one) - one.y == pytest.approx(forward, abs=SCRATCH)
    assert avx2_kernels.backward_data(one) - one.x == pytest.approx(data, abs=SCRATCH)
    assert avx2_kernels.backward_weight(one) - one.w == pytest.approx(weight, abs=SCRATCH)


def test_large_images_are_unrolled_for_the_gradient_of_the_weight():
    small, large = layer(2, 8, 8, 64, 3, 1, 1, 512), layer(2, 20, 8, 64, 3, 1, 1, 1024)
    assert avx2_kernels.backward_weight(small) > small.x
    assert avx2_kernels.backward_weight(large) < large.x


@pytest.mark.parametrize(
    ("threads", "jobs", "apart"),
    [
        (2, 1, 64),  # both threads at one job
        (2, 2, 0),  # a job for each
        (2, 3, 3 * 64),  # three jobs do not come out even
        (4, 2, 2 * 64),
        (8, 64, 0),
    ],
)
def test_threads_share_jobs_or_their_sums(monkeypatch, threads, jobs, apart):
    monkeypatch.setattr(thread_shares.torch, "get_num_threads", lambda: threads)
    work = Reduction(job=64, jobs=jobs, terms=100, most=2**21)
    assert sums(work) == apart
    assert sums(work, first_apart=True) >= apart


def test_no_more_is_summed_up_apart_than_there_is_room_for():
    assert sums(Reduction(job=64, jobs=3, terms=100, most=64)) == 0
