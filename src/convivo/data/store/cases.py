"""The value that batches are drawn from: the prepared cases, wherever they lie.

Letters: N cases, C channels, *S spatial axes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convivo.data.sample import Events
from convivo.data.store.foreground import class_places
from convivo.data.store.series import Piecewise, Series

Target = int | float | np.ndarray | Piecewise | Events | None


@dataclass(frozen=True, kw_only=True)
class Store:
    """Cases ready for batching.

    images: (C, *S) float arrays, in one array (N, C, *S) where all are alike. targets: per case a
    class index or number, a (*S) label map of small integers, or Events in samples of the prepared
    signal. Either in memory, or `Piecewise`: read when they are indexed.
    places: per case and class but 0, flat positions of it in the label map (`class_places`); ()
    where they are to be looked for.
    """

    ids: tuple[str, ...]
    units: tuple[str, ...]
    images: Sequence[np.ndarray] | np.ndarray | Series
    targets: Sequence[Any]
    places: Sequence[Mapping[int, np.ndarray]] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return int(self.images[0].shape[0])

    @property
    def maps(self) -> bool:
        """Whether targets are label maps."""
        if isinstance(self.targets, Series):
            return True
        return len(self.targets) > 0 and isinstance(self.targets[0], np.ndarray)

    @property
    def streamed(self) -> bool:
        """Whether images are read when they are asked for."""
        return isinstance(self.images, Series)

    @property
    def alike(self) -> bool:
        """Whether all images are of one shape, and can be stacked quickly."""
        return isinstance(self.images, np.ndarray) or (
            isinstance(self.images, Series) and self.images.alike
        )

    @property
    def held(self) -> int:
        """Bytes of the images that stay in memory."""
        return 0 if self.streamed else sum(image.nbytes for image in self.images)

    def stacked(self, cases: Sequence[int]) -> np.ndarray:
        """Whole images of one shape, (n, C, *S), in the stored format."""
        if isinstance(self.images, np.ndarray | Series) and self.alike:
            return np.asarray(self.images[list(cases)])
        return np.stack([np.asarray(self.images[case]) for case in cases])

    def places_of(self, case: int) -> Mapping[int, np.ndarray]:
        """Flat positions of each class but 0 in the label map of a case."""
        return self.places[case] if self.places else class_places(np.asarray(self.targets[case]))

    def some(self, cases: Sequence[int]) -> "Store":
        """The store of these cases alone, in this order."""
        images = self.images
        if isinstance(images, Series):
            chosen: Any = images.some(cases)
        else:
            chosen = images[list(cases)] if isinstance(images, np.ndarray) else _of(images, cases)
        return replace(
            self,
            ids=tuple(self.ids[i] for i in cases),
            units=tuple(self.units[i] for i in cases),
            images=chosen,
            targets=_of(self.targets, cases),
            places=_of(self.places, cases) if self.places else (),
        )


def _of(rows: Any, cases: Sequence[int]) -> Any:
    return rows.some(cases) if hasattr(rows, "some") else [rows[i] for i in cases]
