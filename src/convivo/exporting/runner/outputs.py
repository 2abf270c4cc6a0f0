"""Answers as files: label maps on the inputs' own grids, tables, reconstructions."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convivo.arrays.channels import select_channels
from convivo.arrays.normalization import denormalize
from convivo.arrays.placement import Placement
from convivo.arrays.preparation import prepare, prepare_positions, restore_labels
from convivo.data.readers import read, stem_of, write_labels
from convivo.data.readers.pictures import image_suffix, write_image
from convivo.data.sample import Raw
from convivo.exporting.runner.answers import Answers
from convivo.exporting.runner.inputs import Item
from convivo.files import write_text

TOGETHER = " + "  # between the names of several classes


@dataclass
class Writer:
    """Predicts items one by one and writes what is found of each; `close` writes the table."""

    answers: Answers
    out: Path
    rows: list[list[Any]] = field(default_factory=list)

    def do(self, item: Item) -> None:
        """Read, prepare, answer and write one input."""
        pipeline, raw = self.answers.pipeline, read(item.path, item.index)
        if pipeline.kind == "map":
            self._map(item, raw)
        elif pipeline.beats:
            self._beats(item, raw)
        elif pipeline.kind == "image":
            self._image(item, raw)
        else:
            image, _ = self._prepared(raw)
            found = self.answers.case(image)
            self.rows.append([item.name, *cells(pipeline.output, found)])

    def close(self) -> None:
        """The table of all answers; label maps need none."""
        pipeline = self.answers.pipeline
        if pipeline.kind == "map":
            return
        key = ["record", "sample", "time_s"] if pipeline.beats else ["case"]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow([*key, *pipeline.output["columns"]])
        table.writerows(self.rows)
        write_text(self.out / "predictions.csv", text.getvalue())

    def _prepared(self, raw: Raw) -> tuple[np.ndarray, Placement]:
        header = raw.header
        named = len(header.channel_names) == len(raw.array)
        return prepare(
            raw.array, self.answers.pipeline.preparation, affine=header.affine,
            spacing=header.spacing, channel_names=header.channel_names if named else (),
        )  # fmt: skip

    def _map(self, item: Item, raw: Raw) -> None:
        image, placement = self._prepared(raw)
        labels = restore_labels(self.answers.labels(image), placement)
        output = self.answers.pipeline.output
        values = np.asarray(output["values"])
        values = values.astype(np.result_type(*map(np.min_scalar_type, values.tolist())))
        names = dict(zip(values.tolist(), output["classes"], strict=True))
        target = self.out / item.map_name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_labels(
            target, values[labels], like=item.path, like_index=item.index,
            names={value: name for value, name in names.items() if value},
        )  # fmt: skip

    def _beats(self, item: Item, raw: Raw) -> None:
        from convivo.data.readers.wfdb import beat_positions

        positions, _ = beat_positions(item.path)
        image, placement = self._prepared(raw)
        moments = prepare_positions(positions, placement)
        if not len(moments):
            return
        found = self.answers.windows(image, moments)
        rate = 1 / raw.header.spacing[0] if raw.header.spacing else 1.0
        output, record = self.answers.pipeline.output, Path(item.name).with_suffix("").as_posix()
        if self.answers.pipeline.kind == "image":
            write_image(self.out / f"{record}.npy", found)
            found = scores(output, self.answers.cut(image, moments), found)
        for place, row in zip(positions.tolist(), found, strict=True):
            self.rows.append([record, place, f"{place / rate:.4f}", *cells(output, row)])

    def _image(self, item: Item, raw: Raw) -> None:
        image, placement = self._prepared(raw)
        found = self.answers.case(image)
        self.rows.append(
            [item.name, *cells(self.answers.pipeline.output, scores_of(self.answers, image, found))]
        )
        seen = self.answers.pipeline.preparation
        like = select_channels(
            raw.array, seen.channels, wanted=seen.channel_names, names=raw.header.channel_names
        )
        rows = [placement.probabilities_back(channel[None]) for channel in found]
        back = np.ascontiguousarray(np.concatenate(rows), np.float32)
        back = denormalize(back, like, seen.normalization, mean=seen.mean, std=seen.std)
        suffix = image_suffix(item.path, item=item.index is not None)
        stem = (Path(item.name).parent / stem_of(item.name)).as_posix()
        name = f"{item.name}{suffix}" if item.index is not None else stem + suffix
        write_image(self.out / name, back, like=item.path if item.index is None else None)


def scores_of(answers: Answers, image: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(1,) the anomaly score of one image (C, *S)."""
    return scores(answers.pipeline.output, image[None], found[None])[0]


def scores(output: Any, images: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(n, 1) mean squared errors of reconstructions (n, C, *S), in the pipeline's scale."""
    if output.get("scale"):
        scale = np.asarray(output["scale"], np.float32).reshape(-1, *[1] * (images.ndim - 2))
        images, found = images * scale, found * scale
    return ((found - images) ** 2).mean(axis=tuple(range(1, found.ndim)))[:, None]


def cells(output: Any, found: np.ndarray) -> Sequence[str]:
    """One item's answer (K,) as it stands in a table."""
    if output["kind"] != "table":
        return [f"{float(found[0]):.6g}"]
    if output["several"]:
        names = [
            n for n, p in zip(output["classes"], found, strict=True) if p > output["threshold"]
        ]
        called = TOGETHER.join(names)
    else:
        called = output["classes"][int(found.argmax())]
    return [called, *[f"{p:.6f}" for p in found]]
