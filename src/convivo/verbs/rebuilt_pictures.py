"""Pictures of reconstructions: what the network saw, what it made of it, where they differ."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from convivo.data.sample import Events, Sample
from convivo.data.store import prepare_sample
from convivo.evaluation.answers import seen
from convivo.reporting.content import CasePicture
from convivo.verbs.measure import Measured
from convivo.verbs.setup import build_preparation

SHOWN = 3


def pairs(
    plan: Mapping[str, Any], load: Callable[[str], Sample], measured: Measured
) -> tuple[list[CasePicture], list[CasePicture]]:
    """The items rebuilt best and worst, one a case: image, reconstruction and error in a row."""
    answers = measured.evaluation.answers
    items = [
        (float(score), answer, place)
        for answer in answers for place, score in enumerate(answer["mse"])
    ]  # fmt: skip
    items.sort(key=lambda item: item[0])
    count = min(SHOWN, max(1, len(answers) // 2))
    best = _apart(items, count)
    chosen = {item[1]["id"] for item in best}
    worst = _apart([item for item in items[::-1] if item[1]["id"] not in chosen], count)

    def picture(item: tuple[float, dict[str, Any], int]) -> CasePicture:
        return _picture(plan, load, measured, item)

    return [picture(item) for item in best], [picture(item) for item in worst]


def _apart(items: list[tuple[float, dict[str, Any], int]], count: int) -> list[tuple]:
    """The first few of different cases."""
    chosen: dict[str, tuple] = {}
    for item in items:
        chosen.setdefault(item[1]["id"], item)
        if len(chosen) == count:
            break
    return list(chosen.values())


def _picture(
    plan: Mapping[str, Any],
    load: Callable[[str], Sample],
    measured: Measured,
    item: tuple[float, dict[str, Any], int],
) -> CasePicture:
    score, answer, place = item
    sample = load(answer["id"])
    image, _, target = prepare_sample(sample, build_preparation(plan))
    predictor = measured.fit(image.shape, image.nbytes)
    if isinstance(target, Events):
        known = np.flatnonzero(target.labels >= 0)[place : place + 1]
        target = Events(positions=target.positions[known], labels=target.labels[known])
    shown = seen(predictor, image, target)["image"][0]
    found = predictor.run(shown[None])[0]
    classes, truth = plan["task_fields"]["classes"], int(answer["targets"][place])
    words = [f"class {classes[truth]}"] if truth >= 0 and classes else []
    if "samples" in answer:
        words.append(f"at sample {int(answer['samples'][place])}")
    signal = shown.ndim == 2
    words.append("channel 1 and its reconstruction" if signal else "image, reconstruction, error")
    return CasePicture(
        id=answer["id"], caption=f"error {score:.4g}", text=", ".join(words),
        image=_together(shown, found), spacing_unit="samples" if signal else "px",
    )  # fmt: skip


def _together(image: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(C, *S) twice -> a signal as two channels; an image and its error as one wide picture.

    Of a volume the middle plane. The error is scaled to the image's own range.
    """
    if image.ndim == 2:
        return np.stack([image[0], found[0]]).astype(np.float32)
    if image.ndim == 4:
        image, found = (a[..., a.shape[-1] // 2] for a in (image, found))
    low, high = float(image.min()), float(image.max())
    error = low + np.abs(image - found).clip(0, high - low)
    row = [np.clip(a, low, high) for a in (image, found, error)]
    return np.concatenate(row, axis=2).astype(np.float32)
