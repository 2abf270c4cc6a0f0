"""export: a run as one folder that predicts without torch and without convivo."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convivo import __version__
from convivo.data.inspection import Inspection
from convivo.data.loading import load
from convivo.data.sample import Sample
from convivo.errors import DataError, ReadError, ShapeError, UsageError
from convivo.evaluation.evaluate import without_target
from convivo.exporting.card import card
from convivo.exporting.copying import copy_runner
from convivo.exporting.document import pipeline_document, requirements
from convivo.exporting.models import FILES, Save, convert, saving
from convivo.exporting.parity import CASES, parity_document, quantization_words
from convivo.exporting.runner.answers import Answers
from convivo.exporting.runner.models import open_model
from convivo.exporting.runner.pipeline import NAME, pipeline_of
from convivo.files import read_json, sha256, write_json, write_text
from convivo.inference.backends import missing
from convivo.inference.backends.engine import Unavailable
from convivo.inference.backends.program import Program, Programs
from convivo.inference.predictor import Predictor
from convivo.progress import Progress
from convivo.verbs.evaluate import own_data
from convivo.verbs.precisions import must_export_in
from convivo.verbs.quantization import quantize
from convivo.verbs.run import Run, as_run
from convivo.verbs.setup import build_predictor, build_preparation, build_task, set_threads

STEPS = 4


def export(
    run: Run | str | Path,
    *,
    to: str,
    out: str | Path,
    precision: str = "auto",
    quiet: bool = False,
) -> dict[str, Any]:
    """Write a run as a folder: model, pipeline, a runner, a card, and how well it agrees.

    Args:
        run: a run or its folder.
        to: "openvino", "onnx" or "torch": the form of the model.
        out: the folder, new or empty; it is there whole or not at all.
        precision: "fp32", which "auto" is, or of OpenVINO "int8": calibrated on the run's training
            cases, and refused where it loses too much of the validation score.
    Returns:
        {"schema": 1, "to", "precision", "out", "files", "bytes", "quantization", "parity":
        {"cases", "equal", "difference", "agrees"}, "seconds"}; the quantization is null in fp32.
    Raises:
        UsageError: an unknown form, a library that is not installed, a folder that is not empty, a
        run that generates, a network that the form cannot take, or not in this precision.
    """
    began = time.monotonic()
    run, out = as_run(run), Path(out)
    _check(run, to, out, precision)
    bar = Progress("exporting", STEPS, unit="parts", quiet=quiet)
    parts = _converted(run, to, precision, bar)  # what cannot be converted leaves no trace
    out.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
    try:
        parity = _write(run, to, parts, place, bar)
        place.chmod(0o755)
        if out.exists():
            out.rmdir()
        place.replace(out)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        bar.close()
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {
        "schema": 1,
        "to": to,
        "precision": "fp32" if parts.quantization is None else "int8",
        "out": str(out),
        "files": [path.relative_to(out).as_posix() for path in files],
        "bytes": sum(path.stat().st_size for path in files),
        "quantization": parts.quantization,
        "parity": {
            "cases": len(parity["cases"]),
            **{key: parity[key] for key in ("equal", "difference", "agrees")},
        },
        "seconds": round(time.monotonic() - began, 3),
    }


def _check(run: Run, to: str, out: Path, precision: str) -> None:
    if to not in FILES:
        raise UsageError("--to", f"one of {', '.join(FILES)}", repr(to), "Use --to openvino")
    if lacks := missing(to):
        rule, got = f"{to} must be installed", f"no package {', '.join(lacks)}"
        raise UsageError("--to", rule, got, "Install it: pip install 'convivo[fast]'")
    must_export_in(to, precision)
    if run.plan["task"] == "generate":
        rule, remedy = "a run that answers inputs", "Use convivo generate"
        raise UsageError("export", rule, "a run that generates", remedy)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        got = "files in it" if out.is_dir() else "a file"
        raise UsageError(out, "--out must be a new or empty folder", got, "Name another one")


@dataclass(frozen=True)
class _Parts:
    """A run's network as it is used, as an exported program, and as what saves its model.

    quantization: what is told of int8; None in float32.
    """

    predictor: Predictor
    program: Program
    save: Save
    quantization: dict[str, Any] | None = None


def _converted(run: Run, to: str, precision: str, bar: Progress) -> _Parts:
    plan = run.plan
    set_threads(plan["threads"])
    network = run.network.to("cpu")
    predictor = build_predictor(plan, network, build_task(plan))
    if predictor.sampling == "patch":
        predictor = replace(predictor, batch=1)  # tiles are large: several only take more memory
    programs = Programs(
        network=network, decode=predictor.task.decode, free=predictor.sampling == "patch"
    )
    try:
        if precision == "int8":
            found = quantize(run, predictor, programs, quiet=bar.quiet)
            bar.update(2)
            return _Parts(predictor, found.program, saving(found.model), found.document)
        program = programs.of((predictor.batch, plan["network"]["in_channels"], *predictor.size))
        bar.update(1)
        save = convert(program, to)
    except Unavailable as error:
        others = " or ".join(f"--to {form}" for form in FILES if form != to)
        rule = f"{to} must take the network {plan['network']['name']}"
        raise UsageError("--to", rule, error.got, f"Use {others}") from error
    bar.update(2)
    return _Parts(predictor, program, save)


def _write(run: Run, to: str, parts: _Parts, place: Path, bar: Progress) -> dict[str, Any]:
    """All files of the folder; the parity."""
    predictor, model = parts.predictor, place / FILES[to]
    parts.save(model)
    document = pipeline_document(
        run.plan, predictor, parts.program,
        form=to, file=model.name, made=_made(run), quantization=parts.quantization,
    )  # fmt: skip
    write_json(place / NAME, document)
    copy_runner(place)
    bar.update(3)
    pipeline = pipeline_of(document, place)
    opened = open_model(model, to, precision=document["model"]["precision"])
    parity = _parity(run, predictor, Answers(pipeline, opened))
    write_json(place / "parity.json", parity)
    write_text(place / "requirements.txt", requirements(to, _files(run)))
    text = card(document, _read(run, "evaluation.json"), _read(run, "receipt.json") or {}, parity)
    write_text(place / "CARD.md", text)
    bar.update(STEPS)
    return parity


def _files(run: Run) -> list[str]:
    """Names of the run's cases, which say what it is given; those from Python have no files."""
    if not run.folder.config().get("data", {}).get("path"):
        return []
    split = run.folder.json("split.json")
    return [name for part in ("train", "val", "test") for name in split[part]]


def _made(run: Run) -> dict[str, Any]:
    return {"version": __version__, "weights_sha256": sha256(run.folder / "weights.safetensors")}


def _read(run: Run, name: str) -> dict[str, Any] | None:
    path = run.folder / name
    return read_json(path) if path.exists() else None


def _parity(run: Run, predictor: Predictor, answers: Answers) -> dict[str, Any]:
    """Held against torch on the first test cases; without data there are none."""
    preparation = build_preparation(run.plan)
    try:
        samples = _samples(run, own_data(run))
        return parity_document(samples, predictor, answers, preparation)
    except (ReadError, DataError, ShapeError):  # the folder goes elsewhere: no paths in it
        found = parity_document(iter(()), predictor, answers, preparation)
        return found | {"reason": "the run's data are not where they were"}


def _samples(run: Run, inspection: Inspection) -> Iterator[Sample]:
    cases = {case.id: case for case in inspection.cases}
    split = run.folder.json("split.json")
    names = [name for name in (split["test"] or split["val"]) if name in cases][:CASES]
    for name in names:
        sample = load(cases[name], inspection.index)
        yield sample if inspection.index.events else without_target(sample)


def text(document: dict[str, Any]) -> str:
    """An export in lines for people."""
    parity = document["parity"]
    head = f"{document['out']}: {len(document['files'])} files, {document['bytes'] / 2**20:.1f} MiB"
    if document["quantization"]:
        head += f"\n{quantization_words(document['quantization'])}"
    if not parity["cases"]:
        return f"{head}\nnot held against the run's own network: its data are not there"
    shares = "" if parity["equal"] is None else f"{parity['equal']:.4%} of the labels, "
    away = "" if parity["difference"] is None else f"largest difference {parity['difference']:.2g}"
    verdict = "agrees with" if parity["agrees"] else "DIFFERS from"
    return f"{head}\n{verdict} the run on {parity['cases']} held-out cases: {shares}{away}"
