"""generate: new images from a run whose network makes them of random vectors."""

import time
from pathlib import Path
from typing import Any

from torch import nn

from convivo.data.readers.pictures import write_image
from convivo.errors import UsageError
from convivo.progress import Progress
from convivo.verbs.drawing import classes_to_draw, drawn, in_stored_units
from convivo.verbs.grid import write_grid
from convivo.verbs.run import Run, as_run
from convivo.verbs.setup import pick_device, set_threads

SUFFIXES = {1: ".npy", 2: ".png", 3: ".nii.gz"}
GRID = "grid.png"
IN_GRID = 64


def generate(
    run: Run | str | Path,
    *,
    count: int,
    out: str | Path,
    seed: int = 0,
    interpolate: bool = False,
    of_class: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Make images and save them, `generated_0001.png` and so on, and the first in `grid.png`.

    Signals are .npy files (C, T), images PNG, volumes NIfTI on the network's grid. Values are
    8-bit where the run's data were; else they are deviations of an image's own values, as
    float32, and images with them .npy.

    Args:
        run: a run that generates, or one of a variational network.
        count: how many.
        seed: equal seeds give equal images.
        interpolate: images along a way between two random vectors.
        of_class: only images of this class; else classes take turns where the network knows them.
        overwrite: make anew what is there already; else it is an error.
    Returns:
        {"schema": 1, "done", "files", "grid", "seed", "seconds"}.
    Raises:
        UsageError: a run that does not generate, or a bad option.
    """
    began = time.monotonic()
    run, out = as_run(run), Path(out)
    plan = run.plan
    if count < 1:
        raise UsageError("--count", "at least one image", count, "Give a number such as 64")
    network = _maker(run).to(pick_device(device))
    labels = classes_to_draw(plan, count, of_class)
    dims = plan["network"]["spatial_dims"]
    width = max(4, len(str(count)))
    names = [f"generated_{number:0{width}d}{SUFFIXES[dims]}" for number in range(1, count + 1)]
    _must_be_free(out, overwrite)
    set_threads(threads or plan["threads"])
    images = drawn(network, count, seed=seed, labels=labels, interpolate=interpolate)
    bar = Progress("writing", count, unit="images", quiet=quiet)
    stored, written = in_stored_units(images, plan), []
    for done, (name, image) in enumerate(zip(names, stored, strict=True), 1):
        path = write_image(out / name, image)
        written.append(path.name)
        bar.update(done)
    bar.close()
    write_grid(out / GRID, stored[:IN_GRID])
    return {
        "schema": 1,
        "done": len(written),
        "files": written,
        "grid": GRID,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 3),
    }


def _maker(run: Run) -> nn.Module:
    """The run's network, if it makes images of random vectors.

    Raises:
        UsageError: it does not.
    """
    network = run.network
    if hasattr(network, "latent") and hasattr(network, "sample"):
        return network
    got = f"{run.plan['task']} with {run.plan['network']['name']}"
    remedy = "Train with --task generate, or --task reconstruct --net vae"
    raise UsageError(run.path, "generate needs a run that generates", got, remedy)


def _must_be_free(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(out, "--out must be a folder", "a file", "Name another one")
    there = next(out.glob("generated_*"), None) if out.is_dir() else None
    if there is not None and not overwrite:
        remedy = "Name another folder, or add --overwrite"
        raise UsageError(out, "--out holds no generated images yet", there.name, remedy)
