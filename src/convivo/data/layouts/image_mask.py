"""Images and masks paired by name: in sibling folders or in one, with or without train/val/test.

Also one folder per image with `images/` and `masks/`, a mask file per object (merged when read),
and one folder per case with a file per channel and one of labels.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from convivo.data.channel_files import KEY, ChannelFiles
from convivo.data.file_words import (
    IMAGES,
    LABELS,
    TO_PREDICT,
    Pairs,
    label_part,
    mixed_pairs,
    names_label,
    pair,
    parts_of_case,
)
from convivo.data.layouts.listing import (
    dimensions,
    folders,
    given_splits,
    has_items,
    item_files,
    natural,
    relative,
    split_folders,
)
from convivo.data.problems import problem
from convivo.data.sample import Case, Index, Problem, Split
from convivo.errors import ReadError

NAME = "image-mask"

FOLDERS_TRIED = 3
CASES_TRIED = 20


def matches(root: Path) -> bool:
    """Whether images have masks: in a folder beside theirs, in theirs by name, in one per case."""
    if not root.is_dir():
        return False
    places = [root, *split_folders(root).values()]
    if any(folder_pair(folder) or mixed_pairs(item_files(folder)) for folder in places):
        return True
    if any(_labels_beside(folder) for folder in places[1:]):
        return True
    return _one_folder_per_image(root) or _one_folder_per_case(root) or _folders_of_pairs(root)


def index(root: Path) -> Index:
    """Pairs of image and mask as cases; ids are the images' paths below `root`.

    Class names and label values are left to whoever reads the maps. Images of a split without
    labels are for prediction; single images without a label are `missing-label`, labels without
    an image `missing-image`.

    Raises:
        ReadError: no image has a label, or none of the images can be read.
    """
    if _one_folder_per_case(root):
        return replace(_index(root, *_channel_cases(root), unlabelled=[]), extra=_rule(root))
    cases: list[Case] = []
    problems: list[Problem] = []
    unlabelled: list[Path] = []
    for split, part in _parts(root):
        if isinstance(part, Pairs):
            cases += [_case(root, image, label, split) for image, label in part.matched]
            problems += pairing_problems(part, root)
        else:
            unlabelled += part
    return _index(root, cases, problems, unlabelled=unlabelled)


def _index(
    root: Path, cases: list[Case], problems: list[Problem], *, unlabelled: list[Path]
) -> Index:
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
    """Problems for images without a label, labels without an image, further labels."""
    for path in found.images:
        remedy = "Add the label or move the image away"
        yield problem("missing-label", relative(path, root), "the image has no label", remedy)
    for path in found.labels:
        remedy = "Add the image or remove the label"
        yield problem("missing-image", relative(path, root), "the label has no image", remedy)
    for path in found.further:
        message, remedy = "its image has another label, which is used", "Move one of them away"
        yield problem("unused-label", relative(path, root), message, remedy)


def _parts(root: Path) -> Iterator[tuple[Split | None, Pairs | list[Path]]]:
    """Per part of the data set its split, and pairs or, without labels, files for prediction."""
    splits = split_folders(root)
    if folder_pair(root):
        yield None, _part(root)
        for folder in folders(root):
            if folder.name.lower() in TO_PREDICT or splits.get("test") == folder:
                yield None, _images_of(folder)
    elif found := mixed_pairs(item_files(root)):
        yield None, found
        if "test" in splits:
            yield None, _images_of(splits["test"])
    elif splits:
        usual = _usual_labels(splits.values())
        for split, folder in splits.items():
            both = folder_pair(folder)
            other = both is not None and both[1].name.lower() != usual
            yield split, _images_of(folder) if other else _part(folder)
    else:
        in_order = sorted(folders(root), key=lambda path: natural(path.name))
        yield from ((None, _one_image(folder)) for folder in in_order)


def _part(folder: Path) -> Pairs | list[Path]:
    both, beside = folder_pair(folder), _labels_beside(folder)
    if both is None and beside:
        both = folder, beside
    if both is None:
        return mixed_pairs(item_files(folder)) or _images_of(folder)
    images, labels = item_files(both[0]), item_files(both[1])
    return pair(images, labels) if labels else images


def _usual_labels(parts: Iterable[Path]) -> str | None:
    """What the folders of labels are called; of several names the surest: others hold other things,
    as DRIVE's test part has only masks of where there is an image."""
    found = {both[1].name.lower() for folder in parts if (both := folder_pair(folder))}
    return min(found, key=LABELS.index, default=None)


def _labels_beside(folder: Path) -> Path | None:
    """`train_labels` or `trainannot` beside a folder `train` that holds images."""
    if not has_items(folder):
        return None
    rest = {
        one.name.lower().removeprefix(folder.name.lower()).lstrip("_-. "): one
        for one in folders(folder.parent)
        if one.name.lower().startswith(folder.name.lower())
    }
    return next((rest[name] for name in LABELS if name in rest), None)


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


def _one_folder_per_case(root: Path) -> bool:
    return not _folders_of_pairs(root) and _usual_parts(root) is not None


def _usual_parts(root: Path) -> frozenset[str] | None:
    """The parts that at least half of the first folders hold alike, one of them a label."""
    first = _first_folders(root, CASES_TRIED)
    found = Counter(frozenset(parts_of_case(item_files(folder))) for folder in first)
    usual, count = next(iter(found.most_common(1)), (frozenset(), 0))
    complete = len(usual) > 1 and label_part(usual) is not None
    return usual if complete and count > 1 and 2 * count >= len(first) else None


def _folders_of_pairs(root: Path) -> bool:
    """Whether the first folders hold images that all have a mask of their name."""
    first = _first_folders(root, FOLDERS_TRIED)
    pairs = [mixed_pairs(item_files(folder)) for folder in first]
    return len(pairs) > 1 and all(found is not None and not found.images for found in pairs)


def _first_folders(root: Path, count: int) -> list[Path]:
    if split_folders(root):
        return []
    return [folder for folder in folders(root) if has_items(folder)][:count]


def _channel_cases(root: Path) -> tuple[list[Case], list[Problem]]:
    """A case per folder: its parts but the label are channels, in the order of their names."""
    label, channels = str(label_part(_usual_parts(root) or ())), _channels(root)
    every = {folder: parts_of_case(item_files(folder)) for folder in folders(root)}
    every = {folder: parts for folder, parts in every.items() if parts}
    cases, problems = [], []
    for folder in sorted(every, key=lambda path: natural(path.name)):
        parts = every[folder]
        missing = [key for key in (*channels, label) if key not in parts]
        if missing:
            code = "missing-label" if missing == [label] else "missing-image"
            message = f"the case has no file {', '.join(map(repr, missing))}"
            where, remedy = relative(folder, root), "Add it or move the folder away"
            problems.append(problem(code, where, message, remedy))
            continue
        files = tuple(str(parts[key].absolute()) for key in channels)
        case_id = relative(parts[channels[0]], root)
        cases.append(Case(id=case_id, image=files, label=str(parts[label].absolute())))
    return cases, problems


def _channels(root: Path) -> list[str]:
    """The parts of a case that are channels, in their order."""
    return sorted(part for part in _usual_parts(root) or () if not names_label(part))


def _rule(root: Path) -> dict[str, object]:
    """How the files of a case are told, where it has several."""
    parts = tuple(_channels(root))
    return {KEY: ChannelFiles(by="folder", parts=parts)} if len(parts) > 1 else {}
