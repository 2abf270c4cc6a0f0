import pytest
import torch
import torch.nn.functional as F

from convivo.errors import ConfigError, ShapeError
from convivo.layers import AdaptivePool, GlobalPool, Pool, Upsample

DIMS = (1, 2, 3)
SIZE = (7, 9, 11)


def image(dims):
    return torch.randn(2, 3, *SIZE[:dims], generator=torch.Generator().manual_seed(1))


def windows(x, kernel, stride):
    for axis, (k, s) in enumerate(zip(kernel, stride, strict=True), 2):
        x = x.unfold(axis, k, s)
    return x.flatten(2 + len(kernel))


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pooling_is_the_maximum_or_mean_of_each_window(dims, kind):
    kernel, stride = (2, 3, 2)[:dims], (2, 1, 3)[:dims]
    seen = windows(image(dims), kernel, stride)
    expected = seen.amax(-1) if kind == "max" else seen.mean(-1)
    result = Pool(kernel, kind=kind, stride=stride, spatial_dims=dims)(image(dims))
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("dims", DIMS)
def test_ceil_mode_keeps_the_window_that_hangs_over(dims):
    pooled = Pool(2, ceil_mode=True, spatial_dims=dims)(image(dims))
    assert pooled.shape[2:] == (4, 5, 6)[:dims]
    torch.testing.assert_close(pooled[(..., *(-1,) * dims)], image(dims)[(..., *(-1,) * dims)])


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_global_pooling_leaves_one_number_per_channel(dims, kind):
    flat = image(dims).flatten(2)
    expected = flat.amax(-1) if kind == "max" else flat.mean(-1)
    torch.testing.assert_close(GlobalPool(kind=kind, spatial_dims=dims)(image(dims)), expected)
    kept = GlobalPool(kind=kind, spatial_dims=dims, keep_axes=True)(image(dims))
    assert kept.shape == (2, 3, *(1,) * dims)


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_adaptive_pooling_gives_the_size_asked_for(dims, kind):
    size = (2, 3, 4)[:dims]
    pooled = AdaptivePool(size, kind=kind, spatial_dims=dims)(image(dims))
    assert pooled.shape == (2, 3, *size)
    first = image(dims)[(..., *(slice(0, -(-n // m)) for n, m in zip(SIZE, size, strict=False)))]
    expected = first.flatten(2).amax(-1) if kind == "max" else first.flatten(2).mean(-1)
    torch.testing.assert_close(pooled[(..., *(0,) * dims)], expected)


def test_nearest_upsampling_of_the_lecture():
    x = torch.tensor([[[[1.0, 2], [3, 4]]]])
    assert Upsample(2)(x)[0, 0].tolist() == [[1, 1, 2, 2]] * 2 + [[3, 3, 4, 4]] * 2


@pytest.mark.parametrize("dims", DIMS)
def test_linear_upsampling_keeps_a_ramp_in_place(dims):
    factor = (2, 3, 1)[:dims]
    for axis, (n, f) in enumerate(zip(SIZE, factor, strict=False)):
        shape = [1] * dims
        shape[axis] = n
        ramp = (torch.arange(n) + 0.5).reshape(1, 1, *shape).expand(1, 1, *SIZE[:dims])
        fine = Upsample(factor, kind="linear", spatial_dims=dims)(ramp.contiguous())
        middle = fine.movedim(axis + 2, 0).flatten(1)[f:-f, 0]
        expected = (torch.arange(n * f)[f:-f] + 0.5) / f
        torch.testing.assert_close(middle, expected)


def test_upsampling_agrees_with_torch():
    expected = F.interpolate(image(2), scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(Upsample(2, kind="linear")(image(2)), expected)


def test_unknown_kind_names_the_nearest():
    with pytest.raises(ConfigError, match="Pool kind: one of max, avg; got 'mean'"):
        Pool(2, kind="mean")
    with pytest.raises(ConfigError, match="Did you mean 'linear'"):
        Upsample(2, kind="bilinear")


def test_window_longer_than_the_axis_is_refused():
    with pytest.raises(ShapeError, match=r"Pool: no axis may be shorter .* Pad to \(3, 9\)"):
        Pool(3)(torch.ones(1, 1, 2, 9))


def test_pooling_refuses_a_missing_axis():
    with pytest.raises(ShapeError, match=r"GlobalPool: the input must have shape \(N, C, S1, S2\)"):
        GlobalPool()(torch.ones(2, 3, 4))
