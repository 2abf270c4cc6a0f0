"""Convolutions and padding leave torch unchanged: torch.export, ONNX and OpenVINO agree."""

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from convivo.layers import Conv, Pad, ResizeConv, TrueConv, UpConv
from convivo.layers.padding import PADDING_MODES

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
# the exporters take seconds each; two dimensions stand for the others in the fast tests
SLOW = pytest.mark.slow
IMAGES_FIRST = pytest.mark.parametrize(
    "dims", [pytest.param(1, marks=SLOW), 2, pytest.param(3, marks=SLOW)]
)
SIZE = (5, 4, 6)
SIDES = ((1, 2), (0, 1), (1, 1))
# what the exporters warn of is theirs
pytestmark = pytest.mark.filterwarnings("ignore")


class SideBySide(nn.Module):
    """Every layer and mode on the same input, so that each exporter runs once a dimension."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for mode in PADDING_MODES:
            options = {"padding": SIDES[:dims], "padding_mode": mode, "spatial_dims": dims}
            layers += [Conv(2, 4, 3, stride=2, **options)]
            layers += [UpConv(2, 4, 3, stride=2, output_padding=1, **options)]
            # long enough to mirror the mirror image
            layers += [Pad(((9, 2), (7, 0), (0, 8))[:dims], mode=mode, spatial_dims=dims)]
        same = {"padding": "same", "spatial_dims": dims, "groups": 2}
        layers += [TrueConv(2, 4, 3, dilation=2, **same), Conv(2, 4, 4, **same)]
        layers += [ResizeConv(2, 4, 3, 2, kind=k, spatial_dims=dims) for k in ("nearest", "linear")]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [layer(x) for layer in self.layers]


def example(dims):
    torch.manual_seed(0)
    net, x = SideBySide(dims).eval(), torch.randn(2, 2, *SIZE[:dims])
    with torch.no_grad():
        return net, x, net(x)


def assert_same(found, expected):
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        where = f"layer {k}"
        torch.testing.assert_close(torch.as_tensor(a), b, atol=1e-5, rtol=1e-5, msg=where)


@DIMS
def test_exported_program_takes_any_batch(dims):
    net, x, expected = example(dims)
    sizes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(net, (x,), dynamic_shapes=sizes)
    assert_same(program.module()(x), expected)
    three = torch.cat([x, x[:1]])
    assert_same(program.module()(three), net(three))


@IMAGES_FIRST
def test_onnx_runtime(dims):
    runtime = pytest.importorskip("onnxruntime")
    net, x, expected = example(dims)
    model = torch.onnx.export(net, (x,), dynamo=True, verbose=False).model_proto
    session = runtime.InferenceSession(model.SerializeToString())
    assert_same(session.run(None, {session.get_inputs()[0].name: x.numpy()}), expected)


@IMAGES_FIRST
def test_openvino(dims):
    openvino = pytest.importorskip("openvino")
    net, x, expected = example(dims)
    model = openvino.convert_model(torch.export.export(net, (x,)))
    ready = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert_same(list(ready(x.numpy()).values()), expected)


@IMAGES_FIRST
def test_one_graph_for_the_compiler(dims):
    torch.compiler.reset()  # else what other tests compiled counts against the limit of graphs
    net, x, expected = example(dims)
    with torch.no_grad():
        assert_same(torch.compile(net, backend="eager", fullgraph=True)(x), expected)


@DIMS
def test_sizes_without_memory(dims):
    _, x, expected = example(dims)
    with torch.device("meta"):
        found = [y.shape for y in SideBySide(dims)(torch.empty(x.shape))]
    assert found == [y.shape for y in expected]
    with FakeTensorMode():
        assert [y.shape for y in SideBySide(dims)(torch.empty(x.shape))] == found
