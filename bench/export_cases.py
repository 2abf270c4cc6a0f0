"""Not a benchmark: ten inputs of each kind for `export_clean.py`, and whether answers are alike."""

import csv
import zlib
from pathlib import Path

import h5py
import nibabel
import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from convivo.data.phantoms import make_images, make_signals, make_volumes
from convivo.data.readers import read, read_labels

CASES = 10
MR = "1.2.840.10008.5.1.4.1.1.4"
LPS = np.diag((-1.0, -1.0, 1.0))


def make_data(folder: Path) -> dict[str, Path]:
    """Data to train on: volumes and fields with masks, cells in classes, records, numbers."""
    fields = make_images(folder / "fields", count=14, size=(96, 120))
    return {
        "volumes": make_volumes(folder / "volumes", count=12, shape=(40, 44, 28)),
        "fields": fields,
        "cells": make_images(folder / "cells", count=24, size=(40, 44), task="classify"),
        "records": make_signals(folder / "records", records=12, seconds=30),
        "numbers": numbers(folder / "numbers", fields),
    }


def rows(data: dict[str, Path], place: Path) -> list[tuple[str, str, str, list[Path]]]:
    """What is told, the run, the form of the model, the ten inputs."""
    volumes, fields = files(data["volumes"] / "imagesTr"), files(data["fields"] / "images")
    held = containers(place / "held", data["fields"])
    scans = series(place / "dicom", data["volumes"])
    return [
        ("3D segmentation, NIfTI", "volumes", "openvino", volumes),
        ("3D segmentation, NIfTI", "volumes", "onnx", volumes),
        ("2D segmentation, PNG", "fields", "openvino", fields),
        ("2D classification, PNG", "cells", "openvino", files(data["cells"])),
        ("1D beats, WFDB", "records", "openvino", files(data["records"])),
        ("regression, PNG", "numbers", "openvino", files(data["numbers"])),
        ("reconstruction, PNG", "rebuilt", "openvino", files(data["cells"])),
        ("3D segmentation, DICOM series", "volumes", "openvino", sorted(scans.iterdir())),
        ("2D segmentation, items of .npz", "fields", "openvino", [held["npz"]]),
        ("2D segmentation, items of HDF5", "fields", "openvino", [held["h5"]]),
    ]


def numbers(folder: Path, fields: Path) -> Path:
    """Fields with the share of them that is cell as the number to tell."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "subject"])
        for path in sorted((fields / "images").iterdir()):
            share = 100 * (read_labels(fields / "labels" / path.name) > 0).mean()
            (folder / path.name).write_bytes(path.read_bytes())
            table.writerow([path.name, f"{share:.3f}", path.name.split("_")[0]])
    return folder


def files(folder: Path) -> list[Path]:
    """The first ten inputs of a folder."""
    return sorted(p for p in folder.rglob("*") if p.suffix in (".gz", ".png", ".hea"))[:CASES]


def containers(folder: Path, fields: Path) -> dict[str, Path]:
    """The same ten fields as the items of an .npz and of an HDF5 file."""
    folder.mkdir(exist_ok=True)
    stack = np.stack([np.moveaxis(read(path).array, 0, -1) for path in files(fields / "images")])
    np.savez(folder / "fields.npz", test_images=stack)
    with h5py.File(folder / "fields.h5", "w") as file:
        file["images"] = stack
    return {"npz": folder / "fields.npz", "h5": folder / "fields.h5"}


def series(folder: Path, volumes: Path) -> Path:
    """Ten volumes as DICOM series, a folder each."""
    for path in files(volumes / "imagesTr"):
        image = nibabel.load(path)
        array, affine = np.asarray(image.dataobj, np.int16), image.affine
        place = folder / path.name.split(".")[0]
        place.mkdir(parents=True, exist_ok=True)
        shared = [generate_uid() for _ in range(3)]
        for k in range(array.shape[2]):
            _slice(array[:, :, k].T, affine, k, shared).save_as(
                place / f"{k:03d}.dcm", enforce_file_format=True
            )
    return folder


def _slice(plane: np.ndarray, affine: np.ndarray, k: int, shared: list[str]) -> Dataset:
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID, one.SOPInstanceUID = MR, generate_uid()
    one.file_meta.MediaStorageSOPClassUID = MR
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.SeriesInstanceUID, one.StudyInstanceUID, one.FrameOfReferenceUID = shared
    one.Modality, one.SeriesNumber, one.InstanceNumber = "MR", 1, k + 1
    one.PatientName, one.PatientID = "Phantom^None", one.StudyInstanceUID[-12:]
    axes = LPS @ affine[:3, :3]
    one.PixelSpacing = [round(float(np.linalg.norm(axes[:, axis])), 6) for axis in (1, 0)]
    columns, rows = (axes[:, a] / np.linalg.norm(axes[:, a]) for a in (0, 1))
    one.ImageOrientationPatient = [round(float(v), 9) for v in (*columns, *rows)]
    corner = LPS @ affine[:3, 3] + axes[:, 2] * k
    one.ImagePositionPatient = [round(float(v), 6) for v in corner]
    one.SliceThickness = round(float(np.linalg.norm(axes[:, 2])), 6)
    one.Rows, one.Columns = plane.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
    one.PixelData = np.ascontiguousarray(plane).tobytes()
    return one


def alike(mine: Path, theirs: Path) -> tuple[float, float, int]:
    """Share of equal values, largest difference (of tables: of their numbers), number of files."""
    names = [sorted(p.relative_to(s) for p in s.rglob("*") if p.is_file()) for s in (mine, theirs)]
    assert names[0] == names[1], names
    pairs = [(_values(mine / name), _values(theirs / name)) for name in names[0]]
    equal = sum(int((a == b).sum()) for a, b in pairs) / sum(a.size for a, _ in pairs)
    return equal, max(float(np.abs(a - b).max(initial=0)) for a, b in pairs), len(pairs)


def _values(path: Path) -> np.ndarray:
    if path.suffix == ".cvo":
        return np.frombuffer(path.read_bytes(), np.uint8).astype(float)
    if path.suffix != ".csv":
        return read(path).array.astype(float)
    with path.open(encoding="utf-8", newline="") as file:
        return np.array([_number(cell) for line in csv.reader(file) for cell in line])


def _number(cell: str) -> float:
    """A number as it is; words as a number that other words do not have."""
    try:
        return float(cell)
    except ValueError:
        return 1000.0 + zlib.crc32(cell.encode())
