"""From data to a run: inspect, plan, train, and bringing public data."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from convivo.commands.options import (
    DATA_HELP,
    Accept,
    Data,
    Device,
    Epochs,
    Labels,
    Layout,
    Net,
    Out,
    Positive,
    Precision,
    Ram,
    Settings,
    Subject,
    Task,
    Threads,
    Time,
    Vram,
    option,
)
from convivo.console import Answer


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
