"""Whether a classifier tells generated items from real ones, in given features.

Letters: n generated and m real items, F features.
"""

from collections.abc import Sequence

import numpy as np

from convivo.metrics.intervals import RESAMPLES, Entry, entry, unit_index
from convivo.metrics.roc import auroc

FEWEST = 4  # items and units of a kind: two to learn from, two to be told apart


def two_sample_auroc(
    generated: np.ndarray,
    real: np.ndarray,
    units: Sequence[object] | np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Entry:
    """Area under the ROC curve of a linear classifier of generated (n, F) against real (m, F).

    It learns from one half of either kind and is asked about the other, no unit on both sides. 0.5:
    not to be told apart; 1: always. None where there are fewer than four of a kind.

    Args:
        units: (m,) of the real items; a generated one is its own. seed: of halves and resamples.
    Source: Lopez-Paz and Oquab 2017, Revisiting classifier two-sample tests, arXiv:1610.06545.
        Differs: Fisher's discriminant with a shrunk covariance instead of a network, its ranking
        instead of its accuracy. The interval is that of the asked half, for this classifier.
    Example:
        >>> far, near = np.arange(40.0)[:, None] + 100, np.arange(40.0)[:, None]
        >>> two_sample_auroc(far, near, range(40))["value"]
        1.0
    """
    index, number = unit_index(units, len(real))
    if min(len(generated), number) < FEWEST:
        return entry(None)
    rng = np.random.default_rng(seed)
    asked = rng.permutation(len(generated)) % 2 == 0
    held = (rng.permutation(number) % 2 == 0)[index]
    direction = _discriminant(generated[~asked], real[~held])
    scores = np.concatenate([generated[asked], real[held]]) @ direction
    made = np.arange(len(scores)) < asked.sum()
    own = np.concatenate([number + np.arange(asked.sum()), index[held]])
    return auroc(scores[:, None], made[:, None], own, seed=seed, resamples=resamples)


def _discriminant(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(F,) Fisher's direction from `other` to `one`.

    The covariance within the two is drawn towards a round one the more, the fewer the items are.
    """
    within = np.concatenate([one - one.mean(0), other - other.mean(0)])
    count, size = within.shape
    covariance = within.T @ within / count
    share = size / (size + count)
    round_one = np.eye(size) * (np.trace(covariance) / size + np.finfo(float).tiny)
    shrunk = (1 - share) * covariance + share * round_one
    return np.linalg.solve(shrunk, one.mean(0) - other.mean(0))
