"""Phantom data and training settings so small that a whole run takes a second or two."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from convivo import schemas, train
from convivo.data.phantoms import make_images, make_signals, make_volumes
from convivo.verbs.run import Run

TINY = ("net.width=0.125",)
KINDS = ("signals", "fields", "cells", "volumes")


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A data set, what of it is given to `predict`, and the run trained on it."""

    kind: str
    data: Path
    inputs: Path
    run: Run


def make_data(kind: str, out: Path) -> Path:
    """ECG records, fields of cells with masks, single cells in class folders, or volumes."""
    if kind == "signals":
        return make_signals(out, records=6, seconds=12)
    if kind == "fields":
        return make_images(out, count=10, size=(36, 44))
    if kind == "cells":
        return make_images(out, count=16, size=(40, 44), task="classify")
    return make_volumes(out, count=6, shape=(14, 18, 12))


def train_tiny(data: object, out: Path, **options: Any) -> Run:
    """A short, repeatable training on one thread."""
    settings = (*TINY, *options.pop("settings", ()))
    given = {"epochs": 2, "threads": 1, "quiet": True} | options
    return train(data, out=out, settings=settings, **given)


def make_journey(kind: str, folder: Path) -> Journey:
    data = make_data(kind, folder / "data")
    inputs = {"fields": data / "images", "volumes": data / "imagesTr"}.get(kind, data)
    return Journey(kind=kind, data=data, inputs=inputs, run=train_tiny(data, folder / "run"))


def valid(name: str, document: Any) -> Any:
    """The document (or the text of one), held against its schema."""
    if isinstance(document, str):
        document = json.loads(document)
    Draft202012Validator(schemas.schema(name)).validate(document)
    return document


def files_below(folder: Path) -> list[str]:
    """Every file, hidden ones too, by its path in the folder."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def rows_of(path: Path) -> list[dict[str, str]]:
    """A table with a header line."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
