"""Whether images are consecutive sections of one stack: then neighbours are not independent.

A random split would put a section between its own neighbours and measure memory, not skill.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from convivo.data.sample import Case
from convivo.data.units import natural

FEWEST = 8  # images; fewer say too little about neighbours
MOST = 4_096  # images; thumbnails of more would fill the memory
GAPS = 0.1  # share of numbers that may be missing (damaged sections are left out)
CLEARLY = 0.1  # of correlation that neighbours are ahead of distant images
DRAWS = 500  # random orders that the true one is held against
SEED = 2012


def numbered(cases: Sequence[Case]) -> bool:
    """Whether the cases are plain files of one folder, named alike but for consecutive numbers.

    Example:
        >>> names = [f"img/slice{i}.png" for i in range(9)]
        >>> numbered([Case(id=n, image=(n,)) for n in names]), numbered([])
        (True, False)
    """
    if not FEWEST <= len(cases) <= MOST or any(case.index is not None for case in cases):
        return False
    folders = {PurePosixPath(case.id).parent for case in cases}
    parts = [_number(PurePosixPath(case.id).name) for case in cases]
    if len(folders) > 1 or None in parts:
        return False
    found = [part for part in parts if part is not None]
    numbers = {number for _, number in found}
    span = max(numbers) - min(numbers) + 1
    alike = len({rest for rest, _ in found}) == 1
    return alike and len(numbers) == len(cases) and span <= len(cases) * (1 + GAPS)


def _number(name: str) -> tuple[str, int] | None:
    """The last number of a file name and what is around it."""
    stem, dot, suffix = name.partition(".")
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", stem)
    return (f"{match[1]}#{match[3]}{dot}{suffix}", int(match[2])) if match else None


def is_stack(cases: Sequence[Case], thumbnails: Mapping[str, np.ndarray | None]) -> bool:
    """Whether images next to each other are clearly more alike than images far apart.

    Likeness is the correlation of thumbnails of at most 64 x 64 pixels. Three things must hold:
    the median over neighbours is at least 0.1 above the median over images a quarter of the
    stack or more apart; it is above that of images four to six apart as well (batches of a
    changing microscope are alike within the batch, but not more so next door); and none of 500
    random orders has neighbours as alike.

    Args:
        cases: images that are `numbered`.
        thumbnails: by case id, (h, w).
    """
    ordered = sorted(cases, key=lambda case: natural(case.id))
    small = [thumbnails.get(case.id) for case in ordered]
    images = [image for image in small if image is not None]
    if len(images) < len(small) or len({image.shape for image in images}) != 1:
        return False
    return in_order(_correlations(np.stack(images)))


def _correlations(images: np.ndarray) -> np.ndarray:
    """(n, h, w) -> (n, n) correlations; a constant image is like none."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(lengths > 0, lengths, 1.0)
    return rows @ rows.T


def in_order(alike: np.ndarray) -> bool:
    """The rule of `is_stack` on likenesses (n, n), images in the order of their numbers."""
    count = len(alike)
    places = np.arange(count)
    lag = np.abs(places[:, None] - places[None, :])
    neighbours = float(np.median(np.diagonal(alike, 1)))
    distant = float(np.median(alike[lag >= max(4, count // 4)]))
    near = float(np.median(alike[(lag >= 4) & (lag <= 6)]))
    if not (neighbours - distant >= CLEARLY and neighbours > near):
        return False
    rng = np.random.default_rng(SEED)
    orders = (rng.permutation(count) for _ in range(DRAWS))
    return all(np.median(alike[order[:-1], order[1:]]) < neighbours for order in orders)
