"""Pictures of generated images for a report, each with the training case that is most like it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from convivo.data.inspection import Inspection
from convivo.reporting.content import CasePicture
from convivo.verbs.drawing import classes_to_draw, drawn
from convivo.verbs.measure import Measured

SHOWN, TRACES = 12, 6


def made_examples(
    plan: Mapping[str, Any], network: nn.Module, inspection: Inspection, measured: Measured
) -> list[CasePicture]:
    """The first generated images that were measured; none for other tasks."""
    if plan["task"] != "generate":
        return []
    dims = plan["network"]["spatial_dims"]
    rows = measured.document["per_case"][: TRACES if dims == 1 else SHOWN]
    labels = classes_to_draw(plan, len(rows))
    images = drawn(network, len(rows), seed=int(plan["seed"]), labels=labels)
    classes = plan["task_fields"]["classes"]
    found = []
    for place, (row, image) in enumerate(zip(rows, images, strict=True)):
        told = "" if labels is None else f"asked for {classes[labels[place]]}; "
        found.append(
            CasePicture(
                id=row["id"], caption=f"distance {row['distance']:.3g}",
                text=f"{told}most like {row['nearest_train']}", image=image.astype(np.float32),
                spacing_unit="samples" if dims == 1 else "px",
            )
        )  # fmt: skip
    return found
