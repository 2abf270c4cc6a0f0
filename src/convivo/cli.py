"""The command line: options in, one verb called, its answer printed. No work is done here.

Everything heavy is imported inside the commands, so that help and mistakes are answered at once.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from convivo import console
from convivo.console import Answer
from convivo.errors import UsageError
from convivo.options import (
    DATA_HELP,
    Accept,
    Data,
    Device,
    Epochs,
    Labels,
    Layout,
    Mirrors,
    Net,
    Out,
    Positive,
    Precision,
    Ram,
    RunFolder,
    Settings,
    Subject,
    Task,
    Threads,
    Time,
    Vram,
    option,
)

EPILOG = "With any command: --json prints one JSON document, -q no progress, --debug tracebacks."

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a command line (this process's own by default); returns the exit status."""
    return console.run(app, words)


@app.callback(invoke_without_command=True)
def convivo(
    context: typer.Context,
    json: Annotated[bool, option("Print one JSON document.", "--json")] = False,
    quiet: Annotated[bool, option("No progress.", "--quiet", "-q")] = False,
    debug: Annotated[bool, option("Show the traceback of an error.", "--debug")] = False,
    version: Annotated[bool, option("Print the version.", "--version")] = False,
) -> None:
    """From a folder of biomedical signals, images or volumes to a trained, measured network."""
    context.obj = quiet
    if version:
        from convivo import __version__

        typer.echo(f"convivo {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


@app.command(epilog=EPILOG)
def inspect(
    data: Data,
    task: Task = None,
    layout: Layout = None,
    subject: Subject = None,
    positive: Positive = None,
    labels: Labels = None,
    fix: Annotated[Path | None, option("Write a cleaned copy there.", "--fix")] = None,
) -> Answer:
    """Look at a folder or file as it is; train nothing."""
    from convivo.verbs.inspect import inspect as verb

    reading = {"task": task, "layout": layout, "subject": subject, "labels": labels}
    found = verb(data, **reading, positive=positive, fix=fix)
    return Answer(found.document(), found.text, int(found.has_errors))


@app.command(epilog=EPILOG)
def plan(
    data: Annotated[Path | None, typer.Argument(metavar="DATA", help=DATA_HELP)] = None,
    input: Annotated[str | None, option("Shape.", "--input", metavar="C,S1[,S2[,S3]]")] = None,
    net: Net = None,
    batch: Annotated[int | None, option("Items a step.", "--batch", min=1)] = None,
    mode: Annotated[Literal["train", "infer"], option("What for.", "--mode")] = "train",
    optimizer: Annotated[
        Literal["sgd", "momentum", "adam", "adamw"], option("Optimizer.", "--optimizer")
    ] = "adamw",
    classes: Annotated[int | None, option("Number of classes.", "--classes", min=1)] = None,
    layers: Annotated[bool, option("A row for each layer.", "--layers")] = False,
    precision: Precision = "auto",
    ram: Ram = None,
    vram: Vram = None,
    settings: Settings = None,
    count: Annotated[Literal["lecture"] | None, option("The lecture's sum.", "--count")] = None,
    ranks: Annotated[int | None, option("Processes that share the training.", "--ranks")] = None,
    strategy: Annotated[str | None, option("How: ddp or fsdp.", "--strategy")] = None,
) -> Answer:
    """Say what a network costs, before a byte of it is allocated."""
    from convivo.verbs.plan import plan as verb

    planned = verb(
        data, input=input, net=net, batch=batch, mode=mode, optimizer=optimizer, classes=classes,
        layers=layers, precision=precision, ram=ram, vram=vram, settings=settings or (),
        count=count, ranks=ranks, strategy=strategy,
    )  # fmt: skip
    return Answer(planned.document(), planned.text, int(planned.document()["fits"] is False))


@app.command(epilog=EPILOG)
def train(
    context: typer.Context,
    data: Data,
    out: Out,
    net: Net = None,
    task: Task = None,
    ram: Ram = None,
    vram: Vram = None,
    time: Time = None,
    epochs: Epochs = None,
    folds: Annotated[
        int | None, option("Networks, each with other units held out.", "--folds")
    ] = None,
    fold: Annotated[int | None, option("Only this one of them, from 0.", "--fold")] = None,
    sweep: Annotated[
        int | None, option("Trainings under different settings.", "--sweep", metavar="N")
    ] = None,
    search: Annotated[
        list[str] | None,
        option("What a sweep tries: low..high, or a|b.", "--search", metavar="KEY=RANGE"),
    ] = None,
    seed: Annotated[int, option("Of every random choice.", "--seed", min=0)] = 0,
    settings: Settings = None,
    configuration: Annotated[
        Path | None, option("Many keys of it, as TOML.", "--config", metavar="FILE")
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    accept: Accept = None,
    resume: Annotated[bool, option("Go on with the run in --out.", "--resume")] = False,
    plan: Annotated[Path | None, option("Repeat this plan.json.", "--plan")] = None,
    init: Annotated[
        Path | None, option("Weights to start from.", "--init", metavar="RUN|WEIGHTS")
    ] = None,
    pretrain: Annotated[
        Literal["reconstruct"] | None,
        option("Learn from images alone first, unlabelled ones too.", "--pretrain"),
    ] = None,
    normal: Annotated[
        str | None, option("To reconstruct, the class to train on alone.", "--normal")
    ] = None,
    layout: Layout = None,
    subject: Subject = None,
    positive: Positive = None,
    labels: Labels = None,
    store: Annotated[
        Path | None, option("Folder for packed data, used again.", "--store", metavar="DIR")
    ] = None,
) -> Answer:
    """Train on a folder of data, and measure and report the result."""
    from convivo.verbs.train import train as verb

    run = verb(
        data, out=out, net=net, task=task, ram=ram, vram=vram, time=time, epochs=epochs,
        folds=folds, fold=fold, sweep=sweep, search=tuple(search or ()), seed=seed,
        settings=tuple(settings or ()), config=configuration, device=device, precision=precision,
        threads=threads, accept=tuple(accept or ()), resume=resume,
        plan=plan, init=init, pretrain=pretrain, normal=normal, layout=layout, subject=subject,
        labels=labels, positive=positive, store=store, quiet=context.obj,
    )  # fmt: skip
    return Answer(run.evaluation, run.text)


@app.command(epilog=EPILOG)
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


@app.command(epilog=EPILOG)
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


@app.command(epilog=EPILOG)
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


@app.command(epilog=EPILOG)
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


@app.command(epilog=EPILOG)
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


@app.command(epilog=EPILOG)
def nets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A network.")] = None,
) -> Answer:
    """List the networks, or describe one."""
    from convivo.verbs.nets import describe, listed, networks

    if name is None:
        document = networks()
        return Answer(document, lambda: listed(document))
    return Answer(networks(name), lambda: describe(name))


@app.command(epilog=EPILOG)
def doctor(
    context: typer.Context,
    quick: Annotated[bool, option("Look, but measure nothing.", "--quick")] = False,
) -> Answer:
    """Look at this machine, and measure its memory and speed for later plans."""
    from convivo.verbs.doctor import doctor as verb

    found = verb(quick=quick, quiet=context.obj)
    return Answer(found.document(), found.text)


@app.command(epilog=EPILOG)
def demo(
    context: typer.Context,
    dims: Annotated[int | None, option("1, 2 or 3; else all.", "--dims", min=1, max=3)] = None,
    out: Annotated[Path, option("Folder to write to.", "--out", show_default=True)] = Path("demo"),
) -> Answer:
    """Do the whole job on phantoms, ending in reports."""
    from convivo.verbs.demo import demo as verb

    document = verb(dims=dims, out=out, quiet=context.obj)
    return Answer(document, lambda: "\n".join(f"report: {path}" for path in document["reports"]))


@app.command(epilog=EPILOG)
def get(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A data set.")] = None,
    out: Annotated[Path, option("Folder to put it in.", "--out", show_default=True)] = Path(),
    mirror: Annotated[
        str | None, option("Where else its files are.", "--mirror", metavar="URL")
    ] = None,
) -> Answer:
    """List public data sets, or bring one of them, checked and with its licence."""
    from convivo.verbs.get import get as verb

    got = verb(name, out=out, mirror=mirror, quiet=context.obj)
    return Answer(got.document(), got.text)


@app.command(epilog=EPILOG)
def verify(run: RunFolder) -> Answer:
    """Hold a run's receipt against what is there."""
    from convivo.verbs.verify import verify as verb

    document = verb(run)
    lines = [f"{row['severity']}: {row['message']}" for row in document["findings"]]
    lines += ["everything is as the receipt says"] if document["ok"] else []
    return Answer(document, lambda: "\n".join(lines), int(not document["ok"]))


@app.command(epilog=EPILOG)
def lab(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH...]", help="Folders or files that the page may open."),
    ] = None,
    port: Annotated[int, option("Where to listen, if it is free.", "--port", min=0, max=65535)] = (
        7747
    ),
    no_browser: Annotated[bool, option("Only print the address.", "--no-browser")] = False,
) -> Answer:
    """Open the lab: a page on this machine that shows each number of a convolution."""
    from convivo.lab.server import run as verb

    say = partial(print, flush=True)
    document = verb(paths or [], port=port, browser=not no_browser, say=say)
    return Answer(document, lambda: "the lab is closed; its files are removed")
