"""Finding the one data set in what the user names, and real folders as they are on disk."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data.layouts import LAYOUTS, detect
from convivo.data.loading import load
from convivo.data.readers import read
from convivo.errors import ReadError, UsageError

REAL = Path(__file__).parents[3] / "../shared/data"
needs_data = pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not here")


def png(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((7, 9), np.uint8)).save(path)


def test_nothing_there_empty_and_unknown(tmp_path):
    with pytest.raises(ReadError, match="the file or folder must exist; got nothing there"):
        detect(tmp_path / "gone")
    with pytest.raises(ReadError, match="the folder holds data; got an empty folder"):
        detect(tmp_path)
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(
        ReadError, match=r"known layout \(.*msd.*\); got a folder in none of them \(no"
    ):
        detect(tmp_path)
    with pytest.raises(ReadError, match="got a file in none of them"):
        detect(tmp_path / "notes.md")


def test_layout_by_name(tmp_path):
    png(tmp_path / "a/1.png")
    assert detect(tmp_path, "class-folders").layout == "class-folders"
    with pytest.raises(ReadError, match="must be of layout msd; got a folder that is none"):
        detect(tmp_path, "msd")
    with pytest.raises(UsageError, match=r"must be known; got class-folder\. Did you mean 'class"):
        detect(tmp_path, "class-folder")


def test_several_data_sets_ask_for_one(tmp_path):
    for name in ("one", "two"):
        png(tmp_path / name / "images/1.png")
        png(tmp_path / name / "labels/1.png")
        png(tmp_path / name / "images/2.png")
    with pytest.raises(ReadError, match="the folder holds one data set; got one, two"):
        detect(tmp_path, "image-mask")


def test_not_more_than_two_levels_down(tmp_path):
    png(tmp_path / "1/2/images/a.png")
    png(tmp_path / "1/2/labels/a.png")
    index = detect(tmp_path)
    assert [case.id for case in index.cases] == ["1/2/images/a.png"]
    (tmp_path / "0").mkdir()
    (tmp_path / "1").rename(tmp_path / "0/1")
    with pytest.raises(ReadError, match="must be of a known layout"):
        detect(tmp_path)


def test_ids_find_their_files_from_the_named_folder(tmp_path, monkeypatch):
    for name in ("a", "b"):
        png(tmp_path / "data" / name / "1.png")
    monkeypatch.chdir(tmp_path)
    index = detect(Path("data"))
    assert index.root == tmp_path / "data"
    assert all(str(index.root / case.id) == case.image[0] for case in index.cases)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_keeps_the_shape_of_the_drawer(tmp_path, name):
    from importlib import import_module

    module = import_module(f"convivo.data.layouts.{LAYOUTS[name]}")
    assert name == module.NAME
    assert module.matches(tmp_path) is False
    assert module.matches(tmp_path / "gone") is False


@needs_data
@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "layout", "cases", "dims", "classes"),
    [
        ("hippocampus_msd", "image-mask", 180, 3, ()),
        ("isbi2012_em", "image-mask", 30, 2, ()),
        ("dsb2018_nuclei", "image-mask", 74, 2, ()),
        ("malaria_cells", "class-folders", 4566, 2, ("Parasitized", "Uninfected")),
        ("mnist", "idx", 70000, 2, tuple("0123456789")),
        ("breastmnist", "medmnist", 780, 2, ("0", "1")),
        ("adrenalmnist3d_64", "medmnist", 1286, 3, ("0", "1")),
    ],
)
def test_real_data_sets(folder, layout, cases, dims, classes):
    index = detect(REAL / folder)
    assert (index.layout, len(index.cases), index.spatial_dims) == (layout, cases, dims)
    assert index.classes == classes
    assert len({case.id for case in index.cases}) == cases
    sample = load(index.cases[0], index)
    assert sample.image.ndim == dims + 1
    if index.task == "segment":
        assert isinstance(sample.target, np.ndarray)
        assert sample.target.shape == sample.image.shape[1:]


@needs_data
@pytest.mark.data
def test_real_oddities_are_reported():
    hippocampus, isbi = detect(REAL / "hippocampus_msd"), detect(REAL / "isbi2012_em")
    assert [(one.code, one.path) for one in hippocampus.problems] == [
        ("missing-label", "TrainingSet/images/hippocampus_118.nii.gz")
    ]
    assert len(isbi.unlabelled) == 5
    assert [case.id for case in isbi.cases][9:11] == [
        "membrane/train/image/9.png",
        "membrane/train/image/10.png",
    ]


@needs_data
@pytest.mark.data
@pytest.mark.parametrize("folder", ["nifti", "nifti_corrupt", "image_files", "tiff"])
def test_odd_files_are_read_whole_or_refused_in_one_message(folder):
    index = detect(REAL / "odd_inputs" / folder)
    assert index.cases == ()
    assert index.unlabelled
    for path in index.unlabelled:
        error = refusal(path)
        assert error is None or (Path(path).stem in error and "\n" not in error)


def refusal(path: str) -> str | None:
    try:
        raw = read(path)
    except ReadError as error:
        return str(error)
    return None if raw.array.shape == (raw.header.channels, *raw.header.shape) else "half read"


def test_unknown_formats_end_in_one_error(tmp_path):
    (tmp_path / "notes.docx").write_bytes(b"PK")
    (tmp_path / "scan.xyz").write_bytes(bytes(99))
    with pytest.raises(ReadError, match=r"must be of a known layout"):
        detect(tmp_path)
