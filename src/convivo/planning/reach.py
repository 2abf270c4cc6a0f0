"""What one output sample sees of one input axis, exactly, through strides down and up again.

Integers only. A position o of some grid sees the input samples from low to high. Behind strides
and transposed strides this is not the same for every o, but it repeats: with period P,
[low(o + P), high(o + P)] = [low(o) + A, high(o) + A]. A / P is the step ("jump") of the grid.
Borders are left out: the axis goes on for ever on both sides.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# no real network comes near; a chain of odd factors must not cost minutes
LONGEST_PERIOD = 4096


@dataclass(frozen=True)
class Reach:
    """The input samples seen by each position of a grid, along one axis.

    advance: input samples per period (A). low, high: first and last sample seen by the positions
    0 to P - 1; a position that sees none has (inf, -inf).
    """

    advance: int
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def period(self) -> int:
        return len(self.low)

    @property
    def size(self) -> int:
        """Samples seen by the position that sees most: the receptive field.

        Example:
            >>> slide(slide(INPUT, 3, 2, 1), 3, 1, 1).size
            7
        """
        return int(max(high - low + 1 for low, high in zip(self.low, self.high, strict=True)))

    def at(self, position: int) -> tuple[float, float]:
        """First and last input sample that `position` sees."""
        turns, place = divmod(position, self.period)
        return self.low[place] + turns * self.advance, self.high[place] + turns * self.advance


INPUT = Reach(1, (0,), (0,))


def _map(
    reach: Reach, period: int, advance: int, seen: Callable[[int], Iterable[int]]
) -> Reach | None:
    """A new grid whose position o sees what the positions `seen(o)` of the old grid see."""
    if period > LONGEST_PERIOD:
        return None
    low, high = [], []
    for o in range(period):
        spans = [reach.at(i) for i in seen(o)]
        low.append(min((s[0] for s in spans), default=math.inf))
        high.append(max((s[1] for s in spans), default=-math.inf))
    return Reach(advance, tuple(low), tuple(high))


def slide(
    reach: Reach, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Reach | None:
    """Behind a sliding window: convolution, pooling; with kernel 1 also cropping and padding."""
    period = reach.period // math.gcd(reach.period, stride)
    advance = reach.advance * period * stride // reach.period
    ends = (
        (0, dilation * (kernel - 1)) if reach.period == 1 else range(0, dilation * kernel, dilation)
    )
    return _map(reach, period, advance, lambda o: (o * stride - padding + e for e in ends))


def spread(reach: Reach, kernel: int, stride: int, padding: int, dilation: int) -> Reach | None:
    """Behind a transposed convolution: o sees i where o = i * stride - padding + dilation * k."""

    def seen(o: int) -> Iterable[int]:
        places = (o + padding - dilation * k for k in range(kernel))
        return (p // stride for p in places if p % stride == 0)

    return _map(reach, reach.period * stride, reach.advance, seen)


def repeat(reach: Reach, factor: int) -> Reach | None:
    """Behind upsampling by repetition."""
    return _map(reach, reach.period * factor, reach.advance, lambda o: (o // factor,))


def interpolate(reach: Reach, factor: int) -> Reach | None:
    """Behind linear interpolation aligned by extent: the place (o + 1/2) / factor - 1/2."""

    def seen(o: int) -> Iterable[int]:
        before, rest = divmod(2 * o + 1 - factor, 2 * factor)
        return (before, before + 1) if rest else (before,)

    return _map(reach, reach.period * factor, reach.advance, seen)


def adapt(reach: Reach, size: int, count: int) -> Reach | None:
    """Behind adaptive pooling of S samples to T: o sees floor(o S / T) to ceil((o + 1) S / T) - 1.

    Windows repeat after T / gcd(S, T) of them, times what the period of the grid below asks for.
    """
    common = math.gcd(size, count)
    step, windows = size // common, count // common
    turns = reach.period // math.gcd(reach.period, step)
    advance = reach.advance * turns * step // reach.period

    def seen(o: int) -> Iterable[int]:
        return range(o * step // windows, -(-(o + 1) * step // windows))

    return _map(reach, turns * windows, advance, seen)


def join(a: Reach, b: Reach) -> Reach | None:
    """Where two paths meet (sum, concatenation); None where their grids have different steps."""
    period = math.lcm(a.period, b.period)
    if a.advance * b.period != b.advance * a.period or period > LONGEST_PERIOD:
        return None
    spans = [(a.at(o), b.at(o)) for o in range(period)]
    low = tuple(min(x[0], y[0]) for x, y in spans)
    high = tuple(max(x[1], y[1]) for x, y in spans)
    return Reach(a.advance * period // a.period, low, high)
