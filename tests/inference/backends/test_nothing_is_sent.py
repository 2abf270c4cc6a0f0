"""No engine opens a socket: usage statistics are kept from loading."""

import subprocess
import sys

import pytest

SCRIPT = """
import socket
opened = []
def refuse(self, address, *rest):
    opened.append(address)
    raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = lambda *a, **k: refuse(None, a)
import sys
import numpy as np
import torch
from convivo.inference.backends.onnx_engine import ONNXRuntime
from convivo.inference.backends.openvino_engine import OpenVINO
from convivo.inference.backends.program import Programs
net = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(12, 2))
programs = Programs(network=net.eval(), decode=torch.nn.Identity())
for engine in (OpenVINO(programs, precision="fp32", threads=1), ONNXRuntime(programs, threads=1)):
    assert engine(np.ones((2, 1, 8), np.float32)).shape == (2, 2)
from convivo.inference.backends.openvino_engine import sized
from convivo.inference.backends.quantizing import nncf, quantized
items = [np.full((1, 8), value, np.float32) for value in range(3)]
low = quantized(sized(programs.of((2, 1, 8))), items)
engine = OpenVINO(programs, precision="int8", threads=1, model_of=lambda program: low)
assert engine(np.ones((2, 1, 8), np.float32)).shape == (2, 2)
from nncf.telemetry import telemetry
assert type(telemetry) is not nncf().telemetry.wrapper.NNCFTelemetry, "it would send"
assert sys.modules["openvino_telemetry"] is None, "usage statistics were loaded"
assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
# atexit handlers have their turn too: they would raise, and be seen on stderr
import atexit
atexit.register(lambda: print("opened", opened))
"""


def test_no_socket_is_opened() -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("nncf")
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("opened []")
