"""The command of an exported folder: `python run.py INPUT... --out DIR`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from convivo.errors import ConvivoError, UsageError
from convivo.exporting.runner.answers import Answers
from convivo.exporting.runner.inputs import find_items
from convivo.exporting.runner.models import open_model
from convivo.exporting.runner.outputs import Writer
from convivo.exporting.runner.pipeline import Pipeline, read_pipeline


def main(folder: Path, words: Sequence[str]) -> int:
    """Predict files with the model in `folder`.

    Returns:
        The exit status: 0 done, 1 some inputs failed, 2 wrong words or nothing readable.
    """
    asked = _parser().parse_args(words)
    try:
        pipeline = read_pipeline(folder)
        items = find_items(asked.inputs)
        writer = Writer(_opened(pipeline, asked.precision, asked.threads), Path(asked.out))
    except ConvivoError as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        return error.exit_status
    failed = 0
    for done, item in enumerate(items, 1):
        try:
            writer.do(item)
        except (ConvivoError, OSError) as error:
            failed += 1
            print(f"failed: {error}", file=sys.stderr)
        print(f"{done}/{len(items)} {item.name}", file=sys.stderr)
    writer.close()
    return int(failed > 0)


def _opened(pipeline: Pipeline, precision: str | None, threads: int) -> Answers:
    model = pipeline.model
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
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="of multiplications")
    parser.add_argument("--threads", type=int, default=0, help="of the processor")
    return parser
