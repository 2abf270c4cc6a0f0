"""Prepared images through the network: label maps, rows of probabilities, numbers, images.

Letters: C channels, *S spatial sizes, K outputs, n items.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from convivo.arrays.mirrored_tiles import mirrored_rows
from convivo.arrays.objects import objects_of
from convivo.arrays.regions import labels_of_regions
from convivo.arrays.rolling import Rows, gathered, strongest
from convivo.arrays.tiling import tiled_rows
from convivo.arrays.windows import half_overlapping, window
from convivo.exporting.runner.models import Model
from convivo.exporting.runner.pipeline import Pipeline
from convivo.geometry import Axes
from convivo.shortage import is_shortage


@dataclass(frozen=True)
class Answers:
    """A network with its pipeline."""

    pipeline: Pipeline
    model: Model

    def run(self, images: np.ndarray) -> np.ndarray:
        """(n, C, *S) -> (n, K, ...) float32, in batches."""
        step = self.pipeline.items or self.pipeline.batch
        starts = range(0, len(images), step)
        return np.concatenate([self._pass(images[start : start + step]) for start in starts])

    def _pass(self, images: np.ndarray) -> np.ndarray:
        """One call of the model; one that takes a single number of items gets the last repeated."""
        lacking = max(0, (self.pipeline.items or 0) - len(images))
        padded = np.concatenate([images, *[images[-1:]] * lacking]) if lacking else images
        return self.model(np.ascontiguousarray(padded, np.float32))[: len(images)]

    def labels(self, image: np.ndarray) -> np.ndarray:
        """The strongest class at each position of an image (C, *S), or objects' numbers: (*S).

        The probabilities of a few rows live at a time, however large the image is; of objects those
        of the whole image.
        """
        output = self.pipeline.output
        if output["decision"] == "objects":
            background, foreground, depth = self.map(image)
            return objects_of(foreground > background, depth, smallest=output["smallest"])
        size, classes = image.shape[1:], len(output["classes"])
        if output["decision"] == "regions":
            decide = partial(labels_of_regions, labels=output["labels"])
            return self._mapped(image, lambda rows: strongest(rows, size, classes, decide))
        if output["decision"] == "border":
            b, least = int(output["border"]), float(output["threshold"])
            return self._mapped(
                image,
                lambda rows: strongest(
                    rows, size, classes, lambda p: np.where(p[b] >= least, b, 1 - b)
                ),
            )
        return self._mapped(image, lambda rows: strongest(rows, size, classes))

    def map(self, image: np.ndarray) -> np.ndarray:
        """An image (C, *S) -> answers (K, *S) float32, tile by tile, blended."""
        return self._mapped(image, lambda rows: gathered(rows, image.shape[1:]))

    def _mapped(self, image: np.ndarray, finish: Callable[[Rows], np.ndarray]) -> np.ndarray:
        """Where memory runs out, in narrower tiles, as long as the network takes them."""
        tiles, most = self.pipeline.tiles, None
        while True:
            tile = tiles.for_image(image.shape[1:], None, most)
            try:
                return finish(self._rows(image, tile))
            except (MemoryError, RuntimeError) as error:
                narrower = tiles.smaller(tile) if is_shortage(error) else None
                if narrower is None:
                    raise
            most = narrower  # only here are the rows of the failed attempt gone

    def _rows(self, image: np.ndarray, tile: Axes) -> Rows:
        tiles, batch = self.pipeline.tiles, self.pipeline.batch
        if tiles.margin is not None:
            return mirrored_rows(
                image, self.run, tile=tile, margin=tiles.margin, step=tiles.step, batch=batch
            )
        return tiled_rows(
            image, self.run, tile=tile, overlap=tiles.overlap, batch=batch, multiple=tiles.multiple
        )

    def windows(self, image: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """A record (C, T) and n moments in it -> (n, K, ...)."""
        moments = self.pipeline.way.of(image, positions)
        return self._cuts(partial(moments.stacked, image), len(moments), len(image))

    def cut(self, image: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """What the network sees of a record at n moments: (n, C', size)."""
        return self.pipeline.way.of(image, positions).stacked(image)

    def _cuts(self, cut: Callable[[int, int], np.ndarray], count: int, channels: int) -> np.ndarray:
        """Answers to `count` windows, which cut(first, last) makes: (n, C', size).

        A batch is cut at a time: windows overlap, all of a long record's would fill memory.
        """
        step = self.pipeline.items or self.pipeline.batch
        if count:
            return np.concatenate([self.run(cut(at, at + step)) for at in range(0, count, step)])
        rebuilt, outputs = self.pipeline.kind == "image", len(self.pipeline.output["classes"]) or 1
        size = (channels, *self.pipeline.size) if rebuilt else (outputs,)
        return np.zeros((0, *size), np.float32)

    def case(self, image: np.ndarray) -> np.ndarray:
        """The answer to a whole image (C, *S): (K, ...); of a long signal the windows' mean."""
        if self.pipeline.mode == "patch":
            return self.map(image)
        if self.pipeline.mode != "crop":
            return self.run(image[None])[0]
        (length,) = self.pipeline.size
        starts = half_overlapping(image.shape[1], length)

        def cut(first: int, last: int) -> np.ndarray:
            return np.stack([window(image, start, length) for start in starts[first:last]])

        return self._cuts(cut, len(starts), len(image)).mean(0)
