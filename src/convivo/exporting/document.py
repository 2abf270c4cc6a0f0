"""`pipeline.json` and `requirements.txt`: how the model of a run is used, and with what."""

import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from math import inf
from typing import Any

from convivo.data.channel_files import KEY
from convivo.data.readers import format_of
from convivo.inference.backends.program import Program
from convivo.inference.predictor import Predictor

THRESHOLD = 0.5  # of classes that occur together
BACKENDS = {"openvino": ("openvino",), "onnx": ("onnxruntime",), "torch": ("torch",)}
LIBRARIES = {
    "nifti": ("nibabel",),
    "images": ("pillow",),
    "tiff": ("tifffile", "imagecodecs"),
    "itk": ("SimpleITK",),
    "minc": ("nibabel", "h5py"),
    "hdf5": ("h5py",),
    "zarr": ("zarr",),
    "matlab": ("h5py",),
    "brainvision": ("mne",),
    "dicom": (
        "pydicom",
        "highdicom",
        "imagecodecs",
        "pylibjpeg",
        "pylibjpeg-openjpeg",
        "pylibjpeg-rle",
        "pyjpegls",
    ),
    "wfdb": ("wfdb",),
}
"""What readers need beside NumPy and SciPy."""


def pipeline_document(
    plan: Mapping[str, Any],
    predictor: Predictor,
    program: Program,
    *,
    form: str,
    file: str,
    made: Mapping[str, Any],
    quantization: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All that stands between a file and its answer, as JSON.

    Args:
        form, file: of the model. made: from which run it came. quantization: how it came to int8;
        None in float32.
    """
    fixed = predictor.sampling == "patch" and any(low == high for low, high in program.bounds[2:])
    axes = {"multiple": None if fixed else predictor.multiple}
    axes |= {"margin": predictor.margin, "step": predictor.step}
    tiling = {name: None if value is None else list(value) for name, value in axes.items()}
    return {
        "schema": 1,
        "network": plan["network"]["name"],
        "task": plan["task"],
        "spatial_dims": plan["network"]["spatial_dims"],
        "model": {
            "format": form,
            "file": file,
            "precision": "fp32" if quantization is None else "int8",
            "bounds": [
                [int(low), None if high == inf else int(high)] for low, high in program.bounds
            ],
            "quantization": quantization,
        },
        "preparation": dict(plan["preparation"]),
        "sampling": {
            "mode": predictor.sampling,
            "size": list(predictor.size),
            "before": predictor.before,
            "reference": predictor.reference,
            "rhythm": predictor.rhythm,
        },
        "batch": predictor.batch,
        "tiling": {"overlap": predictor.overlap, **tiling},
        "output": _output(plan, predictor),
        "made": dict(made),
        **({KEY: plan[KEY]} if plan.get(KEY) else {}),
    }


def _output(plan: Mapping[str, Any], predictor: Predictor) -> dict[str, Any]:
    """What the network's answer is, and how it is called."""
    task = predictor.task
    found = {"classes": list(task.classes), "columns": list(task.columns)}
    if task.output == "map" and plan["task_fields"].get("instances"):
        return (
            found
            | {"kind": "map", "values": [], "decision": "objects"}
            | {"smallest": int(plan["task_fields"]["smallest"])}
        )
    if regions := plan["task_fields"].get("regions"):
        labels = [int(region["label"]) for region in regions]
        found |= {"decision": "regions", "labels": labels}
    if plan["task_fields"].get("membranes"):
        settled = {"border": task.border, "threshold": task.threshold}  # type: ignore[attr-defined]
        found |= {"decision": "border"} | settled
    if task.output == "map":
        values = plan.get("label_values") or range(len(task.classes))
        decision = {"decision": "argmax"} | found
        return decision | {"kind": "map", "values": [int(v) for v in values]}
    if task.output == "image":
        scale = getattr(task, "scale", None)
        return found | {"kind": "image", "scale": None if scale is None else list(scale)}
    if task.name != "classify":
        return found | {"kind": "number"}
    several = bool(getattr(task, "several", False))
    decision = "threshold" if several else "argmax"
    called = {"kind": "table", "several": several, "decision": decision}
    return found | called | {"threshold": THRESHOLD}


def requirements(form: str, cases: Iterable[str]) -> str:
    """Lines for pip: the backend, and what reads files such as the run's; versions as here."""
    formats = {format_of(_file_of(name)) for name in cases}
    readers = {one for form_ in formats for one in LIBRARIES.get(form_, ())}
    names = ["numpy", "scipy", *BACKENDS[form], *sorted(readers)]
    return "".join(f"{name}{_version(name)}\n" for name in names)


def _file_of(case: str) -> str:
    """The file of a case: what stands before the number of an item.

    Example:
        >>> _file_of("a.npz#12"), _file_of("slide #3.png"), _file_of("series#0")
        ('a.npz', 'slide #3.png', 'series')
    """
    return re.sub(r"#\d+$", "", case)


def _version(name: str) -> str:
    try:
        return f"=={metadata.version(name).partition('+')[0]}"
    except metadata.PackageNotFoundError:
        return ""
