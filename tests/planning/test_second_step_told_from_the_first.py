"""Where a second step is told from the first, it must be the one that would have been run."""

import pytest
import torch
from torch import nn

from convivo.architectures.create import create
from convivo.architectures.outline import outlined
from convivo.planning.step import cross_entropy, make_optimizer, training_step
from convivo.planning.trace import Unlike, trace
from convivo.planning.work import Tally

GIVEN = [((2, 1, 32, 32), torch.float32), ((2,), torch.int64)]


def told(net, optimizer, *, alike, precision="fp32"):
    tally = Tally()
    found = trace(
        net,
        training_step(cross_entropy, precision),
        GIVEN,
        optimizer=make_optimizer(optimizer),
        watch=lambda *call: tally.add(*call, learning=True),
        alike=alike,
    )
    return found, tally


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_it_is_the_one_that_is_run(optimizer, precision):
    with outlined():
        net = create("resnet18", width=0.25)
    expected = told(net, optimizer, alike=False, precision=precision)
    assert told(net, optimizer, alike=True, precision=precision) == expected


class Keeps(nn.Module):
    """Its second step is unlike the first."""

    def __init__(self):
        super().__init__()
        self.head, self.kept = nn.Linear(1024, 3), None

    def forward(self, x):
        self.kept = x.flatten(1) * 2
        return self.head(self.kept)


class Counts(Keeps):
    def forward(self, x):
        self.kept = (self.kept or 0) + 1
        return self.head(x.flatten(1))


@pytest.mark.parametrize("kind", [Keeps, Counts])
def test_a_network_that_keeps_something_is_run_twice(kind):
    with pytest.raises(Unlike):
        told(kind(), "adamw", alike=True)


class Remembers(Counts):
    """A table of what was found is no change."""

    def __init__(self):
        super().__init__()
        self.sizes = {}

    def forward(self, x):
        self.sizes.setdefault(x.shape[2:], True)
        return self.head(x.flatten(1))


def test_what_a_layer_remembers_of_sizes_does_not_matter():
    net = Remembers()
    assert told(net, "sgd", alike=True) == told(net, "sgd", alike=False)
