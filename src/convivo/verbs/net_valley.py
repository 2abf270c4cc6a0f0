"""A network that goes down to coarse grids and up again, drawn as the U that it is.

The left side is read downwards, the right side upwards; an arrow goes from what is handed across
to where it arrives:

                                                 Conv 1x1, 2         2x64x64
                                                 Conv 3x3, 32 x 2    32x64x64
    Conv 3x3, 32 x 2  32x64x64 ────────────────▶ cat, 64             64x64x64
                                                 UpConv 2x2 *2, 32   32x64x64
      Conv 3x3 /2, 64 x 2  64x32x32
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from convivo.geometry import Axes
from convivo.planning.flow import INPUT, Call
from convivo.verbs.net_words import by, phrase

WIDE, STEP = 98, 2  # letters of a line; how far each level moves inwards
STRETCH = 1.5  # a grid this many times finer is another level; less is a border cut off


@dataclass
class Level:
    """What happens at one level, on the way down and up: numbers of calls, equal ones in a row."""

    down: list[list[int]] = field(default_factory=list)
    up: list[list[int]] = field(default_factory=list)


def draw_valley(calls: Sequence[Call], size: Axes) -> list[str] | None:
    """The lines of a drawing; None of a network that does not go up again after going down.

    Args:
        calls: of the network, in order, without what is not to be drawn.
        size: of the input's grid.
    """
    depths = _depths(calls, size)
    turn = _turning_point(calls, depths)
    if turn is None:
        return None
    bottom = max(depths)
    levels = [Level() for _ in range(bottom + 1)]
    for number, depth in enumerate(depths):
        level = levels[depth]
        _append(level.up if number >= turn and depth < bottom else level.down, number, calls)
    downs = _lines([level.down for level in levels], calls)
    ups = _lines([level.up[::-1] for level in levels], calls)
    column = WIDE - max(len(line) for lines in ups for line in lines)
    result = []
    for depth, sides in enumerate(zip(downs, ups, strict=True)):
        arrow = _crossing(levels[depth], calls, turn)
        result += _floor(*sides, depth, min(column, 60) - STEP * depth, arrow)
    return result


def _depths(calls: Sequence[Call], size: Axes) -> list[int]:
    """How many halvings below the input each call works; without a grid, as deep as the deepest."""
    depths: list[int | None] = []
    known = {size: 0}  # grid -> the depth at which it was first met
    for call in calls:
        grid = call.shape[1:]
        depth = _depth(call, calls, depths, known) if len(grid) == len(size) else None
        if depth is not None:
            known.setdefault(grid, depth)
        depths.append(depth)
    bottom = max((d for d in depths if d is not None), default=0)
    return [bottom if d is None else d for d in depths]


def _depth(
    call: Call, calls: Sequence[Call], depths: list[int | None], known: dict[Axes, int]
) -> int:
    grid = call.shape[1:]
    for source in call.sources:
        before = 0 if source == INPUT else depths[source]
        if before is not None:
            top = next(iter(known))
            return before + _halvings(top if source == INPUT else calls[source].shape[1:], grid)
    # from a code to a grid: as deep as that grid was on the way down, or nearly
    return known.get(grid, _halvings(next(iter(known)), grid))


def _halvings(before: Axes, after: Axes) -> int:
    """Negative where the grid becomes finer; 0 where no more than a border is lost."""
    ratio = max(a / b for a, b in zip(before, after, strict=True))
    if ratio >= STRETCH:
        return round(math.log2(ratio))
    back = max(b / a for a, b in zip(before, after, strict=True))
    return -round(math.log2(back)) if back >= STRETCH else 0


def _turning_point(calls: Sequence[Call], depths: Sequence[int]) -> int | None:
    """The first call whose grid is finer than that of a call it reads from."""
    for number, call in enumerate(calls):
        if any(s != INPUT and depths[s] > depths[number] for s in call.sources):
            return number
    return None


def _append(side: list[list[int]], number: int, calls: Sequence[Call]) -> None:
    last = side[-1][-1] if side else None
    alike = last is not None and phrase(calls[last]) == phrase(calls[number])
    if alike and calls[number].sources == (last,):
        side[-1].append(number)
    else:
        side.append([number])


def _lines(sides: Sequence[list[list[int]]], calls: Sequence[Call]) -> list[list[str]]:
    """Level by level the lines of one side, their shapes in a column of its own."""
    words: list[list[tuple[str, str]]] = []
    for side in sides:
        rows = [(calls[numbers[-1]], len(numbers)) for numbers in side]
        words.append([(_words(c) + (f" x {n}" if n > 1 else ""), by(c.shape)) for c, n in rows])
    width = max((len(text) for rows in words for text, _ in rows), default=0)
    return [[f"{text.ljust(width)}  {shape}" for text, shape in rows] for rows in words]


def _words(call: Call) -> str:
    """What works on a code has its name before it."""
    name = ".".join(part for part in call.name.split(".") if not part.isdigit())
    return f"{name}: {phrase(call)}" if len(call.shape) == 1 and name else phrase(call)


def _crossing(level: Level, calls: Sequence[Call], turn: int) -> int | None:
    """The line of the right side, from above, that takes what the left side hands across."""
    if not level.down:
        return None
    for i, numbers in reversed(list(enumerate(reversed(level.up)))):
        handed = any(INPUT < s < turn for s in calls[numbers[0]].sources)
        if handed and numbers[0] != turn:
            return i
    return None


def _floor(
    left: list[str], right: list[str], depth: int, column: int, arrow: int | None
) -> list[str]:
    """The lines of one level, the last of its left side beside the arrow."""
    if arrow is not None:
        above = arrow - (len(left) - 1)
        left, right = [""] * above + left, [""] * -above + right
        arrow = max(arrow, arrow - above)
    lines = []
    for i, (a, b) in enumerate(zip_longest(left, right, fillvalue="")):
        line = " " * (STEP * depth) + a
        if i == arrow:
            line = f"{line} ".ljust(column - 2, "─") + "▶ "
        lines.append((line.ljust(column) + b).rstrip())
    return lines
