"""load: a run folder as an object."""

from pathlib import Path
from typing import TYPE_CHECKING

from convivo.verbs.run import Run

if TYPE_CHECKING:
    from torch import nn


def load(path: str | Path, *, net: "nn.Module | None" = None) -> Run:
    """The run in a folder.

    Args:
        path: a run folder.
        net: your own module, where the run was trained with one.
    Raises:
        ReadError: not the folder of a run.
    """
    return Run(path, network=net)
