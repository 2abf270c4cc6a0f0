"""All ways to mirror and turn a square picture by right angles, in any dimension.

2 of a signal, 8 of an image, 48 of a volume.
"""

from functools import lru_cache
from itertools import permutations, product

import numpy as np

Orientation = tuple[tuple[int, ...], tuple[int, ...]]
"""Order of the axes, then 1 or -1 for each: the direction in which it is read."""


@lru_cache(maxsize=8)
def orientations(dimensions: int) -> tuple[Orientation, ...]:
    """Every order of the axes with every choice of directions; the first changes nothing.

    Example:
        >>> [len(orientations(d)) for d in range(1, 4)]
        [2, 8, 48]
    """
    orders = permutations(range(dimensions))
    directions = product((1, -1), repeat=dimensions)
    return tuple(product(orders, directions))


def oriented(pictures: np.ndarray, orientation: Orientation) -> np.ndarray:
    """(n, m, ...) -> the same shape, every picture mirrored and turned; a view.

    Example:
        >>> oriented(np.array([[1, 2, 3]]), ((0,), (-1,))).tolist()
        [[3, 2, 1]]
    """
    order, directions = orientation
    turned = pictures.transpose(0, *[axis + 1 for axis in order])
    return turned[(slice(None), *[slice(None, None, step) for step in directions])]


def words(orientation: Orientation) -> str:
    """How people call it.

    Example:
        >>> [words(o) for o in orientations(2)][:3]
        ['', 'mirrored', 'mirrored']
        >>> words(((1, 0), (1, 1))), words(((0, 1), (-1, -1)))
        ('mirrored', 'turned')
    """
    order, directions = orientation
    turned = order == tuple(range(len(order))) and set(directions) == {1}
    if turned:
        return ""
    swaps = sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])
    return "mirrored" if (-1) ** swaps * int(np.prod(directions)) < 0 else "turned"
