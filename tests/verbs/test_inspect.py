"""What `inspect` prints for people, and that it hands on the whole inspection."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from convivo.data.inspection import Inspection
from convivo.errors import ReadError
from convivo.verbs.inspect import SHOWN, inspect


def class_folders(root: Path, counts: dict[str, int], *, equal: bool = False) -> Path:
    rng = np.random.default_rng(5)
    first = rng.integers(0, 256, (7, 9), dtype=np.uint8)
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True)
        for i in range(count):
            array = first if equal else rng.integers(0, 256, (7, 9), dtype=np.uint8)
            Image.fromarray(array).save(root / folder / f"{i}x.png")
    return root


def volumes(root: Path, count: int) -> Path:
    rng = np.random.default_rng(5)
    affine = np.diag([1.0, 1.0, 2.5, 1.0])
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for i in range(count):
        shape = (7, 9, 11 + i)
        image, mask = rng.normal(size=shape).astype(np.float32), np.zeros(shape, np.uint8)
        mask[2:4, 3:5, 4:6] = 1
        nibabel.save(nibabel.Nifti1Image(image, affine), root / "images" / f"v{i}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(mask, affine), root / "labels" / f"v{i}.nii.gz")
    return root


def test_the_text_says_what_is_there(tmp_path: Path) -> None:
    text = inspect(class_folders(tmp_path, {"normal": 3, "sick": 1})).text()
    assert "images (2D), classification, layout class-folders" in text
    assert "4 usable" in text
    assert "4 cases" in text
    assert "75.0 %" in text
    assert "warning: subjects-unknown" in text
    assert "-> Name them: --subject REGEX" in text
    assert text.splitlines()[-1] == f"next: convivo train {tmp_path} --out RUN"


def test_volumes_show_sizes_spacing_and_pixels(tmp_path: Path) -> None:
    text = inspect(volumes(tmp_path, 3)).text()
    assert "7 x 9 x 12 (median), 7 x 9 x 11 to 7 x 9 x 13" in text
    assert "1 x 1 x 2.5 mm (median)" in text
    assert "background" in text
    assert "pixels" in text


def test_errors_end_in_how_to_go_on(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 5, "b": 5})
    (tmp_path / "a" / "0x.png").write_bytes(b"?")
    (tmp_path / "b" / "0x.png").write_bytes(b"?")
    found = inspect(tmp_path)
    assert found.has_errors
    assert "error: unreadable (2)" in found.text()
    assert "2 left out" in found.text()
    assert found.text().splitlines()[-1].endswith("--accept unreadable")


def test_many_problems_of_one_code_are_counted_not_listed(tmp_path: Path) -> None:
    text = inspect(class_folders(tmp_path, {"a": 20, "b": 20}, equal=True)).text()
    assert "warning: duplicate (39)" in text
    assert f"... and {39 - SHOWN} more" in text
    assert text.count("holds the same values") == SHOWN


def test_names_from_the_data_are_not_markup(tmp_path: Path) -> None:
    text = inspect(class_folders(tmp_path, {"[red]a": 2, "[bold]b": 2})).text()
    assert "[red]a" in text
    assert "[bold]b" in text
    assert "\x1b" not in text


def test_it_is_an_inspection_that_later_steps_can_use(tmp_path: Path) -> None:
    found = inspect(class_folders(tmp_path, {"a": 3, "b": 3}), labels="a=healthy,b=sick")
    assert isinstance(found, Inspection)
    assert found.positive_class == "sick"
    assert found.load(found.cases[0]).image.shape == (1, 7, 9)
    assert found.document()["classes"][0] == {"name": "healthy", "count": 3}


def test_nothing_there_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="must exist; got nothing there"):
        inspect(tmp_path / "nowhere")
