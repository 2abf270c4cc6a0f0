"""The fingerprint of a training set: all that the rules of choice may look at."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The fingerprint of a training set, all that the rule may look at.

    shape: median spatial shape in the data's own orientation (canonical for volumes).
    spacing: median, None where unknown. items: labelled things to learn from. counts: per class.
    flips: axes whose mirroring looks natural. oriented: cases say how they lie in the body.
    exclusive: a case has one class, not several. instances: how label maps number objects, in
    words; empty where they name classes.
    """

    task: str
    spatial_dims: int
    channels: int
    num_classes: int
    events: bool
    counts: tuple[int, ...]
    shape_min: tuple[int, ...]
    shape: tuple[int, ...]
    shape_max: tuple[int, ...]
    spacing: tuple[float, ...] | None
    spacing_unit: str
    dtype: str
    items: int
    flips: tuple[int, ...]
    channel_names: tuple[str, ...]
    oriented: bool
    exclusive: bool = True
    instances: str = ""
