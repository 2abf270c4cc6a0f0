"""Quantised models kept in the user's cache folder: by weights, plan, libraries and processor."""

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from convivo.errors import ReadError
from convivo.files import read_json, sha256, write_json
from convivo.inference.backends.openvino_engine import openvino
from convivo.inference.backends.program import Program
from convivo.planning.machine import cache_file
from convivo.processor import processor_name
from convivo.verbs.run import Run

FORM = 2
KEPT = 8  # models; those that were not used for longest go first
MODEL, DOCUMENT = "model.xml", "int8.json"


def place_of(run: Run, program: Program) -> Path:
    """The folder for a run's quantised model, whether it is there or not."""
    files = ("weights.safetensors", "plan.json", "split.json")
    facts = [FORM, *(sha256(run.folder / name) for name in files), str(program.bounds)]
    facts += [processor_name(), torch.__version__]
    facts += [metadata.version(name) for name in ("openvino", "nncf")]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return cache_file().with_name("int8") / key[:32]


def remembered(place: Path) -> tuple[Any, dict[str, Any]] | None:
    """The model and what is told of it; None where it was not kept, or is damaged."""
    try:
        document = read_json(place / DOCUMENT)
        if document["model_sha256"] != sha256(place / "model.bin"):
            return None
        model = openvino().Core().read_model(place / MODEL)
        os.utime(place)
    except (ReadError, OSError, RuntimeError, KeyError, TypeError):
        return None
    return model, document["quantization"]


def keep(place: Path, model: Any, document: dict[str, Any]) -> None:
    """Keep a model for later commands, where the folder can be written."""
    with suppress(OSError, RuntimeError):  # not writable, or nobody's home: then it is made again
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=place.parent, prefix=".", suffix=".part"))
        try:
            openvino().save_model(model, part / MODEL, compress_to_fp16=False)
            told = {"model_sha256": sha256(part / "model.bin"), "quantization": document}
            write_json(part / DOCUMENT, told)
            shutil.rmtree(place, ignore_errors=True)  # of a damaged one
            part.replace(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        _drop_oldest(place.parent)


def _drop_oldest(folder: Path) -> None:
    there = [path for path in folder.iterdir() if not path.name.startswith(".")]
    there.sort(key=lambda path: path.stat().st_mtime)
    for path in there[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)
