"""Windows shown beside what differs from their record's usual one: both are altered alike."""

from dataclasses import replace

import numpy as np
import torch

from convivo.data.augment import Parameters, apply


@torch.no_grad()
def apply_beside(images: torch.Tensor, parameters: Parameters) -> None:
    """Alter windows in place, and what differs from the usual with them.

    What moves or scales a window would have done so to its whole record, and the usual window with
    it. What is added to it (noise, drift, mains, muscles) is not usual, so that it differs.

    Args:
        images: (N, K, T) float32, C channels of a window, C of what differs (window minus usual),
            and others, which stay.
        parameters: drawn for the C channels.
    """
    own = parameters.channels
    windows = images[:, :own].clone()
    usual = windows - images[:, own : 2 * own]
    apply(windows, None, parameters, in_place=True)
    apply(usual, None, _undisturbed(parameters), in_place=True)
    images[:, :own] = windows
    images[:, own : 2 * own] = windows.sub_(usual)


def _undisturbed(drawn: Parameters) -> Parameters:
    """The same without what is added to single windows, or taken from them."""
    intensity = replace(drawn.intensity, noise=np.zeros_like(drawn.intensity.noise))
    disturbance = drawn.disturbance
    if disturbance is not None:
        none = np.empty(0, np.int64)
        turned = np.where(disturbance.factors < 0, -1, 1).astype(np.float32)
        disturbance = replace(
            disturbance, waved=none, waves=disturbance.waves[:0], noisy=none,
            bursts=disturbance.bursts[:0], factors=turned,
        )  # fmt: skip
    return replace(drawn, intensity=intensity, disturbance=disturbance)
