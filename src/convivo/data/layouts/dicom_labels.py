"""Segmentations and contours -> the volumes they belong to, and the names of their regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convivo.data.layouts.listing import relative
from convivo.data.problems import problem
from convivo.data.readers.dicom.instance import Instance
from convivo.data.readers.dicom.places import Item
from convivo.data.readers.dicom.scanning import Scan
from convivo.data.sample import Problem

BACKGROUND, OUTSIDE = "background", "outside"


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """label: path of the label file by item id. names: of the regions, in the order of their
    values 1, 2, ...; the background has value 0."""

    label: dict[str, str]
    names: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The background and the regions."""
        return (OUTSIDE if BACKGROUND in self.names else BACKGROUND, *self.names)


def labelling_of(root: Path, items: Sequence[Item], scans: Sequence[Scan]) -> Labelling:
    """Each label object goes to the volume whose slices it names, else whose series it names."""
    objects = [one.file for one in scans if one.file.kind in ("segmentation", "contours")]
    by_item: dict[str, list[Instance]] = {}
    problems: list[Problem] = []
    for one in objects:
        item = _volume_of(one, items)
        if item is not None and one.regions:
            by_item.setdefault(item.id, []).append(one)
            continue
        what = "it names no region" if item else "the series it refers to is not here"
        remedy = "Add the series or remove the file"
        problems.append(problem("missing-image", relative(Path(one.path), root), what, remedy))
    chosen: dict[str, Instance] = {}
    for item_id, several in by_item.items():
        chosen[item_id] = max(several, key=_rank)
        if len(several) > 1:
            used = relative(Path(chosen[item_id].path), root)
            message = f"{len(several)} label files refer to it; the latest is used ({used})"
            remedy = "Remove those that are not wanted, or merge them"
            problems.append(problem("several-labels", item_id, message, remedy))
    return Labelling(
        label={item_id: one.path for item_id, one in chosen.items()},
        names=_names(list(chosen.values())),
        problems=tuple(problems),
    )


def _volume_of(one: Instance, items: Sequence[Item]) -> Item | None:
    of_series = [item for item in items if item.volume.planes[0].file.series in one.refers]
    if not of_series and not one.refers and one.place:
        of_series = [item for item in items if item.volume.planes[0].file.place == one.place]
        if len(of_series) > 1:  # which of them was drawn on is not said
            return None
    return max(of_series, key=lambda item: (_named(one, item), item.volume.grid[2]), default=None)


def _named(one: Instance, item: Item) -> int:
    """How many slices of the volume the object names."""
    return sum(plane.file.uid in one.sources for plane in item.volume.planes)


def _rank(one: Instance) -> tuple[bool, str, str]:
    """Voxels before contours, late before early."""
    return one.kind == "segmentation", one.created, one.path


def _names(objects: Sequence[Instance]) -> tuple[str, ...]:
    """All regions' names, by their smallest number."""
    least: dict[str, int] = {}
    for one in objects:
        for number, name in one.regions:
            least[name] = min(number, least.get(name, number))
    return tuple(sorted(least, key=lambda name: (least[name], name)))
