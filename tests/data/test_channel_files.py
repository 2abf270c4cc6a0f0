"""Which files are the channels of one case, where each channel has a file of its own."""

from pathlib import Path

import numpy as np
import pytest

from convivo.data.channel_files import KEY, CaseFiles, ChannelFiles, gathered, rule_of
from convivo.data.file_words import outside_label_folders
from convivo.data.layouts import detect
from convivo.data.naming import input_files
from convivo.errors import ReadError

NUMBER = ChannelFiles(by="number", parts=("0000", "0001"), names=("T1", "T2"))
FOLDER = ChannelFiles(by="folder", parts=("flair", "t1", "t1ce"))


def touched(root: Path, *names: str) -> list[Path]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return [root / name for name in names]


def found(files: list[Path], rule: ChannelFiles, **how: bool) -> list[tuple]:
    cases = gathered(files, rule, **how)
    ordered = dict.fromkeys(cases[path] for path in files if path in cases)
    return [(*(path.name for path in one.files), *one.missing) for one in ordered]


def test_numbered_files_are_channels(tmp_path: Path) -> None:
    files = touched(tmp_path, "a_0000.png", "a_0001.png", "b_0001.png", "scan_2021.png", "c.png")
    assert found(files, NUMBER) == [
        ("a_0000.png", "a_0001.png"), ("b_0001.png", "0000"), ("scan_2021.png",), ("c.png",),
    ]  # fmt: skip
    assert gathered(files, NUMBER)[files[0]].names == ("T1", "T2")
    assert gathered(files, None)[files[0]] == CaseFiles(files=(files[0],))


def test_the_others_are_looked_for_beside_a_named_file(tmp_path: Path) -> None:
    first, *_ = touched(tmp_path, "a_0000.png", "a_0001.png", "b_0000.png", "b_0001.png")
    assert found([first], NUMBER, named=True) == [("a_0000.png", "a_0001.png")]


@pytest.mark.parametrize("start", ["", "P7_", "P7-t1-"])
def test_a_folder_is_a_case(tmp_path: Path, start: str) -> None:
    names = ("T1.png", "flair.png", "t1ce.png", "seg.png", "adc.png")
    files = touched(tmp_path, *(start + name for name in names))
    whole = (f"{start}flair.png", f"{start}T1.png", f"{start}t1ce.png")
    assert found(files, FOLDER) == [whole]
    assert found(files, FOLDER, named=True) == [whole, (f"{start}adc.png",)]
    files[2].unlink()
    assert found(files[:2], FOLDER) == [(*whole[:2], "t1ce")]


def test_cases_of_folders_may_lie_in_one(tmp_path: Path) -> None:
    parts = ("flair", "t1", "t1ce", "seg")
    files = touched(tmp_path, *(f"{case}_{part}.png" for case in ("p1", "p2") for part in parts))
    other = touched(tmp_path, "all.png")
    assert found(files + other, FOLDER) == [
        *((f"{p}_flair.png", f"{p}_t1.png", f"{p}_t1ce.png") for p in ("p1", "p2")),
        ("all.png",),
    ]


def test_a_missing_channel_is_told(tmp_path: Path) -> None:
    (file,) = touched(tmp_path, "a_0001.png")
    rule = r"a case has a file for each channel; got none of 0000\. Add it beside the others\."
    with pytest.raises(ReadError, match=rf"a_0001\.png: {rule}"):
        gathered([file], NUMBER)[file].require_whole()


def test_the_rule_is_kept_as_json() -> None:
    assert rule_of({KEY: NUMBER.document()}) == NUMBER
    assert rule_of({KEY: FOLDER}) == FOLDER
    assert rule_of({}) is None


def test_layouts_say_the_rule(tmp_path: Path) -> None:
    for case in ("p1", "p2"):
        for part in (*FOLDER.parts, "seg"):
            (tmp_path / case).mkdir(exist_ok=True)
            np.save(tmp_path / case / f"{case}_{part}.npy", np.zeros((7, 9), np.uint8))
    assert rule_of(detect(tmp_path).extra) == FOLDER


def test_folders_of_labels_are_no_inputs(tmp_path: Path) -> None:
    files = touched(
        tmp_path, "imagesTs/a.png", "labelsTs/a.png", "x/masks/b.png", "labelsTs/in/c.png",
    )  # fmt: skip
    assert outside_label_folders(files, tmp_path) == [files[0], files[2]]
    both = touched(tmp_path, "set/sick/a.png", "set/Masks/a.png", "b.png")
    assert outside_label_folders(both, tmp_path) == [both[0], both[2]]
    assert outside_label_folders(files[1:2], tmp_path / "labelsTs") == files[1:2]


def test_files_that_are_plainly_no_inputs(tmp_path: Path) -> None:
    touched(
        tmp_path, "README.txt", "table.csv", "a.json", "s.hdr", "s.img", "r.hea", "r.mat", "m.mat",
        ".hidden.png", "__MACOSX/b.png", "in/z.zarr/0.0", "labels/a.png", "images/a.png",
    )  # fmt: skip
    names = sorted(path.relative_to(tmp_path).as_posix() for path in input_files(tmp_path))
    assert names == ["images/a.png", "in/z.zarr", "m.mat", "r.hea", "s.hdr"]
