"""Pooling and its kin against loops over windows, forward and gradient, and against torch's own."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convivo.errors import ShapeError
from convivo.layers import AdaptivePool, GlobalPool, Norm, Pool, Unpool, unpool
from convivo.layers.kernels import ADAPTIVE_AVG, ADAPTIVE_MAX, AVG_POOL, MAX_POOL_WITH_INDICES
from convivo.layers.windows import Windows

from . import numpy_pooling_oracle as oracle

DIMS = (1, 2, 3)
SIZE = (7, 9, 11)
EXACT = {"atol": 1e-12, "rtol": 1e-12}


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def forward_and_gradient(layer, x, upstream):
    tensor = torch.tensor(x, requires_grad=True)
    out = layer(tensor)
    out = out[0] if isinstance(out, tuple) else out
    out.backward(torch.tensor(upstream))
    return out.detach().numpy(), tensor.grad.numpy()


def assert_pools_like_the_loop(layer, x, axes, counted=None):
    values, indices, matrix = oracle.pool(x, axes, layer.kind, counted)
    upstream = drawn(*values.shape, seed=1)
    found, arrived = forward_and_gradient(layer, x, upstream)
    np.testing.assert_allclose(found, values, **EXACT)
    np.testing.assert_allclose(arrived, oracle.gradient(matrix, upstream, x.shape[2:]), **EXACT)
    return indices


@st.composite
def poolings(draw):
    dims = draw(st.sampled_from(DIMS))
    axes = [st.integers(1, 3)] * dims
    kind = draw(st.sampled_from(["max", "avg"]))
    kernel = draw(st.tuples(*axes))
    dilation = draw(st.tuples(*axes)) if kind == "max" else (1,) * dims
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    side = [st.tuples(st.integers(0, r - 1), st.integers(0, r - 1)) for r in reach]
    options = {"stride": draw(st.tuples(*axes)), "padding": draw(st.tuples(*side))}
    options |= {"dilation": dilation, "ceil_mode": draw(st.booleans())}
    size = draw(st.tuples(*[st.integers(1, 5)] * dims))
    return kind, kernel, options, size


@given(poolings(), st.booleans())
@settings(max_examples=150)
def test_pooling_is_the_loop_over_windows(case, flag):
    kind, kernel, options, size = case
    x = drawn(2, 1, *size)
    axes = oracle.windows(size, kernel, **options)
    sees = [all(any(0 <= p < n for p in taps) for taps in a) for a, n in zip(axes, size)]  # noqa: B905
    extra = {"return_indices" if kind == "max" else "count_padding": flag}
    layer = Pool(kernel, kind=kind, spatial_dims=len(size), **options, **extra)
    if not all(axes) or not all(sees):
        with pytest.raises(ShapeError, match="Pool: no axis may be shorter than the window"):
            layer(torch.tensor(x))
        return
    counted = [range(-b, n + a) for n, (b, a) in zip(size, options["padding"], strict=True)]
    counted = counted if kind == "avg" and flag else None
    indices = assert_pools_like_the_loop(layer, x, axes, counted)
    if layer.return_indices:
        np.testing.assert_array_equal(layer(torch.tensor(x))[1], indices)


@given(poolings())
@settings(max_examples=60)
def test_size_named_in_the_refusal_works_and_no_smaller_one_does(case):
    kind, kernel, options, size = case
    layer = Pool(kernel, kind=kind, spatial_dims=len(size), **options)
    try:
        layer(torch.zeros(1, 1, *size))
    except ShapeError as error:
        named = tuple(map(int, error.remedy.split("(")[1].split(")")[0].strip(",").split(",")))
        layer(torch.zeros(1, 1, *named))
        for axis in (axis for axis, n in enumerate(size) if n < named[axis]):
            less = tuple(n - (axis == a) for a, n in enumerate(named))
            with pytest.raises(ShapeError):
                layer(torch.zeros(1, 1, *less))


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pooling_agrees_with_torch(dims, ceil_mode):
    x = torch.tensor(drawn(2, 3, *SIZE[:dims]))
    kernel, stride, padding = (3, 2, 4)[:dims], (2, 1, 3)[:dims], (1, 1, 2)[:dims]
    sides = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode, "spatial_dims": dims}
    values, indices = Pool(kernel, return_indices=True, **sides)(x)
    theirs = MAX_POOL_WITH_INDICES[dims](x, kernel, stride, padding, 1, ceil_mode)
    assert torch.equal(values, theirs[0])
    assert torch.equal(indices, theirs[1])
    for counted in (True, False):
        ours = Pool(kernel, kind="avg", count_padding=counted, **sides)
        theirs = AVG_POOL[dims](x, kernel, stride, padding, ceil_mode, counted)
        torch.testing.assert_close(ours(x), theirs, **EXACT)
        # the same with the padding spelt out
        ours._native = False
        torch.testing.assert_close(ours(x), theirs, **EXACT)


@pytest.mark.parametrize("dims", DIMS)
def test_maximum_of_minus_infinities_is_never_found_in_the_padding(dims):
    layer = Pool(3, padding=((2, 1),) * dims, return_indices=True, spatial_dims=dims)
    values, indices = layer(torch.full((1, 1, *SIZE[:dims]), -torch.inf))
    assert (values == -torch.inf).all()
    assert 0 <= indices.min() <= indices.max() < np.prod(SIZE[:dims])


@given(st.sampled_from(DIMS), st.data())
@settings(max_examples=40)
def test_adaptive_pooling_is_the_loop_over_windows(dims, data):
    size = data.draw(st.tuples(*[st.integers(1, 7)] * dims))
    count = data.draw(st.tuples(*[st.integers(1, 5)] * dims))
    kind = data.draw(st.sampled_from(["max", "avg"]))
    layer = AdaptivePool(count, kind=kind, spatial_dims=dims)
    x, axes = drawn(1, 2, *size), oracle.adaptive_windows(size, count)
    assert_pools_like_the_loop(layer, x, axes)
    layer.forward = layer._by_fixed_windows  # the form that is exported
    assert_pools_like_the_loop(layer, x, axes)


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_adaptive_pooling_for_export_agrees_with_torch(dims, kind):
    x = torch.tensor(drawn(2, 3, *SIZE[:dims]))
    theirs = (ADAPTIVE_AVG if kind == "avg" else ADAPTIVE_MAX)[dims]
    for count in product((1, 3, 7), repeat=dims):
        ours = AdaptivePool(count, kind=kind, spatial_dims=dims)._by_fixed_windows(x)
        expected = theirs(x, count if dims > 1 else count[0])
        torch.testing.assert_close(ours, expected, **EXACT)


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_global_pooling_is_one_window(dims, kind):
    x = drawn(2, 3, *SIZE[:dims])
    layer = GlobalPool(kind=kind, keep_axes=True, spatial_dims=dims)
    assert_pools_like_the_loop(layer, x, oracle.adaptive_windows(SIZE[:dims], (1,) * dims))


@given(poolings())
@settings(max_examples=100)
def test_max_unpooling_is_the_loop_over_values(case):
    _, kernel, options, size = case
    layer = Pool(kernel, return_indices=True, spatial_dims=len(size), **options)
    try:
        values, indices = layer(torch.tensor(drawn(2, 1, *size)))
    except ShapeError:
        assume(False)
    later, upstream = drawn(*values.shape, seed=2), drawn(2, 1, *size, seed=3)
    expected, arrives = oracle.unpool(later, indices.numpy(), size, upstream)
    undo = Unpool(pool=layer)
    found, arrived = forward_and_gradient(lambda x: undo(x, indices, size), later, upstream)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(arrived, arrives, **EXACT)


def test_values_that_tie_share_the_gradient():
    x = torch.tensor([[[2.0, 2.0, 1.0, 7.0]]], requires_grad=True)
    out = unpool(x, torch.tensor([[[1, 1, 1, 0]]]), (3,))
    assert out.tolist() == [[[7, 2, 0]]]
    out.sum().backward()
    assert x.grad.tolist() == [[[0.5, 0.5, 0, 1]]]


@given(poolings())
@settings(max_examples=100)
def test_maxima_come_back_in_place_and_pool_to_themselves(case):
    _, kernel, options, size = case
    layer = Pool(kernel, return_indices=True, spatial_dims=len(size), **options)
    x = torch.tensor(drawn(2, 2, *size)).abs()
    try:
        values, indices = layer(x)
    except ShapeError:
        assume(False)
    restored = Unpool(pool=layer)(values, indices, size)
    # with overlap too, since the largest value counts
    assert torch.equal(layer(restored)[0], values)
    kept = torch.zeros_like(x, dtype=torch.bool).flatten(2)
    kept = kept.scatter(2, indices.flatten(2), value=True).reshape(x.shape)
    assert torch.equal(restored, torch.where(kept, x, 0))


@pytest.mark.parametrize("dims", DIMS)
def test_deterministic_mode_gives_the_same(dims):
    layer = Pool(2, return_indices=True, spatial_dims=dims)
    x = torch.tensor(drawn(2, 3, *SIZE[:dims]))
    values, indices = layer(x)
    expected = Unpool(2, spatial_dims=dims)(values, indices, SIZE[:dims])
    torch.use_deterministic_algorithms(True)
    try:
        found = Unpool(2, spatial_dims=dims)(values, indices, SIZE[:dims])
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_local_response_normalisation_is_the_formula(dims, size):
    x, upstream = drawn(2, 6, *SIZE[:dims]), drawn(2, 6, *SIZE[:dims], seed=1)
    options = {"size": size, "alpha": 0.3, "beta": 0.75, "k": 2.0}
    expected, arrives = oracle.local_response(x, upstream=upstream, **options)
    layer = Norm(6, "lrn", spatial_dims=dims, **options)
    found, arrived = forward_and_gradient(layer, x, upstream)
    np.testing.assert_allclose(found, expected, **EXACT)
    np.testing.assert_allclose(arrived, arrives, **EXACT)


@pytest.mark.parametrize("dims", DIMS)
def test_torch_divides_the_alpha_of_local_response_by_size(dims):
    x = torch.tensor(10 * drawn(2, 8, *SIZE[:dims]))
    theirs = F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)
    torch.testing.assert_close(Norm(8, "lrn", spatial_dims=dims)(x), theirs, **EXACT)


def test_local_response_in_bfloat16_is_that_of_float32():
    x = torch.tensor(30 * drawn(1, 8, 7, 9)).bfloat16()
    layer = Norm(8, "lrn")
    assert torch.equal(layer(x), x * (layer(x.float()) / x.float()).bfloat16())


@given(poolings())
@settings(max_examples=100)
def test_number_of_windows_and_padding_around_them(case):
    _, kernel, options, size = case
    axes = oracle.windows(size, kernel, **options)
    assume(all(axes))
    found = Windows(kernel, **options)
    assert found.count(size) == tuple(map(len, axes))
    for (before, after), n, taps in zip(found.amounts(size), size, axes, strict=True):
        assert -before == taps[0][0]
        assert n + after == taps[-1][-1] + 1
