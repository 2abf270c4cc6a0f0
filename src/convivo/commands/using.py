"""What is done with a run: measured, compared, applied, exported, verified."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from convivo import console
from convivo.commands.options import (
    Device,
    Labels,
    Layout,
    Mirrors,
    Out,
    Positive,
    Ram,
    RunFolder,
    Subject,
    Threads,
    option,
)
from convivo.console import Answer
from convivo.errors import UsageError


def evaluate(
    context: typer.Context,
    run: RunFolder,
    data: Annotated[Path | None, option("Other data than the run's own.", "--data")] = None,
    split: Annotated[Literal["test", "val"], option("Which part.", "--split")] = "test",
    ram: Ram = None,
    tta: Mirrors = False,
    device: Device = "auto",
    threads: Threads = None,
    layout: Layout = None,
    subject: Subject = None,
    positive: Positive = None,
    labels: Labels = None,
) -> Answer:
    """Measure a trained network on held-out data."""
    from convivo.verbs import evaluate as verb

    reading = {"layout": layout, "subject": subject, "positive": positive, "labels": labels}
    document = verb.evaluate(
        run, data=data, split=split, ram=ram, tta=tta, device=device, threads=threads,
        quiet=context.obj,
        **{name: value for name, value in reading.items() if value is not None},
    )  # fmt: skip
    return Answer(document, lambda: verb.text(document))


def predict(
    context: typer.Context,
    run: RunFolder,
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT", help="Files or folders, several.")
    ],
    out: Out,
    overwrite: Annotated[bool, option("Make outputs anew.", "--overwrite")] = False,
    shard: Annotated[str | None, option("Part I of N.", "--shard", metavar="I/N")] = None,
    backend: Annotated[
        Literal["auto", "torch", "openvino", "onnx"], option("What computes.", "--backend")
    ] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "int8"], option("Of the multiplications.", "--precision")
    ] = "auto",
    score_maps: Annotated[
        bool, option("Where reconstructions err, a file beside each.", "--score-maps")
    ] = False,
    ram: Ram = None,
    keep_identifiers: Annotated[
        bool, option("DICOM SEG say who the patient is.", "--keep-identifiers")
    ] = False,
    tta: Mirrors = False,
    device: Device = "auto",
    threads: Threads = None,
) -> Answer:
    """Apply a trained network to new files."""
    from convivo.verbs.predict import predict as verb

    document = verb(
        run, inputs, out=out, overwrite=overwrite, shard=shard, backend=backend,
        precision=precision, score_maps=score_maps, ram=ram, keep_identifiers=keep_identifiers,
        tta=tta, device=device, threads=threads, quiet=context.obj,
    )  # fmt: skip
    failed = document["failed"]
    lines = [f"{document['done']} done, {document['skipped']} there already, {len(failed)} failed"]
    lines += [f"failed: {row['error']}" for row in failed]
    return Answer(document, lambda: "\n".join([*lines, f"in {out}"]), int(bool(failed)))


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="A... [-- B...]", help="Runs; seeds of a side together.")
    ],
    metric: Annotated[str | None, option("Else the runs' score.", "--metric")] = None,
) -> Answer:
    """Hold two runs, or two sides of several seeds, against each other."""
    from convivo.verbs import compare as verb

    names = [str(run) for run in runs]
    place = names.index(console.SIDES) if console.SIDES in names else 1
    b = runs[place + (console.SIDES in names) :]
    if not b or (console.SIDES not in names and len(b) > 1):
        rule, remedy = "two runs, or the seeds of two sides", "Write compare A... -- B..."
        raise UsageError("compare", rule, f"{len(runs)} runs and no second side", remedy)
    document = verb.compare(runs[:place], b, metric=metric)
    return Answer(document, lambda: verb.text(document))


def generate(
    context: typer.Context,
    run: RunFolder,
    count: Annotated[int, option("How many images.", "--count", min=1)],
    out: Out,
    seed: Annotated[int, option("Of the random vectors.", "--seed", min=0)] = 0,
    interpolate: Annotated[
        bool, option("Along a way between two random vectors.", "--interpolate")
    ] = False,
    of_class: Annotated[
        str | None, option("Only this class, if the network knows it.", "--class")
    ] = None,
    overwrite: Annotated[bool, option("Make outputs anew.", "--overwrite")] = False,
    device: Device = "auto",
    threads: Threads = None,
) -> Answer:
    """Make new images with a network that generates."""
    from convivo.verbs.generate import generate as verb

    document = verb(
        run, count=count, out=out, seed=seed, interpolate=interpolate, of_class=of_class,
        overwrite=overwrite, device=device, threads=threads, quiet=context.obj,
    )  # fmt: skip
    return Answer(document, lambda: f"{document['done']} images in {out}, the first in grid.png")


def export(
    context: typer.Context,
    run: RunFolder,
    to: Annotated[Literal["openvino", "onnx", "torch"], option("Form of the model.", "--to")],
    out: Out,
    precision: Annotated[
        Literal["auto", "fp32", "int8"], option("Of the multiplications.", "--precision")
    ] = "auto",
) -> Answer:
    """Write a run as one folder that predicts without convivo."""
    from convivo.verbs import export as verb

    document = verb.export(run, to=to, out=out, precision=precision, quiet=context.obj)
    differs = document["parity"]["agrees"] is False
    return Answer(document, lambda: verb.text(document), int(differs))


def verify(run: RunFolder) -> Answer:
    """Hold a run's receipt against what is there."""
    from convivo.verbs.verify import verify as verb

    document = verb(run)
    lines = [f"{row['severity']}: {row['message']}" for row in document["findings"]]
    lines += ["everything is as the receipt says"] if document["ok"] else []
    return Answer(document, lambda: "\n".join(lines), int(not document["ok"]))
