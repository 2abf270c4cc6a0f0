"""A trained network applied to prepared arrays: whole cases, windows around moments, tiled maps.

Letters: C channels, *S spatial axes, K classes, n items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np
import torch
from torch import nn

from convivo.arrays.mirrored_tiles import covering_tile, predict_mirrored
from convivo.arrays.tiling import predict_tiled
from convivo.data.batches import Sampling, window
from convivo.data.sample import Events
from convivo.geometry import to_multiple
from convivo.layers.precision import autocast
from convivo.tasks.task import Task

WHOLE_TILES = 4  # an image up to so many tiles large is predicted in one piece


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """Probabilities from prepared images.

    Args:
        network: in eval mode, on its device.
        task: decodes the network's output.
        sampling, size, before: how the network was shown its items (see `data.batches.Batches`).
        batch: items per forward pass. overlap: share of a tile that its neighbour sees too.
        multiple: what tile sizes must divide by; smaller images then need less padding.
        margin: for networks that answer less than they see: samples per side without an answer.
        step: shifts that such a network follows exactly (see `predict_mirrored`).
        precision: "fp32" or "bf16".
    """

    network: nn.Module
    task: Task
    sampling: Sampling
    size: tuple[int, ...]
    before: float = 0.5
    batch: int = 64
    overlap: float = 0.5
    multiple: tuple[int, ...] | None = None
    margin: tuple[int, ...] | None = None
    step: tuple[int, ...] | None = None
    precision: str = "fp32"

    def run(self, images: np.ndarray) -> np.ndarray:
        """(n, C, *S) -> (n, K, ...) probabilities, float32, in batches."""
        device = next(self.network.parameters()).device
        rows = []
        with torch.inference_mode(), autocast(self.precision, device.type):
            for start in range(0, len(images), self.batch):
                part = np.ascontiguousarray(images[start : start + self.batch], np.float32)
                output = self.network(torch.from_numpy(part).to(device))
                rows.append(self.task.decode(output).float().cpu().numpy())
        return np.concatenate(rows)

    def windows(self, image: np.ndarray, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """A record (C, T) and n moments in it -> (n, K)."""
        before = round(self.before * self.size[0])
        rows = []
        for start in range(0, len(positions), 1024):  # windows overlap: never all at once
            some = positions[start : start + 1024]
            cuts = [window(image, int(p) - before, self.size[0]) for p in some]
            rows.append(self.run(np.stack(cuts)))
        return np.concatenate(rows) if rows else np.zeros((0, self.task.outputs), np.float32)

    def crops(self, image: np.ndarray) -> np.ndarray:
        """A signal (C, T) of any length -> (1, K): the mean over windows half overlapping."""
        length = self.size[0]
        spare = image.shape[1] - length
        count = max(1, -(-2 * spare // length) + 1) if spare > 0 else 1
        starts = np.linspace(0, spare, count).round().astype(int) if spare > 0 else [spare // 2]
        cuts = np.stack([window(image, int(start), length) for start in starts])
        return self.run(cuts).mean(axis=0, keepdims=True)

    def map(self, image: np.ndarray) -> np.ndarray:
        """An image (C, *S) -> probabilities (K, *S), tile by tile, blended.

        An image of a few tiles' size is one tile: cheaper than overlapping ones, and seamless.
        """
        if self.margin is not None:
            return self._mirrored_map(image, self.margin)
        tile = self.size
        if self.multiple is not None:
            whole = to_multiple(image.shape[1:], self.multiple)
            tile = whole if prod(whole) <= WHOLE_TILES * prod(self.size) else tile
        return predict_tiled(
            np.asarray(image, np.float32),
            self.run,
            tile=tile,
            overlap=self.overlap,
            batch=self.batch,
            multiple=self.multiple,
        )

    def _mirrored_map(self, image: np.ndarray, margin: tuple[int, ...]) -> np.ndarray:
        """The same by a network without padding, which sees the image mirrored at its ends."""
        step = self.step or (1,) * len(margin)
        whole = covering_tile(image.shape[1:], self.size, margin, step)
        return predict_mirrored(
            np.asarray(image, np.float32),
            self.run,
            tile=whole if prod(whole) <= WHOLE_TILES * prod(self.size) else self.size,
            margin=margin,
            step=step,
            batch=self.batch,
        )

    def cost(self, shape: Sequence[int]) -> int:
        """Bytes beside the network's own that the map of an image (C, *S) takes.

        The image, the blended answer, and the tiles of a forward pass with theirs.
        """
        size = tuple(shape[1:])
        whole = size if self.multiple is None else to_multiple(size, self.multiple)
        tile = whole if prod(whole) <= WHOLE_TILES * prod(self.size) else self.size
        channels, outputs, part = shape[0], self.task.outputs, prod(tile)
        tiles = prod(max(1, ceil(2 * n / t) - 1) for n, t in zip(size, tile, strict=True))
        several = min(self.batch, tiles)
        fixed = (channels + outputs) * max(prod(size), part)
        shares = 24 * sum(size)  # of the tiles, along each axis, in double precision
        return 4 * (fixed + part * (several * (channels + outputs) + outputs + 3)) + shares

    def case(self, image: np.ndarray, events: Events | None = None) -> np.ndarray:
        """The answer to one case: (K, *S) for a map, (n, K) rows otherwise."""
        if self.sampling == "patch":
            return self.map(image)
        if self.sampling == "window" and events is not None:
            return self.windows(image, events.positions)
        if self.sampling == "crop":
            return self.crops(image)
        return self.run(np.asarray(image)[None])
