"""Divides units among the parts of a split so that every part gets its share of every class."""

from collections.abc import Sequence

import numpy as np

SWAP_LIMIT = 200  # units; up to here a pairwise search for a better balance is quick


def balance(weights: np.ndarray, sizes: Sequence[int], shares: np.ndarray) -> np.ndarray:
    """Part of each unit: greedy, the units that hold most of a class first.

    weights: (U, K) what a unit holds of each class. A unit goes where its classes are missed most
    among the parts that still have room; the order of `weights` (drawn) decides between equals.
    Source: the idea is iterative stratification, Sechidis et al. 2011, ECML PKDD.
    """
    totals = weights.sum(axis=0)
    held = weights[:, totals > 0] / totals[totals > 0]  # columns now sum to 1
    room, part_of = np.array(sizes), np.zeros(len(held), int)
    missing = np.repeat(shares[:, None], held.shape[1], axis=1)
    filled = shares / shares.sum()
    for unit in np.argsort(-held.max(axis=1, initial=0.0), kind="stable"):
        gain = missing @ held[unit] / max(held[unit].sum(), 1e-12)
        # Relative to what the part shall get: a small part in need comes before a big one.
        need = np.where(room > 0, gain / filled, -np.inf)
        part = int(np.argmax(need))
        part_of[unit] = part
        room[part] -= 1
        missing[part] -= held[unit]
    return _improve(held, part_of, shares) if len(held) <= SWAP_LIMIT else part_of


def _improve(held: np.ndarray, part_of: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Swap pairs of units between parts while that brings the class shares closer to the aim."""
    part_of = part_of.copy()
    error = np.stack([held[part_of == p].sum(axis=0) for p in range(len(shares))])
    error -= shares[:, None]
    for _ in range(len(held)):
        best = (-1e-9, 0, 0)
        for a in range(len(held)):
            # Swapping a with b moves d = held[b] - held[a] into a's part and out of b's.
            d, other = held - held[a], error[part_of]
            change = (2 * (error[part_of[a]] - other) * d + 2 * d * d).sum(axis=1)
            change[part_of == part_of[a]] = 0.0
            b = int(np.argmin(change))
            best = min(best, (float(change[b]), a, b))
        change, a, b = best
        if (a, b) == (0, 0):
            return part_of
        d = held[b] - held[a]
        error[part_of[a]] += d
        error[part_of[b]] -= d
        part_of[a], part_of[b] = part_of[b], part_of[a]
    return part_of
