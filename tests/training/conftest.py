"""A tiny training whose every part is a function of the step: what the tests of the loop run."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convivo.progress import Progress
from convivo.training.averaging import averaged
from convivo.training.journal import Journal
from convivo.training.loop import Schedule, fit
from convivo.training.state import Counters, State
from convivo.training.update import train_step

PLAN = {
    "steps": 12, "validate_every": 3, "steps_per_epoch": 4, "lr": 0.05, "warmup": 2, "clip": 1.0,
    "patience": 0, "seed": 5,
}  # fmt: skip


def make_network():
    """Batch norm (buffers), dropout (randomness): what a resumed run could get wrong."""
    torch.manual_seed(11)
    return nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.4),
        nn.Flatten(), nn.Linear(4 * 9, 3),
    )  # fmt: skip


def draw(step):
    """Images (5, 2, 9) and classes (5,) of a step."""
    rng = np.random.default_rng((3, step))
    images = torch.from_numpy(rng.normal(size=(5, 2, 9)).astype(np.float32))
    return images, torch.from_numpy(rng.integers(0, 3, 5))


def cross_entropy(network, images, targets):
    return F.cross_entropy(network(images), targets)


def score(network):
    images, targets = draw(10_000)
    return {"score": -float(F.cross_entropy(network(images), targets))}


@dataclass
class Training:
    """One run folder and what trains in it; each `start` is a new process's view of it."""

    folder: Path
    optimizer: str = "adamw"
    precision: str = "fp32"
    batches: Callable = draw
    step: Callable = cross_entropy
    validate: Callable = score
    deadline: float | None = None
    ema: float = 0.0
    plan: dict = field(default_factory=lambda: dict(PLAN))
    state: State | None = None

    def start(self):
        """Everything anew, continued from last/ where there is one; then fit."""
        self.state = self.fresh()
        journal = Journal(self.folder, Progress("step", 1), rest=0.0)
        journal.resume(self.state)
        return fit(
            self.state, self.batches, self.step, schedule=Schedule(**self.plan),
            validate=self.validate, journal=journal, deadline=self.deadline,
            update=averaged(train_step, self.ema) if self.ema else train_step,
        )  # fmt: skip

    def fresh(self):
        network = make_network()
        if self.optimizer == "sgd":
            optimizer = torch.optim.SGD(network.parameters(), momentum=0.9, nesterov=True)
        else:
            optimizer = torch.optim.AdamW(network.parameters(), fused=True)
        counters = Counters(precision=self.precision)
        average = deepcopy(network) if self.ema else None
        return State(network=network, optimizer=optimizer, average=average, counters=counters)

    def tensors(self):
        """Every tensor of the network, as bytes."""
        return {k: v.numpy().tobytes() for k, v in self.state.network.state_dict().items()}

    @property
    def last(self):
        return self.folder / "last" / "state.safetensors"


@pytest.fixture
def training(tmp_path):
    return Training(tmp_path / "run")


@pytest.fixture
def make_training(tmp_path):
    """More than one run in a test: make_training(name, **fields)."""
    return lambda name, **fields: Training(tmp_path / name, **fields)
