"""What generated images are worth, in the features of a network that saw the training part only.

Letters: n generated, m test and t training items, F features.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from convivo.errors import DataError, ShapeError
from convivo.metrics.intervals import RESAMPLES, Entry, Resampled, entry, pool, ratio
from convivo.metrics.two_samples import two_sample_auroc

ROWS = 512  # items whose distances to all others are held at once


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Distance between two sets of features (n, F), each taken for a normal distribution.

    |mean - mean'|^2 + trace(S + S' - 2 (S S')^(1/2)) with the covariances S (over n - 1). It has a
    bias that falls with the numbers of items: compare only values of equal numbers.

    Raises:
        ShapeError: fewer than two items, or other features. DataError: features not finite.
    Source: Heusel et al. 2017, arXiv:1706.08500.
    Example:
        >>> a = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> round(frechet_distance(a, a), 6), round(frechet_distance(a, a + 3), 6)
        (0.0, 18.0)
    """
    one, other = _checked(one, other)
    means = one.mean(0) - other.mean(0)
    a, b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (one, other))
    root = _root(a)
    # S S' has the eigenvalues of the symmetric S^(1/2) S' S^(1/2)
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ b @ root), 0, None)).sum()
    return max(0.0, float(means @ means + np.trace(a) + np.trace(b) - 2 * shared))


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def _checked(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(one, float), np.asarray(other, float)
    if min(len(one), len(other)) < 2 or one.ndim != 2 or one.shape[1:] != other.shape[1:]:
        rule = f"two sets of at least two items with the same features; one {one.shape}"
        raise ShapeError("generation", rule, other.shape, "Give more items")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        rule = "features are finite"
        raise DataError("generation", rule, "NaN or infinity", "Check that training converged")
    return one, other


def nearest(items: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (n,) of each item (n, F) to the nearest of (t, F), and which one that is, (n,)."""
    distances, places = [], []
    for start in range(0, len(items), ROWS):
        table = cdist(items[start : start + ROWS], among)
        places.append(table.argmin(1))
        distances.append(table.min(1))
    return np.concatenate(distances), np.concatenate(places)


def generation_metrics(
    generated: np.ndarray,
    test: np.ndarray,
    train: np.ndarray,
    units: Sequence[object] | np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry]:
    """`fid`, `fid_floor`, `diversity`, `nearest_train`, `two_sample_auroc`.

    `fid` is the Fréchet distance of generated against test items, `fid_floor` that of as many
    training items against the same test items: nothing that is drawn from the training
    distribution can be expected below it. Neither has an interval: drawing items again biases it.
    `diversity` is the mean distance between generated items over that between test items: 1 is as
    varied as real ones, 0 all alike. `nearest_train` is the mean distance of generated items to
    the nearest training item over that of test items: well below 1 they are copies. Pairs are
    random, each item in one; the intervals are over generated items and units of test items.

    Args:
        generated: (n, F). test: (m, F). train: (t, F). units: (m,) of the test items.
    Raises:
        ShapeError: fewer than two items of a kind. DataError: features not finite.
    """
    generated, test = _checked(generated, test)
    train, _ = _checked(train, test)
    rng = np.random.default_rng(seed)
    same = rng.permutation(len(train))[: len(generated)]
    found = {
        "fid": entry(frechet_distance(generated, test), generated=len(generated), test=len(test)),
        "fid_floor": entry(frechet_distance(train[np.sort(same)], test)),
    }
    pairs = [_pair_distances(x, rng) for x in (generated, test)]
    near = [nearest(x, train)[0] for x in (generated, test)]
    for name, (own, other) in (("diversity", pairs), ("nearest_train", near)):
        found[name] = _quotient(own, other, units, seed=seed, resamples=resamples)
    told = two_sample_auroc(generated, test, units, seed=seed, resamples=resamples)
    return found | {"two_sample_auroc": told}


def _pair_distances(items: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n,) each item's distance to the next one of a random round."""
    order = rng.permutation(len(items))
    found = np.empty(len(items))
    found[order] = np.linalg.norm(items[order] - items[np.roll(order, 1)], axis=1)
    return found


def _quotient(
    own: np.ndarray,
    other: np.ndarray,
    units: Sequence[object] | np.ndarray,
    *,
    seed: int,
    resamples: int,
) -> Entry:
    """Mean of `own` (n,), each its own unit, over the mean of `other` (m,), of these units."""
    _, index = np.unique(np.asarray(units), return_inverse=True)
    real = int(index.max()) + 1
    rows = np.zeros((len(own) + len(other), 4))
    rows[: len(own), 0], rows[: len(own), 1] = own, 1
    rows[len(own) :, 2], rows[len(own) :, 3] = other, 1
    place = np.concatenate([real + np.arange(len(own)), index.reshape(-1)])
    drawn = Resampled(pool(rows, place, real + len(own)), seed=seed, resamples=resamples)
    return drawn.measure(
        lambda sums: ratio(ratio(sums[:, 0], sums[:, 1]), ratio(sums[:, 2], sums[:, 3])),
        support=min(real, len(own)), bounds=(0.0, np.inf),
    )  # fmt: skip
