"""`pipeline.json`: all that stands between a file and its answer, but for the network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convivo.arrays.preparation import Preparation
from convivo.arrays.windows import Around
from convivo.data.channel_files import ChannelFiles, rule_of
from convivo.errors import ReadError
from convivo.inference.tiles import Tiles

NAME = "pipeline.json"


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """How a network is used.

    folder: where its model lies. model: {"format", "file", "bounds", "precision"}. preparation:
    what is done to an image before. mode, size, before, reference, rhythm: how the network is shown
    its items. batch: of a pass. tiles: what larger images are cut into. output: what the answer is,
    see `answers`. channel_files: which files are channels of one case; None where none are.
    """

    folder: Path
    spatial_dims: int
    model: Mapping[str, Any]
    preparation: Preparation
    mode: str
    size: tuple[int, ...]
    before: float
    reference: bool
    rhythm: bool
    batch: int
    tiles: Tiles
    output: Mapping[str, Any]
    channel_files: ChannelFiles | None = None

    @property
    def items(self) -> int | None:
        """The only number of items that the model takes at once; None where it takes any."""
        least, most = self.model["bounds"][0]
        return least if least == most else None

    @property
    def way(self) -> Around:
        """How a moment of a record is shown."""
        return Around(
            length=self.size[0], before=self.before, reference=self.reference, rhythm=self.rhythm
        )

    @property
    def kind(self) -> str:
        """ "map", "table", "number" or "image"."""
        return self.output["kind"]

    @property
    def beats(self) -> bool:
        """Whether the answers are about moments of a record."""
        return self.mode == "window"


def read_pipeline(folder: Path) -> Pipeline:
    """The pipeline of an exported folder.

    Raises:
        ReadError: no such file, or a damaged one.
    """
    path = folder / NAME
    try:
        return pipeline_of(json.loads(path.read_text(encoding="utf-8")), folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        rule = "an exported folder has its pipeline"
        got = f"{type(error).__name__}: {error}"
        raise ReadError(path, rule, got, "Export the run again") from error


def pipeline_of(document: Mapping[str, Any], folder: Path) -> Pipeline:
    """The same from the document."""
    seen, tiling = document["sampling"], document["tiling"]
    margin, multiple, step = (_axes(tiling[name]) for name in ("margin", "multiple", "step"))
    size = tuple(seen["size"])
    overlap = float(tiling["overlap"])
    return Pipeline(
        folder=folder,
        spatial_dims=int(document["spatial_dims"]),
        model=document["model"],
        preparation=Preparation.from_dict(document["preparation"]),
        mode=seen["mode"],
        size=size,
        before=float(seen["before"]),
        reference=bool(seen.get("reference")),
        rhythm=bool(seen.get("rhythm")),
        batch=int(document["batch"]),
        tiles=Tiles(size=size, multiple=multiple, overlap=overlap, margin=margin, step=step),
        output=document["output"],
        channel_files=rule_of(document),
    )


def _axes(values: Any) -> tuple[int, ...] | None:
    return None if values is None else tuple(int(n) for n in values)
