"""Who may write a run folder, and what a refusal or a killed process leaves in it."""

from pathlib import Path

import pytest

from convivo.errors import ReadError, UsageError
from convivo.verbs.folder import Folder
from convivo.verbs.run import Run


def test_a_new_folder_with_its_parents_comes_and_goes(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "a" / "b" / "run")
    folder.claim(resume=False)
    assert folder.path.is_dir()
    folder.abandon()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_that_was_there_stays(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.claim(resume=False)
    folder.abandon()
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_not_removed(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "run")
    folder.claim(resume=False)
    (folder / "mine.txt").write_text("kept", encoding="utf-8")
    folder.abandon()
    assert [path.name for path in folder.path.iterdir()] == ["mine.txt"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = Folder(tmp_path / "run"), Folder(tmp_path / "run")
    first.claim(resume=False)
    with pytest.raises(UsageError, match="one process writes a run; got a run in progress"):
        second.claim(resume=True)
    first.release()
    second.claim(resume=True)
    second.release()


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "run")
    folder.claim(resume=False)
    folder.release()
    (folder / "last").mkdir()
    for name in (".plan.json.x.part", "last/.state.safetensors.y.part", "notes.part"):
        (folder / name).write_text("half", encoding="utf-8")
    folder.claim(resume=True)
    folder.release()
    left = [p.relative_to(folder.path).as_posix() for p in folder.path.rglob("*") if p.is_file()]
    assert sorted(left) == [".lock", "notes.part"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="--out must be writable; got "):
        Folder(tmp_path / "file" / "run").claim(resume=False)


def test_a_run_without_its_configuration(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"a run folder holds a config\.toml; got "):
        Folder(tmp_path).config()
    with pytest.raises(ReadError, match=r"must be the folder of a run; got nothing\. Train"):
        Run(tmp_path / "none")
