"""A plan needs no compiler; whoever does is given it."""

import subprocess
import sys

CODE = """
import sys, torch, convivo
convivo.plan(net={net!r}, input={input!r}, batch=2)
assert not {{"torch._dynamo", "sympy", "torch.distributed.tensor"}} & set(sys.modules), "imported"
from torch import nn
layer = nn.Linear(2, 2)
torch.optim.AdamW(layer.parameters()).step()
assert "torch._dynamo" in sys.modules
print(torch._dynamo.config.cache_size_limit > 0)
"""


def test_a_plan_does_not_import_it_and_a_later_training_does():
    code = CODE.format(net="resnet18", input="1,64,64")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr


PREDICTION = """
import sys, torch
from convivo.architectures.create import create
from convivo.planning.ceiling import ceiling
net = create("resnet18", spatial_dims=2, in_channels=1, num_classes=2, width=0.125)
print(ceiling(net, lambda twin: twin(torch.empty(1, 1, 64, 64, device="meta"))) > 0)
print("torch._dynamo" in sys.modules)
"""


def test_the_ceiling_of_a_prediction_does_not_import_it():
    done = subprocess.run([sys.executable, "-c", PREDICTION], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"], done.stderr
