"""nnU-Net raw folders and BIDS: cases, channels, labels, subjects, and what is missing."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from convivo.data.inspection import inspect_data
from convivo.data.layouts import detect
from convivo.data.loading import load
from convivo.errors import ReadError


def nifti(path: Path, value: int = 0, shape=(7, 9, 11)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full(shape, value, np.uint8)
    array[0, 0, 0] = 0
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return path


def codes(index) -> list[tuple[str, str]]:
    return [(one.code, one.path) for one in index.problems]


def nnunet(root: Path, names=("liver_10", "liver_9"), **changes: object) -> Path:
    for name in names:
        for channel in (0, 1):
            nifti(root / f"imagesTr/{name}_{channel:04d}.nii.gz", 3 + channel)
        nifti(root / f"labelsTr/{name}.nii.gz", 2)
    for channel in (0, 1):
        nifti(root / f"imagesTs/liver_1_{channel:04d}.nii.gz")
    content = {
        "channel_names": {"0": "T2", "1": "ADC"},
        "labels": {"background": 0, "liver": 1, "tumor": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    } | changes
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def test_nnunet_channels_are_files_of_one_case(tmp_path):
    index = detect(nnunet(tmp_path / "Dataset003_Liver").parent)
    assert (index.layout, index.task, index.spatial_dims) == ("nnunet", "segment", 3)
    start = "Dataset003_Liver/imagesTr"
    assert [c.id for c in index.cases] == [f"{start}/liver_{n}_0000.nii.gz" for n in (9, 10)]
    assert (index.classes, index.label_values) == (("background", "liver", "tumor"), (0, 1, 2))
    sample = load(index.cases[0], index)
    assert sample.channel_names == ("T2", "ADC")
    assert sample.image.shape == (2, 7, 9, 11)
    assert sample.image[:, 1, 1, 1].tolist() == [3, 4]
    assert [Path(path).name for path in index.unlabelled] == ["liver_1_0000.nii.gz"]
    assert not index.problems


def test_nnunet_tells_what_is_missing(tmp_path):
    root = nnunet(tmp_path, names=("a", "b", "c", "d"))
    (root / "imagesTr/a_0001.nii.gz").unlink()
    (root / "labelsTr/b.nii.gz").unlink()
    for channel in (0, 1):
        (root / f"imagesTr/c_000{channel}.nii.gz").unlink()
    index = detect(root)
    assert [case.id for case in index.cases] == ["imagesTr/d_0000.nii.gz"]
    assert codes(index) == [
        ("missing-image", "imagesTr/a_0000.nii.gz"),
        ("missing-label", "imagesTr/b_0000.nii.gz"),
        ("missing-image", "labelsTr/a.nii.gz"),
        ("missing-image", "labelsTr/c.nii.gz"),
    ]
    assert "no file of channel 0001" in index.problems[0].message


def test_nnunet_regions_are_kept_beside_their_values(tmp_path):
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
    index = detect(nnunet(tmp_path, labels=labels, regions_class_order=[1, 2, 3]))
    assert index.label_values == (0, 1, 2, 3)
    assert index.classes == ("background", "1", "2", "enhancing")
    regions = {"background": [0], "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
    assert index.extra["regions"] == regions


def test_nnunet_voxels_to_ignore_are_no_class(tmp_path):
    labels = {"background": 0, "liver": 1, "ignore": 2}
    found = inspect_data(nnunet(tmp_path, labels=labels))
    assert found.index.classes == ("background", "liver")
    assert {p.code for p in found.problems} >= {"label-out-of-range"}


def test_nnunet_of_version_1_by_its_file_names(tmp_path):
    changes = {"channel_names": None, "file_ending": None, "modality": {"0": "T2", "1": "ADC"}}
    root = nnunet(tmp_path, labels={"0": "background", "1": "liver", "2": "tumor"}, **changes)
    content = json.loads((root / "dataset.json").read_text())
    kept = {key: value for key, value in content.items() if value is not None}
    (root / "dataset.json").write_text(json.dumps(kept))
    index = detect(root)
    assert (index.layout, index.classes) == ("nnunet", ("background", "liver", "tumor"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channel_names": []}, r"channel_names names each channel.* got \[\]"),
        ({"labels": {"background": 0, "a": ["x"]}}, "a region is a list of values.*got 'a'"),
        ({"labels": {"a": 1, "b": 1}}, "got the value 1 twice"),
    ],
)
def test_nnunet_with_a_broken_description(tmp_path, changes, message):
    with pytest.raises(ReadError, match=message):
        detect(nnunet(tmp_path, **changes))


def test_nnunet_without_one_common_name(tmp_path):
    root = nnunet(tmp_path, names=("a",))
    (root / "labelsTr/a.nii.gz").rename(root / "labelsTr/b.nii.gz")
    with pytest.raises(ReadError, match="cases of one name; got 1 images, 1 labels"):
        detect(root)


def bids(root: Path, rows: str = "participant_id\tsex\n") -> Path:
    for subject in ("01", "02"):
        for session in ("a", "b"):
            folder = f"sub-{subject}/ses-{session}/anat"
            stem = f"sub-{subject}_ses-{session}"
            nifti(root / folder / f"{stem}_T1w.nii.gz", 3)
            nifti(root / folder / f"{stem}_FLAIR.nii.gz", 4)
    (root / "participants.tsv").write_text(rows)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    return root


def label(root: Path, name: str, value: int = 1) -> Path:
    subject, session, *_ = name.split("_")
    return nifti(root / f"derivatives/labels/{subject}/{session}/anat/{name}.nii.gz", value)


def test_bids_maps_that_continue_an_images_name(tmp_path):
    root = bids(tmp_path)
    for name in ("sub-01_ses-a", "sub-01_ses-b", "sub-02_ses-a"):
        label(root, f"{name}_T1w_seg-manual")
    label(root, "sub-01_ses-a_T1w_lesion-manual")
    index = detect(root)
    assert (index.layout, index.task, index.spatial_dims) == ("bids", "segment", 3)
    assert [(case.id, case.subject) for case in index.cases] == [
        ("sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz", "sub-01"),
        ("sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz", "sub-01"),
        ("sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz", "sub-02"),
    ]
    assert {Path(case.label).name.split("_")[-1] for case in index.cases} == {"seg-manual.nii.gz"}
    assert codes(index) == [("missing-label", "sub-02/ses-b/anat/sub-02_ses-b_T1w.nii.gz")]
    assert index.subject_source == "BIDS sub-<label>"


def test_bids_maps_in_the_space_of_an_image_with_names(tmp_path):
    root = bids(tmp_path)
    for name in ("sub-01_ses-a", "sub-02_ses-b"):
        label(root, f"{name}_space-FLAIR_dseg", 7)
    (root / "derivatives/labels/dseg.tsv").write_text("index\tname\n7\tlesion\n")
    index = detect(root)
    assert [case.id.rpartition("_")[2] for case in index.cases] == ["FLAIR.nii.gz"] * 2
    assert (index.classes, index.label_values) == (("background", "lesion"), (0, 7))


def test_bids_groups_of_participants(tmp_path):
    rows = "participant_id\tage\tgroup\nsub-01\t7\tpatient\nsub-02\t9\tn/a\n"
    index = detect(bids(tmp_path, rows))
    assert (index.task, index.classes) == ("classify", ("patient",))
    assert [(case.subject, case.target) for case in index.cases] == [("sub-01", 0)] * 2
    assert {code for code, _ in codes(index)} == {"missing-label"}
    assert len({case.id.rpartition("_")[2] for case in index.cases}) == 1  # one kind of image


def test_bids_without_labels_is_for_prediction(tmp_path):
    index = detect(bids(tmp_path))
    assert (index.cases, len(index.unlabelled)) == ((), 8)


def test_bids_without_images(tmp_path):
    (tmp_path / "sub-01/anat").mkdir(parents=True)
    (tmp_path / "participants.tsv").write_text("participant_id\n")
    with pytest.raises(ReadError, match="subjects' folders hold images"):
        detect(tmp_path, "bids")
