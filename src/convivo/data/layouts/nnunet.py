"""nnU-Net raw data: `dataset.json`, imagesTr with a file per channel (`NAME_0000.nii.gz`),
labelsTr with `NAME.nii.gz`, imagesTs.

Source: Isensee et al. 2021, nnU-Net; the format of its version 2.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from convivo.data.channel_files import KEY, ChannelFiles
from convivo.data.layouts import msd
from convivo.data.layouts.listing import dimensions, item_files, natural, relative
from convivo.data.problems import problem
from convivo.data.readers import stem_of
from convivo.data.sample import Case, Index, Problem
from convivo.errors import ReadError

NAME = "nnunet"

CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")
OWN_KEYS = ("channel_names", "file_ending")
REMEDY = "Correct dataset.json"

Images = dict[str, dict[int, Path]]
"""Case name -> file by channel number."""


def matches(root: Path) -> bool:
    """Whether `dataset.json` is nnU-Net's, or imagesTr beside it holds files numbered _0000."""
    file = root / msd.DESCRIPTION
    if not (file.is_file() and (root / "imagesTr").is_dir()):
        return False
    try:
        found = json.loads(file.read_bytes())
    except ValueError:
        return False  # `msd` says what is wrong with it
    if not isinstance(found, dict):
        return False
    if any(key in found for key in OWN_KEYS):
        return True
    return any(CHANNEL.match(stem_of(path)) for path in item_files(root / "imagesTr"))


def index(root: Path) -> Index:
    """A case per label of labelsTr with all its channels; ids are the first channel's paths.

    Classes are those of `labels`. Regions (a name for several values, as `whole tumor: [1, 2]`)
    are kept in `extra["regions"]`; the classes are then the values, called after the region that
    is theirs alone, else by value. An `ignore` label is no class: refused where it occurs.

    Raises:
        ReadError: a broken `dataset.json`, channels that differ between cases, nothing to train.
    """
    found = msd.description(root / msd.DESCRIPTION)
    channels = _channel_names(root, found)
    images, problems = _images(root, root / "imagesTr", len(channels))
    labels = {stem_of(path): path for path in _files(root / "labelsTr")}
    names = sorted(set(images) & set(labels), key=natural)
    if not names:
        rule, got = "imagesTr and labelsTr hold cases of one name", f"{len(images)} images"
        raise ReadError(root, rule, f"{got}, {len(labels)} labels", "Name labels like their images")
    cases = [_case(root, images[name], labels[name]) for name in names]
    problems += _alone(root, images, labels)
    values, classes, regions = msd.classes_and_regions(root, found.get("labels"))
    extra: dict[str, object] = {"channel_names": channels} | _rule(images[names[0]], channels)
    return Index(
        layout=NAME,
        root=root,
        task="segment",
        spatial_dims=dimensions([case.image[0] for case in cases]),
        cases=tuple(cases),
        classes=classes,
        label_values=values,
        problems=tuple(problems),
        unlabelled=tuple(str(path.absolute()) for path in _to_predict(root)),
        extra=extra | msd.described_regions(found, regions),
    )


def _channel_names(root: Path, found: dict[str, Any]) -> tuple[str, ...]:
    named = found.get("channel_names", found.get("modality"))
    if isinstance(named, dict) and named:
        return tuple(str(named[key]) for key in sorted(named, key=lambda key: natural(str(key))))
    file, rule = root / msd.DESCRIPTION, "channel_names names each channel, as in {'0': 'CT'}"
    raise ReadError(file, rule, str(named)[:80], REMEDY)


def _images(root: Path, folder: Path, channels: int) -> tuple[Images, list[Problem]]:
    """The cases that have every channel; the others are problems."""
    found: Images = {}
    for path in _files(folder):
        match = CHANNEL.match(stem_of(path))
        if match:
            found.setdefault(match["case"], {})[int(match["channel"])] = path
    problems = []
    for name, files in list(found.items()):
        missing = [f"{n:04d}" for n in range(channels) if n not in files]
        if missing:
            first = relative(next(iter(files.values())), root)
            message = f"the case {name} has no file of channel {', '.join(missing)}"
            problems.append(problem("missing-image", first, message, "Add the file"))
            del found[name]
    return found, problems


def _case(root: Path, files: dict[int, Path], label: Path) -> Case:
    ordered = [files[number] for number in sorted(files)]
    return Case(
        id=relative(ordered[0], root),
        image=tuple(str(path.absolute()) for path in ordered),
        label=str(label.absolute()),
    )


def _rule(files: dict[int, Path], channels: tuple[str, ...]) -> dict[str, object]:
    """How the files of a case are told, where it has several."""
    if len(files) == 1:
        return {}
    parts = tuple(f"{number:04d}" for number in sorted(files))
    return {KEY: ChannelFiles(by="number", parts=parts, names=channels)}


def _alone(root: Path, images: Images, labels: dict[str, Path]) -> Iterator[Problem]:
    for name in sorted(set(images) - set(labels), key=natural):
        where = relative(images[name][min(images[name])], root)
        message, remedy = "the image has no label", "Add the label or move the image to imagesTs"
        yield problem("missing-label", where, message, remedy)
    for name in sorted(set(labels) - set(images), key=natural):
        message, remedy = "the label has no image", "Add the image or remove the label"
        yield problem("missing-image", relative(labels[name], root), message, remedy)


def _to_predict(root: Path) -> Sequence[Path]:
    """The first channel of every image of imagesTs: an input is named after it."""
    first = []
    for path in _files(root / "imagesTs"):
        match = CHANNEL.match(stem_of(path))
        if match and int(match["channel"]) == 0:
            first.append(path)
    return first


def channel_files(first: Path) -> tuple[str, ...]:
    """The files of all channels of an image, from the path of its first one."""
    match = CHANNEL.match(stem_of(first))
    if match is None:
        return (str(first),)
    found = {}
    for path in _files(first.parent):
        other = CHANNEL.match(stem_of(path))
        if other and other["case"] == match["case"]:
            found[int(other["channel"])] = str(path.absolute())
    return tuple(found[number] for number in sorted(found))


def _files(folder: Path) -> list[Path]:
    return item_files(folder) if folder.is_dir() else []
