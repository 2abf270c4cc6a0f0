"""A run's schedule, and the learning rate of a step: linear warm-up, then half a cosine to zero."""

from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Fixed before the first step.

    steps: in all. validate_every: steps between validations. warmup: steps. lr: peak rate.
    clip: largest gradient norm, 0 for none. patience: validations without a better score before
    the run ends early, 0 for never. steps_per_epoch: for the log and for `stop-after-epoch`.
    """

    steps: int
    validate_every: int
    steps_per_epoch: int
    lr: float
    warmup: int
    clip: float
    patience: int
    seed: int


def learning_rate(step: int, *, steps: int, peak: float, warmup: int) -> float:
    """Rate of step 0 .. steps - 1.

    Example:
        >>> [round(learning_rate(s, steps=10, peak=1.0, warmup=2), 3) for s in (0, 1, 2, 9)]
        [0.5, 1.0, 1.0, 0.038]
    """
    if step < warmup:
        return warmed(step, peak=peak, warmup=warmup)
    return peak * 0.5 * (1 + cos(pi * (step - warmup) / max(1, steps - warmup)))


def warmed(step: int, *, peak: float, warmup: int) -> float:
    """Rate of a step that rises and then stays, for networks that learn against each other.

    Example:
        >>> [round(warmed(s, peak=1.0, warmup=2), 3) for s in (0, 1, 2, 9)]
        [0.5, 1.0, 1.0, 1.0]
    """
    return peak * min(step + 1, warmup) / warmup if warmup else peak
