"""The odd inputs that are no DICOM, one by one: read as expected, or answered fittingly.

A row of the table says what came of a file: read (with shape, channels, axes), refused (with the
words of the error), or a part of another file.
"""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from convivo.data.inspection import inspect_data
from convivo.data.layouts import detect
from convivo.data.readers import read, read_header, read_labels
from convivo.data.readers.edf import doubts, read_annotations
from convivo.errors import ReadError

ODD = Path(__file__).parents[2] / "../shared/data/odd_inputs"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not ODD.is_dir(), reason="the real data sets are not here"),
]


@dataclass(frozen=True)
class Reads:
    """The array (C, *S) and its axes; check: what else must hold of the raw item."""

    shape: tuple[int, ...]
    axes: str
    check: Callable = lambda raw: True


@dataclass(frozen=True)
class Refused:
    """The words of the one error."""

    words: str


@dataclass(frozen=True)
class PartOf:
    """Not read by itself: a file that another one, or the folder, is read with."""

    owner: str


def spacing(*values: float) -> Callable:
    return lambda raw: raw.header.spacing == pytest.approx(values, rel=1e-3)


def kind(name: str, most: float | None = None) -> Callable:
    return lambda raw: raw.array.dtype == name and (most is None or raw.array.max() <= most)


def finite(raw) -> bool:
    return bool(np.isfinite(raw.array).all())


SPLEEN = "nifti_bids_spleen/"
SPLEEN_LABELS = f"{SPLEEN}derivatives/labels/sub-spleen2/ct/"
FLIPPED = "nifti_orientation/label_flipped_but_consistent_affine.nii.gz"
SEM = "png_tif_same_image/"
TABLE: dict[str, Reads | Refused | PartOf] = {
    "nifti/example4d.nii.gz": Reads((2, 128, 96, 24), "LAS", spacing(2, 2, 2.2)),
    "nifti/anatomical.nii": Reads((1, 33, 41, 25), "LAS", kind("int16")),
    "nifti/nifti1.hdr": Refused("has its data (.img) beside it; got no nifti1.img"),
    "nifti/example_nifti2.nii.gz": Reads((2, 32, 20, 12), "LAS"),
    "nifti/small.mnc": Reads((1, 18, 28, 29), "SAR", spacing(9, 8, 7)),
    f"{SPLEEN}sub-spleen2/ct/sub-spleen2_ct.nii.gz": Reads(
        (1, 164, 166, 26), "RAS", spacing(0.795, 0.795, 5)
    ),
    f"{SPLEEN_LABELS}sub-spleen2_ct_seg-manual.nii.gz": Reads((1, 164, 166, 26), "RAS"),
    f"{SPLEEN}participants.tsv": PartOf("the layout bids"),
    f"{SPLEEN}dataset_description.json": PartOf("the layout bids"),
    "nifti_corrupt/truncated.nii.gz": Refused("it is truncated"),
    "nifti_corrupt/empty.nii.gz": Refused("an empty file"),
    "nifti_corrupt/not_gzip.nii.gz": Refused("is not a gzip file"),
    "nifti_corrupt/text.nii": Refused("cannot work out file type"),
    # its 63 NaN are the problem `non-finite` of an inspection (below)
    "nifti_corrupt/nan_voxels.nii.gz": Reads(
        (1, 34, 52, 35), "RAS", lambda raw: np.isnan(raw.array).sum() == 63
    ),
    FLIPPED: Reads((1, 34, 52, 35), "LAS"),
    "nifti_orientation/image.nii.gz": Reads((1, 34, 52, 35), "RAS"),
    f"{SEM}sub-png_sample-16gray_SEM.png": Reads((1, 256, 256), "YX", kind("uint16")),
    f"{SEM}sub-png_sample-8gray_SEM.png": Reads((1, 266, 278), "YX", kind("uint8")),
    f"{SEM}sub-png_sample-8rgba_SEM.png": Reads((3, 256, 256), "YX", kind("uint8")),
    f"{SEM}sub-tif_sample-16gray_SEM.tif": Reads((1, 256, 256), "YX", kind("uint16")),
    f"{SEM}sub-tif_sample-8gray_SEM.tif": Reads((1, 256, 256), "YX", kind("uint8")),
    f"{SEM}sub-tif_sample-8rgba_SEM.tif": Reads((3, 256, 256), "YX", kind("uint8")),
    "tiff_3d_nuclei/img3d.tif": Reads((1, 31, 61, 57), "ZYX", kind("uint16")),
    "tiff_3d_nuclei/mask3d.tif": Reads((1, 31, 61, 57), "ZYX", kind("uint16")),
    "tiff/worms_12bit_in_16bit.tif": Reads((1, 520, 696), "YX", kind("uint16", 4095)),
    "tiff/fly_3channel_CYX.ome.tif": Reads((3, 503, 500), "YX", kind("uint8")),
    "tiff/input2_float64.tiff": Reads((1, 265, 329), "YX", kind("float64", 1.0)),
    "tiff/multiseries.ome.tiff": Refused("a file holds one image; got 6 series alike"),
    "image_files/hopper_orientation_6.jpg": Reads((3, 128, 128), "YX"),
    "image_files/pil_sample_cmyk.jpg": Reads((3, 100, 100), "YX", kind("uint8")),
    "image_files/broken.png": Refused("cannot identify image file"),
    "image_files/p_16.png": Reads((3, 128, 128), "YX", kind("uint8")),
    "image_files/16bit.cropped.tif": Reads((1, 64, 64), "YX", kind("uint16")),
    "image_files/total-pages-zero.tif": Reads((1, 3, 2156, 1728), "ZYX", kind("uint8", 1)),
    "edf/test_subsecond.edf": Reads((1, 89344), "T", spacing(1 / 128)),
    "edf/test_generator.bdf": Reads((5, 30000), "T", spacing(1 / 1000)),
    "edf/test_uneven_samp.edf": Reads((2, 11000), "T", spacing(1 / 100)),
    "edf/duplicate_channel_labels.edf": Reads((3, 2500), "T", spacing(1 / 250)),
    "edf/SC4001EC-Hypnogram.edf": Refused("holds ordinary signals; got annotations only"),
    "edf/test_edfann.edf": Refused("holds ordinary signals; got annotations only"),
    "wfdb/100_3chan.hea": Reads((3, 999), "T", spacing(1 / 360)),
    "wfdb/100_3chan.dat": PartOf("wfdb/100_3chan.hea"),
    "wfdb/s0010_re.hea": Reads((15, 38400), "T", spacing(1 / 1000)),
    "wfdb/s0010_re.dat": PartOf("wfdb/s0010_re.hea"),
    "wfdb/s0010_re.xyz": PartOf("wfdb/s0010_re.hea"),
    "wfdb/a103l.hea": Reads((3, 82500), "T", spacing(1 / 250)),
    "wfdb/a103l.mat": PartOf("wfdb/a103l.hea"),
    "wfdb/100-no-len.hea": Refused("its signal file must be there; got no 100.dat"),
    "text_signals/ecg.txt": Reads((1, 15000), "T", spacing(1 / 1000)),
}


def test_the_table_has_every_row_of_the_manifest():
    with (ODD / "MANIFEST.csv").open(newline="") as file:
        rows = [row["file"] for row in csv.DictReader(file)]
    assert {row for row in rows if not row.startswith("dicom")} == set(TABLE)


@pytest.mark.parametrize("name", sorted(n for n, e in TABLE.items() if isinstance(e, Reads)))
def test_read_as_expected(name):
    expected = TABLE[name]
    raw = read(ODD / name)
    assert (raw.array.shape, raw.header.axes) == (expected.shape, expected.axes)
    assert (raw.header.channels, raw.header.shape) == (expected.shape[0], expected.shape[1:])
    assert (read_header(ODD / name).shape, raw.array.dtype.name) == (
        expected.shape[1:],
        raw.header.dtype if not name.startswith("wfdb") else "float32",
    )
    assert expected.check(raw)
    if "nan_voxels" not in name and not name.startswith("wfdb"):
        assert finite(raw)


@pytest.mark.parametrize("name", sorted(n for n, e in TABLE.items() if isinstance(e, Refused)))
def test_refused_in_one_error_that_names_file_and_reason(name):
    for attempt in (read, inspect_data):
        with pytest.raises(ReadError) as caught:
            attempt(ODD / name)
        told = str(caught.value)
        assert Path(name).name in told
        assert "\n" not in told
    with pytest.raises(ReadError) as caught:
        read(ODD / name)
    assert TABLE[name].words in str(caught.value)


@pytest.mark.parametrize("name", sorted(n for n, e in TABLE.items() if isinstance(e, PartOf)))
def test_parts_are_read_with_their_owner(name):
    owner = TABLE[name].owner
    if owner.startswith("the layout "):
        assert detect(ODD / name.split("/")[0]).layout == owner.rpartition(" ")[2]
    else:
        assert isinstance(TABLE[owner], Reads)
        assert (ODD / owner).read_text().count(Path(name).name)


def test_one_spleen_in_bids():
    found = inspect_data(ODD / "nifti_bids_spleen")
    assert (found.index.layout, found.index.task, found.index.spatial_dims) == (
        "bids",
        "segment",
        3,
    )
    assert [(c.id, c.subject) for c in found.cases] == [
        ("sub-spleen2/ct/sub-spleen2_ct.nii.gz", "sub-spleen2")
    ]
    assert found.index.classes == ("background", "1")
    assert found.load(found.cases[0]).target.sum() == 96672
    assert [p.code for p in found.problems] == ["single-subject"]


def manifest(folder: Path, *rows: str) -> Path:
    (folder / "all.csv").write_text("\n".join(["path,mask", *rows]))
    return folder


def test_a_flipped_label_is_never_paired_voxel_by_voxel(tmp_path):
    for name in ("image.nii.gz", Path(FLIPPED).name):
        shutil.copy(ODD / "nifti_orientation" / name, tmp_path / name)
    found = inspect_data(manifest(tmp_path, f"image.nii.gz,{Path(FLIPPED).name}"))
    (told,) = (p for p in found.problems if p.path)
    assert (told.severity, told.code, told.path) == ("error", "shape-mismatch", "image.nii.gz")
    assert "axes RAS" in told.message
    assert "its label map LAS" in told.message
    assert (found.cases, found.excluded) == ((), ("image.nii.gz",))


def test_values_that_are_not_finite_are_a_problem(tmp_path):
    for name in ("nan_voxels.nii.gz", "truncated.nii.gz"):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir(exist_ok=True)
            shutil.copy(ODD / "nifti_corrupt" / name, tmp_path / folder / name)
    found = inspect_data(tmp_path)
    codes = {(p.code, p.path.rpartition("/")[2]) for p in found.problems if p.path}
    assert codes >= {("non-finite", "nan_voxels.nii.gz"), ("truncated", "truncated.nii.gz")}
    assert found.has_errors
    assert found.cases == ()


def test_the_same_picture_in_six_formats():
    grey = read(ODD / SEM / "sub-png_sample-16gray_SEM.png").array[0].astype(float)
    for name in ("16gray_SEM.tif", "8gray_SEM.tif", "8rgba_SEM.tif"):
        other = read(ODD / SEM / f"sub-tif_sample-{name}").array[0].astype(float)
        assert np.corrcoef(grey.flat, other.flat)[0, 1] > 0.999
    same = read(ODD / SEM / "sub-png_sample-8rgba_SEM.png").array
    assert np.corrcoef(grey.flat, same[0].astype(float).flat)[0, 1] > 0.999


def test_a_turned_photograph_and_a_mask_drawn_over_it_agree():
    photo = read(ODD / "image_files/hopper_orientation_6.jpg")
    from PIL import Image, ImageOps

    with Image.open(ODD / "image_files/hopper_orientation_6.jpg") as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(photo.array, shown.transpose(2, 0, 1))


def test_nuclei_are_a_pair_of_volumes():
    found = inspect_data(ODD / "tiff_3d_nuclei")
    assert (found.index.layout, found.index.spatial_dims) == ("image-mask", 3)
    assert [case.id for case in found.cases] == ["img3d.tif"]
    assert read_labels(ODD / "tiff_3d_nuclei/mask3d.tif").shape == (31, 61, 57)


def test_channels_that_are_odd_are_told():
    problems = {(p.path, p.code) for p in detect(ODD / "edf").problems}
    assert problems == {
        ("duplicate_channel_labels.edf", "duplicate-channels"),
        ("test_generator.bdf", "mixed-rates"),
        ("test_uneven_samp.edf", "mixed-rates"),
    }
    ((_, message),) = doubts(ODD / "edf/test_uneven_samp.edf")
    assert message == "channels are sampled at 12.8, 100 Hz; all are resampled to 100 Hz"
    names = read_header(ODD / "edf/duplicate_channel_labels.edf").channel_names
    assert names == ("EEG F1-Ref", "EEG F2-Ref", "EEG F1-Ref (2)")


def test_annotations_alone_are_labels_of_a_recording_beside_them():
    assert len(read_annotations(ODD / "edf/SC4001EC-Hypnogram.edf")) == 154
    assert len(read_annotations(ODD / "edf/test_edfann.edf")) == 856
    onsets = [m.onset_s for m in read_annotations(ODD / "edf/test_subsecond.edf")]
    assert onsets[:2] == pytest.approx([1.9511719, 3.4921875])
