"""What a rebuilt image is worth: squared error, peak signal-to-noise ratio, structural similarity,
and whether its error tells what is not normal.

Letters: C channels, *S one to three spatial axes, n items.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import uniform_filter

from convivo.errors import ShapeError
from convivo.metrics.intervals import RESAMPLES, Bounds, Entry, mean_interval
from convivo.metrics.roc import auroc

WINDOW = 7  # samples a side, over which means and variances are taken
K1, K2 = 0.01, 0.03
METRICS: Mapping[str, Bounds] = {
    "mse": (0.0, np.inf),
    "psnr": (-np.inf, np.inf),
    "ssim": (-1.0, 1.0),
}


def item_statistics(
    truth: np.ndarray, found: np.ndarray, *, data_range: float | None = None
) -> dict[str, float]:
    """`mse`, `psnr` (dB) and `ssim` of one item.

    `psnr` is 10 log10(range^2 / mse), NaN for a perfect answer; `ssim` the mean over positions and
    channels. Where all values of the truth are one and no range is given, both are NaN.

    Args:
        truth, found: (C, *S).
        data_range: from the least to the greatest value there can be. Default: of this truth.
    Raises:
        ShapeError: different shapes.
    Example:
        >>> row = item_statistics(np.array([[0.0, 1.0]]), np.array([[0.1, 0.9]]))
        >>> round(row["mse"], 3), round(row["psnr"], 1)
        (0.01, 20.0)
    """
    truth, found = np.asarray(truth, float), np.asarray(found, float)
    if truth.shape != found.shape or truth.ndim < 2:
        rule = f"an image and its reconstruction have one shape (C, *S), {truth.shape}"
        raise ShapeError("reconstruction", rule, found.shape, "Bring both to one grid")
    span = float(np.ptp(truth)) if data_range is None else float(data_range)
    mse = float(((truth - found) ** 2).mean())
    psnr = 10 * np.log10(span**2 / mse) if mse > 0 and span > 0 else float("nan")
    return {"mse": mse, "psnr": float(psnr), "ssim": ssim(truth, found, span)}


def ssim(truth: np.ndarray, found: np.ndarray, data_range: float) -> float:
    """Mean structural similarity of (C, *S), of windows that lie inside; NaN without a range.

    Windows are 7 samples a side, or the largest odd number that the shortest axis holds; the
    variances are unbiased.

    Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861; differs: even windows, no Gaussian ones.
    """
    if data_range <= 0:
        return float("nan")
    shortest = min(truth.shape[1:])
    side = min(WINDOW, shortest - (shortest + 1) % 2)
    rows = [_ssim(a, b, side, data_range) for a, b in zip(truth, found, strict=True)]
    return float(np.mean(rows))


def _ssim(a: np.ndarray, b: np.ndarray, side: int, data_range: float) -> float:
    count = side**a.ndim
    unbiased = count / max(1, count - 1)
    mean_a, mean_b = uniform_filter(a, side), uniform_filter(b, side)
    var_a = unbiased * (uniform_filter(a * a, side) - mean_a**2)
    var_b = unbiased * (uniform_filter(b * b, side) - mean_b**2)
    both = unbiased * (uniform_filter(a * b, side) - mean_a * mean_b)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    above = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    edge = side // 2
    inside = tuple(slice(edge, n - edge) for n in a.shape)
    return float((above / below)[inside].mean())


def reconstruction_metrics(
    statistics: Mapping[str, np.ndarray],
    units: Sequence[object] | np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry]:
    """`mse`, `psnr` and `ssim`: means over items, intervals over units.

    Args:
        statistics: (n,) of each metric, as `item_statistics` finds them.
        units: (n,) the unit of each item.
    """
    return {
        name: mean_interval(statistics[name], units, bounds=bounds, seed=seed, resamples=resamples)
        for name, bounds in METRICS.items()
    }


def anomaly_metrics(
    scores: np.ndarray,
    targets: np.ndarray,
    units: Sequence[object] | np.ndarray,
    classes: Sequence[str],
    *,
    normal: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Entry]:
    """`auroc` of the score, of all that is not normal against what is; and per class, if several.

    Args:
        scores: (n,) higher for less normal.
        targets: (n,) class indices; items of -1 have no class and are left out.
        units: (n,) the unit of each item. classes: names. normal: index of the normal class.
    """
    known, units = targets >= 0, np.asarray(units)
    wrong = sorted({int(t) for t in targets[known]} - {normal})
    if not wrong or not (targets == normal).any():
        return {}

    def area(kept: np.ndarray) -> Entry:
        odd = (targets[kept] != normal)[:, None]
        return auroc(scores[kept][:, None], odd, units[kept], seed=seed, resamples=resamples)

    found = {"auroc": area(known) | {"class": f"not {classes[normal]}"}}
    if len(wrong) > 1:
        found |= {f"auroc.{classes[c]}": area((targets == c) | (targets == normal)) for c in wrong}
    return found
