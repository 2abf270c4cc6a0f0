"""Bytes of one step in any setting, as the search of `budget` asks for them: a trace for each."""

from collections.abc import Callable, Sequence
from math import ceil

from torch import nn

from convivo.errors import PlanError, ShapeError
from convivo.geometry import Axes
from convivo.planning.accelerator import on_accelerator
from convivo.planning.budget import Setting
from convivo.planning.overhead import process
from convivo.planning.ranks import per_rank
from convivo.planning.rehearsal import rehearse
from convivo.planning.residence import tensors_peak
from convivo.planning.shadow import run, shadow, tensors
from convivo.planning.step import Loss

NEVER = 2**62  # bytes of what cannot be done
SMALLEST_SIDE = 16  # samples; smaller patches see too little to be proposed


class StepCost:
    """The bytes of one step of a network, each setting traced once.

    Args:
        net: any module, also on the meta device.
        channels: of its input.
        mode: "train" or "infer".
        optimizer: by name, for training.
        task: what the output serves, as `rehearse` takes it; default from the output's axes.
        loss: (network, images, targets) -> loss, instead of the task's usual one.
        lasting: bytes that the process holds throughout, such as prepared data.
        between: bytes that a setting needs between two steps, see `overhead.process`.
        update: items of an update, where a setting takes them in several passes; default as many
            as its passes hold.
        ranks, strategy: of those who share the training; then the bytes of one rank.
        apart: count the tensors and what else an accelerator holds, not the process.
    """

    def __init__(
        self,
        net: nn.Module,
        channels: int,
        *,
        mode: str = "train",
        optimizer: str = "adamw",
        task: str | None = None,
        loss: Loss | None = None,
        lasting: int = 0,
        between: Callable[[Setting], int] | None = None,
        update: int | None = None,
        ranks: int | None = None,
        strategy: str | None = None,
        apart: bool = False,
    ) -> None:
        self.net, self.channels, self.mode = net, channels, mode
        self.optimizer, self.task, self.loss = optimizer, task, loss
        self.lasting, self.between, self.apart = lasting, between, apart
        self.update, self.ranks, self.strategy = update, ranks, strategy
        self._known: dict[Setting, int] = {}

    def __call__(self, setting: Setting) -> int:
        """Bytes that the step stays below: of the process, or of the accelerator.

        Raises:
            ShapeError: the network does not take that batch or size.
            PlanError: it cannot be traced.
        """
        if setting not in self._known:
            self._known[setting] = self._bytes(setting)
        return self._known[setting]

    def items(self, setting: Setting) -> int:
        """Items of an update."""
        if setting.accumulate == 1 or self.mode == "infer":
            return setting.batch
        return self.update or setting.batch * setting.accumulate

    def _bytes(self, setting: Setting) -> int:
        try:
            return self._traced(setting)
        except PlanError:
            if setting.checkpointing:  # some parts cannot be computed again
                return NEVER
            raise

    def _traced(self, setting: Setting) -> int:
        train = self.mode == "train"
        traced = rehearse(
            self.net,
            (self.channels, *setting.patch),
            self.items(setting),
            mode=self.mode,
            precision=setting.precision,
            optimizer=self.optimizer,
            task=self.task,
            loss=self.loss,
            passes=setting.accumulate if train else 1,
            checkpointing=setting.checkpointing,
        )
        if self.ranks is not None and self.strategy is not None:
            traced = per_rank(traced, self.net, ranks=self.ranks, strategy=self.strategy)
        if self.apart:
            return on_accelerator(tensors_peak(traced))
        return process(
            traced,
            train=train,
            keeps=setting.allocator == "keep" if train else None,
            lasting=self.lasting,
            between=self.between(setting) if self.between else 0,
            limit=0,  # past any it gives back what is free
        ).bound

    def least_batch(self, setting: Setting) -> int:
        """1, or 2 where a layer normalizes over a batch of which one item is a single value."""
        try:
            self(setting)
        except ShapeError as refusal:
            try:
                self(Setting(batch=2, patch=setting.patch, precision=setting.precision))
            except ShapeError:
                raise refusal from None
            return 2
        return 1

    def patches(self, size: Sequence[int]) -> list[Axes]:
        """The size, and the smaller ones that the network takes if it answers with a map."""
        size = tuple(size)
        answer = next(tensors(run(shadow(self.net), (1, self.channels, *size))), None)
        if answer is None or answer.dim() != len(size) + 2:
            return [size]
        ones = (1,) * len(size)
        multiple = getattr(self.net, "total_stride", ones)
        smaller = smaller_patches(size, multiple, getattr(self.net, "least_size", ones))
        return [size, *(patch for patch in smaller[1:] if self._takes(patch))]

    def _takes(self, size: Axes) -> bool:
        check = getattr(self.net, "check_size", None)
        if check is None:
            return True
        try:
            check(size)
        except ShapeError:
            return False
        return True


def smaller_patches(
    size: Sequence[int], multiple: Sequence[int], least: Sequence[int]
) -> list[Axes]:
    """The size itself, then its longest axis shortened, again and again, down to the least.

    Args:
        multiple: what a network wants sizes to be multiples of. least: what it takes at least.
    Example:
        >>> smaller_patches((40, 24), (8, 8), (1, 1))
        [(40, 24), (32, 24), (24, 24), (16, 24), (16, 16)]
    """
    floor = [max(SMALLEST_SIDE, m, n) for m, n in zip(multiple, least, strict=True)]
    found, current = [tuple(size)], list(size)
    while True:
        able = [a for a, n in enumerate(current) if n - _cut(multiple[a]) >= floor[a]]
        if not able:
            return found
        axis = max(able, key=lambda a: current[a])
        current[axis] -= _cut(multiple[axis])
        found.append(tuple(current))


def _cut(multiple: int) -> int:
    """At least eight samples, so that the search has few patches to look at."""
    return multiple * ceil(8 / multiple)
