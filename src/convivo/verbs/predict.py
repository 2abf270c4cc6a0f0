"""predict: a trained run applied to new files.

Label maps come back on each input's own grid, everything else in a table.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from convivo.data.channel_files import rule_of
from convivo.errors import UsageError
from convivo.inference.fitting import Fitting
from convivo.progress import Progress
from convivo.training.allocator import return_memory
from convivo.training.process_memory import held_now
from convivo.verbs.computing import TORCH, device_for, in_int8, must_compute, serving_of
from convivo.verbs.inputs import Input, find_inputs
from convivo.verbs.predicting import Worker
from convivo.verbs.prediction_memory import hold_little, memory_cap
from convivo.verbs.rebuilding import rebuild
from convivo.verbs.run import Run, as_run
from convivo.verbs.setup import build_predictor, build_task, mirrored, pick_device, set_threads


def predict(
    run: Run | str | Path,
    inputs: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    overwrite: bool = False,
    shard: str | None = None,
    backend: str = "auto",
    precision: str = "auto",
    score_maps: bool = False,
    ram: str | int | None = None,
    keep_identifiers: bool = False,
    tta: bool = False,
    device: str = "auto",
    threads: int | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Predict files.

    Args:
        run: a run or its folder.
        inputs: a file, files, or folders; files that are channels of one case, as the training's
            data had them, are one input.
        out: the folder to write to. Finished outputs in it are skipped unless `overwrite`.
        shard: "I/N": the I-th of N equal parts of the inputs, counted from 1.
        backend: what computes: "torch", "openvino", "onnx", or "auto": the one that has been
            measured to be done first here with the same answers, torch where little is to do.
        precision: of multiplications: "fp32", of OpenVINO also "bf16" and "int8", or "auto": the
            fastest that gives torch's answers, never int8. int8 is calibrated on the run's training
            cases, refused where it loses too much of the validation score, and kept for later.
        score_maps: of a reconstruction also where the errors are, a file beside each image.
        ram: memory to stay within ("2G", or bytes); default what the machine grants. Fewer items
            go through the network at once, and only if that is not enough narrower tiles.
        keep_identifiers: DICOM segmentations say who the patient is, as their images do; otherwise
            a pseudonym.
        tta: test-time augmentation: the mean answer to an input and its mirror images, along the
            axes that were mirrored in training; `passes` then says how often the network is asked.
    Returns:
        {"schema": 1, "done", "skipped", "failed": [{"path", "error"}], "backend", "precision",
        "seconds"}; several backends that computed, as where one failed midway, as "openvino+torch".
        A bad input, or one that memory does not hold, is reported there and the rest go on.
    Raises:
        ReadError: no input at all. UsageError: a bad option.
    """
    began = time.monotonic()
    run, out = as_run(run), Path(out)
    must_compute(backend, device, precision)
    _check_out(out)
    plan = run.plan
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    found = find_inputs(given, rule_of(plan))
    mine = _shard(found, shard)
    set_threads(threads or plan["threads"])
    network = run.network.to(pick_device(device_for(backend, device)))
    task = build_task(plan)
    if tta and precision == "int8":
        rule, remedy = "int8 is calibrated on inputs as they are", "Leave --tta or --precision out"
        raise UsageError("--precision", rule, "--tta with int8", remedy)
    asked = mirrored(plan, network) if tta else None
    limit = memory_cap(ram)
    hold_little(limit)
    if task.output == "samples":
        rule, remedy = "a run that answers inputs", "Use convivo generate"
        raise UsageError("predict", rule, "a run that generates", remedy)
    if score_maps and task.output != "image":
        rule, remedy = "a run that reconstructs", "Leave --score-maps out"
        raise UsageError("--score-maps", rule, f"the task {task.name}", remedy)
    if task.output == "map":
        _check_targets(found, out)
    bar = Progress("predicting", len(mine), unit="inputs", quiet=quiet)
    predictor = build_predictor(plan, asked or network, task, say=bar.say)
    fitting = Fitting(
        predictor=predictor, limit=limit, say=bar.say, sparing=return_memory, held=held_now
    )
    worker = Worker(
        plan=plan, fitting=fitting, out=out, overwrite=overwrite, shard=shard,
        keep_identifiers=keep_identifiers,
    )  # fmt: skip
    if precision == "int8":
        predictor, serving = in_int8(run, predictor, say=bar.say, quiet=quiet)
    else:
        serving = serving_of(
            worker, mine, backend, precision=precision, capped=ram is not None, say=bar.say
        )
    worker.use(replace(predictor, engine=serving))
    if task.output == "image":
        outcome = rebuild(worker, mine, bar, maps=score_maps)
    else:
        outcome = worker.maps(mine, bar) if task.output == "map" else worker.tables(mine, bar)
    bar.close()
    document = {
        "schema": 1,
        "done": outcome.done,
        "skipped": outcome.skipped,
        "failed": outcome.failed,
        **(serving.ran if serving else TORCH),
        "seconds": round(time.monotonic() - began, 3),
    }
    document |= {"passes": asked.passes} if asked else {}
    return document | ({"beat_positions": outcome.positions} if outcome.positions else {})


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(out, "--out must be a folder", "a file", "Name another one")


def _shard(found: list[Input], shard: str | None) -> list[Input]:
    if shard is None:
        return found
    part, _, parts = shard.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise UsageError("--shard", "I/N with 1 <= I <= N", repr(shard), "Write for example 2/4")
    return found[int(part) - 1 :: int(parts)]


def _check_targets(found: list[Input], out: Path) -> None:
    """Refuse to write two maps to one file, or a map over an image."""
    targets = {one.id: (out / one.map_name).resolve() for one in found}
    sources = {path.resolve() for one in found for path in one.files}
    over = next((name for name, target in targets.items() if target in sources), None)
    if over is not None:
        remedy = "Name another folder"
        raise UsageError("--out", "label maps are not written over images", repr(over), remedy)
    taken: dict[Path, str] = {}
    for name, target in targets.items():
        if target in taken:
            rule, got = "inputs need label maps of different names", f"{taken[target]!r}, {name!r}"
            remedy = f"Both would be {target.name}: predict them into two folders"
            raise UsageError("predict", rule, got, remedy)
        taken[target] = name
