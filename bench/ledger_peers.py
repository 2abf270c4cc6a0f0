"""The peak of tensors of a training step, as each tool foretells it, beside the measured one.

A dozen networks in two and three dimensions, two of them for signals as well, each with a small
and a larger batch. Every estimate and every measurement has a process of its own; its clock starts
once torch and the tool are imported and the network stands, so that no tool is charged for torch.
Run: make bench-ledger-peers, or: bench/.venv/bin/python bench/ledger_peers.py
"""

import argparse
import io
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path
from statistics import median

import torch
from estimates import TOOLS, shape_of
from ledger_tensors import take_steps

SEED, THREADS = 0, 1
MIB = 2**20
NETWORKS = [  # name, axes, channels, samples an axis, width, batches
    ("alexnet", 2, 3, 224, 1.0, (1, 8)),
    ("alexnet", 3, 1, 96, 0.5, (1, 8)),
    ("vgg16", 2, 3, 128, 1.0, (1, 8)),
    ("vgg16", 3, 1, 48, 0.25, (1, 8)),
    ("googlenet", 2, 3, 224, 1.0, (1, 8)),
    ("googlenet", 3, 1, 64, 1.0, (1, 8)),
    ("resnet18", 1, 3, 8192, 1.0, (1, 8)),
    ("resnet18", 2, 3, 224, 1.0, (1, 8)),
    ("resnet18", 3, 1, 64, 1.0, (1, 8)),
    ("resnet50", 2, 3, 224, 1.0, (1, 8)),
    ("resnet50", 3, 1, 64, 1.0, (1, 8)),
    ("resnext50_32x4d", 2, 3, 224, 1.0, (1, 8)),
    ("resnext50_32x4d", 3, 1, 64, 1.0, (1, 8)),
    ("densenet121", 2, 3, 224, 1.0, (1, 8)),
    ("densenet121", 3, 1, 64, 1.0, (1, 8)),
    ("fcn8s", 2, 3, 128, 0.5, (1, 8)),
    ("fcn8s", 3, 1, 48, 0.125, (1, 8)),
    ("segnet", 2, 3, 128, 1.0, (1, 4)),
    ("segnet", 3, 1, 32, 0.5, (1, 8)),
    ("unet", 1, 1, 8192, 1.0, (1, 8)),
    ("unet", 2, 1, 192, 1.0, (1, 8)),
    ("unet", 3, 1, 48, 1.0, (1, 4)),
    ("unet_2015", 2, 1, 188, 1.0, (1, 8)),
    ("unet_2015", 3, 1, 188, 0.0625, (1,)),
    ("autoencoder", 2, 1, 256, 1.0, (1, 8)),
    ("autoencoder", 3, 1, 64, 1.0, (1, 8)),
]


def cases() -> Iterator[dict]:
    """All of them, the U-Nets in bf16 as well, which is nearer to what nnU-Net's constants mean."""
    for net, dims, channels, side, width, batches in NETWORKS:
        for precision in ("fp32", "bf16") if net == "unet" else ("fp32",):
            for batch in batches:
                yield {
                    "net": net,
                    "dims": dims,
                    "channels": channels,
                    "side": side,
                    "width": width,
                    "batch": batch,
                    "mode": "train",
                    "optimizer": "momentum",
                    "precision": precision,
                    "recompute": "",
                }


def one(tool: str, case: dict) -> dict:
    """What this process finds: bytes, and seconds where it is an estimate."""
    torch.manual_seed(SEED)
    if tool == "measured":
        return {"bytes": take_steps(case)}
    with redirect_stdout(io.StringIO()):
        estimate = TOOLS[tool](case)
        if estimate is None:
            return {}
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        start = clock()
        return {"bytes": estimate(), "seconds": clock() - start}


def asked(tool: str, case: dict, threads: int) -> dict:
    """`one` in a process of its own; what went wrong, if it did."""
    command = [sys.executable, __file__, "--threads", str(threads), "--one", tool, json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["killed"])[-1]
        print(f"{tool}: {reason}", file=sys.stderr, flush=True)
        return {"failed": reason}
    return json.loads(done.stdout.splitlines()[-1])


def collect(args: argparse.Namespace) -> list[dict]:
    """A row for each case: the case, and what was measured and told of it."""
    lines = args.log.read_text().splitlines() if args.log and args.log.exists() else []
    known = {json.dumps(row["case"]): row for row in map(json.loads, lines)}
    rows = []
    for case in cases():
        if args.only not in case["net"]:
            continue
        row = known.get(json.dumps(case))
        if row is not None:
            row |= {"convivo": asked("convivo", case, args.threads)}
        else:
            names = ("measured", *TOOLS)
            row = {"case": case} | {name: asked(name, case, args.threads) for name in names}
            if args.log:
                with args.log.open("a") as file:
                    file.write(json.dumps(row) + "\n")
        rows.append(row)
        print(table_row(row), flush=True)
    return rows


def error(row: dict, tool: str) -> float | None:
    """Percent by which the told bytes lie above the measured ones."""
    told, measured = row[tool].get("bytes"), row["measured"].get("bytes")
    return None if told is None or not measured else 100 * (told - measured) / measured


def table_row(row: dict) -> str:
    case = row["case"]
    axes = " x ".join(map(str, (case["batch"], *shape_of(case))))
    width = "" if case["width"] == 1 else f" (width {case['width']:g})"
    measured = row["measured"].get("bytes")
    cells = [f"{case['net']}{width}", axes, case["precision"]]
    cells.append("failed" if measured is None else f"{measured / MIB:,.1f}")
    for tool in TOOLS:
        off = error(row, tool)
        if off is None:
            cells += ["failed" if "failed" in row[tool] else "", ""]
        else:
            cells += [f"{off:+.2f}", f"{row[tool]['seconds']:.2f}"]
    return f"| {' | '.join(cells)} |"


def summary_row(rows: list[dict], tool: str) -> str:
    found = [row for row in rows if error(row, tool) is not None]
    failed = sum("failed" in row[tool] for row in rows)
    if not found:
        return f"| {tool} | 0 | {failed} | | | | | |"
    sizes = sorted(abs(error(row, tool)) for row in found)
    late = sizes[math.ceil(0.95 * len(sizes)) - 1]
    seconds = [row[tool]["seconds"] for row in found]
    return (
        f"| {tool} | {len(found)} | {failed} | {median(sizes):.2f} | {late:.2f} | "
        f"{sizes[-1]:.2f} | {median(seconds):.2f} | {max(seconds):.2f} |"
    )


LEGEND = """\
- **measured**: the highest total of torch's allocator events over three steps of our training loop.
- **convivo**: the peak of the ledger behind `convivo plan`.
- **torchinfo**: "Estimated Total Size" of `summary(net, input_size=...)`: input, parameters, and
  twice the outputs of the layers that have parameters. It knows no optimizer and no gradients of
  parameters, and runs the network for real.
- **MemTracker**: `torch.distributed._tools.mem_tracker` under `FakeTensorMode`, shown the same step
  twice. It sees tensors, not the workspaces of kernels.
- **nnU-Net**: `compute_conv_feature_map_size` of its PlainConvUNet of the same channels and levels,
  over its planner's reference value, times 8 GiB and the batch over the reference batch. It tells
  the memory of a GPU, reserved in all, with mixed precision and its own loss: it was made to choose
  a patch, not to foretell tensors on a CPU, and cannot see precision or optimizer. It plans U-Nets
  in 2D and 3D alone. Its seconds include building the network, which its planner does as well.
- Errors are in percent of the measured bytes; a plus is told too high. Seconds: of the estimate
  alone, in a fresh process, cold; the processor's where one thread is used, which others disturb
  less."""


def report(rows: list[dict], args: argparse.Namespace) -> str:
    names = ("torchinfo", "dynamic-network-architectures")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    single = [row for row in rows if row["case"]["precision"] == "fp32"]
    command = "python bench/ledger_peers.py" + (f" --only {args.only}" if args.only else "")
    head = "tool | told | failed | median error, % | 95th percentile | worst | median s | worst s"
    tools = " | ".join(f"{tool}, % | s" for tool in TOOLS)
    lines = [
        "# The peak of tensors of a training step, as told by each tool",
        "",
        f"torch {torch.__version__}, {versions}, {args.threads} thread(s), "
        f"{torch.backends.cpu.get_cpu_capability()}, seed {SEED}, n = {len(rows)}, SGD with "
        f"momentum. Made by `{command}`.",
        "",
        LEGEND,
        "",
        f"Of the {len(single)} rows in float32:",
        "",
        f"| {head} |",
        "|---|---|---|---|---|---|---|---|",
        *[summary_row(single, tool) for tool in TOOLS],
        "",
        f"| network | input | | measured, MiB | {tools} |",
        "|---|---|---|---|" + "---|---|" * len(TOOLS),
        *[table_row(row) for row in rows],
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    results = Path(__file__).parent / "results"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--out", type=Path, default=results / "ledger_peers.md")
    parser.add_argument("--log", type=Path, help="JSON lines; only ours is asked again")
    parser.add_argument("--one", nargs=2, metavar=("TOOL", "CASE"), help="only this, as JSON")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.one:
        tool, case = args.one
        print(json.dumps(one(tool, json.loads(case))))
        return 0
    rows = collect(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(report(rows, args), encoding="utf-8")
    print(args.out.read_text(encoding="utf-8"))
    return 1 if any("bytes" not in row["measured"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
