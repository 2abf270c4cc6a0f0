"""Which module reads which file, and the errors before one is chosen."""

import subprocess
import sys

import numpy as np
import pytest

from convivo.data.readers import (
    READERS,
    is_item,
    read,
    read_header,
    reader_for,
    stem_of,
    write_labels,
)
from convivo.data.readers.failures import missing_extra, reading, reason
from convivo.errors import ReadError, UsageError


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("a.nii.gz", "nifti"),
        ("a.b.NII", "nifti"),
        ("A.JPEG", "images"),
        ("a.ome.tif", "tiff"),
        ("train-images-idx3-ubyte.gz", "idx"),
        ("a.npz", "arrays"),
    ],
)
def test_longest_suffix_chooses_whatever_its_case(name, module):
    reader = reader_for(name)
    assert reader is not None
    assert reader.__name__.endswith(f".{module}")


@pytest.mark.parametrize("module", sorted(set(READERS.values())))
def test_every_reader_keeps_the_shape_of_the_drawer(module):
    suffix = next(suffix for suffix, name in READERS.items() if name == module)
    reader = reader_for(f"a{suffix}")
    assert callable(reader.header)
    assert callable(reader.read)
    registered = {suffix for suffix, name in READERS.items() if name == module}
    assert registered <= set(reader.SUFFIXES)


def test_names_without_a_reader():
    assert reader_for("notes.md") is None
    assert not is_item("notes.txt")
    assert not is_item("second_half.img")
    assert stem_of("a.b.png") == "a.b"


def test_missing_unknown_and_folder(tmp_path):
    with pytest.raises(ReadError, match=r"a\.png: the file or folder must exist; got nothing"):
        read(tmp_path / "a.png")
    (tmp_path / "a.xyz").write_text("x")
    with pytest.raises(ReadError, match=r"a file of a known format; got suffix '\.xyz'"):
        read(tmp_path / "a.xyz")
    (tmp_path / "b.png").mkdir()
    with pytest.raises(ReadError, match="must be a file; got a folder"):
        read_header(tmp_path / "b.png")


def test_foreign_errors_become_one_line(tmp_path):
    with (
        pytest.raises(ReadError, match="must be a readable toy file; got KeyError: 'two lines'"),
        reading(tmp_path / "a.toy", "toy"),
    ):
        raise KeyError("two\nlines".replace("\n", " "))


def test_what_cannot_be_written_is_no_read_error(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((7, 9)))
    labels = np.zeros((7, 9), np.uint8)
    with pytest.raises(UsageError, match=r"m\.npy: the file can be written; got No such file"):
        write_labels(tmp_path / "nowhere" / "m.npy", labels, like=tmp_path / "a.npy")
    with pytest.raises(ReadError, match=r"b\.npy: the file or folder must exist"):
        write_labels(tmp_path / "m.npy", labels, like=tmp_path / "b.npy")
    (tmp_path / "a.hea").write_text("a 1 360 10\na.dat 16\n")
    with pytest.raises(UsageError, match="the format of an image can hold its label map"):
        write_labels(tmp_path / "m.hea", labels, like=tmp_path / "a.hea")


def test_missing_package_names_its_extra():
    error = missing_extra("tifffile", "tiff", "a.tif")
    assert "a.tif: needs an optional package; got no package 'tifffile'" in str(error)
    assert "pip install 'convivo[tiff]'" in str(error)


def test_the_registry_imports_no_heavy_package():
    code = (
        "import sys, convivo.data.readers, convivo.data.layouts; "
        "print([m for m in ('torch', 'nibabel', 'PIL', 'tifffile', 'wfdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("two lines"), "KeyError: 'two lines'"),
        (MemoryError(), "MemoryError"),
        (ValueError("7"), "ValueError: 7"),
        (OSError("Cannot read it."), "cannot read it"),
        (OSError("DICOM without pixels"), "DICOM without pixels"),
    ],
)
def test_a_reason_names_its_kind_only_where_its_text_is_no_sentence(error, told, tmp_path):
    assert reason(error, tmp_path / "a.png") == told


def test_of_an_empty_file_nothing_else_is_told(tmp_path):
    (tmp_path / "a.png").touch()
    assert reason(OSError("cannot identify"), tmp_path / "a.png") == "an empty file"
