"""Images and masks in sibling folders, with or without train/val/test, paired by name.

Also one folder per image with `images/` and `masks/`, a mask file per object (merged when read).
"""

from collections.abc import Iterator
from pathlib import Path

from convivo.data.layouts.listing import (
    Pairs,
    dimensions,
    folders,
    given_splits,
    item_files,
    natural,
    pair,
    relative,
    split_folders,
)
from convivo.data.problems import problem
from convivo.data.sample import Case, Index, Problem, Split
from convivo.errors import ReadError

NAME = "image-mask"

IMAGES = ("images", "image", "imgs", "img", "imagestr")
LABELS = (
    "labels",
    "label",
    "masks",
    "mask",
    "annotations",
    "annotation",
    "gt",
    "ground_truth",
    "groundtruth",
    "segmentations",
    "labelstr",
)
TO_PREDICT = ("imagests", "images_test")
FOLDERS_TRIED = 3


def matches(root: Path) -> bool:
    """Whether an images folder has a labels folder beside it, here or one split down."""
    if not root.is_dir():
        return False
    if folder_pair(root) or any(folder_pair(folder) for folder in split_folders(root).values()):
        return True
    return _one_folder_per_image(root)


def index(root: Path) -> Index:
    """Pairs of image and mask as cases; ids are the images' paths below `root`.

    Class names and label values are left to whoever reads the maps. Images of a split without
    labels are for prediction; single images without a label are `missing-label`, labels without
    an image `missing-image`.

    Raises:
        ReadError: no image has a label, or none of the images can be read.
    """
    cases: list[Case] = []
    problems: list[Problem] = []
    unlabelled: list[Path] = []
    for split, part in _parts(root):
        if isinstance(part, Pairs):
            cases += [_case(root, image, label, split) for image, label in part.matched]
            problems += pairing_problems(part, root)
        else:
            unlabelled += part
    if not cases:
        rule = "an image and its mask have the same file name"
        got = f"{len(problems)} files without a partner" if problems else "no files"
        raise ReadError(root, rule, got, "Rename the masks like their images")
    return Index(
        layout=NAME,
        root=root,
        task="segment",
        spatial_dims=dimensions([case.image[0] for case in cases]),
        cases=given_splits(cases),
        problems=tuple(problems),
        unlabelled=tuple(str(path.absolute()) for path in unlabelled),
    )


def folder_pair(root: Path) -> tuple[Path, Path] | None:
    """The folder of images and the folder of labels side by side, if both are there."""
    names = {folder.name.lower(): folder for folder in folders(root)}
    images = [names[name] for name in IMAGES if name in names]
    labels = [names[name] for name in LABELS if name in names]
    return (images[0], labels[0]) if images and labels else None


def pairing_problems(found: Pairs, root: Path) -> Iterator[Problem]:
    """Problems for images without a label and labels without an image."""
    for path in found.images:
        remedy = "Add the label or move the image away"
        yield problem("missing-label", relative(path, root), "the image has no label", remedy)
    for path in found.labels:
        remedy = "Add the image or remove the label"
        yield problem("missing-image", relative(path, root), "the label has no image", remedy)


def _parts(root: Path) -> Iterator[tuple[Split | None, Pairs | list[Path]]]:
    """Per part of the data set its split, and pairs or, without labels, files for prediction."""
    splits = split_folders(root)
    if folder_pair(root):
        yield None, _part(root)
        for folder in folders(root):
            if folder.name.lower() in TO_PREDICT or splits.get("test") == folder:
                yield None, _images_of(folder)
    elif splits:
        yield from ((split, _part(folder)) for split, folder in splits.items())
    else:
        in_order = sorted(folders(root), key=lambda path: natural(path.name))
        yield from ((None, _one_image(folder)) for folder in in_order)


def _part(folder: Path) -> Pairs | list[Path]:
    both = folder_pair(folder)
    if both is None:
        return _images_of(folder)
    images, labels = item_files(both[0]), item_files(both[1])
    return pair(images, labels) if labels else images


def _one_image(folder: Path) -> Pairs | list[Path]:
    """A folder of one image: its label is the mask of that name, or all masks there together."""
    part, both = _part(folder), folder_pair(folder)
    if both and isinstance(part, Pairs) and len(part.images) == 1 and not part.matched:
        return Pairs(((part.images[0], both[1]),), (), ())
    return part


def _case(root: Path, image: Path, label: Path, split: Split | None) -> Case:
    return Case(
        id=relative(image, root),
        image=(str(image.absolute()),),
        label=str(label.absolute()),
        split=split,
    )


def _images_of(folder: Path) -> list[Path]:
    inner = [path for path in folders(folder) if path.name.lower() in IMAGES]
    return item_files(inner[0] if inner else folder)


def _one_folder_per_image(root: Path) -> bool:
    first = folders(root)[:FOLDERS_TRIED]
    return len(first) > 1 and all(
        (both := folder_pair(folder)) is not None and len(item_files(both[0])) == 1
        for folder in first
    )
