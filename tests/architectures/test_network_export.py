"""Every network says the same as torch.export program, as ONNX, and in OpenVINO."""

from functools import partial

import numpy as np
import onnxruntime
import pytest
import torch

from convivo.architectures import ARCHITECTURES

from .every_network import DEEP, batch, small

# one of each kind in its hardest dimension; the rest takes minutes
FAST = {("lenet5_1998", 1), ("resnet18", 2), ("unet", 3)}
EVERY = [
    pytest.param(name, dims, marks=() if (name, dims) in FAST else pytest.mark.slow)
    for name in ARCHITECTURES
    for dims in (1, 2, 3)
    if dims == 2 or name not in DEEP
]


# torch's own, on copying an exported program
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
@pytest.mark.parametrize(("name", "dims"), EVERY)
def test_exported_network_gives_the_same_answers(name, dims, openvino, tmp_path):
    net, x = small(name, dims).eval(), batch(name, dims)
    with torch.no_grad():
        expected = net(x)
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
