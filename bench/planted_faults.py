"""Faults planted in copies of real data sets: is each found, and nothing else?

Each fault is made in a fresh copy of a part of hippocampus, malaria, MIT-BIH, ISBI or a DICOM
series, and `inspect` is compared with what it says of the copy without it.
Run: python bench/planted_faults.py --data ../shared/data --out bench/results/planted_faults.md
"""

import argparse
import gzip
import json
import shutil
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from convivo.verbs.inspect import inspect

HIPPOCAMPUS = "hippocampus_msd/TrainingSet"
VICTIM = "case_003.nii.gz"


# The sets: a small, clean copy each, in the layout that such data come in.


def hippocampus(data, root):
    """Twelve volumes as a Decathlon task, so that label values have names."""
    listed = []
    for part, target in (("images", "imagesTr"), ("labels", "labelsTr")):
        (root / target).mkdir(parents=True)
        for number, path in enumerate(sorted((data / HIPPOCAMPUS / "labels").glob("*.gz"))[:12]):
            shutil.copy(data / HIPPOCAMPUS / part / path.name, root / target / case(number))
    for number in range(12):
        name = case(number)
        listed.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    labels = {"0": "background", "1": "anterior", "2": "posterior"}
    describe = {"name": "hippocampus", "labels": labels, "modality": {"0": "MRI"}}
    (root / "dataset.json").write_text(json.dumps(describe | {"training": listed}))


def case(number):
    return f"case_{number:03}.nii.gz"


def malaria(data, root):
    """Six cells a class of seven patients, split by patient."""
    for side in ("Parasitized", "Uninfected"):
        of_patient = {}
        for path in sorted((data / "malaria_cells/cell_images" / side).glob("*.png")):
            of_patient.setdefault(path.name.partition("P")[0].partition("T")[0], []).append(path)
        for patient, split in PATIENTS.items():
            (root / split / side).mkdir(parents=True, exist_ok=True)
            for path in of_patient[patient][:6]:
                shutil.copy(path, root / split / side / path.name)


PATIENTS = {"C116": "train", "C48": "train", "C91": "train", "C186": "val"}
PATIENTS |= {"C159": "val", "C81": "test", "C131": "test"}


def mitbih(data, root):
    """Four records with their beats."""
    root.mkdir()
    for record in (101, 106, 114, 119):
        for suffix in ("dat", "hea", "atr"):
            shutil.copy(data / "mitbih" / f"{record}.{suffix}", root)


def isbi(data, root):
    """All thirty sections with their masks."""
    for part, target in (("image", "images"), ("label", "labels")):
        shutil.copytree(data / "isbi2012_em/membrane/train" / part, root / target)


def dicom(data, root):
    """A series, and its negative, turned upside down, as a second patient's."""
    import pydicom
    from pydicom.uid import generate_uid

    (source,) = (data / "hippocrop_dicom/TestVolumes/Study1").iterdir()
    for name, turned in (("one", False), ("two", True)):
        (root / name).mkdir(parents=True)
        for path in source.glob("*.dcm"):
            slice_ = pydicom.dcmread(path)
            if turned:
                array = np.flip(slice_.pixel_array)
                slice_.PixelData = (array.max() - array).astype(array.dtype).tobytes()
                for key in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
                    slice_[key].value = generate_uid(entropy_srcs=[slice_[key].value])
                slice_.PatientID = "SECOND"
                slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID
            slice_.save_as(root / name / path.name)


SETS = {f.__name__: f for f in (hippocampus, malaria, mitbih, isbi, dicom)}


# The faults: (set, what, code, path of the problem); the function's text says what is planted.

FAULTS = []


def fault(of, code, where):
    def keep(plant):
        FAULTS.append((of, plant.__doc__.rstrip("."), code, where, plant))
        return plant

    return keep


def volume(root, part="imagesTr", name=VICTIM):
    path = root / part / name
    image = nibabel.load(path)
    return path, np.asanyarray(image.dataobj), image.affine


def save(path, array, affine):
    path.unlink()
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


@fault("hippocampus", "truncated", f"imagesTr/{VICTIM}")
def cut_volume(root):
    """A volume ends in its middle."""
    path = root / "imagesTr" / VICTIM
    path.write_bytes(path.read_bytes()[:-4000])


@fault("hippocampus", "unreadable", f"imagesTr/{VICTIM}")
def empty_volume(root):
    """A volume of zero bytes."""
    (root / "imagesTr" / VICTIM).write_bytes(b"")


@fault("hippocampus", "shape-mismatch", f"imagesTr/{VICTIM}")
def smaller_label(root):
    """A label map is three slices short."""
    path, array, affine = volume(root, "labelsTr")
    save(path, array[:, :, 3:], affine)


@fault("hippocampus", "label-out-of-range", f"imagesTr/{VICTIM}")
def unknown_value(root):
    """A label map holds the value 7."""
    path, array, affine = volume(root, "labelsTr")
    array = array.astype(np.uint8)
    array[5:8, 5:8, 5:8] = 7
    save(path, array, affine)


@fault("hippocampus", "shape-mismatch", f"imagesTr/{VICTIM}")
def turned_label(root):
    """A label map is stored from right to left, its image from left to right."""
    path, array, affine = volume(root, "labelsTr")
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = array.shape[0] - 1
    save(path, array[::-1], affine @ flip)


@fault("hippocampus", "non-finite", f"imagesTr/{VICTIM}")
def not_numbers(root):
    """Forty voxels are NaN."""
    path, array, affine = volume(root)
    array = array.astype(np.float32)
    array[3, 4, :20] = array[9, 9, :20] = np.nan
    save(path, array, affine)


@fault("hippocampus", "missing-label", f"imagesTr/{VICTIM}")
def no_label(root):
    """A label map is not there."""
    (root / "labelsTr" / VICTIM).unlink()


@fault("hippocampus", "missing-image", f"imagesTr/{VICTIM}")
def no_image(root):
    """An image is not there."""
    (root / "imagesTr" / VICTIM).unlink()


@fault("hippocampus", "mixed-spacing", f"imagesTr/{VICTIM}")
def other_spacing(root):
    """One volume and its label map have slices of 3 mm, the others of 1 mm."""
    for part in ("imagesTr", "labelsTr"):
        path, array, affine = volume(root, part)
        save(path, array, affine @ np.diag([1.0, 1, 3, 1]))


@fault("hippocampus", "mixed-orientation", f"imagesTr/{VICTIM}")
def other_orientation(root):
    """One volume and its label map run from right to left, the others from left to right."""
    for part in ("imagesTr", "labelsTr"):
        path, array, affine = volume(root, part)
        flip = np.diag([-1.0, 1, 1, 1])
        flip[0, 3] = array.shape[0] - 1
        save(path, array[::-1], affine @ flip)


@fault("hippocampus", "constant-image", f"imagesTr/{VICTIM}")
def empty_image(root):
    """Every voxel of a volume is 100."""
    path, array, affine = volume(root)
    save(path, np.full_like(array, 100), affine)


@fault("hippocampus", "truncated", f"imagesTr/{VICTIM}")
def promise_too_much(root):
    """A volume whose header promises four times the voxels that there are."""
    path = root / "imagesTr" / VICTIM
    data = bytearray(gzip.decompress(path.read_bytes()))
    shape = np.frombuffer(data, "<i2", 3, 42).copy()
    data[42:48] = (shape * (1, 2, 2)).astype("<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(data)))


def cells(root, split, side, patient=""):
    return sorted((root / split / side).glob(f"{patient}*.png"))


@fault("malaria", "duplicate-across-splits", "train/Uninfected/C116_copied.png")
def copied_across_splits(root):
    """A cell of the test part lies in train as well, under the name of another patient."""
    shutil.copy(cells(root, "test", "Uninfected")[0], root / "train/Uninfected/C116_copied.png")


@fault("malaria", "subject-across-splits", "test/Uninfected/C116P77ThinF_IMG_2.png")
def patient_across_splits(root):
    """A cell of a patient of train lies in test."""
    for name, split in (("C116P77ThinF_IMG_1.png", "train"), ("C116P77ThinF_IMG_2.png", "test")):
        source = cells(root, "train", "Uninfected", "C116")[-1 if split == "test" else 0]
        source.rename(root / split / "Uninfected" / name)


@fault("malaria", "class-missing", "")
def class_absent_in_train(root):
    """The train part holds no infected cell."""
    shutil.rmtree(root / "train/Parasitized")


@fault("malaria", "mixed-channels", "*")
def one_in_colour(root):
    """One image is in colour, all others are grey."""
    path = cells(root, "train", "Uninfected")[2]
    grey = np.asarray(Image.open(path))
    Image.fromarray(np.stack([grey, grey // 2, grey], axis=-1)).save(path)


@fault("malaria", "duplicate-across-subjects", "*")
def patient_with_two_names(root):
    """A cell lies there twice, under two patients of one part."""
    source = cells(root, "train", "Uninfected", "C116")[0]
    shutil.copy(source, root / "train/Uninfected/C48P9thinF_copy.png")


@fault("malaria", "unreadable", "*")
def text_as_image(root):
    """A text is called .png."""
    cells(root, "train", "Uninfected")[3].write_text("this is no image\n" * 40)


@fault("mitbih", "missing-label", "106.atr")
def no_annotations(root):
    """A record has lost its annotation file."""
    (root / "106.atr").unlink()


@fault("mitbih", "truncated", "106.hea")
def cut_record(root):
    """A signal file ends after two thirds."""
    path = root / "106.dat"
    path.write_bytes(path.read_bytes()[:1_300_000])


@fault("mitbih", "flat-channel", "106.hea")
def lead_off(root):
    """The second lead of a record is one value throughout."""
    path = root / "106.dat"
    data = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3).copy()
    data[:, 1] &= 0x0F  # format 212: high bits of the second sample, and its low byte
    data[:, 1] |= 0x40
    data[:, 2] = 0
    path.write_bytes(data.tobytes())


@fault("mitbih", "duplicate-across-subjects", "990.hea")
def record_with_two_names(root):
    """A record lies there a second time under another number."""
    for suffix in ("dat", "atr"):
        shutil.copy(root / f"101.{suffix}", root / f"990.{suffix}")
    (root / "990.hea").write_text((root / "101.hea").read_text().replace("101", "990"))


@fault("isbi", "shape-mismatch", "images/7.png")
def resized_mask(root):
    """A mask has half the size of its section."""
    path = root / "labels/7.png"
    Image.open(path).resize((256, 256), Image.Resampling.NEAREST).save(path)


@fault("isbi", "missing-image", "labels/7.png")
def section_gone(root):
    """A mask has no section."""
    (root / "images/7.png").unlink()


@fault("isbi", "stray-labels", "")
def lossy_mask(root):
    """A mask was saved as JPEG on its way: values beside 0 and 255."""
    path = root / "labels/7.png"
    Image.open(path).save(root / "lossy.jpg", quality=90)
    Image.open(root / "lossy.jpg").save(path)
    (root / "lossy.jpg").unlink()


def slices(root):
    import pydicom

    found = [(pydicom.dcmread(path), path) for path in (root / "one").glob("*.dcm")]
    return sorted(found, key=lambda pair: pair[0].ImagePositionPatient[2])


@fault("dicom", "missing-slices", "one")
def slice_gone(root):
    """A slice in the middle of a series is not there."""
    slices(root)[12][1].unlink()


@fault("dicom", "duplicate-slices", "*")
def slice_twice(root):
    """A slice lies there twice, as another object."""
    from pydicom.uid import generate_uid

    one, path = slices(root)[12]
    one.SOPInstanceUID = generate_uid(entropy_srcs=["again"])
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.save_as(path.with_name("again.dcm"))


@fault("dicom", "truncated", "one")
def slice_cut(root):
    """A slice ends in its middle."""
    _, path = slices(root)[12]
    path.write_bytes(path.read_bytes()[:-900])


@fault("dicom", "uneven-slices", "*")
def slice_moved(root):
    """A slice lies a third of a millimetre beside its place."""
    one, path = slices(root)[12]
    one.ImagePositionPatient[2] += 0.33
    one.save_as(path)


def problems_of(root):
    """(code, path) of all problems."""
    return {(p.code, p.path) for p in inspect(root, quiet=True).problems}


def tried(data, one, folder):
    """What is told more and less than of the copy without the fault."""
    of, _, code, where, plant = one
    root = Path(folder) / plant.__name__
    SETS[of](data, root)
    before = problems_of(root)
    plant(root)
    after = problems_of(root)
    more, less = after - before, before - after
    found = {(c, where if where == "*" else path) for c, path in more}
    return found == {(code, where)} and not less, sorted(more), sorted(less)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("bench/results/planted_faults.md"))
    parser.add_argument("--only", help="one fault, by its function's name")
    args = parser.parse_args()
    lines, right = [], 0
    for one in (f for f in FAULTS if args.only in (None, f[4].__name__)):
        with tempfile.TemporaryDirectory() as folder:
            good, more, less = tried(args.data, one, folder)
        right += good
        told = "; ".join(f"`{code}` {path}".strip() for code, path in more) or "nothing"
        told += "".join(f"; no longer `{code}` {path}" for code, path in less)
        lines.append(f"| {one[0]} | {one[1]} | `{one[2]}` | {told} | {'yes' if good else 'NO'} |")
        print(lines[-1], flush=True)
    head = [
        "# Planted faults",
        "",
        "One fault each in a fresh copy of a part of a real data set; what `inspect` then says",
        "beyond what it says of the copy without it. Made by `python bench/planted_faults.py`.",
        "",
        f"{len(lines)} faults, {right} found with their code and nothing else.",
        "",
        "| set | fault | code | told | found, and nothing else |",
        "|---|---|---|---|---|",
    ]
    if args.only is None:
        args.out.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    return int(right < len(lines))


if __name__ == "__main__":
    sys.exit(main())
