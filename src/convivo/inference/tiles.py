"""Which tiles an image is predicted in, and what of its answer is kept meanwhile: sizes alone.

Letters: *S spatial sizes of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from convivo.arrays.mirrored_tiles import covering_tile, mirrored_tile
from convivo.arrays.tiling import even_tile, tile_of
from convivo.geometry import Axes, to_multiple

# Axes -> an image up to so many tiles large is predicted in one piece. Of volumes fewer: what a
# pass holds would be several times what a tile takes.
WHOLE_TILES = {1: 4.0, 2: 4.0, 3: 1.5}
SMALLEST_SIDE = 16  # samples of a tile that an answer is asked about


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The tiles that a network takes.

    size: those it was trained on. multiple: what other sizes must divide by; None where it takes
    this size alone. overlap: share of a tile that its neighbour sees too. margin: samples per side
    without an answer; then tiles are whole `step`s larger or smaller, and lie side by side.
    """

    size: Axes
    multiple: Axes | None
    overlap: float
    margin: Axes | None
    step: Axes | None

    def for_image(self, size: Sequence[int], cut: Axes | None, most: Axes | None) -> Axes:
        """What an image (*S) is cut into; the whole of it where it may.

        Args:
            cut: the tile of larger images, and as many positions as one piece may have. Default:
                no larger than the trained size, and `WHOLE_TILES` times as many.
            most: a tile that no other may exceed in positions.
        """
        limit = WHOLE_TILES[len(self.size)] * prod(self.size) if cut is None else prod(cut)
        limit = limit if most is None else min(limit, prod(most))
        whole = self._whole(size)
        if whole is not None and prod(whole) <= limit:
            return whole
        asked, cut = cut, cut or self.size
        cut = most if most is not None and prod(most) < prod(cut) else cut
        if self.margin is not None:
            return mirrored_tile(size, cut, self.margin, self._steps(self.margin))
        if asked is None and self.multiple is not None:
            return even_tile(size, cut, self.multiple, self.overlap)
        return tile_of(size, cut, self.multiple)

    def _whole(self, size: Sequence[int]) -> Axes | None:
        if self.margin is not None:
            return covering_tile(size, self.size, self.margin, self._steps(self.margin))
        return None if self.multiple is None else to_multiple(size, self.multiple)

    def _steps(self, margin: Axes) -> Axes:
        return self.step or (1,) * len(margin)

    def inner(self, tile: Axes) -> Axes:
        """What a tile answers."""
        margin = self.margin or (0,) * len(tile)
        return tuple(t - 2 * m for t, m in zip(tile, margin, strict=True))

    def count(self, size: Sequence[int], tile: Axes) -> int:
        """Tiles of an image."""
        if self.margin is not None:
            rows = zip(size, self.inner(tile), self._steps(self.margin), strict=True)
            return prod(ceil(n / (i // s * s)) if i < n else 1 for n, i, s in rows)
        apart = [max(1.0, t * (1 - self.overlap)) for t in tile]
        rows = zip(size, tile, apart, strict=True)
        return prod(1 + ceil(max(0, n - t) / a) for n, t, a in rows)

    def kept(self, size: Sequence[int], tile: Axes) -> int:
        """Positions whose answers are kept until the last tile that touches them."""
        if self.count(size, tile) == 1:
            return 0
        inner = self.inner(tile)
        if self.margin is not None:
            return min(inner[0], size[0]) * prod(size[1:])
        return tile[0] * prod(max(pair) for pair in zip(size[1:], tile[1:], strict=True))

    def smaller(self, tile: Axes) -> Axes | None:
        """The next smaller one: the trained size after a whole image, then its longest axis halved.

        None where the network takes no smaller one.

        Example:
            >>> tiles = Tiles(size=(64, 48), multiple=(16, 16), overlap=0.5, margin=None, step=None)
            >>> tiles.smaller((128, 96)), tiles.smaller((64, 48)), tiles.smaller((16, 16))
            ((64, 48), (32, 48), None)
        """
        if prod(tile) > prod(self.size):
            return self.size
        unit = self.step if self.margin is not None else self.multiple
        if unit is None:
            return None
        inner = self.inner(tile)
        cuts = [n // 2 // u * u for n, u in zip(inner, unit, strict=True)]
        able = [a for a, cut in enumerate(cuts) if cut and inner[a] - cut >= SMALLEST_SIDE]
        if not able:
            return None
        axis = max(able, key=lambda a: inner[a])
        return tuple(t - cuts[a] if a == axis else t for a, t in enumerate(tile))
