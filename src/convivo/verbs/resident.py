"""Steps run for real, each in a process of its own, and the memory that it took: for `doctor`.

`python -m convivo.verbs.resident train` imports what a training imports and then makes a child for
each line of stdin; so each starts like a fresh command without waiting for torch every time.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create
from convivo.architectures.outline import outlined
from convivo.planning.events import Trace
from convivo.planning.step import (
    Step,
    cross_entropy,
    make_optimizer,
    prediction_step,
    training_step,
)
from convivo.planning.trace import trace
from convivo.training.allocator import keep_memory, return_memory
from convivo.training.process_memory import held, memory_of
from convivo.training.tensor_watch import OBSERVED

STEPS, LOOK_SECONDS = 3, 0.002
MOST_SECONDS = 300.0  # of one trial; what takes longer has failed


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A few steps of one network.

    size: of the input, without channels. keeps: freed memory, in a training after its first steps
    (see `training.allocator`). Others as in the plan.
    """

    net: str
    size: tuple[int, ...]
    channels: int = 1
    batch: int = 1
    train: bool = True
    optimizer: str = "adamw"
    precision: str = "fp32"
    width: float = 1.0
    keeps: bool = True

    def network(self) -> nn.Module:
        """The network, ten classes."""
        return create(
            self.net, spatial_dims=len(self.size), in_channels=self.channels, num_classes=10,
            input_size=self.size, width=self.width,
        )  # fmt: skip

    def inputs(self) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """Shapes and formats of what the step is given."""
        images = ((self.batch, self.channels, *self.size), torch.float32)
        maps = ARCHITECTURES[self.net].tasks[0] == "segment"
        targets = ((self.batch, *(self.size if maps else ())), torch.int64)
        return [images, targets] if self.train else [images]

    def step(self) -> Step:
        """The step of a training or prediction."""
        if self.train:
            return training_step(cross_entropy, self.precision)
        return prediction_step(self.precision)

    def trace(self) -> Trace:
        """The same, nothing allocated."""
        with outlined():
            network = self.network()
        maker = make_optimizer(self.optimizer) if self.train else None
        return trace(network, self.step(), self.inputs(), optimizer=maker)


def can_measure() -> bool:
    """Whether this system tells what a process holds, and lets processes be forked."""
    return hasattr(os, "fork") and bool(memory_of("self").get("RssAnon"))


def measured(trials: Sequence[Trial], *, threads: int) -> Iterator[int | None]:
    """Bytes of private and shared memory at the peak of each trial; None where it failed.

    Trials of one process kind should stand together: a new server is started where it changes.
    """
    start = 0
    while start < len(trials):
        stop = start
        while stop < len(trials) and trials[stop].train == trials[start].train:
            stop += 1
        yield from _served(trials[start:stop], threads)
        start = stop


def _served(trials: Sequence[Trial], threads: int) -> Iterator[int | None]:
    mode = "train" if trials[0].train else "infer"
    command = [sys.executable, "-m", "convivo.verbs.resident", mode, str(threads)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for trial in trials:
            try:
                server.stdin.write(json.dumps(asdict(trial)) + "\n")
                server.stdin.flush()
                answer = server.stdout.readline()
            except BrokenPipeError:
                answer = ""
            yield json.loads(answer) if answer else None


def _run(trial: Trial, threads: int) -> None:
    torch.set_num_threads(threads)
    network = trial.network()
    optimizer = make_optimizer(trial.optimizer)(network) if trial.train else None
    given = tuple(
        torch.randn(shape) if dtype.is_floating_point else torch.zeros(shape, dtype=dtype)
        for shape, dtype in trial.inputs()
    )
    step = trial.step()
    if trial.train:  # memory is kept once all kernels have been called
        return_memory()
        for _ in range(OBSERVED):
            step(network, optimizer, given)
        if trial.keeps:
            keep_memory()
    for _ in range(STEPS):
        step(network, optimizer, given)


def _watched(trial: Trial, threads: int) -> int | None:
    """Run a trial in a child; its peak, looked at from outside all the while."""
    end = time.monotonic() + MOST_SECONDS
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _run(trial, threads)
            status = 0
        finally:
            os._exit(status)
    peak, ended = 0, (0, 0)
    while not ended[0]:
        peak = max(peak, held(memory_of(child)))
        time.sleep(LOOK_SECONDS)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        ended = os.waitpid(child, os.WNOHANG)
    return peak if ended[1] == 0 else None


def _serve(words: Sequence[str]) -> None:
    mode, threads = words[0], int(words[1])
    if mode == "train":  # what the command imports; the first optimizer imports torch's compiler
        import convivo.verbs.train

        make_optimizer("sgd")(nn.Linear(1, 1))
    else:
        import convivo.verbs.predict  # noqa: F401
    for line in sys.stdin:
        fields: dict[str, Any] = json.loads(line)
        trial = Trial(**fields | {"size": tuple(fields["size"])})
        print(json.dumps(_watched(trial, threads)), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1:])
