"""demo: the main job on phantoms it makes itself, in 1D, 2D and 3D, ending in reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from convivo.data.phantoms import make_images, make_signals, make_volumes
from convivo.errors import UsageError
from convivo.progress import Progress
from convivo.verbs.train import train

SECONDS = {1: 40.0, 2: 55.0, 3: 120.0}  # volumes take longest to learn; together under 5 minutes
MAKERS: dict[int, tuple[str, Callable[[Path], Path]]] = {
    1: ("signals", lambda out: make_signals(out, records=12, seconds=120)),
    2: ("images", lambda out: make_images(out, count=40)),
    3: ("volumes", lambda out: make_volumes(out, count=24)),
}


def demo(
    *, dims: int | None = None, out: str | Path = "demo", quiet: bool = False
) -> dict[str, Any]:
    """Make phantoms, train on them, and name the reports.

    Args:
        dims: 1, 2 or 3; default all of them.
        out: the folder for phantoms and runs; a run folder that is there already is kept.
    Returns:
        {"schema": 1, "runs": [...], "reports": [...]} with paths.
    Raises:
        UsageError: other dims.
    """
    if dims is not None and dims not in MAKERS:
        raise UsageError("--dims", "1, 2 or 3", dims, "Leave it out for all three")
    say = Progress("", 1, quiet=quiet).say
    runs = []
    for number in [dims] if dims is not None else list(MAKERS):
        name, make = MAKERS[number]
        data, run = Path(out) / "data" / name, Path(out) / name
        say(f"\n{number}D: phantom {name}")
        if not data.exists():
            make(data)
        train(data, out=run, time=SECONDS[number], resume=run.exists(), quiet=quiet)
        runs.append(run)
    return {
        "schema": 1,
        "runs": [str(run) for run in runs],
        "reports": [str(run / "report.html") for run in runs],
    }
