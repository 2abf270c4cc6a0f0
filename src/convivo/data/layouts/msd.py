"""Medical Segmentation Decathlon: `dataset.json`, imagesTr, labelsTr and imagesTs."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from convivo.data.file_words import Pairs, pair
from convivo.data.layouts.image_mask import pairing_problems
from convivo.data.layouts.listing import dimensions, item_files, natural, relative
from convivo.data.problems import problem
from convivo.data.sample import Case, Index, Problem
from convivo.errors import ReadError

NAME = "msd"

DESCRIPTION = "dataset.json"
KEYS = {"training", "labels", "modality", "channel_names"}
REMEDY = "Correct dataset.json"


def matches(root: Path) -> bool:
    """Whether the folder has a `dataset.json` that speaks of labels or training, or is broken."""
    file = root / DESCRIPTION
    if not file.is_file():
        return False
    try:
        found = json.loads(file.read_bytes())
    except ValueError:
        return True  # index() says what is wrong with it
    return isinstance(found, dict) and bool(KEYS & set(found))


def index(root: Path) -> Index:
    """The cases of the training list (or of imagesTr and labelsTr where there is none).

    Names of classes and channels come from `labels` and `modality`; the test list and imagesTs
    are for prediction. Regions (a name for several values) are kept as `nnunet` does.

    Raises:
        ReadError: `dataset.json` is broken, no image has a label, no image can be read.
    """
    found = description(root / DESCRIPTION)
    pairs, problems = _pairs(root, found)
    cases = [
        Case(id=relative(i, root), image=(str(i.absolute()),), label=str(n.absolute()))
        for i, n in sorted(pairs, key=lambda both: natural(relative(both[0], root)))
    ]
    if not cases:
        rule, got = "lists images that are there, with their labels", f"{len(problems)} without"
        raise ReadError(root / DESCRIPTION, rule, got, "Complete imagesTr and labelsTr")
    values, classes, regions = classes_and_regions(root, found.get("labels"))
    names = _channel_names(found.get("modality", found.get("channel_names")))
    return Index(
        layout=NAME,
        root=root,
        task="segment",
        spatial_dims=dimensions([case.image[0] for case in cases]),
        cases=tuple(cases),
        classes=classes,
        label_values=values,
        problems=tuple(problems),
        unlabelled=tuple(_unlabelled(root, found)),
        extra=({"channel_names": names} if names else {}) | described_regions(found, regions),
    )


def description(file: Path) -> dict[str, Any]:
    """The object that `dataset.json` holds. Raises ReadError: it is broken."""
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, OSError) as error:
        raise ReadError(file, "must be JSON", " ".join(str(error).split()), REMEDY) from error
    if not isinstance(found, dict):
        raise ReadError(file, "must be a JSON object", type(found).__name__, REMEDY)
    return found


def _pairs(root: Path, found: dict[str, Any]) -> tuple[list[tuple[Path, Path]], list[Problem]]:
    listed = found.get("training")
    if listed:
        entries = _entries(root, listed)
        there = [(i, n) for i, n in entries if i.is_file() and n.is_file()]
        gone = [i for i, _ in entries if not i.is_file()]
        alone = [i for i, n in entries if i.is_file() and not n.is_file()]
        named = {relative(i, root) for i, _ in entries}
        alone += [p for p in _files(root / "imagesTr") if relative(p, root) not in named]
        return there, [*_gone(root, gone), *pairing_problems(Pairs((), tuple(alone), ()), root)]
    both = pair(_files(root / "imagesTr"), _files(root / "labelsTr"))
    return list(both.matched), list(pairing_problems(both, root))


def _gone(root: Path, images: list[Path]) -> Iterator[Problem]:
    for path in images:
        message, remedy = (
            "listed in dataset.json, but not there",
            "Add the file or remove the entry",
        )
        yield problem("missing-image", relative(path, root), message, remedy)


def _entries(root: Path, listed: object) -> list[tuple[Path, Path]]:
    file = root / DESCRIPTION
    rule = "training is a list of {image, label}"
    if not isinstance(listed, list):
        raise ReadError(file, rule, type(listed).__name__, REMEDY)
    entries: dict[str, tuple[Path, Path]] = {}
    for entry in listed:
        paths = [entry.get(key) for key in ("image", "label")] if isinstance(entry, dict) else []
        if len(paths) != 2 or not all(isinstance(path, str) for path in paths):
            raise ReadError(file, rule, str(entry)[:80], REMEDY)
        image, label = (root / str(path) for path in paths)
        if relative(image, root) in entries:
            raise ReadError(file, "training lists every image once", paths[0], REMEDY)
        entries[relative(image, root)] = (image, label)
    return list(entries.values())


def named_classes(root: Path, labels: object) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
    """Stored values ascending and their names; {"0": "background"} and the reverse are known.

    Raises:
        ReadError: no such table, or a value named twice.
    """
    if not labels:
        return None, ()
    file, rule = root / DESCRIPTION, "labels name each value once, as in {'0': 'background'}"
    if not isinstance(labels, dict):
        raise ReadError(file, rule, str(labels)[:80], REMEDY)
    named: dict[int, str] = {}
    for key, value in labels.items():
        number, name = (key, value) if str(key).lstrip("-").isdigit() else (value, key)
        try:
            number = int(number)
        except (TypeError, ValueError) as error:
            raise ReadError(file, rule, f"{key!r}: {value!r}", REMEDY) from error
        if number in named:
            raise ReadError(file, rule, f"the value {number} twice", REMEDY)
        named[number] = str(name)
    if 0 not in named and min(named) > 0:
        named[0] = "background"
    values = tuple(sorted(named))
    return values, tuple(named[value] for value in values)


def classes_and_regions(
    root: Path, labels: object
) -> tuple[tuple[int, ...] | None, tuple[str, ...], dict[str, list[int]]]:
    """Stored values, their names, and the regions where labels are sets of values.

    Raises:
        ReadError: no table of names, a value named twice, or a region that is no list of values.
    """
    if not isinstance(labels, dict):
        return (*named_classes(root, labels), {})
    plain = {name: value for name, value in labels.items() if name != "ignore"}
    if not any(isinstance(value, list) for value in plain.values()):
        return (*named_classes(root, plain), {})
    regions = {str(name): _values(root, name, value) for name, value in plain.items()}
    values = sorted({value for members in regions.values() for value in members})
    own = {members[0]: name for name, members in regions.items() if len(members) == 1}
    return tuple(values), tuple(own.get(value, str(value)) for value in values), regions


def described_regions(found: Mapping[str, Any], regions: dict[str, list[int]]) -> dict[str, object]:
    """What an index keeps of regions, and of the order that they are written in."""
    order = found.get("regions_class_order")
    told = {"regions_class_order": list(order)} if isinstance(order, list) else {}
    return {"regions": regions, **told} if regions else {}


def _values(root: Path, name: object, value: object) -> list[int]:
    members = value if isinstance(value, list) else [value]
    if members and all(isinstance(member, int) for member in members):
        return sorted(members)
    rule = "a region is a list of values, as in {'tumor': [1, 2]}"
    raise ReadError(root / DESCRIPTION, rule, f"{name!r}: {value!r}", REMEDY)


def _channel_names(channels: object) -> tuple[str, ...]:
    if not isinstance(channels, dict):
        return ()
    return tuple(str(channels[key]) for key in sorted(channels, key=lambda key: natural(str(key))))


def _unlabelled(root: Path, found: dict[str, Any]) -> Iterator[str]:
    paths = dict.fromkeys(_files(root / "imagesTs"))
    listed = found.get("test")
    for entry in listed if isinstance(listed, list) else []:
        path = entry.get("image") if isinstance(entry, dict) else entry
        if isinstance(path, str) and (root / path).is_file():
            paths[root / path] = None
    ordered: Iterable[Path] = sorted(paths, key=lambda path: natural(str(path)))
    return (str(path.absolute()) for path in ordered)


def _files(folder: Path) -> list[Path]:
    return item_files(folder) if folder.is_dir() else []
