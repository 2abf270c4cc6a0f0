"""FCN and SegNet at sizes that cannot be halved, U-Net on encoders: what every network promises."""

from functools import partial

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch._subclasses.fake_tensor import FakeTensorMode

from convivo.architectures.create import create

ODD = (37, 44, 35)
WHOLE = (32, 64, 32)
# name, size, options; small widths keep it quick
FORMS = {
    "fcn8s": ("fcn8s", ODD, {"encoder": "vgg11"}),
    "fcn32s": ("fcn32s", ODD, {"encoder": "vgg11_bn"}),
    "segnet": ("segnet", ODD, {}),
    "unet_on_resnet18": ("unet", WHOLE, {"encoder": "resnet18"}),
    "unet_on_vgg11": ("unet", WHOLE, {"encoder": "vgg11", "upsampling": "linear"}),
}
FAST = {("fcn8s", 3), ("unet_on_resnet18", 2)}  # of exports; the rest takes a minute
EVERY = pytest.mark.parametrize(
    ("form", "dims"), [(form, dims) for form in FORMS for dims in (1, 2, 3)]
)


def build(form, dims, seed=0):
    name, size, settings = FORMS[form]
    torch.manual_seed(seed)
    net = create(
        name,
        spatial_dims=dims,
        in_channels=2,
        num_classes=3,
        input_size=size[:dims],
        width=1 / 32,
        **settings,
    )
    return net, torch.randn(2, 2, *size[:dims], generator=torch.Generator().manual_seed(1))


@EVERY
def test_segmenter_answers_every_place_and_learns(form, dims):
    net, x = build(form, dims)
    out = net(x)
    assert out.shape == (2, 3, *x.shape[2:])
    out.square().mean().backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]


@EVERY
def test_segmenter_survives_a_file(form, dims, tmp_path):
    net, x = build(form, dims)
    twin, _ = build(form, dims, seed=1)
    state = net.state_dict()
    assert len({t.data_ptr() for t in state.values()}) == len(state)
    save_file(state, tmp_path / "weights.safetensors")
    with torch.no_grad():
        assert not torch.equal(net.eval()(x), twin.eval()(x))
        twin.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        assert torch.equal(net(x), twin(x))


@EVERY
def test_segmenter_runs_in_bfloat16(form, dims):
    net, x = build(form, dims)
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(x).float().square().mean()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in net.parameters())


EXPORTED = [
    pytest.param(form, dims, marks=() if (form, dims) in FAST else pytest.mark.slow)
    for form in FORMS
    for dims in (1, 2, 3)
]


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # within torch's exporter
@pytest.mark.parametrize(("form", "dims"), EXPORTED)
def test_exported_segmenter_gives_the_same_answers(form, dims, openvino, tmp_path):
    net, x = build(form, dims)
    with torch.no_grad():
        expected = net.eval()(x)
    program = torch.export.export(net, (x,))
    torch.testing.assert_close(program.module()(x), expected)
    close = partial(np.testing.assert_allclose, rtol=0, atol=1e-4 * expected.abs().max().item())
    # it would take bfloat16 on processors that have it
    exactly = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.compile_model(openvino.convert_model(program), "CPU", exactly)
    close(model(x.numpy())[0], expected.numpy())
    path = tmp_path / "net.onnx"
    torch.onnx.export(program, dynamo=True, external_data=False, verbose=False).save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    close(answer, expected.numpy())
    model = openvino.compile_model(openvino.convert_model(path), "CPU", exactly)
    close(model(x.numpy())[0], expected.numpy())


@EVERY
def test_segmenter_needs_no_values(form, dims):
    with torch.device("meta"):
        net, _ = build(form, dims)
        x = torch.empty(2, 2, *FORMS[form][1][:dims])
        assert net(x).shape == (2, 3, *x.shape[2:])
    with FakeTensorMode():
        net, x = build(form, dims)
        assert net(x).shape == (2, 3, *x.shape[2:])
