"""A whole 3D case, from file to file: our prediction against MONAI's sliding window, same weights.

The network is MONAI's BasicUNet (32 to 256 features), its weights drawn; every engine reads a NIfTI
volume, standardises it, predicts its classes and writes them beside. They take turns, in a new
order each round; the ratio MONAI / engine is taken round by round, and its median told with n.
"its tiles": cut, overlapped and blended as MONAI does it, with 96^3 and a half. "as shipped": what
`predict` does by default. int8 is quantised on drawn tiles: as the weights are drawn too, how many
classes are the same says little of what it costs a trained network. What a process holds at most is
looked at in a process of its own each.
Run: python bench/whole_case.py --rounds 3 --out bench/results/whole_case.md
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from peers import monai_networks

from convivo.data.readers import read, write_labels
from convivo.inference.backends import missing
from convivo.inference.backends.openvino_engine import OpenVINO, openvino, sized
from convivo.inference.backends.program import Programs
from convivo.inference.backends.quantizing import quantized
from convivo.inference.predictor import Predictor
from convivo.processor import processor_name
from convivo.tasks.segment import Segment
from convivo.training.allocator import return_memory
from convivo.training.precision import has_fast_bf16
from convivo.training.process_memory import PeakWatch, held_now

TILE, OVERLAP, CLASSES = (96, 96, 96), 0.5, 3
GATES = {"its tiles, OpenVINO bf16": 3.5, "as shipped, OpenVINO bf16": 10.0}
if not has_fast_bf16():
    GATES = {"as shipped, OpenVINO fp32": 5.0}
GATES |= {"its tiles, OpenVINO int8": 6.0}
CALIBRATED_ON = 8  # tiles


def network():
    torch.manual_seed(0)
    unet = monai_networks().BasicUNet(spatial_dims=3, in_channels=1, out_channels=CLASSES)
    return unet.eval()


def monai(net, source, target, precision="fp32"):
    """As its tutorials do it."""
    from monai.inferers import sliding_window_inference

    file = nib.load(source)
    image = torch.from_numpy(standard(np.asarray(file.dataobj, np.float32)[None, None]))
    cast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), cast:
        answers = sliding_window_inference(image, TILE, 1, net, overlap=OVERLAP, mode="gaussian")
    labels = answers[0].argmax(0).to(torch.uint8).numpy()
    nib.save(nib.Nifti1Image(labels, file.affine), target)


def ours(predictor, source, target):
    labels = predictor.labels(standard(read(source).array.astype(np.float32)))
    write_labels(target, labels, like=source)


def standard(image):
    return (image - image.mean()) / image.std()


def quantize_into(path, tile):
    """The network in int8, calibrated on drawn tiles, as OpenVINO's file."""
    net, task = network(), Segment(classes=tuple(map(str, range(CLASSES))))
    program = Programs(network=net, decode=task.decode, free=True).of((1, 1, *tile))
    items = [standard(drawn(tile, seed))[None] for seed in range(2, 2 + CALIBRATED_ON)]
    openvino().save_model(quantized(sized(program), items), path, compress_to_fp16=False)


def engines(low=None, only=""):
    """name -> function of two paths. low: the file of the network in int8."""
    net = network()
    task = Segment(classes=tuple(map(str, range(CLASSES))))
    whole = {"network": net, "task": task, "sampling": "patch", "size": TILE, "batch": 1}
    whole |= {"multiple": (16, 16, 16)}
    programs = Programs(network=net, decode=task.decode)
    found = {"MONAI": partial(monai, net), "its tiles, torch": partial(ours, tiled(whole, None))}
    precisions = ("bf16", "fp32") if has_fast_bf16() else ("fp32",)
    if "bf16" in precisions:
        found["MONAI + bf16"] = partial(monai, net, precision="bf16")
    model_of = None
    if low is not None:
        model = openvino().Core().read_model(low)
        precisions, model_of = (*precisions, "int8"), lambda program: model
    for one in () if missing("openvino") else precisions:
        kept = model_of if one == "int8" else None
        threads = torch.get_num_threads()
        engine = OpenVINO(programs, precision=one, threads=threads, model_of=kept)
        found[f"its tiles, OpenVINO {one}"] = partial(ours, tiled(whole, engine))
        found[f"as shipped, OpenVINO {one}"] = partial(ours, Predictor(**whole, engine=engine))
    return {name: run for name, run in found.items() if not only or re.search(only, name)}


def tiled(whole, engine):
    return Predictor(**whole, tile=TILE, overlap=OVERLAP, engine=engine)


def volume(size, path):
    """A smooth volume with noise, as a file."""
    nib.save(nib.Nifti1Image(drawn(size, 1), np.eye(4)), path)
    return path


def drawn(size, seed):
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=[n // 8 for n in size]).astype(np.float32)
    fine = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)
    return fine + rng.normal(size=size).astype(np.float32) / 4


def seconds_of(found, source, folder, rounds):
    """(rounds, engines) seconds; each engine was warm before."""
    rng, seconds = np.random.default_rng(0), np.empty((rounds, len(found)))
    runs = [partial(run, source, folder / f"{i}.nii.gz") for i, run in enumerate(found.values())]
    for row in [np.empty(len(found)), *seconds]:
        for place in rng.permutation(len(found)):
            began = time.perf_counter()
            runs[place]()
            row[place] = time.perf_counter() - began
    return seconds


def held_by(name, source, low):
    """MiB that a process comes to hold for one case, beyond what it holds before."""
    command = [sys.executable, __file__, "--once", name, "--source", str(source)]
    command += ["--int8", str(low)] if low else []
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(said.split()[-1]) / 2**20


def once(name, source, low):
    run = engines(low)[name]
    if not name.startswith("MONAI"):
        return_memory()  # as `predict` does where memory is scarce
    before = held_now()
    with PeakWatch() as watch, tempfile.TemporaryDirectory() as folder:
        run(source, Path(folder) / "out.nii.gz")
    print(watch.peak - before)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=3, default=(160, 160, 128))
    parser.add_argument("--once", help="an engine")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--int8", type=Path, help="the network in int8, made before")
    parser.add_argument("--only", default="", help="engines whose name has this; MONAI first")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.once:
        once(args.once, args.source, args.int8)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = volume(args.size, folder / "case.nii.gz")
        low = None if missing("int8") else folder / "int8.xml"
        if low is not None:
            quantize_into(low, TILE)
        found = engines(low, args.only)
        seconds = seconds_of(found, source, folder, args.rounds)
        labels = [np.asarray(nib.load(folder / f"{i}.nii.gz").dataobj) for i in range(len(found))]
        held = [held_by(one, source, low) for one in found]
    text = table(args, list(found), seconds, labels, held)
    print(text)
    if args.out:
        args.out.write_text(text)


def table(args, names, seconds, labels, held):
    ratios = np.median(seconds[:, :1] / seconds, axis=0)
    lines = [
        "# A whole 3D case against MONAI's sliding window",
        "",
        f"{' x '.join(map(str, args.size))} voxels, file to file; {processor_name()}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}; n = {args.rounds} rounds, "
        "medians. Made by `python bench/whole_case.py`.",
        "",
        "| engine | s | MONAI / engine | gate | same classes as MONAI | MiB held | of MONAI's |",
        "|---|---|---|---|---|---|---|",
    ]
    for place, name in enumerate(names):
        same = float((labels[place] == labels[0]).mean())
        lines.append(
            f"| {name} | {np.median(seconds[:, place]):.2f} | {ratios[place]:.1f} "
            f"| {GATES.get(name, '')} | {same:.2%} | {held[place]:,.0f} "
            f"| {held[place] / held[0]:.0%} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
