"""DICOM files at any depth of a folder: each series is a case, whatever its files are called.

Labels are segmentations and contours that refer to a series, or folders that are classes; without
either, everything is for prediction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from convivo.data.layouts.dicom_classes import Place, class_folders_of, images_in_class_folders
from convivo.data.layouts.dicom_labels import Labelling, labelling_of
from convivo.data.layouts.image_mask import folder_pair
from convivo.data.layouts.listing import given_splits, item_files, relative
from convivo.data.problems import problem
from convivo.data.readers import is_item, read_header
from convivo.data.readers.dicom import laid_on_image
from convivo.data.readers.dicom.catalogue import dicom_files, may_be_dicom, visible_files
from convivo.data.readers.dicom.ordering import Fault
from convivo.data.readers.dicom.places import Item, items_of
from convivo.data.readers.dicom.scanning import Scan, scan_all
from convivo.data.sample import Case, Index, Problem
from convivo.data.survey import damaged
from convivo.errors import ReadError

NAME = "dicom"
SOURCE = "DICOM PatientID"
LOOKED_AT = 2000  # files, until one is DICOM
ENOUGH = 100  # DICOM files with none of another format between them


def matches(root: Path) -> bool:
    """Whether the file is DICOM, or the folder's images are, and no other layout explains them.

    Single images in a folder per class are `class-folders`, images with masks beside them
    `image-mask`.
    """
    if root.is_file():
        return may_be_dicom(root)
    if not root.is_dir() or not _all_dicom(root):
        return False
    return not images_in_class_folders(root) and not _has_masks(root)


def index(root: Path) -> Index:
    """Every volume of every series: labelled ones are cases, others unlabelled or `missing-label`.

    Volumes with missing slices are no cases. Plans, reports, and doses beside other images are
    passed over.

    Raises:
        ReadError: no image, or none that can be read.
    """
    top = root.absolute()
    scans, problems = _scans(top)
    base = top if top.is_dir() else top.parent
    items = items_of(base, scans)
    if not items and top.is_file() and [one.file.kind for one in scans] == ["segmentation"]:
        return _of_segmentation(root, scans[0])
    if not items:
        raise _nothing(root, problems)
    problems += [_faulty(base, item, fault) for item in items for fault in item.volume.faults]
    whole = [item for item in items if not any(f.fatal for f in item.volume.faults)]
    found = labelling_of(base, whole, scans)
    problems += found.problems
    if found.label:
        return _segmented(root, whole, found, problems)
    classes = class_folders_of(base, whole) if whole else None
    if classes:
        return _classified(root, whole, classes, problems)
    return Index(
        layout=NAME,
        root=root,
        task="segment",
        spatial_dims=_dimensions(items),
        cases=(),
        subject_source=SOURCE,
        problems=tuple(problems),
        unlabelled=tuple(dict.fromkeys(item.path for item in whole)),
    )


def _of_segmentation(root: Path, one: Scan) -> Index:
    """A segmentation that is named itself is looked at as the map that it holds."""
    return Index(
        layout=NAME,
        root=root,
        task="segment",
        spatial_dims=len(read_header(one.file.path).shape),
        cases=(),
        subject_source=SOURCE,
        unlabelled=(one.file.path,),
    )


def _segmented(
    root: Path, items: Sequence[Item], found: Labelling, problems: list[Problem]
) -> Index:
    cases = [
        replace(_case(item), label=found.label[item.id], label_names=found.names)
        for item in items
        if item.id in found.label
    ]
    for item in items:
        if item.id not in found.label:
            message = "no segmentation or contours refer to this series"
            remedy = "Add them or move the series away"
            problems.append(problem("missing-label", item.id, message, remedy))
    return Index(
        layout=NAME,
        root=root,
        task="segment",
        spatial_dims=_dimensions([item for item in items if item.id in found.label]),
        cases=tuple(cases),
        classes=found.classes,
        label_values=tuple(range(len(found.classes))),
        subject_source=SOURCE if any(case.subject for case in cases) else None,
        problems=tuple(problems),
    )


def _classified(
    root: Path, items: Sequence[Item], classes: Mapping[str, Place], problems: list[Problem]
) -> Index:
    names = sorted({name for name, _ in classes.values()})
    cases = given_splits(
        replace(_case(item), target=names.index(classes[item.id][0]), split=classes[item.id][1])
        for item in items
    )
    return Index(
        layout=NAME,
        root=root,
        task="classify",
        spatial_dims=_dimensions(items),
        cases=cases,
        classes=tuple(names),
        subject_source=SOURCE,
        problems=tuple(problems),
    )


def _case(item: Item) -> Case:
    header = item.volume.header
    return Case(
        id=item.id, image=(item.path,), index=item.index, subject=header.subject, header=header
    )


def _dimensions(items: Sequence[Item]) -> int:
    return Counter(len(item.volume.header.shape) for item in items).most_common(1)[0][0]


def _scans(root: Path) -> tuple[list[Scan], list[Problem]]:
    """The headers of all files, and problems of those that cannot be read."""
    files = [root] if root.is_file() else list(dicom_files(root))
    scans, problems = [], []
    for path, one in zip(files, scan_all(files), strict=True):
        if isinstance(one, Scan):
            scans.append(one)
        else:
            name = path.name if path == root else relative(path, root)
            problems.append(damaged(name, one))
    return scans, problems


def _faulty(root: Path, item: Item, fault: Fault) -> Problem:
    """A fault of the volume, or of a file that it does without."""
    file = relative(Path(fault.path), root) if fault.path else ""
    if file and not fault.fatal:
        return problem(fault.code, file, fault.message, fault.remedy)
    message = f"{fault.message} ({file})" if file else fault.message
    return problem(fault.code, item.id, message, fault.remedy)


def _nothing(root: Path, problems: Sequence[Problem]) -> ReadError:
    rule, remedy = "DICOM files hold images", "Name a folder with CT, MR or other images"
    if problems:
        first = problems[0]
        got = f"{first.path}: {first.message}"
        return ReadError(root, rule, got, first.remedy)
    return ReadError(root, rule, "plans, reports or other objects only", remedy)


def _all_dicom(root: Path) -> bool:
    """Whether DICOM files are there, and no items of other formats among the first of them."""
    seen = 0
    for number, path in enumerate(visible_files(root)):
        if may_be_dicom(path):
            seen += 1
        elif is_item(path):
            return False
        if seen == ENOUGH or (not seen and number == LOOKED_AT):
            break
    return seen > 0


def _has_masks(root: Path) -> bool:
    """Images with label maps of the same names in a folder beside theirs."""
    both = folder_pair(root)
    labels = item_files(both[1]) if both else []
    if not labels or not item_files(both[0] if both else root):
        return False
    try:
        return not laid_on_image(labels[0])
    except ReadError:
        return True
