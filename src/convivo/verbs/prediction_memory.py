"""The memory that evaluate and predict stay within, and what reading an input needs of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np

from convivo.arrays.preparation import Preparation, prepared_shape
from convivo.config import size
from convivo.data.readers import read_header
from convivo.data.readers.containers import hold_at_most
from convivo.data.sample import Header
from convivo.errors import ConvivoError, PlanError
from convivo.geometry import Axes
from convivo.planning.limits import memory_limit
from convivo.planning.overhead import approximate

MIB = 2**20
READING = 2  # copies of the stored values while a file is read
CONTAINERS = 8  # the part of memory that containers of many items may be held in
PREPARING = 3  # copies of the larger grid, in float32, beside the stored values


def memory_cap(ram: str | int | None) -> int | None:
    """Bytes the process may hold in all: what was asked for, and never more than the machine gives.

    Asked once torch is imported and its threads are set.

    Raises:
        UsageError: not a size.
    """
    asked = size(ram, "--ram") if isinstance(ram, str) else ram
    known = [limit for limit in (asked, memory_limit()) if limit is not None]
    return min(known, default=None)


def cap_of_run(plan: Mapping[str, Any]) -> int | None:
    """What a run stays within: what it was planned for, and never more than the machine gives."""
    return memory_cap((plan.get("solution") or {}).get("limit"))


def hold_little(limit: int | None) -> None:
    """Leave memory to the network: inputs are read in order, which needs no whole containers."""
    if limit is not None:
        hold_at_most(limit // CONTAINERS)


def must_hold_input(
    paths: Sequence[Path],
    index: int | None,
    preparation: Preparation,
    limit: int | None,
    *,
    weights: int,
    least_of: Callable[[Axes], int] = lambda shape: 0,
) -> None:
    """Refuse an input that could not even be read and prepared.

    Args:
        paths, index: the file, or one for each channel, and the item of it.
        limit: bytes of the process; None for any.
        weights: bytes of the network. least_of: shape (C, *S) of a prepared image -> bytes of its
            smallest pass, asked only for the message.
    Raises:
        PlanError: it says what the least would be.
    """
    if limit is None:
        return
    try:
        header = read_header(paths[0], index)
        header = replace(header, channels=header.channels * len(paths))
        if len(header.shape) != preparation.spatial_dims:
            return
        data = input_bytes(header, preparation)
        prepared = _prepared(header, preparation)
    except (ConvivoError, OSError):
        return  # what is wrong with it is told when it is read
    least, _ = approximate(weights, train=False, kernels=0, lasting=data)
    if least > limit:
        need = ceil(max(least, least_of(prepared)) / MIB)
        shape = " x ".join(map(str, header.shape))
        rule = f"needs at least {need:,} MiB to read, prepare and predict {shape} values"
        remedy = f"Give --ram {ceil(need / 10) * 10}M, or cut the input into parts"
        raise PlanError(paths[0], rule, f"{limit / MIB:,.0f} MiB", remedy)


def input_bytes(header: Header, preparation: Preparation) -> int:
    """Most bytes while a file is read, then prepared; the network is not at work meanwhile."""
    values = header.channels * prod(header.shape)
    stored = values * np.dtype(header.dtype).itemsize
    after = prod(_prepared(header, preparation))
    before = preparation.channels * prod(header.shape)
    return max(READING * stored, stored + PREPARING * 4 * max(before, after))


def _prepared(header: Header, preparation: Preparation) -> Axes:
    """(C, *S) once it is prepared."""
    affine = None if header.affine is None else np.asarray(header.affine)
    return prepared_shape(header.shape, preparation, affine=affine, spacing=header.spacing)
