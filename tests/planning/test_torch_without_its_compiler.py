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
