"""Which unlabelled cases may be learnt from: none of whom a network may be measured on."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from convivo.data.beside import (
    FORM,
    HELD_OUT,
    UNKNOWN,
    UNREADABLE,
    unlabelled_again,
    unlabelled_beside,
    with_unlabelled,
)
from convivo.data.inspection import inspect_data
from convivo.errors import ReadError

SIZE = (18, 22)


def picture(number, size=SIZE):
    """Patches of grey that no other picture has."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


def write(folder, names, first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, first):
        Image.fromarray(picture(number)).save(folder / f"{name}.png")


@pytest.fixture
def subjects(tmp_path):
    """Two pictures of each of eight subjects in two classes, and an unlabelled folder beside."""
    root = tmp_path / "data"
    for c, kind in enumerate(("benign", "malignant")):
        names = [f"P{n}_{part}" for n in range(4 * c + 1, 4 * c + 5) for part in "ab"]
        write(root / "train" / kind, names, first=100 * c)
    return root


def beside(root, train, **options):
    inspection = inspect_data(root, **options)
    subject = options.get("subject")
    found = unlabelled_beside(inspection, train_of(inspection, train), subject=subject)
    return inspection, found


def train_of(inspection, starts):
    return {case.id for case in inspection.cases if case.id.split("/")[-1].startswith(starts)}


def names(found):
    return sorted(case.id.split("/")[-1].removesuffix(".png") for case in found.cases)


def test_only_subjects_that_train(subjects):
    write(subjects / "test", ["P1_c", "P2_c", "P8_c"], first=500)
    write(subjects / "test", ["P1_d"], first=7)  # the values of P4_b, which is held out
    inspection, found = beside(subjects, ("P1_", "P2_", "P3_", "P5_", "P6_"))
    assert inspection.unit == "subject"
    assert names(found) == ["P1_c", "P2_c"]
    assert found.left_out == {HELD_OUT: 2}


def test_unknown_subjects_are_left_out(subjects):
    write(subjects / "test", ["image_1", "image_2"], first=500)
    _, found = beside(subjects, ("P1_", "P5_"))
    assert (found.cases, found.left_out) == ((), {UNKNOWN: 2})
    _, found = beside(subjects, ("P1_", "P5_"), subject=r"P\d+")
    assert (found.cases, found.left_out) == ((), {UNKNOWN: 2})


def test_damaged_ones_and_other_forms_are_left_out(tmp_path):
    root = tmp_path / "data"
    for c, kind in enumerate(("benign", "malignant")):
        write(root / "train" / kind, "abcd", first=100 * c)
    write(root / "test", ["u", "v", "w"], first=500)
    Image.fromarray(np.stack([picture(7)] * 3, axis=-1)).save(root / "test" / "v.png")
    whole = (root / "test" / "w.png").read_bytes()
    (root / "test" / "w.png").write_bytes(whole[: len(whole) // 2])
    inspection = inspect_data(root)
    found = unlabelled_beside(inspection, {case.id for case in inspection.cases})
    assert names(found) == ["u"]
    assert found.left_out == {UNREADABLE: 1, FORM: 1}
    assert unlabelled_again(inspection, [found.cases[0].id]) == found.cases
    (root / "test" / "u.png").unlink()
    with pytest.raises(
        ReadError, match="the unlabelled cases that the run began with; got nothing"
    ):
        unlabelled_again(inspect_data(root), [found.cases[0].id])


def volume(path, number):
    values = np.random.default_rng(number).normal(size=(7, 9, 11)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


def test_all_channels_of_a_case_for_prediction_and_images_without_a_label(tmp_path):
    root = tmp_path / "data"
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (root / name).mkdir(parents=True)
    described = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "lesion": 1},
        "file_ending": ".nii.gz",
        "numTraining": 4,
    }
    (root / "dataset.json").write_text(json.dumps(described))
    for case in range(5):
        for channel in (0, 1):
            volume(root / "imagesTr" / f"brain{case}_000{channel}.nii.gz", 10 * case + channel)
    for case in range(4):  # the last one has no label
        labels = np.zeros((7, 9, 11), np.uint8)
        labels[2:4, 3:5, case : case + 3] = 1
        path = root / "labelsTr" / f"brain{case}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), path)
    for channel in (0, 1):
        volume(root / "imagesTs" / f"other_000{channel}.nii.gz", 100 + channel)
    inspection = inspect_data(root)
    found = unlabelled_beside(inspection, {inspection.cases[0].id})
    assert [case.id for case in found.cases] == [
        "imagesTs/other_0000.nii.gz",
        "imagesTr/brain4_0000.nii.gz",
    ]
    every = with_unlabelled(inspection, found.cases)
    sample = every.load(every.cases[-1])
    assert sample.image.shape == (2, 7, 9, 11)
    assert sample.target.shape == (7, 9, 11)
    assert not sample.target.any()
    assert every.load(every.cases[0]).target.any()
