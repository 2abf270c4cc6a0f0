"""Unpooling as the lecture draws it, the heads, and what each of them refuses."""

import copy

import pytest
import torch

from convivo.errors import ConfigError, ShapeError, UsageError
from convivo.layers import (
    AdaptivePool,
    Pool,
    Sigmoid,
    Softmax,
    Unpool,
    Upsample,
    probabilities,
    unpool,
)

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
SIZE = (7, 9, 11)
LECTURE = torch.tensor([[[[1.0, 2], [3, 4]]]])


def image(dims):
    return torch.randn(2, 3, *SIZE[:dims], generator=torch.Generator().manual_seed(1))


def test_nearest_unpooling_of_the_lecture():
    assert Unpool(2, kind="nearest")(LECTURE)[0, 0].tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]


def test_bed_of_nails_of_the_lecture():
    assert Unpool(2, kind="bed_of_nails")(LECTURE)[0, 0].tolist() == [
        [1, 0, 2, 0],
        [0, 0, 0, 0],
        [3, 0, 4, 0],
        [0, 0, 0, 0],
    ]


def test_max_unpooling_puts_values_where_the_maxima_were():
    rows = [[1.0, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]]
    pool = Pool(2, return_indices=True)
    maxima, indices = pool(torch.tensor([[rows]]))
    assert maxima[0, 0].tolist() == [[5, 6], [7, 8]]
    assert Unpool(pool=pool)(LECTURE, indices, (4, 4))[0, 0].tolist() == [
        [0, 0, 2, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 0],
        [3, 0, 0, 4],
    ]


@DIMS
@pytest.mark.parametrize("kind", ["nearest", "bed_of_nails"])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_unpooling_reaches_any_size_that_pooling_left(dims, kind, ceil_mode):
    pooled = Pool((2, 3, 4)[:dims], ceil_mode=ceil_mode, spatial_dims=dims)(image(dims))
    layer = Unpool((2, 3, 4)[:dims], kind=kind, spatial_dims=dims)
    found = layer(pooled, output_size=SIZE[:dims])
    assert found.shape == image(dims).shape
    for place in torch.cartesian_prod(*map(torch.arange, SIZE[:dims])).reshape(-1, dims).tolist():
        window = tuple(p // f for p, f in zip(place, (2, 3, 4), strict=False))
        first = all(p % f == 0 for p, f in zip(place, (2, 3, 4), strict=False))
        last = tuple(min(w, n - 1) for w, n in zip(window, pooled.shape[2:], strict=True))
        shown = (kind == "nearest") or (first and window == last)
        expected = pooled[(..., *last)] if shown else torch.zeros(2, 3)
        assert torch.equal(found[(..., *place)], expected)


@DIMS
@pytest.mark.parametrize("kind", ["nearest", "bed_of_nails"])
def test_gradient_of_unpooling_is_its_adjoint(dims, kind):
    layer = Unpool((2, 3, 1)[:dims], kind=kind, spatial_dims=dims).double()
    x = image(dims).double().requires_grad_()
    y = layer(x)
    z = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(2))
    y.backward(z)
    torch.testing.assert_close((x.grad * x).sum(), (y * z).sum())


def test_pool_is_not_kept_by_its_pair():
    assert list(Unpool(pool=Pool(2)).modules())[1:] == []


def test_a_copy_checks_for_itself():
    pool = Pool(3)
    pool(torch.ones(1, 1, 5, 5))
    with pytest.raises(ShapeError, match="no axis may be shorter"):
        copy.deepcopy(pool)(torch.ones(1, 1, 2, 5))


@pytest.mark.parametrize("factor", [2, 3, 41, 47, 55, 82])
@pytest.mark.parametrize("samples", [1, 7, 41, 100])
def test_samples_are_repeated_exactly_whatever_the_factor(factor, samples):
    x = torch.arange(samples, dtype=torch.float32)[None, None]
    expected = x.repeat_interleave(factor, 2)
    assert torch.equal(Upsample(factor, spatial_dims=1)(x), expected)
    assert torch.equal(Unpool(factor, kind="nearest", spatial_dims=1)(x), expected)


@DIMS
def test_exclusive_probabilities_add_up_and_others_stand_alone(dims):
    logits = image(dims).double()
    torch.testing.assert_close(Softmax()(logits).sum(1), torch.ones_like(logits[:, 0]))
    torch.testing.assert_close(Softmax()(logits), logits.exp() / logits.exp().sum(1, keepdim=True))
    torch.testing.assert_close(Sigmoid()(logits), 1 / (1 + (-logits).exp()))
    assert torch.equal(probabilities(logits, exclusive=True), Softmax()(logits))
    assert torch.equal(probabilities(logits, exclusive=False), Sigmoid()(logits))


@pytest.mark.parametrize("head", [Softmax(), Sigmoid()])
def test_huge_logits_give_numbers(head):
    logits = torch.tensor([[1e30, -1e30, 0.0]], requires_grad=True)
    found = head(logits)
    found.sum().backward()
    assert found[0, :2].tolist() == [1, 0]
    assert logits.grad.isfinite().all()


def test_heads_need_an_axis_of_classes():
    with pytest.raises(ShapeError, match=r"logits have shape .*; got shape \(3,\). Add the batch"):
        Softmax()(torch.zeros(3))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"padding": 2}, r"Pool: padding must be shorter than the window \(2, 2\)"),
        ({"stride": 0}, r"Pool: stride must be at least 1 on every axis; got \(0, 0\)"),
        (
            {"kind": "avg", "dilation": 2},
            r"kind 'avg' has no option dilation; got dilation=\(2, 2\)",
        ),
        ({"kind": "avg", "return_indices": True}, "kind 'avg' has no option return_indices"),
        ({"count_padding": False}, "kind 'max' has no option count_padding"),
        ({"kind": "maximum"}, r"Pool kind: .*; got 'maximum'. Did you mean 'max'"),
    ],
)
def test_pooling_refuses_options_without_effect(options, text):
    with pytest.raises(ConfigError, match=text):
        Pool(2, **options)


def test_window_that_would_see_padding_only_is_refused():
    layer = Pool(2, dilation=2, padding=1, spatial_dims=1)
    with pytest.raises(ShapeError, match=r"nor a window see padding only; .* Pad to \(2,\)"):
        layer(torch.ones(1, 1, 1))
    assert layer(torch.ones(1, 1, 2)).tolist() == [[[1]]]


def test_adaptive_pooling_to_nothing_is_refused():
    with pytest.raises(ConfigError, match="AdaptivePool: output_size must be at least 1"):
        AdaptivePool(0)


def test_upsampling_by_nothing_is_refused():
    with pytest.raises(ShapeError, match=r"factor must be at least 1 on every axis; got \(2, 0\)"):
        Upsample((2, 0))


def test_unknown_unpooling_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'bed_of_nails'"):
        Unpool(2, kind="bedofnails")


@pytest.mark.parametrize("given", [{}, {"kernel_size": 2, "pool": Pool(2)}])
def test_unpooling_needs_its_windows_once(given):
    got = "both" if given else "neither"
    with pytest.raises(ConfigError, match=f"given by kernel_size or by .*; got {got}"):
        Unpool(**given)


def test_only_max_unpooling_undoes_overlap_and_padding():
    for pool in (Pool(3, stride=2), Pool(2, padding=1)):
        with pytest.raises(ConfigError, match="kind 'nearest' needs windows that lie side by side"):
            Unpool(pool=pool, kind="nearest")


def test_max_unpooling_without_its_pair_is_refused():
    values, indices = Pool(2, return_indices=True)(image(2))
    for call in ((values,), (values, indices), (values, None, SIZE[:2])):
        with pytest.raises(UsageError, match="needs the indices of its paired pooling layer"):
            Unpool(2)(*call)
    with pytest.raises(UsageError, match="kind 'nearest' has no use for indices"):
        Unpool(2, kind="nearest")(values, indices)


def test_indices_of_another_layer_are_refused():
    values, indices = Pool(2, return_indices=True)(image(2))
    with pytest.raises(ShapeError, match=r"unpool: indices must have the shape of the values"):
        Unpool(2)(values, indices[:, :2], SIZE[:2])
    with pytest.raises(ShapeError, match=r"output_size has one entry per spatial axis \(2\)"):
        unpool(values, indices, (63,))


@pytest.mark.parametrize("size", [(5, 9), (8, 9), (7, 10), (7, 9, 11)])
def test_size_that_was_not_pooled_is_refused(size):
    values, indices = Pool(2, return_indices=True)(image(2))
    with pytest.raises(ShapeError, match=r"Unpool: output_size must be one .* into \(3, 4\)"):
        Unpool(pool=Pool(2))(values, indices, size)


@DIMS
def test_wrong_rank_is_refused(dims):
    x = torch.ones(2, *SIZE[:dims])
    layers = [Unpool(2, kind="nearest", spatial_dims=dims), Upsample(2, spatial_dims=dims)]
    for layer in [*layers, Pool(2, spatial_dims=dims), AdaptivePool(2, spatial_dims=dims)]:
        with pytest.raises(ShapeError, match="the input must have shape"):
            layer(x)
