"""Cases whose channels are files of their own: which files are one case, as a data set has them.

Layouts say the rule of their data set (`Index.extra["channel_files"]`), a plan keeps it, and
whoever is given files to predict gathers them by it. No file is opened here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from convivo.data.file_words import is_label, parts_of_case
from convivo.data.readers import is_item, stem_of
from convivo.errors import ReadError

KEY = "channel_files"  # in an index's extra, in plan.json, in pipeline.json
MARKS = "_-. "  # between the name of a case and that of its channel


@dataclass(frozen=True, kw_only=True)
class ChannelFiles:
    """What the files of a case are called.

    by: "number": `CASE_0000`, in one folder; "folder": one folder a case, the channel's name alone
    or at the end. parts: what stands for each channel in the files' names, in the channels' order.
    names: of the channels, where the data set has them.
    """

    by: Literal["number", "folder"]
    parts: tuple[str, ...]
    names: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The rule as JSON."""
        return {"by": self.by, "parts": list(self.parts), "names": list(self.names)}

    def split(self, path: Path) -> tuple[str, str] | None:
        """The case's part and the channel's part of a file name; None where it has no such.

        Example:
            >>> rule = ChannelFiles(by="folder", parts=("t1", "post_t1"))
            >>> rule.split(Path("p7_post_T1.nii.gz")), rule.split(Path("p7_seg.nii.gz"))
            (('p7', 'post_t1'), None)
        """
        stem = stem_of(path)
        for part in sorted(self.parts, key=len, reverse=True):
            case, end = stem[: len(stem) - len(part)], stem[len(stem) - len(part) :]
            if self.by == "number" and end == part and case[:-1] and case[-1] == "_":
                return case[:-1], part
            if self.by == "folder" and end.lower() == part and case[-1:] in MARKS:
                return case[:-1], part
        return None


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """One case: its files that are there, in the order of the channels.

    missing: what would stand in the names of those that are not. names: of the channels, if known.
    """

    files: tuple[Path, ...]
    missing: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """Whether it is a plain file, which may be a container of many."""
        return len(self.files) == 1 and not self.missing

    def require_whole(self) -> None:
        """Raises ReadError where a channel has no file."""
        if self.missing:
            rule, got = "a case has a file for each channel", f"none of {', '.join(self.missing)}"
            raise ReadError(self.files[0], rule, got, "Add it beside the others")


def rule_of(document: Mapping[str, Any]) -> ChannelFiles | None:
    """The rule that a plan, a pipeline, or the extra of an index holds; None where it has none."""
    found = document.get(KEY)
    if not found or isinstance(found, ChannelFiles):
        return found or None
    parts, names = (tuple(map(str, found.get(key) or ())) for key in ("parts", "names"))
    return ChannelFiles(by=found["by"], parts=parts, names=names)


def gathered(
    files: Sequence[Path], rule: ChannelFiles | None, *, named: bool = False
) -> dict[Path, CaseFiles]:
    """File -> the case that it belongs to; files that are no input have none.

    The other channels are looked for beside a file, whether they are among `files` or not. What is
    no channel is a case by itself, but for label maps of the cases found and, unless the files
    were `named` one by one, whatever else lies in a case's own folder.
    """
    if rule is None:
        return {path: CaseFiles(files=(path,)) for path in files}
    folders = dict.fromkeys(path.parent for path in files if is_item(path))  # no DICOM folders
    known = {folder: _cases_in(folder, rule) for folder in folders}
    found = {path: one for cases in known.values() for one in cases for path in one.files}
    asked = {found[path] for path in files if path in found}
    for path in files:
        if path in found:
            continue
        mates = [one for one in known.get(path.parent, ()) if one in asked]
        if not _goes_with(path, mates, rule, named):
            found[path] = CaseFiles(files=(path,))
    return found


class Found(Protocol):
    """What is to be predicted: its file, and the files of its channels where it has several."""

    @property
    def path(self) -> Path: ...
    @property
    def case(self) -> CaseFiles | None: ...


One = TypeVar("One", bound=Found)


def joined(
    found: Iterable[One],
    cases: Mapping[Path, CaseFiles],
    whole: Callable[[CaseFiles], One],
    there: Sequence[One] = (),
) -> list[One]:
    """What was found, with those that are channels of one case as one.

    Args:
        cases: of `gathered`. whole: makes one of a case of several files.
        there: found before; their cases are not told again.
    """
    told = {one.case for one in there}
    rows: list[One] = []
    for one in found:
        case = cases.get(one.path)
        if case is None or case in told:
            continue
        if not case.single:
            told.add(case)
        rows.append(one if case.single else whole(case))
    return rows


def _cases_in(folder: Path, rule: ChannelFiles) -> list[CaseFiles]:
    items = [path for path in sorted(folder.iterdir()) if is_item(path) and path.name[0] != "."]
    if rule.by == "folder":
        parts = parts_of_case(items)
        if all(part in parts for part in rule.parts):
            files = tuple(parts[part] for part in rule.parts)
            return [CaseFiles(files=files, names=rule.names)]
    return list(_by_name(items, rule))


def _by_name(items: Sequence[Path], rule: ChannelFiles) -> Iterator[CaseFiles]:
    """Files whose names differ in the channel alone, also where not all are there."""
    cases: dict[str, dict[str, Path]] = {}
    for path in items:
        both = rule.split(path)
        if both is not None:
            cases.setdefault(both[0], {})[both[1]] = path
    for found in cases.values():
        files = tuple(found[part] for part in rule.parts if part in found)
        missing = tuple(part for part in rule.parts if part not in found)
        yield CaseFiles(files=files, missing=missing, names=rule.names)


def _goes_with(path: Path, cases: Sequence[CaseFiles], rule: ChannelFiles, named: bool) -> bool:
    """Whether a file that is no channel is a label of cases, or lies in one's own folder."""
    if rule.by == "number":
        return False
    theirs = any(
        both is None or stem_of(path).startswith(both[0])
        for both in (rule.split(one.files[0]) for one in cases)
    )
    return (not named and (theirs or is_label(path))) or (theirs and is_label(path))
