"""Seconds of an inference at 224 pixels: our backends against our own torch, eager and float32.

Images are answered as `predict` answers them, decoding included: NumPy array in, probabilities out.
The engines take turns, in a new order each round, so that what else the machine does meets all of
them, each after a call of its own that is not timed; the ratio torch / engine is taken round by
round, and its median told with n. Weights are drawn: no accuracy is measured, but how far the
probabilities lie from torch's is told, and how many classes are the same. int8 is quantised on
drawn images; what it costs trained networks is for `convivo predict --precision int8` to say, which
refuses to lose score. Each network is measured in a process of its own.
Run: python bench/inference.py --rounds 15 --out bench/results/inference.md
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from math import prod
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

import convivo
from convivo.inference.backends import missing
from convivo.inference.backends.onnx_engine import ONNXRuntime
from convivo.inference.backends.openvino_engine import OpenVINO, sized
from convivo.inference.backends.program import Programs
from convivo.inference.backends.quantizing import quantized
from convivo.inference.backends.torch_engine import Torch
from convivo.inference.backends.trial import key_of
from convivo.inference.predictor import Predictor
from convivo.processor import processor_name
from convivo.tasks.classify import Classify
from convivo.training.precision import has_fast_bf16

NETWORKS = ("resnet18", "resnet50", "densenet121", "vgg16")
BATCHES = (1, 32)
SIDE, CLASSES = 224, 10
MEAN, LEAST = 2.7, 2.3  # gates: geometric mean over networks and batches, and each of them
INT8 = 5.5  # gate: geometric mean of int8
MEAN_WITHOUT_BF16 = 1.3  # the one gate where the processor is no faster in bf16
CALIBRATED_ON = 32  # images


def engines_of(name, precisions):
    """Torch first, then what is installed here; one network, one conversion."""
    torch.manual_seed(0)
    network = convivo.create(name, in_channels=3, num_classes=CLASSES).eval()
    task = Classify(classes=tuple(map(str, range(CLASSES))))
    predictor = Predictor(network=network, task=task, sampling="whole", size=(SIDE, SIDE))
    programs = Programs(network=network, decode=task.decode)
    threads = torch.get_num_threads()
    found = [Torch(predictor.through_torch)]
    if not missing("openvino"):
        found += [OpenVINO(programs, precision=one, threads=threads) for one in precisions]
    if not missing("int8"):
        found.append(in_int8(programs, threads))
    if not missing("onnx"):
        found.append(ONNXRuntime(programs, threads=threads))
    return found


def in_int8(programs, threads):
    """An engine quantised on drawn images."""
    rng = np.random.default_rng(3)
    items = [rng.normal(size=(3, SIDE, SIDE)).astype(np.float32) for _ in range(CALIBRATED_ON)]
    low = quantized(sized(programs.of((2, 3, SIDE, SIDE))), items)
    return OpenVINO(programs, precision="int8", threads=threads, model_of=lambda program: low)


def seconds_of(engines, images, rounds):
    """(rounds, engines) seconds; each engine was warm before."""
    for engine in engines:
        engine(images)
        engine(images)
    rng = np.random.default_rng(0)
    seconds = np.empty((rounds, len(engines)))
    for row in seconds:
        for place in rng.permutation(len(engines)):
            engines[place](images)  # the threads of the one before still turn over
            began = time.perf_counter()
            engines[place](images)
            row[place] = time.perf_counter() - began
    return seconds


def rows_of(name, batch, engines, rounds):
    """name of engine -> (median milliseconds, median ratio to torch, largest difference, share of
    equal classes)."""
    shape = (batch, 3, SIDE, SIDE)
    images = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    reference = engines[0](images)
    answers = [engine(images) for engine in engines]
    away = [float(np.abs(rows - reference).max()) for rows in answers]
    same = [float((rows.argmax(1) == reference.argmax(1)).mean()) for rows in answers]
    seconds = seconds_of(engines, images, rounds)
    ratios = np.median(seconds[:, :1] / seconds, axis=0)
    columns = zip(1e3 * np.median(seconds, axis=0), ratios, away, same, strict=True)
    return dict(zip(map(key_of, engines), columns, strict=True))


def network_rows(name, batches, precisions, rounds):
    """Each number of items with its rows."""
    engines = engines_of(name, precisions)
    return [(batch, rows_of(name, batch, engines, rounds)) for batch in batches]


def alone(name, batches, precisions, rounds):
    """The same in a process of its own: the engines of other networks leave threads and holes."""
    context = get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(network_rows, name, batches, precisions, rounds).result()


def verdicts(best, low):
    """The gates: of the fastest engine of each row but int8, and of int8."""
    mean, least = prod(best) ** (1 / len(best)), min(best)
    native = has_fast_bf16()
    wanted, lowest = (MEAN, LEAST) if native else (MEAN_WITHOUT_BF16, 0.0)
    held = "met" if mean >= wanted and least >= lowest else "NOT met"
    gate = f"{wanted} and {lowest}" if native else f"{wanted}, where bf16 is no faster"
    yield (
        f"The fastest engine of each row, int8 aside: geometric mean {mean:.2f} times torch, least "
        f"{least:.2f}; gate {gate}: {held}."
    )
    if low:
        mean = prod(low) ** (1 / len(low))
        held = "met" if mean >= INT8 else "NOT met"
        yield f"int8: geometric mean {mean:.2f} times torch; gate {INT8}: {held}."


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--batch", type=int, action="append", help="default: 1 and 32")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    precisions = ("bf16", "fp32") if has_fast_bf16() else ("fp32",)
    note = "" if has_fast_bf16() else "; this processor is no faster in bf16"
    lines = [
        f"{processor_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"n = {args.rounds} rounds, medians; {SIDE} x {SIDE}, drawn weights{note}.",
        "",
        "| network | batch | engine | ms | torch / engine | largest difference | same classes |",
        "|---|---|---|---|---|---|---|",
    ]
    best, low = [], []
    for name in (name for name in NETWORKS if args.only in name):
        for batch, rows in alone(name, args.batch or BATCHES, precisions, args.rounds):
            low += [row[1] for key, row in rows.items() if key.endswith("int8")]
            best.append(max(row[1] for key, row in rows.items() if not key.endswith("int8")))
            for key, (ms, ratio, away, same) in rows.items():
                told = f"{ms:.1f} | {ratio:.2f} | {away:.1e} | {same:.0%}"
                lines.append(f"| {name} | {batch} | {key} | {told} |")
                print(lines[-1], flush=True)
    lines += ["", *verdicts(best, low)]
    print(*lines[-2:], sep="\n")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
