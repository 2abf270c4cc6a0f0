"""Three reports made by script: volumes to segment, beats to classify, images of two classes."""

import numpy as np

from convivo.reporting import CasePicture, Report


def interval(value: float, half: float = 0.02, **more: object) -> dict:
    """A metric as in an evaluation."""
    return {"value": value, "low": value - half, "high": min(1.0, value + half), **more}


def receipt(cases: int) -> dict:
    """A receipt with every key of the contract."""
    return {
        "schema": 1,
        "data": {"sha256": "3f" * 32, "cases": cases},
        "split_sha256": "a1" * 32,
        "weights_sha256": "b2" * 32,
        "plan_sha256": "c3" * 32,
        "version": "0.1.0",
        "commit": "0123abc",
        "torch": "2.13.0",
        "machine": {"cpu": "x86-64 with avx512_bf16", "cores": 2, "ram": "23.4 GiB"},
        "seed": 0,
        "started": "2026-01-17T09:30:00Z",
        "seconds": 1432.5,
        "test_evaluations": 1,
    }


def history(epochs: int, steps: int, score: float) -> list[dict]:
    """A training that settles; one line an epoch."""
    rng = np.random.default_rng(0)
    lines = []
    for epoch in range(1, epochs + 1):
        rest = np.exp(-4 * epoch / epochs)
        loss, noise = 0.2 + rest, rng.normal(0, 0.01, 2)
        val = {"score": float(score - 0.6 * rest + noise[0]), "loss": float(loss * 1.1 + noise[1])}
        rate = 1e-3 * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        lines.append({"epoch": epoch, "step": epoch * steps, "loss": float(loss), "val": val,
                      "lr": float(rate), "seconds": 12.0, "skipped_steps": 0})  # fmt: skip
    return lines


def blob(shape: tuple[int, ...], centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """A bent ellipsoid: true inside."""
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    bend = 0.04 * (grid[1] - centre[1]) ** 2 if len(shape) == 3 else 0
    parts = [((g - c + (bend if n == 2 else 0)) / r) ** 2
             for n, (g, c, r) in enumerate(zip(grid, centre, radii, strict=True))]  # fmt: skip
    return sum(parts) < 1


def volume_case(seed: int, dice: float) -> CasePicture:
    """A volume with two neighbouring structures, and a prediction that is a little off."""
    rng = np.random.default_rng(seed)
    shape = (35, 51, 36)

    def labels(shift: float) -> np.ndarray:
        whole = blob(shape, (17 + shift, 25 + 2 * shift, 19), (7, 18, 6))
        front = np.arange(shape[1])[None, :, None] > 27 + 2 * shift
        return np.where(whole, np.where(front, 1, 2), 0).astype(np.uint8)

    truth, prediction = labels(0), labels(4 * (1 - dice))
    smooth = rng.normal(0, 1, shape)
    for axis in range(3):
        smooth = (smooth + np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)) / 3
    image = (40 + 25 * (truth > 0) + 12 * smooth + 0.4 * np.arange(36)).astype(np.float32)
    return CasePicture(id=f"imagesTr/hippocampus_{seed:03d}.nii.gz", caption=f"Dice {dice:.3f}",
                       image=image[None], truth=truth, prediction=prediction,
                       spacing=(1.0, 1.0, 1.0), spacing_unit="mm", axes="RAS")  # fmt: skip


def volumes() -> Report:
    """Segmentation of two structures in volumes, one volume a case."""
    rng = np.random.default_rng(1)
    names = [f"imagesTr/hippocampus_{n:03d}.nii.gz" for n in range(180)]
    scores = np.clip(rng.normal((0.89, 0.87), 0.035, (36, 2)), 0, 1)
    scores[3] = (0.61, 0.7)
    per_case = [{"id": i, "unit": i, "dice": float(s.mean()), "dice.anterior": float(s[0]),
                 "dice.posterior": float(s[1])}
                for i, s in zip(names[144:], scores, strict=True)]  # fmt: skip
    return Report(
        title="Hippocampus in MR volumes",
        inspection={
            "schema": 1, "path": "data/hippocampus", "layout": "msd", "task": "segment",
            "spatial_dims": 3, "cases": 180, "unit": "case", "units": 180, "unit_source": "none",
            "channels": 1, "dtype": "float32", "positive_class": None,
            "shape": {"min": [31, 40, 24], "median": [35, 51, 36], "max": [43, 59, 47]},
            "spacing": {"unit": "mm", "median": [1.0, 1.0, 1.0]},
            "classes": [{"name": "background", "count": 180, "pixels": 11_000_000},
                        {"name": "anterior", "count": 180, "pixels": 301_000},
                        {"name": "posterior", "count": 179, "pixels": 279_000}],
            "problems": [
                {"severity": "warning", "code": "missing-label",
                 "path": "imagesTr/hippocampus_118.nii.gz",
                 "message": "An image has no label map.", "remedy": "It is left out."},
                {"severity": "warning", "code": "subjects-unknown", "path": ".",
                 "message": "Nothing says which volumes come from one person.",
                 "remedy": "Name them with --subject if you know."},
            ],
        },
        config={"seed": 0, "net": {"name": "unet", "width": 32, "norm": "instance"},
                "train": {"lr": 1e-3, "optimizer": "adamw", "epochs": 60, "batch": 8,
                          "precision": "bf16"},
                "augment": {"rotate_deg": 15, "scale": [0.85, 1.2], "flip_axes": []}},
        plan={"net": "unet", "input": [1, 40, 56, 40], "patch": [40, 56, 40], "batch": 8,
              "precision": "bf16", "optimizer": "adamw", "parameters": 1_402_611, "macs": 8.9e10,
              "receptive_field": [92, 92, 92], "steps": 1440, "epochs": 60, "threads": 2,
              "memory": {"tensors_peak": 1_310_000_000, "process_peak": 1_900_000_000},
              "seconds_per_step": 0.81, "measured": {"seconds_per_step": 0.84},
              "reasons": ["U-Net, because every voxel gets a class.",
                          "Whole volumes as patches: the largest has 43 × 59 × 47 voxels.",
                          "bf16, because this processor has instructions for it."]},
        split={"schema": 1, "unit": "case", "train": names[:108], "val": names[108:144],
               "test": names[144:], "units": {i: i for i in names}},
        history=history(60, 24, 0.885),
        evaluation={
            "schema": 1, "task": "segment", "cases": 36, "unit": "case", "units": 36,
            "excluded": [], "score_name": "dice", "per_case": per_case,
            "metrics": {
                "dice": interval(0.884, 0.012), "dice.anterior": interval(0.894, 0.013),
                "dice.posterior": interval(0.874, 0.014), "iou": interval(0.794, 0.018),
                "iou.anterior": interval(0.809, 0.02), "iou.posterior": interval(0.779, 0.02),
                "nsd": interval(0.962, 0.01, tolerance=1.0),
                "hd95": {"value": 1.31, "low": 1.18, "high": 1.52, "unit": "mm"},
                "hd95.anterior": {"value": 1.25, "low": 1.1, "high": 1.5, "unit": "mm"},
                "hd95.posterior": {"value": 1.37, "low": 1.2, "high": 1.6, "unit": "mm",
                                   "excluded": 1},
                "volume_error": interval(0.071, 0.015),
            },
            "predicted": {"tensors_peak": 1_310_000_000},
            "measured": {"tensors_peak": 1_302_000_000, "process_peak": 1_870_000_000},
        },
        best=[volume_case(146, 0.94)],
        worst=[volume_case(147, 0.61), volume_case(150, 0.78)],
        examples=[volume_case(151, 0.88)],
        receipt=receipt(180),
    )  # fmt: skip


def beat_trace(seed: int, early: tuple[int, ...]) -> CasePicture:
    """Ten seconds of two leads with some wide early beats."""
    rng = np.random.default_rng(seed)
    rate, time = 360, np.arange(3600) / 360
    beats, marks = np.arange(0.4, 10, 0.82), []
    trace = 0.03 * rng.normal(size=(2, 3600)) + 0.1 * np.sin(0.6 * time)
    for n, beat in enumerate(beats):
        wide = n in early
        place, width = beat - (0.25 if wide else 0), 0.05 if wide else 0.012
        for lead, gain in enumerate((1.2, -0.7)):
            trace[lead] += gain * np.exp(-(((time - place) / width) ** 2))
            trace[lead] += 0.25 * gain * np.exp(-(((time - place - 0.25) / 0.05) ** 2))
        if wide:
            marks.append((int(place * rate), "V as N" if n % 2 else "V"))
    return CasePicture(id=f"{seed}.hea", caption="Sensitivity for V 0.71", marks=tuple(marks),
                       image=trace.astype(np.float32), spacing=(1 / rate,), spacing_unit="s",
                       text="Marked: beats whose class was V or was taken for it.")  # fmt: skip


def beats() -> Report:
    """Classification of heart beats, records as units."""
    records = [f"{n}.hea" for n in range(101, 123)]
    labels = ["N", "S", "V", "F"]
    value = [[9120, 60, 41, 12], [88, 301, 9, 0], [35, 7, 690, 11], [20, 0, 14, 44]]
    fpr = np.linspace(0, 1, 40)
    return Report(
        title="Heart beats of 22 records",
        inspection={
            "path": "data/mit bih", "layout": "wfdb", "task": "classify", "spatial_dims": 1,
            "cases": 22, "unit": "subject", "units": 22, "unit_source": "WFDB record",
            "channels": 2, "dtype": "int16", "events": True, "positive_class": None,
            "shape": {"min": [650_000], "median": [650_000], "max": [650_000]},
            "spacing": {"unit": "s", "median": [1 / 360]},
            "classes": [{"name": "N", "count": 45_868}, {"name": "S", "count": 944},
                        {"name": "V", "count": 3_789}, {"name": "F", "count": 415}],
            "problems": [{"severity": "warning", "code": "class-imbalance", "path": ".",
                          "message": "N is 110 times as frequent as F.",
                          "remedy": "Look at the classes one by one, not at the accuracy."}],
        },
        plan={"net": "resnet18", "input": [2, 360], "batch": 64, "parameters": 962_000,
              "precision": "fp32", "steps": 2000, "reasons": ["A window a beat, one second."]},
        split={"unit": "subject", "train": records[:13], "val": records[13:17],
               "test": records[17:], "units": {r: r for r in records}},
        history=history(20, 90, 0.71),
        evaluation={
            "task": "classify", "cases": 5, "unit": "subject", "units": 5, "beats": 10_452,
            "excluded": [], "score_name": "j_kappa",
            "metrics": {
                "j_kappa": interval(0.712, 0.11), "j": {"value": 3.05, "low": 2.4, "high": 3.5},
                "accuracy": interval(0.972), "balanced_accuracy": interval(0.81, 0.09),
                **{f"sensitivity.{c}": interval(v, 0.1) for c, v in
                   zip(labels, (0.98, 0.756, 0.928, 0.56), strict=True)},
                **{f"precision.{c}": interval(v, 0.1) for c, v in
                   zip(labels, (0.98, 0.82, 0.915, 0.66), strict=True)},
                "ece": {"value": 0.02, "low": None, "high": None},
                "confusion": {"value": value, "labels": labels, "low": None, "high": None},
            },
            "roc": {c: {"fpr": fpr.tolist(), "tpr": (fpr**k).tolist()}
                    for c, k in zip(labels, (0.05, 0.2, 0.08, 0.3), strict=True)},
            "calibration": {"confidence": [0.35, 0.5, 0.65, 0.8, 0.97],
                            "accuracy": [0.31, 0.44, 0.61, 0.79, 0.98],
                            "count": [40, 200, 300, 900, 9000]},
        },
        worst=[beat_trace(119, (3, 8)), beat_trace(120, (5,))],
        receipt=receipt(22),
        notes=["Test records hold 31 beats of class Q, which are reported apart."],
    )  # fmt: skip


def cell_case(seed: int, text: str, caption: str) -> CasePicture:
    """A stained cell in colour."""
    rng = np.random.default_rng(seed)
    shape = (63, 77)
    cell = blob(shape, (32, 38), (24, 27)).astype(np.float32)
    spot = blob(shape, (26, 44), (5, 6)).astype(np.float32)
    tint = np.array([0.95, 0.85, 0.9]), np.array([0.25, 0.35, 0.2]), np.array([0.35, 0.5, 0.15])
    image = (tint[0][:, None, None] - cell * tint[1][:, None, None]
             - spot * tint[2][:, None, None] + rng.normal(0, 0.02, (3, *shape)))  # fmt: skip
    return CasePicture(id=f"cells/P{seed:02d}_cell.png", caption=caption, text=text,
                       image=image.astype(np.float32), spacing_unit="px")  # fmt: skip


def images() -> Report:
    """Classification of images into two classes, several images a subject."""
    ids = [f"cells/{'ill' if n % 2 else 'well'}/P{n // 12:02d}_{n:04d}.png" for n in range(480)]
    units = {i: i.split("/")[-1][:3] for i in ids}
    fpr = np.linspace(0, 1, 60)
    stated = np.linspace(0.53, 0.97, 8)
    return Report(
        title="Infected cells",
        inspection={
            "path": "data/cells", "layout": "class-folders", "task": "classify",
            "spatial_dims": 2, "cases": 480, "unit": "subject", "units": 40, "channels": 3,
            "unit_source": "file name pattern P<number> (P00_0001 -> P00)", "dtype": "uint8",
            "shape": {"min": [55, 61], "median": [130, 130], "max": [184, 190]},
            "spacing": {"unit": "px", "median": None}, "positive_class": "ill",
            "classes": [{"name": "ill", "count": 240}, {"name": "well", "count": 240}],
            "problems": [{"severity": "error", "code": "duplicate-across-splits", "path": p,
                          "message": "The same picture is in train and test.",
                          "remedy": "Remove one of each pair."} for p in ids[:11]],
        },
        config={"data": {"accept": ["duplicate-across-splits"]}, "train": {"lr": 1e-3}},
        plan={"net": "resnet18", "input": [3, 128, 128], "batch": 32, "parameters": 11_177_538,
              "steps": 900, "epochs": 100, "precision": "bf16", "optimizer": "adamw"},
        split={"unit": "subject", "train": ids[:288], "val": ids[288:384], "test": ids[384:],
               "units": units},
        history=[*history(70, 9, 0.97)[:-1],
                 {**history(70, 9, 0.97)[-1], "skipped_steps": 3}],
        evaluation={
            "task": "classify", "cases": 96, "unit": "subject", "units": 8, "score_name": "auroc",
            "metrics": {
                "auroc": interval(0.981, 0.013), "accuracy": interval(0.938, 0.04),
                "sensitivity": interval(0.917, 0.05), "specificity": interval(0.958, 0.04),
                "precision": interval(0.957, 0.04), "f1": interval(0.937, 0.04),
                "brier": {"value": 0.05, "low": 0.03, "high": 0.08},
                "ece": {"value": 0.031, "low": None, "high": None},
                "confusion": {"value": [[44, 4], [2, 46]], "labels": ["ill", "well"]},
            },
            "roc": {"ill": {"fpr": fpr.tolist(), "tpr": (fpr**0.06).tolist()}},
            "calibration": {"confidence": stated.tolist(), "accuracy": (stated**1.1).tolist()},
        },
        best=[cell_case(n, "truth ill, predicted ill", f"p = {0.99:.2f}") for n in (31, 32, 33)],
        worst=[cell_case(n, "truth ill, predicted well", f"p = {0.03 * n / 30:.2f}")
               for n in (34, 35, 36)],
        receipt={**receipt(480), "test_evaluations": 3},
    )  # fmt: skip


EXAMPLES = {"volumes": volumes, "beats": beats, "images": images}
