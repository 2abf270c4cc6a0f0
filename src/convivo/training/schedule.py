"""The learning rate as a function of the step: linear warm-up, then half a cosine to zero."""

from math import cos, pi


def learning_rate(step: int, *, steps: int, peak: float, warmup: int) -> float:
    """Rate of step 0 .. steps - 1.

    Example:
        >>> [round(learning_rate(s, steps=10, peak=1.0, warmup=2), 3) for s in (0, 1, 2, 9)]
        [0.5, 1.0, 1.0, 0.038]
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + cos(pi * (step - warmup) / max(1, steps - warmup)))
