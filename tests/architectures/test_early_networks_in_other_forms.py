"""Forms of LeNet-5, AlexNet and VGG beside the default ones: what every network promises."""

from functools import partial

import numpy as np
import onnxruntime
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from convivo.architectures.create import create

# network, least size per axis, width that keeps it small, options; LeNet-5 starts so small in its
# paper that all answers look alike
FORMS = {
    "lenet5_1998_coded": ("lenet5_1998", 32, 0.5, {"num_classes": 10, "init": "lecun_normal"}),
    "alexnet_two_towers": ("alexnet", 63, 1 / 32, {"towers": 2}),
    "vgg11_bn_pooled": ("vgg11_bn", 32, 1 / 32, {"head": "pooled"}),
}
# one of each in the fast set; the rest takes half a minute
FAST = {("lenet5_1998_coded", 2), ("alexnet_two_towers", 3), ("vgg11_bn_pooled", 1)}
EXPORTED = [
    pytest.param(form, dims, marks=() if (form, dims) in FAST else pytest.mark.slow)
    for form in FORMS
    for dims in (1, 2, 3)
]
EVERY = pytest.mark.parametrize(
    ("form", "dims"), [(form, dims) for form in FORMS for dims in (1, 2, 3)]
)


def build(form, dims):
    name, size, width, settings = FORMS[form]
    torch.manual_seed(0)
    axes = tuple(size + extra for extra in (0, 1, 3))[:dims]
    settings = {"num_classes": 3} | settings
    net = create(name, spatial_dims=dims, in_channels=2, input_size=axes, width=width, **settings)
    x = torch.randn(2, 2, *axes, generator=torch.Generator().manual_seed(1))
    return net, x, (2, settings["num_classes"])


@EVERY
def test_early_network_answers_and_learns(form, dims):
    net, x, shape = build(form, dims)
    out = net(x)
    assert out.shape == shape
    out.square().mean().backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]


@EVERY
def test_early_network_runs_in_bfloat16(form, dims):
    net, x, _ = build(form, dims)
    exact = net.eval()(x)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(x)
    out.float().square().mean().backward()
    torch.testing.assert_close(out.float(), exact, rtol=0, atol=0.1 * exact.std().item())
    assert all(p.grad.isfinite().all() for p in net.parameters())


# torch's own, on copying an exported program
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
@pytest.mark.parametrize(("form", "dims"), EXPORTED)
@pytest.mark.slow
def test_early_network_gives_the_same_answers_wherever_it_is_exported(
    form, dims, openvino, tmp_path
):
    net, x, _ = build(form, dims)
    with torch.no_grad():
        expected = net.eval()(x)
    program = torch.export.export(net, (x,))
    torch.testing.assert_close(program.module()(x), expected)
    close = partial(np.testing.assert_allclose, rtol=0, atol=1e-3 * expected.std().item())
    # it would take bfloat16 on processors that have it
    exactly = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.compile_model(openvino.convert_model(program), "CPU", exactly)
    close(model(x.numpy())[0], expected.numpy())
    path = tmp_path / "net.onnx"
    torch.onnx.export(program, dynamo=True, external_data=False, verbose=False).save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    close(answer, expected.numpy())


@EVERY
def test_early_network_needs_no_values(form, dims):
    with torch.device("meta"):
        net, _, shape = build(form, dims)
        axes = tuple(FORMS[form][1] + extra for extra in (0, 1, 3))[:dims]
        assert net(torch.empty(2, 2, *axes)).shape == shape
    with FakeTensorMode():
        net, x, shape = build(form, dims)
        assert net(x).shape == shape
