"""torch as an engine: what the others are held against."""

from collections.abc import Callable

import numpy as np


class Torch:
    """An engine (see `Engine`).

    Args:
        answers: one pass of the network, (n, C, *S) -> (n, K, ...), as the predictor makes it.
    """

    name, precision = "torch", "fp32"

    def __init__(self, answers: Callable[[np.ndarray], np.ndarray]) -> None:
        self.answers = answers

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.answers(images)
