"""Products of matrices by either library: the same but for their rounding."""

import pytest
import torch

from convivo.layers import products
from convivo.layers.products import product
from convivo.planning.work import Tally, work_of

BY_ONEDNN = "mkldnn::_linear_pointwise"
HAS_ONEDNN = torch.backends.mkldnn.is_available()


@pytest.fixture(params=[True, False] if HAS_ONEDNN else [False])
def slow_by_mkl(request, monkeypatch):
    monkeypatch.setattr(products, "_is_slow_by_mkl", lambda: request.param)
    return request.param


def names(call):
    with torch.profiler.profile() as profiler:
        call()
    return {event.key for event in profiler.key_averages()}


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("sizes", [(24, 36, 25088), (64, 3200, 216), (7, 13, 1), (1, 1, 1)])
def test_the_numbers_are_those_of_float64_but_for_rounding(slow_by_mkl, sizes, turned):
    rows, inner, columns = sizes
    a = torch.randn(rows, inner)
    b = torch.randn(columns, inner).t() if turned else torch.randn(inner, columns)
    found, expected = product(a, b), torch.mm(a.double(), b.double())
    error = (found.double() - expected).abs().max()
    assert found.is_contiguous()
    assert float(error) < 1e-6 * inner**0.5 * float(expected.abs().max())


def test_float32_alone_goes_to_the_faster_library(slow_by_mkl):
    single = torch.rand(4, 3)
    assert (BY_ONEDNN in names(lambda: product(single, single.t()))) == slow_by_mkl
    for kind in (torch.float64, torch.bfloat16):
        other = single.to(kind)
        assert BY_ONEDNN not in names(lambda other=other: product(other, other.t()))


def test_both_are_counted_as_the_same_work(slow_by_mkl):
    tally, a, b = Tally(), torch.rand(4, 3), torch.rand(3, 5)
    func = torch.ops.mkldnn._linear_pointwise.default if slow_by_mkl else torch.ops.aten.mm.default
    given = (a, b.t(), None, "none", [], "") if slow_by_mkl else (a, b)
    tally.add(func, given, torch.mm(a, b), learning=False)
    assert tally.work == dict.fromkeys(work_of("mm", (a, b), torch.mm(a, b)), 1)
