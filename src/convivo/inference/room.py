"""What memory was found to hold while predicting: passes get smaller where it runs out."""

from collections.abc import Callable
from dataclasses import dataclass

from convivo.errors import PlanError
from convivo.geometry import Axes


class NoRoom(PlanError):
    """Not even one item or tile of a pass fits into memory."""


def _unheard(text: str) -> None:
    """Nobody listens."""


@dataclass(kw_only=True)
class Room:
    """How much of a pass fits, learnt from passes that did not.

    batch: items, None as long as all went well. tile: the largest one, None likewise. say: told
    each change in a line. shortages: how often memory ran out.
    """

    batch: int | None = None
    tile: Axes | None = None
    say: Callable[[str], None] = _unheard
    shortages: int = 0

    def items(self, wish: int) -> int:
        """Items of the next pass."""
        return wish if self.batch is None else min(wish, self.batch)

    def fewer(self, items: int) -> None:
        """A pass of `items` was too much.

        Raises:
            NoRoom: it was a single one.
        """
        self.shortages += 1
        if items <= 1:
            rule = "one pass of the network must fit into memory"
            remedy = "Free memory, give a larger --ram, or train on smaller inputs"
            raise NoRoom("predict", rule, "out of memory at a batch of 1", remedy)
        self.batch = items // 2
        self.say(f"out of memory; going on with {self.batch} at a time")

    def narrower(self, tile: Axes) -> None:
        """From now on tiles are at most this large."""
        self.tile = tile
        size = " x ".join(map(str, tile))
        self.say(f"out of memory; going on with tiles of {size}: near their borders answers differ")
