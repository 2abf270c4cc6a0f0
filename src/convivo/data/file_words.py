"""Words of file and folder names that say image or label: pairs told apart by name, parts of cases.

What layouts, and whoever is given files to predict, know of names; nothing is opened here.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from convivo.data.readers import stem_of

IMAGES = ("images", "image", "imgs", "img", "imagestr", "jpegimages")
LABELS = (
    "1st_manual",  # beside a folder `mask` that shows where there is an image at all
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
    "annot",
    "segmentationclass",
)
TO_PREDICT = ("imagests", "images_test")
LABEL_FOLDERS = frozenset((*LABELS, "labelsts", "labels_test"))

IMAGE_WORDS = "image|images|img|orig|raw"
LABEL_WORDS = (
    "mask|masks|label|labels|seg|segs|segmentation|gt|groundtruth|ground_truth|truth|manual[12]?"
    "|1stho|2ndho|roi|lesion|annotation|anno"
)
_WORDS = f"{LABEL_WORDS}|{IMAGE_WORDS}"
_END = r"[_\-. ]"
PREFIX = re.compile(rf"^(?:{_WORDS})(?:{_END}|(?=\d))", re.IGNORECASE)
SUFFIX = re.compile(rf"{_END}(?:{_WORDS})$", re.IGNORECASE)
PART = re.compile(rf"{_END}(?:train|training|val|validation|test|testing)$", re.IGNORECASE)
IS_LABEL = re.compile(
    rf"^(?:{LABEL_WORDS})(?:{_END}|\d|$)|(?:^|{_END})(?:{LABEL_WORDS})$", re.IGNORECASE
)


@dataclass(frozen=True)
class Pairs:
    """Images with their label file, images without one, label files without an image, and
    further label files of an image that has one."""

    matched: tuple[tuple[Path, Path], ...]
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    further: tuple[Path, ...] = ()


def pair(images: Sequence[Path], labels: Sequence[Path]) -> Pairs:
    """Match by name without suffix; where that fails, also without `_mask`, `seg_` and the like,
    or without what all labels end with, or without the name of the set they belong to.

    Example:
        >>> found = pair([Path("a.png"), Path("b.png")], [Path("a_mask.png"), Path("c.png")])
        >>> [image.name for image, _ in found.matched], [path.name for path in found.labels]
        (['a.png'], ['c.png'])
    """
    exact = {stem_of(path): path for path in reversed(labels)}
    loose = {plain_stem(path): path for path in reversed(labels)}
    ending = _shared_ending([stem_of(path) for path in labels])
    bare = _once((PART.sub("", plain_stem(path)), path) for path in labels)
    asked = _once((PART.sub("", plain_stem(path)), path) for path in images)
    matched, alone = [], []
    for image in images:
        stem = stem_of(image)
        label = exact.get(stem) or loose.get(plain_stem(image)) or exact.get(stem + ending)
        rest = PART.sub("", plain_stem(image))
        label = label or (bare.get(rest) if rest in asked else None)
        if label is None:
            alone.append(image)
        else:
            matched.append((image, label))
    used = {label for _, label in matched}
    stems = {plain_stem(image) for image, _ in matched}
    rest = [path for path in labels if path not in used]
    further = tuple(path for path in rest if plain_stem(path) in stems)
    return Pairs(tuple(matched), tuple(alone), tuple(p for p in rest if p not in further), further)


def _once(named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """By name, those whose name no other one has."""
    named = list(named)
    counts = Counter(name for name, _ in named)
    return {name: path for name, path in named if counts[name] == 1}


def _shared_ending(stems: Sequence[str]) -> str:
    """What all of several names end with, from its first mark on: `_L`."""
    backward = [stem[::-1] for stem in stems]
    shared = _beginning(backward)[::-1] if len(stems) > 1 else ""
    marks = [place for place, letter in enumerate(shared) if letter in "_-. "]
    return shared[marks[0] :] if marks else ""


def plain_stem(path: Path) -> str:
    """The stem without a word that says image or mask.

    Example:
        >>> plain_stem(Path("ISIC_01_segmentation.png")), plain_stem(Path("mask-7.tif"))
        ('isic_01', '7')
    """
    stem = stem_of(path)
    return (SUFFIX.sub("", PREFIX.sub("", stem)) or stem).lower()


def is_label(path: Path) -> bool:
    """Whether the name says label map.

    Example:
        >>> [is_label(Path(n)) for n in ("a_1stHO.png", "mask3d.tif", "a.png", "labels_of_a.png")]
        [True, True, False, True]
    """
    return IS_LABEL.search(stem_of(path)) is not None


def mixed_pairs(files: Sequence[Path]) -> Pairs | None:
    """Pairs among the files of one folder, told apart by name; None where under half are pairs."""
    labels = [path for path in files if is_label(path)]
    images = [path for path in files if not is_label(path)]
    if not labels or not images:
        return None
    found = pair(images, labels)
    return found if 2 * len(found.matched) >= len(images) else None


def parts_of_case(files: Sequence[Path]) -> dict[str, Path]:
    """The files of one case by what its name adds to what all share: flair, t1, seg.

    Example:
        >>> sorted(parts_of_case([Path(f"p1_{n}.nii.gz") for n in ("t1", "t2", "seg")]))
        ['seg', 't1', 't2']
    """
    stems = {stem_of(path): path for path in files}
    shared = _beginning(list(stems)) if len(stems) > 1 else ""
    cut = max((shared.rfind(mark) for mark in "_-. "), default=-1) + 1
    return {stem[cut:].lower(): path for stem, path in stems.items()}


def _beginning(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    low, high = min(texts), max(texts)
    places = (i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b)
    return low[: next(places, min(len(low), len(high)))]


def names_label(part: str) -> bool:
    """Whether a part of a case is a label by its name."""
    return IS_LABEL.search(part) is not None


def label_part(parts: Iterable[str]) -> str | None:
    """Which part of a case is its label: the shortest name of those that say so; None for none.

    Example:
        >>> label_part(["t1", "t1_mask", "seg"]), label_part(["t1"])
        ('seg', None)
    """
    return min(filter(names_label, parts), key=lambda part: (len(part), part), default=None)


def outside_label_folders(files: Iterable[Path], root: Path) -> list[Path]:
    """Those that do not lie, below `root`, in a folder of labels that has others beside it.

    Example:
        >>> names = ("imagesTs/a.png", "labelsTs/a.png", "p/masks/b.png")
        >>> [str(path) for path in outside_label_folders(map(Path, names), Path())]
        ['imagesTs/a.png', 'p/masks/b.png']
    """
    files = list(files)
    steps = {p: p.relative_to(root).parts[:-1] if p.is_relative_to(root) else () for p in files}
    first = {
        path: next((n for n, name in enumerate(names) if name.lower() in LABEL_FOLDERS), None)
        for path, names in steps.items()
    }  # of the steps, the one that says label
    others = {
        names[:n]
        for path, names in steps.items() if first[path] is None for n in range(len(names) + 1)
    }  # fmt: skip
    return [
        path for path in files if first[path] is None or steps[path][: first[path]] not in others
    ]
