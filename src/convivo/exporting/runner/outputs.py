"""Answers as files: label maps on the inputs' own grids, tables, annotations, reconstructions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convivo.arrays.channels import select_channels
from convivo.arrays.normalization import denormalize
from convivo.arrays.placement import Placement
from convivo.arrays.preparation import prepare, prepare_positions, restore_labels
from convivo.data.joining import read_joined
from convivo.data.prediction_table import PredictionTable
from convivo.data.readers import read, stem_of, write_labels
from convivo.data.readers.pictures import image_suffix, write_image
from convivo.data.sample import Raw
from convivo.exporting.runner.answers import Answers
from convivo.exporting.runner.cells import called, cells, scores
from convivo.exporting.runner.inputs import Item

KEPT_AFTER = 128  # cases whose rows are written together


@dataclass
class Writer:
    """Predicts items one by one and writes what is found of each; `close` writes the table.

    overwrite: what is there already is predicted again. keep_identifiers: DICOM segmentations say
    who the patient is.
    """

    answers: Answers
    out: Path
    overwrite: bool = False
    keep_identifiers: bool = False
    table: PredictionTable = field(init=False)
    waiting: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        pipeline = self.answers.pipeline
        self.table = PredictionTable(
            self.out / "predictions.csv", pipeline.output["columns"],
            partial(cells, pipeline.output), beats=pipeline.beats,
        )  # fmt: skip
        if not self.overwrite and pipeline.kind != "map":
            self.table.read()

    def has(self, item: Item) -> bool:
        """Whether an earlier call has finished this one."""
        if self.overwrite:
            return False
        kind = self.answers.pipeline.kind
        if kind == "map":
            return (self.out / item.map_name).exists()
        return self.table.has(self._name(item)) and (
            kind != "image" or (self.out / self._image_name(item)).exists()
        )

    def do(self, item: Item) -> None:
        """Read, prepare, answer and write one input."""
        pipeline, raw = self.answers.pipeline, _read(item)
        if pipeline.kind == "map":
            self._map(item, raw)
            return
        if pipeline.beats:
            rows: list[Any] = list(self._beats(item, raw))
        else:
            image, placement = self._prepared(raw)
            found = self.answers.case(image)
            if pipeline.kind == "image":
                self._image(item, raw, found, placement)
                found = scores(pipeline.output, image[None], found[None])[0]
            rows = [found]
        self.table.add(self._name(item), rows)
        self.waiting += 1
        if pipeline.beats or pipeline.kind == "image" or self.waiting == KEPT_AFTER:
            self._keep()

    def close(self) -> None:
        """The table of all answers; label maps need none."""
        if self.answers.pipeline.kind != "map" and (self.waiting or not self.table.path.exists()):
            self._keep()

    def _keep(self) -> None:
        self.table.write()
        self.waiting = 0

    def _name(self, item: Item) -> str:
        return item.record if self.answers.pipeline.beats else item.name

    def _image_name(self, item: Item) -> str:
        if self.answers.pipeline.beats:
            return f"{item.record}.npy"
        suffix = image_suffix(item.path, item=item.index is not None)
        if item.index is not None:
            return f"{item.name}{suffix}"
        return (Path(item.name).parent / stem_of(item.name)).as_posix() + suffix

    def _prepared(self, raw: Raw) -> tuple[np.ndarray, Placement]:
        header = raw.header
        return prepare(
            raw.array, self.answers.pipeline.preparation, affine=header.affine,
            spacing=header.spacing, channel_names=_channel_names(raw),
        )  # fmt: skip

    def _map(self, item: Item, raw: Raw) -> None:
        image, placement = self._prepared(raw)
        labels = restore_labels(self.answers.labels(image), placement)
        values, names = stored(self.answers.pipeline.output, labels)
        target = self.out / item.map_name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_labels(
            target, values, like=item.path, like_index=item.index, names=names,
            keep_identifiers=self.keep_identifiers,
        )  # fmt: skip

    def _beats(self, item: Item, raw: Raw) -> Iterator[tuple[int, float, np.ndarray]]:
        """A row a beat; an annotation file of their classes, or the rebuilt windows."""
        from convivo.data.readers.wfdb import beat_positions, write_annotation

        positions, _ = beat_positions(item.path)
        image, placement = self._prepared(raw)
        moments = prepare_positions(positions, placement)
        found = self.answers.windows(image, moments)
        rate = 1 / raw.header.spacing[0] if raw.header.spacing else 1.0
        output, folder = self.answers.pipeline.output, (self.out / item.record).parent
        folder.mkdir(parents=True, exist_ok=True)
        if self.answers.pipeline.kind == "image":
            write_image(self.out / self._image_name(item), found)
            found = scores(output, self.answers.cut(image, moments), found)
        else:
            symbols = [called(output, row) for row in found]
            write_annotation(item.path.stem, positions, symbols, rate, folder)
        yield from zip(positions.tolist(), (positions / rate).tolist(), found, strict=True)

    def _image(self, item: Item, raw: Raw, found: np.ndarray, placement: Placement) -> None:
        """A reconstruction (C, *P) on its image's own grid, in the units and dtype stored there."""
        seen = self.answers.pipeline.preparation
        like = select_channels(
            raw.array, seen.channels, wanted=seen.channel_names, names=_channel_names(raw)
        )
        rows = [placement.probabilities_back(channel[None]) for channel in found]
        back = np.ascontiguousarray(np.concatenate(rows), np.float32)
        back = denormalize(back, like, seen.normalization, mean=seen.mean, std=seen.std)
        target = self.out / self._image_name(item)
        write_image(target, back, like=item.path if item.index is None else None)


def stored(output: Mapping[str, Any], labels: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
    """Class indices or numbers of objects (*S) -> the values that are written, and their names."""
    if output["decision"] == "objects":
        name = output["classes"][1]
        return labels, {n: f"{name} {n}" for n in np.unique(labels).tolist() if n}
    values = np.asarray(output["values"])
    values = values.astype(np.result_type(*map(np.min_scalar_type, values.tolist())))
    names = dict(zip(values.tolist(), output["classes"], strict=True))
    return values[labels], {value: name for value, name in names.items() if value}


def _read(item: Item) -> Raw:
    if item.case is None:
        return read(item.path, item.index)
    item.case.require_whole()
    return read_joined(item.case.files, names=item.case.names)


def _channel_names(raw: Raw) -> tuple[str, ...]:
    names = raw.header.channel_names
    return names if len(names) == len(raw.array) else ()
