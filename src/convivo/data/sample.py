"""The values of the data part of the road: path -> Header, Raw -> Case -> Sample.

Letters: C channels, *S spatial axes (1, 2 or 3 of them), n events of a record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

Severity = Literal["error", "warning"]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says of itself before its pixels are read.

    shape: spatial sizes of one item, in the file's own axis order (images rows x columns,
        NIfTI i x j x k, signals one time axis). channels: values per position.
    spacing: distance between samples per axis in `spacing_unit` ("mm", "s", "px", "samples");
        None where the file does not say. axes: "RAS"-like codes for volumes with an affine,
        "YX", "ZYX" for images and arrays, "T" for signals. affine: 4 x 4 index -> world mm.
    channel_names: leads of a record; () where they have no names.
    count: how many items a container holds (1 for a plain file). subject: patient id if stored.
    """

    shape: tuple[int, ...]
    channels: int
    dtype: str
    axes: str
    spacing: tuple[float, ...] | None = None
    spacing_unit: str = "px"
    affine: np.ndarray | None = None
    channel_names: tuple[str, ...] = ()
    count: int = 1
    subject: str | None = None


@dataclass(frozen=True, kw_only=True)
class Raw:
    """One item as read: its array (C, *S) in the stored dtype, and its header."""

    array: np.ndarray
    header: Header


@dataclass(frozen=True, kw_only=True)
class Events:
    """Labelled moments (beats) of a record.

    positions: (n,) int64 sample index at the record's own rate.
    labels: (n,) int64 class index; -1 where a moment has no class.
    stored: (n,) the positions in the file, kept when `positions` move to another rate.
    """

    positions: np.ndarray
    labels: np.ndarray
    stored: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One image, volume, series or record of a data set, not yet read.

    id: path relative to DATA (POSIX, with suffix), inside a container `file#index`.
    image: absolute path(s); several files are channels of one case, the slices of a DICOM series
    are the folder that holds them. index: place in a container.
    label: absolute path of a label map or annotation file. label_index: place in its container.
    label_names: of the regions in `label`, in the order of their values 1, 2, ..., where it names
    them. target: class index, or the number to predict, else None. split: a given split. subject:
    if known. header: filled by the layout where reading it was free, else None.
    """

    id: str
    image: tuple[str, ...]
    index: int | None = None
    label: str | None = None
    label_index: int | None = None
    label_names: tuple[str, ...] = ()
    target: int | float | None = None
    split: Split | None = None
    subject: str | None = None
    header: Header | None = None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that spoils a training: `code` from the contract, severity fixed by it."""

    severity: Severity
    code: str
    path: str
    message: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Index:
    """What a layout found in a folder, before pixels were looked at.

    task: one of `data.purpose.TASKS`. classes: names by class index. label_values: for label maps,
    the stored value of each class index (None: layout does not know yet; the inspection fills it).
    events: True where the classes belong to moments of a record (beats).
    subject_source: how Case.subject was found ("manifest column subject"), None where it was not.
    unlabelled: paths meant for prediction (imagesTs, unlabelled test folders).
    """

    layout: str
    root: Path
    task: str
    spatial_dims: int
    cases: tuple[Case, ...]
    classes: tuple[str, ...] = ()
    label_values: tuple[int, ...] | None = None
    events: bool = False
    subject_source: str | None = None
    problems: tuple[Problem, ...] = ()
    unlabelled: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One case as read: what every later step works on.

    image: (C, *S) in the stored dtype. target: class index, number to predict, (*S) class-index
    map, Events, or None where there is no label. unit: what the split keeps together. source: the
    file(s) it came from. The other fields are as in Header.
    """

    id: str
    image: np.ndarray
    target: "int | float | np.ndarray | Events | None" = None
    axes: str = ""
    spacing: tuple[float, ...] | None = None
    spacing_unit: str = "px"
    affine: np.ndarray | None = None
    channel_names: tuple[str, ...] = ()
    unit: str = ""
    source: Sequence[str] = ()
