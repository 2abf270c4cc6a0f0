"""10,000 ten-second ECGs through a 1D ResNet-18: our engines against eager torch in float32.

The network is ours at its published width, twelve leads at 100 Hz, its weights drawn. Torch goes
through them as a script does (batches of 32, inference mode); our engines as `predict` does, in its
batches, decoding included. They take turns; the ratio is taken turn by turn, its median told. int8
is quantised on drawn signals: what it costs a trained network, `convivo predict --precision int8`
says. The gate is of the others.
Run: python bench/ecg_inference.py --rounds 3 --out bench/results/ecg_inference.md
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

import convivo
from convivo.inference.backends import missing
from convivo.inference.backends.onnx_engine import ONNXRuntime
from convivo.inference.backends.openvino_engine import OpenVINO, sized
from convivo.inference.backends.program import Programs
from convivo.inference.backends.quantizing import quantized
from convivo.inference.backends.trial import key_of
from convivo.processor import processor_name
from convivo.tasks.classify import Classify
from convivo.training.precision import has_fast_bf16

LEADS, SAMPLES, CLASSES = 12, 1000, 5
GATE, GATE_WITHOUT_BF16 = 3.0, 1.3
EAGER_BATCH, BATCH = 32, 128
CALIBRATED_ON = 32  # signals


def eager(network, task, signals):
    with torch.inference_mode():
        parts = torch.from_numpy(signals).split(EAGER_BATCH)
        return torch.cat([task.decode(network(part)) for part in parts]).numpy()


def in_batches(engine, signals):
    return np.concatenate([engine(signals[n : n + BATCH]) for n in range(0, len(signals), BATCH)])


def engines(network, task):
    programs, threads = Programs(network=network, decode=task.decode), torch.get_num_threads()
    precisions = ("bf16", "fp32") if has_fast_bf16() else ("fp32",)
    found = []
    if not missing("openvino"):
        found += [OpenVINO(programs, precision=one, threads=threads) for one in precisions]
    if not missing("int8"):
        drawn = np.random.default_rng(3).standard_normal(
            (CALIBRATED_ON, LEADS, SAMPLES), dtype=np.float32
        )
        low = quantized(sized(programs.of((2, LEADS, SAMPLES))), list(drawn))
        found.append(OpenVINO(programs, precision="int8", threads=threads, model_of=lambda _: low))
    if not missing("onnx"):
        found.append(ONNXRuntime(programs, threads=threads))
    return {key_of(one): one for one in found}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.manual_seed(0)
    network = convivo.create(
        "resnet18", spatial_dims=1, in_channels=LEADS, num_classes=CLASSES
    ).eval()
    task = Classify(classes=tuple("NSVFQ"))
    shape = (args.count, LEADS, SAMPLES)
    signals = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    ways = {"torch, eager": lambda: eager(network, task, signals)}
    for key, engine in engines(network, task).items():
        ways[key] = lambda engine=engine: in_batches(engine, signals)
        engine(signals[:BATCH]), engine(signals[: args.count % BATCH or BATCH])  # compiled before
    seconds, answers = {key: [] for key in ways}, {}
    for turn in range(args.rounds):
        for key in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            began = time.perf_counter()
            answers[key] = ways[key]()
            seconds[key].append(time.perf_counter() - began)
    text = table(seconds, answers, args)
    print(text)
    if args.out:
        args.out.write_text(text)


def table(seconds, answers, args):
    base, reference = seconds["torch, eager"], answers["torch, eager"]
    rows, best = [], 0.0
    for key, values in seconds.items():
        ratio = statistics.median(b / s for b, s in zip(base, values, strict=True))
        best = best if key.endswith("int8") else max(best, ratio)
        away = np.abs(answers[key] - reference).max()
        rows.append(f"| {key} | {statistics.median(values):.1f} | {ratio:.2f} | {away:.1e} |")
    gate = GATE if has_fast_bf16() else GATE_WITHOUT_BF16
    note = "" if has_fast_bf16() else " (this processor is no faster in bf16)"
    verdict = "met" if best >= gate else "NOT met"
    return "\n".join([
        f"# {args.count:,} ten-second ECGs",
        "",
        f"{processor_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"n = {args.rounds} turns, medians; {LEADS} leads, {SAMPLES:,} samples, 1D ResNet-18. "
        "Made by `python bench/ecg_inference.py`.",
        "",
        "| engine | s | torch / engine | largest difference |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Best but int8 {best:.2f}; gate {gate:g}{note}: {verdict}.",
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    main()
