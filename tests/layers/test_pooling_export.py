"""Pooling, unpooling, normalisation and heads leave torch unchanged, to ONNX and OpenVINO."""

from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from convivo.layers import (
    ACTIVATIONS,
    AdaptivePool,
    GlobalPool,
    Norm,
    Pool,
    Sigmoid,
    Softmax,
    Unpool,
    Upsample,
    activation,
)

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
# seconds each, mostly of the exporters
SLOW = pytest.mark.slow
FORMATS = pytest.mark.parametrize(
    "dims", [pytest.param(1, marks=SLOW), pytest.param(2, marks=SLOW), 3]
)
SIZE = (5, 7, 6)
SIDES = ((1, 0), (0, 1), (2, 1))
# what the exporters warn of is theirs
pytestmark = pytest.mark.filterwarnings("ignore")


class ThereAndBack(nn.Module):
    """A pooling layer with indices, a layer that changes the values, and the way back."""

    def __init__(self, kernel: int, **options) -> None:
        super().__init__()
        self.pool = Pool(kernel, return_indices=True, **options)
        self.unpool = Unpool(pool=self.pool)

    def forward(self, x: Tensor) -> Tensor:
        values, indices = self.pool(x)
        return self.unpool(2 * values - 1, indices, x.shape[2:])


class SideBySide(nn.Module):
    """Every layer and form of it on the same input, so that each exporter runs once a dimension."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        d = {"spatial_dims": dims}
        layers: list[nn.Module] = []
        for form in ({"padding": 1}, {"padding": 1, "ceil_mode": True}, {"padding": SIDES[:dims]}):
            layers += [Pool(3, stride=2, **form, **d), Pool(3, kind="avg", stride=2, **form, **d)]
            layers += [ThereAndBack(3, **form, **d)]
        layers += [Pool(2, dilation=2, stride=1, **d)]
        not_counted = {"padding": SIDES[:dims], "ceil_mode": True, "count_padding": False}
        layers += [Pool(3, kind="avg", stride=2, **not_counted, **d)]
        for kind in ("max", "avg"):
            layers += [GlobalPool(kind=kind, **d)]
            layers += [AdaptivePool(n, kind=kind, **d) for n in (1, 3)]
        layers += [Unpool(3, kind=kind, **d) for kind in ("nearest", "bed_of_nails")]
        layers += [Upsample(3, kind=kind, **d) for kind in ("nearest", "linear")]
        layers += [Norm(4, kind, groups=2, **d) for kind in ("batch", "instance", "group", "layer")]
        layers += [Norm(4, "lrn", alpha=0.3, **d)]
        if dims == 1:  # these do not ask
            layers += [Softmax(), Sigmoid(), *(activation(a, inplace=False) for a in ACTIVATIONS)]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [layer(x) for layer in self.layers]


@cache
def example(dims):
    torch.manual_seed(0)
    net, x = SideBySide(dims).eval(), torch.randn(2, 4, *SIZE[:dims])
    with torch.no_grad():
        return net, x, net(x)


@cache
def program(dims):
    net, x, _ = example(dims)
    return torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))


def assert_same(net, found, expected, atol=1e-5):
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        where = f"{net.layers[k]}" if isinstance(net, SideBySide) else f"layer {k}"
        close = torch.allclose(torch.as_tensor(a).float(), b, atol=atol, rtol=atol)
        assert close, where


def through_openvino(model, x):
    import openvino

    ready = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = ready(x.numpy())
    return [answer[k] for k in range(len(ready.outputs))]


@DIMS
def test_exported_program_takes_any_batch(dims):
    net, x, expected = example(dims)
    module, three = program(dims).module(), torch.cat([x, x[:1]])
    assert_same(net, module(x), expected)
    assert_same(net, module(three), net(three))


@FORMATS
def test_onnx_runtime(dims):
    runtime = pytest.importorskip("onnxruntime")
    net, x, expected = example(dims)
    model = torch.onnx.export(program(dims), (), dynamo=True, verbose=False).model_proto
    session = runtime.InferenceSession(model.SerializeToString())
    assert_same(net, session.run(None, {session.get_inputs()[0].name: x.numpy()}), expected)


@FORMATS
def test_openvino(dims):
    openvino = pytest.importorskip("openvino")
    net, x, expected = example(dims)
    assert_same(net, through_openvino(openvino.convert_model(program(dims)), x), expected)


@FORMATS
def test_unpooling_with_overlap_reaches_onnx_and_through_it_openvino(dims, tmp_path):
    runtime, openvino = pytest.importorskip("onnxruntime"), pytest.importorskip("openvino")
    _, x, _ = example(dims)
    net, path = ThereAndBack(3, stride=2, padding=1, spatial_dims=dims), tmp_path / "net.onnx"
    expected = [net(x)]
    torch.onnx.export(net, (x,), path, dynamo=True, verbose=False)
    session = runtime.InferenceSession(path)
    assert_same(net, session.run(None, {session.get_inputs()[0].name: x.numpy()}), expected)
    assert_same(net, through_openvino(openvino.convert_model(path), x), expected)


def test_one_graph_for_the_compiler():
    net, x, expected = example(3)
    with torch.no_grad():
        assert_same(net, torch.compile(net, backend="eager", fullgraph=True)(x), expected)


@DIMS
def test_sizes_without_memory(dims):
    _, x, expected = example(dims)
    with torch.device("meta"):
        found = [y.shape for y in SideBySide(dims)(torch.empty(x.shape))]
    assert found == [y.shape for y in expected]
    with FakeTensorMode():
        assert [y.shape for y in SideBySide(dims)(torch.empty(x.shape))] == found


@DIMS
def test_autocast_to_bfloat16_stays_close(dims):
    net, x, _ = example(dims)
    x = x.bfloat16()  # rounding would make other maxima the first ones
    with torch.no_grad():
        expected = net(x.float())
        with torch.autocast("cpu", torch.bfloat16):
            assert_same(net, net(x), expected, atol=0.05)
