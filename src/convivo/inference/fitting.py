"""How many tiles or items at once, and how large, so that a prediction stays within its memory.

Nothing is tried out with real memory: a pass is traced (`planning.trace`), and only where a quick
ceiling says that memory might matter.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import torch

from convivo.errors import PlanError
from convivo.geometry import Axes
from convivo.inference.predictor import Predictor
from convivo.planning.border import border
from convivo.planning.ceiling import ceiling
from convivo.planning.overhead import Process, approximate, bound, process
from convivo.planning.shadow import Untraceable
from convivo.planning.trace import Step, trace

MIB = 2**20
HOLES = 5  # times its tensors a process of many block sizes may hold (densenet169 of signals: 4.7)
TRACER = 48 * MIB  # what torch's means to trace bring into the process
Fit = Callable[[Sequence[int], int], Predictor]
"""Shape (C, *S) of a prepared image and the bytes beside it -> the predictor to use for it."""


def _unheard(text: str) -> None:
    """Nobody listens."""


def _spent() -> None:
    """Freed memory stays with the C library."""


def _untold() -> int:
    """The system does not tell what the process holds."""
    return 0


@dataclass(kw_only=True)
class Fitting:
    """Predictors whose passes fit, image by image.

    Args:
        predictor: as the plan wishes it.
        limit: bytes that the process may hold in all; None for any.
        training: within a training's process, which has more libraries and keeps what it frees.
        lasting: bytes there throughout beside the network, such as a training's data and optimizer.
        say: told in a line where tiles become narrower, which changes answers near their borders.
        sparing: called where memory is scarce enough that holes of the heap could break the limit:
            to give back at once what is freed. That takes time, so it is not done where there is
            plenty.
        held: bytes that the process holds now. What it has come to hold since this was made, beyond
            what is known (libraries of readers, what they keep), is not there for passes.
    """

    predictor: Predictor
    limit: int | None
    training: bool = False
    lasting: int = 0
    say: Callable[[str], None] = _unheard
    sparing: Callable[[], object] = _spent
    held: Callable[[], int] = _untold
    _idle: int = field(init=False, repr=False)
    _known: dict[tuple[int, Axes, int], Process] = field(default_factory=dict)
    _said: set[Axes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._idle = self.held()

    def to(self, shape: Sequence[int], beside: int = 0) -> Predictor:
        """The predictor for prepared images of shape (C, *S).

        One whose passes cannot be told beforehand stays as it is: they get smaller where memory
        runs out (`room`).

        Args:
            beside: bytes that live meanwhile: the image, the file's own array, other cases.
        Raises:
            PlanError: not even one tile of the smallest size fits; it says what that would need.
        """
        if self.limit is None:
            return self.predictor
        try:
            return self._fitted(self.limit, shape, beside)
        except Untraceable:
            return self.predictor

    def _fitted(self, limit: int, shape: Sequence[int], beside: int) -> Predictor:
        beside += self._unknown(beside)
        tensors, lasting = self._ceiling(shape, beside)
        if not self.training and self._is_scarce(limit, shape, tensors, lasting):
            self.sparing()
        if self._about(tensors, lasting) <= limit:
            return self.predictor
        least: list[int] = []
        for tried in self._ways(shape[1:]):
            costs, wish = self._costs(tried, shape, beside), tried.at_once(shape)
            batch = _largest(costs, limit, wish)
            if batch is not None:
                self._tell(shape, tried)
                return tried if batch == wish else replace(tried, batch=batch)
            least.append(min(costs(1), costs(min(2, wish))))
        raise self._nothing_fits(shape, min(least))

    def least(self, shape: Sequence[int], beside: int = 0) -> int:
        """Bytes of the process for the smallest pass of such an image; 0 where that is not told."""
        try:
            ways = [(self._costs(one, shape, beside), one) for one in self._ways(shape[1:])]
            return min(cost(n) for cost, one in ways for n in {1, min(2, one.at_once(shape))})
        except Untraceable:
            return 0

    def _unknown(self, beside: int) -> int:
        """Bytes that the process has come to hold beyond what is known to lie there."""
        return 0 if self.training else max(0, self.held() - self._idle - beside - TRACER)

    def _ceiling(self, shape: Sequence[int], beside: int) -> tuple[int, int]:
        """Bytes of the wished pass, at most, and of what lies beside it; costs no trace."""
        one = self.predictor
        step, given = _step(one), (one.at_once(shape), *one.item(shape))
        tensors = ceiling(one.network, lambda twin: step(twin, None, (_blank(given),)))
        return tensors, self.lasting + beside + one.cost(shape) + one.between(shape)

    def _is_scarce(self, limit: int, shape: Sequence[int], most: int, lasting: int) -> bool:
        """Whether holes among tensors of `most` bytes could break the limit; if so, by a trace."""
        if self._about(HOLES * most, lasting) <= limit:
            return False
        one = self.predictor
        wished = self._process(one, one.at_once(shape), one.item(shape), one.between(shape))
        return self._about(HOLES * min(most, wished.tensors), lasting + TRACER) > limit

    def _about(self, tensors: int, lasting: int) -> int:
        """Bytes of the process with so much in tensors."""
        return approximate(tensors, train=self.training, lasting=lasting)[1]

    def _ways(self, size: Sequence[int]) -> Iterator[Predictor]:
        """The predictor with its own tile, then with ever smaller ones."""
        tried = self.predictor
        yield tried
        while tried.sampling == "patch":
            tile = tried.tiles.smaller(tried.tile_for(size))
            if tile is None:
                return
            tried = replace(self.predictor, tile=tile)
            yield tried

    def _costs(self, one: Predictor, shape: Sequence[int], beside: int) -> Callable[[int], int]:
        """Bytes of the process for a number of items at once."""
        item = one.item(shape)
        lasting = self.lasting + beside + one.cost(shape)
        lasting += 0 if self.training else TRACER  # a training has them from its optimizer

        def costs(batch: int) -> int:
            between = replace(one, batch=batch).between(shape)
            return self._process(one, batch, item, between).bound + bound(lasting)

        return costs

    def _process(self, one: Predictor, batch: int, item: Axes, between: int) -> Process:
        key = (batch, item, between)
        if key not in self._known:
            traced = trace(one.network, _step(one), [((batch, *item), torch.float32)], steps=1)
            self._known[key] = process(traced, train=self.training, between=between)
        return self._known[key]

    def _tell(self, shape: Sequence[int], one: Predictor) -> None:
        if one is self.predictor or (tile := one.tile_for(shape[1:])) in self._said:
            return
        self._said.add(tile)
        limit = int(self.limit or 0) / MIB
        self.say(
            f"tiles of {' x '.join(map(str, tile))}, to stay within {limit:,.0f} MiB: "
            "near their borders answers differ a little"
        )

    def _nothing_fits(self, shape: Sequence[int], least: int) -> PlanError:
        need = ceil(least / MIB)
        rule = f"needs at least {need:,} MiB for one input of {' x '.join(map(str, shape[1:]))}"
        remedy = f"Give --ram {ceil(need / 10) * 10}M, or cut the input into parts"
        return PlanError("predict", rule, f"{int(self.limit or 0) / MIB:,.0f} MiB", remedy)


def _largest(costs: Callable[[int], int], limit: int, wish: int) -> int | None:
    """The most items at once that fit, None where none do.

    A single one may take more than two: torch has kernels of its own for it, which copy more.
    """
    if costs(wish) <= limit:
        return wish
    start = next((n for n in (1, 2) if n < wish and costs(n) <= limit), None)
    return None if start is None else border(costs, limit, start, wish)


def _step(one: Predictor) -> Step:
    def step(network: torch.nn.Module, _: object, given: tuple[torch.Tensor, ...]) -> None:
        replace(one, network=network.eval()).answers(given[0])

    return step


def _blank(shape: Sequence[int]) -> torch.Tensor:
    return torch.empty(tuple(shape), device="meta")
