"""A trained network applied to prepared arrays: whole cases, windows around moments, tiled maps.

Letters: C channels, *S spatial axes, K classes, n items.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil, prod
from typing import cast

import numpy as np
import torch
from torch import nn

from convivo.arrays.mirrored_tiles import mirrored_rows
from convivo.arrays.rolling import DECODED_AT_ONCE, Rows, gathered, label_format, strongest
from convivo.arrays.tiling import OVERLAP, tiled_rows
from convivo.arrays.windows import Around, half_overlapping, window
from convivo.data.batches import Sampling
from convivo.data.sample import Events
from convivo.geometry import Axes
from convivo.inference.room import NoRoom, Room
from convivo.inference.tiles import Tiles
from convivo.layers.precision import autocast
from convivo.shortage import is_shortage
from convivo.tasks.task import MapTask, Task

WINDOWS = 1024  # cut from a record at once: they overlap
BEATS_IN_WINDOW = 3  # about
DECIDING = 64  # bytes a position to find objects: heights, places, labels (`arrays.objects`)


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """Probabilities or labels from prepared images.

    Where memory runs out, passes get smaller (see `Room`): fewer items, then narrower tiles.

    Args:
        network: in eval mode, on its device.
        task: decodes the network's output.
        sampling, size, before, reference, rhythm: how the network was shown its items (see
            `data.batches.Batches`).
        batch: items per forward pass. overlap: share of a tile that its neighbour sees too.
        multiple: what tile sizes must divide by; smaller images then need less padding.
        margin: for networks that answer less than they see: samples per side without an answer.
        step: shifts that such a network follows exactly (see `predict_mirrored`).
        precision: "fp32" or "bf16".
        tile: what larger images are cut into; one of no more positions is predicted in one piece.
            Default: cut into `size` or less, evenly, in one piece up to `tiles.WHOLE_TILES` times
            as many positions.
        room: what was learnt of the memory there is.
        engine: what computes the passes instead of torch, with the same answers.
    """

    network: nn.Module
    task: Task
    sampling: Sampling
    size: tuple[int, ...]
    before: float = 0.5
    reference: bool = False
    rhythm: bool = False
    batch: int = 64
    overlap: float = OVERLAP
    multiple: tuple[int, ...] | None = None
    margin: tuple[int, ...] | None = None
    step: tuple[int, ...] | None = None
    precision: str = "fp32"
    tile: tuple[int, ...] | None = None
    room: Room = field(default_factory=Room, compare=False)
    engine: Callable[[np.ndarray], np.ndarray] | None = field(default=None, compare=False)

    def answers(self, images: torch.Tensor) -> torch.Tensor:
        """One pass: (n, C, *S) on the network's device -> (n, K, ...) float32."""
        with torch.inference_mode(), autocast(self.precision, images.device.type):
            return self.task.decode(self.network(images)).float()

    def through_torch(self, images: np.ndarray) -> np.ndarray:
        """One pass of torch, whatever the engine: (n, C, *S) float32 -> (n, K, ...) float32."""
        device = next(self.network.parameters()).device
        return self.answers(torch.from_numpy(images).to(device)).cpu().numpy()

    def run(self, images: np.ndarray) -> np.ndarray:
        """(n, C, *S) -> (n, K, ...) probabilities, float32, in batches.

        Raises:
            PlanError: memory does not hold a single item.
        """
        rows: list[np.ndarray] = []
        start = 0
        while start < len(images):
            items = self.room.items(self.batch)
            found = self._tried(images[start : start + items])
            if found is None:
                self.room.fewer(min(items, len(images) - start))
                continue
            rows.append(found)
            start += items
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def _tried(self, images: np.ndarray) -> np.ndarray | None:
        """One pass; None where memory ran out."""
        compute = self.engine or self.through_torch
        try:
            return compute(np.ascontiguousarray(images, np.float32))
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error):
                raise
        return None  # only here is what the error held let go

    @property
    def way(self) -> Around:
        """How a moment of a record is shown."""
        return Around(
            length=self.size[0], before=self.before, reference=self.reference, rhythm=self.rhythm
        )

    def windows(self, image: np.ndarray, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """A record (C, T) and n moments in it -> (n, K)."""
        moments = self.way.of(image, positions)
        return self._cuts(partial(moments.stacked, image), len(moments))

    def cut(self, image: np.ndarray, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """What the network sees of a record (C, T) at n moments: (n, C', size)."""
        return self.way.of(image, positions).stacked(image)

    def crops(self, image: np.ndarray) -> np.ndarray:
        """A signal (C, T) of any length -> (1, K): the mean over windows half overlapping."""
        starts = half_overlapping(image.shape[1], self.size[0])

        def cut(first: int, last: int) -> np.ndarray:
            return np.stack([window(image, start, self.size[0]) for start in starts[first:last]])

        return self._cuts(cut, len(starts)).mean(axis=0, keepdims=True)

    def _cuts(self, cut: Callable[[int, int], np.ndarray], count: int) -> np.ndarray:
        """Answers to `count` windows; cut(first, last) -> (n, C', size) of them."""
        if count:
            parts = range(0, count, WINDOWS)
            return np.concatenate([self.run(cut(at, at + WINDOWS)) for at in parts])
        inner = self.size if self.task.output == "image" else ()
        return np.zeros((0, self.task.outputs, *inner), np.float32)

    def map(self, image: np.ndarray) -> np.ndarray:
        """An image (C, *S) -> probabilities (K, *S), tile by tile, blended.

        An image of a few tiles' size is one tile: cheaper than overlapping ones, and seamless.

        Raises:
            PlanError: memory does not hold the smallest tile, or the answer.
        """
        return self._mapped(image, lambda rows: gathered(rows, image.shape[1:]))

    def labels(self, image: np.ndarray) -> np.ndarray:
        """The labels of an image (C, *S) as its task decides: (*S) uint8, or wider.

        Where a label follows from the answers at its position, those of a few rows live at a time,
        however large the image is; where it does not (objects) those of the whole image do.

        Raises:
            PlanError: memory does not hold the smallest tile, or the answer.
        """
        size, task = image.shape[1:], self._maps
        if not task.pointwise:
            return self._mapped(image, lambda rows: task.decide(gathered(rows, size)))
        return self._mapped(
            image, lambda rows: strongest(rows, size, len(task.classes), task.decide)
        )

    @property
    def _maps(self) -> MapTask:
        return cast(MapTask, self.task)

    def _mapped(self, image: np.ndarray, finish: Callable[[Rows], np.ndarray]) -> np.ndarray:
        while True:
            tile = self.tile_for(image.shape[1:])
            try:
                return finish(self._rows(image, tile))
            except (NoRoom, MemoryError) as error:
                of_arrays = isinstance(error, MemoryError)
            # only here are the rows of the failed attempt gone
            if of_arrays and self.room.items(self.batch) > 1:
                self.room.fewer(self.room.items(self.batch))
            elif (smaller := self.tiles.smaller(tile)) is not None:
                self.room.narrower(smaller)
            else:
                raise NoRoom(*_no_tile(image.shape[1:], tile))

    def _rows(self, image: np.ndarray, tile: Axes) -> Rows:
        batch = self.room.items(self.batch)
        if self.margin is not None:
            return mirrored_rows(
                image, self.run, tile=tile, margin=self.margin, step=self.step, batch=batch
            )
        return tiled_rows(
            image, self.run, tile=tile, overlap=self.overlap, batch=batch, multiple=self.multiple
        )

    @property
    def tiles(self) -> Tiles:
        """The tiles that the network takes."""
        return Tiles(
            size=self.size, multiple=self.multiple, overlap=self.overlap,
            margin=self.margin, step=self.step,
        )  # fmt: skip

    def tile_for(self, size: Sequence[int]) -> Axes:
        """What an image of these spatial sizes (*S) is cut into; the whole of it where it may."""
        return self.tiles.for_image(size, self.tile, self.room.tile)

    def item(self, shape: Sequence[int]) -> Axes:
        """What one item of a pass is, of an image (C, *S): (C, *tile)."""
        if self.sampling == "patch":
            return (shape[0], *self.tile_for(shape[1:]))
        if self.sampling == "whole":
            return tuple(shape)
        return (self.way.channels(shape[0]), *self.size)

    def at_once(self, shape: Sequence[int]) -> int:
        """Items of a pass, of an image (C, *S)."""
        items = self.room.items(self.batch)
        if self.sampling != "patch":
            return items
        return min(items, self.tiles.count(shape[1:], self.tile_for(shape[1:])))

    def count(self, shape: Sequence[int]) -> int:
        """Items of an image (C, *S) in all; of beats about, since only a reader knows them."""
        if self.sampling == "patch":
            return self.tiles.count(shape[1:], self.tile_for(shape[1:]))
        if self.sampling == "whole":
            return 1
        if self.sampling == "crop":
            return len(half_overlapping(shape[1], self.size[0]))
        return ceil(BEATS_IN_WINDOW * shape[1] / self.size[0])

    def cost(self, shape: Sequence[int]) -> int:
        """Bytes of the buffers that live all the while an image (C, *S) is answered.

        Of a map its labels, the rows of probabilities that tiles still add to, and how much the
        tiles count along each axis; of a record the windows cut from it. Neither the image nor a
        pass of the network (its trace tells that).
        """
        size = shape[1:]
        if self.sampling != "patch":
            return 0 if self.sampling == "whole" else 4 * WINDOWS * prod(self.item(shape))
        each = label_format(len(self.task.classes)).itemsize
        if not self._maps.pointwise:  # all answers, and what finds objects in them
            each = 4 * self.task.outputs + DECIDING
        labels = prod(size) * each
        shares = 8 * sum(size) if self.margin is None else 0
        kept = self.tiles.kept(size, self.tile_for(size))
        return labels + 4 * self.task.outputs * kept + shares

    def between(self, shape: Sequence[int]) -> int:
        """Bytes needed between two passes, when the network's are gone.

        Either answers that are added up or decoded, or the next tiles being cut and put together.
        """
        cutting = 8 * self.at_once(shape) * prod(self.item(shape))
        if self.sampling != "patch":
            return cutting
        size = shape[1:]
        inner = prod(self.tiles.inner(self.tile_for(size)))
        answers = 4 * self.at_once(shape) * self.task.outputs * inner
        blending = 8 * inner if self.margin is None else 0
        return max(cutting, answers + max(blending, 8 * min(DECODED_AT_ONCE, prod(size))))

    def case(self, image: np.ndarray, events: Events | None = None) -> np.ndarray:
        """The answer to one case: (K, *S) for a map, (n, K) rows otherwise."""
        if self.sampling == "patch":
            return self.map(image)
        if self.sampling == "window" and events is not None:
            return self.windows(image, events.positions)
        if self.sampling == "crop":
            return self.crops(image)
        return self.run(np.asarray(image)[None])


def _no_tile(size: Sequence[int], tile: Sequence[int]) -> tuple[str, str, str, str]:
    rule = f"an image of {' x '.join(map(str, size))} must fit into memory with its answer"
    got = f"out of memory at tiles of {' x '.join(map(str, tile))}"
    return "predict", rule, got, "Free memory, give a larger --ram, or cut the image into parts"
