"""The command of an exported folder: `python run.py INPUT... --out DIR`."""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convivo.errors import ConvivoError, PlanError, UsageError
from convivo.exporting.runner.answers import Answers
from convivo.exporting.runner.inputs import Item, find_items, must_have_own_maps
from convivo.exporting.runner.models import open_model
from convivo.exporting.runner.outputs import Writer
from convivo.exporting.runner.pipeline import Pipeline, read_pipeline
from convivo.shortage import is_shortage

INTERNAL, INTERRUPTED = 3, 130


def main(folder: Path, words: Sequence[str]) -> int:
    """Predict files with the model in `folder`.

    Returns:
        The exit status: 0 done, 1 some inputs failed, 2 wrong words or nothing readable, 3 an
        error of the program, 130 interrupted, what was done is kept.
    """
    asked = _parser().parse_args(words)
    try:
        return _run(folder, asked)
    except ConvivoError as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        if asked.json:
            print(json.dumps(error.document()))
        return error.exit_status
    except KeyboardInterrupt:
        print("run.py: interrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        return INTERNAL


def _run(folder: Path, asked: argparse.Namespace) -> int:
    began = time.monotonic()
    pipeline, out = read_pipeline(folder), Path(asked.out)
    if out.exists() and not out.is_dir():
        raise UsageError(out, "--out must be a folder", "a file", "Name another one")
    items = find_items(asked.inputs, pipeline.channel_files)
    if pipeline.kind == "map":
        must_have_own_maps(items, out)
    answers = _opened(pipeline, asked.precision, asked.threads)
    writer = Writer(answers, out, asked.overwrite, asked.keep_identifiers)
    document: dict[str, Any] = {"schema": 1, "done": 0, "skipped": 0, "failed": []}
    try:
        for place, item in enumerate(items, 1):
            _one(writer, item, document)
            if not asked.quiet:
                print(f"{place}/{len(items)} {item.name}", file=sys.stderr)
    finally:
        writer.close()
    document |= {"backend": pipeline.model["format"], "precision": _precision(pipeline, asked)}
    document["seconds"] = round(time.monotonic() - began, 3)
    if asked.json:
        print(json.dumps(document))
    return int(bool(document["failed"]))


def _one(writer: Writer, item: Item, document: dict[str, Any]) -> None:
    """What is wrong with one input, or too large of it, does not keep the others from going on."""
    if writer.has(item):
        document["skipped"] += 1
        return
    try:
        writer.do(item)
    except (ConvivoError, OSError) as error:
        told: Exception = error
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        rule, remedy = "an input must fit into memory", "Free memory, or cut the input into parts"
        told = PlanError(item.path, rule, "out of memory", remedy)
    else:
        document["done"] += 1
        return
    document["failed"].append({"path": str(item.path), "error": str(told)})
    print(f"failed: {told}", file=sys.stderr)


def _precision(pipeline: Pipeline, asked: argparse.Namespace) -> str:
    return asked.precision or pipeline.model["precision"]


def _opened(pipeline: Pipeline, precision: str | None, threads: int) -> Answers:
    model = pipeline.model
    if precision and model["precision"] == "int8":
        rule, got = "a quantised model computes in int8 alone", f"--precision {precision}"
        raise UsageError("--precision", rule, got, "Leave it out")
    precision = precision or model["precision"]
    if precision != "fp32" and model["format"] != "openvino":
        rule = "only OpenVINO models compute in bf16"
        raise UsageError("--precision", rule, f"a model of {model['format']}", "Leave it out")
    path = pipeline.folder / model["file"]
    return Answers(
        pipeline, open_model(path, model["format"], precision=precision, threads=threads)
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("run.py", description="Apply the model to new files.")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="files or folders")
    parser.add_argument("--out", required=True, help="folder to write to")
    parser.add_argument("--overwrite", action="store_true", help="predict finished ones again")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="of multiplications")
    parser.add_argument("--threads", type=int, default=0, help="of the processor")
    parser.add_argument(
        "--keep-identifiers", action="store_true", help="DICOM SEG says who the patient is"
    )
    parser.add_argument("--json", action="store_true", help="tell on stdout what was done")
    parser.add_argument("-q", "--quiet", action="store_true", help="no line for each input")
    return parser
