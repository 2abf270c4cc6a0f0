"""Weight gradients of bf16 conv3d on the CPU: contiguous tensors against channels_last_3d.

With AVX512-BF16 and torch 2.13, channels_last_3d has given non-finite or wrong weight gradients in
deep layers with a small grid; contiguous tensors have not. Run:
python bench/bf16_hazard.py --steps 70
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

# items, channels in, channels out, grid
SHAPES = [
    (2, 128, 128, (2, 3, 2)),
    (2, 128, 128, (3, 3, 3)),
    (2, 128, 128, (4, 6, 4)),
    (2, 64, 128, (2, 3, 2)),
    (2, 64, 64, (2, 3, 2)),
    (2, 256, 256, (2, 3, 2)),
    (1, 128, 128, (2, 3, 2)),
    (4, 128, 128, (2, 3, 2)),
    (2, 128, 128, (2, 2, 2)),
]
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last_3d": torch.channels_last_3d}
WRONG = 0.1  # relative error that rounding to bf16 cannot explain


def weight_gradient(x, weight, seed, dtype, layout):
    """Gradient of a convolution's weight under autocast, as a training step computes it."""
    x = x.to(memory_format=layout)
    weight = weight.detach().clone().to(memory_format=layout).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        out = F.conv3d(x, weight, padding=1)
    generator = torch.Generator().manual_seed(seed)
    out.float().backward(torch.randn(out.shape, generator=generator))
    return weight.grad.float().contiguous()


def trial(shape, seed, churn):
    """For each layout: "finite", "wrong" or "non-finite"."""
    items, ins, outs, grid = shape
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(items, ins, *grid, generator=generator)
    weight = torch.randn(outs, ins, 3, 3, 3, generator=generator) / (27 * ins) ** 0.5
    reference = weight_gradient(x, weight, seed, torch.float32, torch.contiguous_format)
    results = {}
    for name, layout in LAYOUTS.items():
        if churn:  # what a kernel forgets to write then shows what was there before
            del [torch.full((n,), float("nan")) for n in (10**3, 10**4, 10**5, 10**6)][:]
        gradient = weight_gradient(x, weight, seed, torch.bfloat16, layout)
        error = float((gradient - reference).norm() / reference.norm())
        finite = bool(gradient.isfinite().all())
        results[name] = "non-finite" if not finite else "wrong" if error > WRONG else "good"
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=70, help="trials per shape")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--churn", action="store_true", help="fill freed memory with NaN first")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for shape in SHAPES:
        outcomes = [trial(shape, seed, options.churn) for seed in range(options.steps)]
        row = {"shape": [*shape[:3], list(shape[3])], "steps": options.steps}
        for name in LAYOUTS:
            seen = [outcome[name] for outcome in outcomes]
            row[name] = {kind: seen.count(kind) for kind in ("non-finite", "wrong")}
        rows.append(row)
        print(json.dumps(row))
    flags = set(Path("/proc/cpuinfo").read_text().split())
    bf16 = sorted({"avx512_bf16", "amx_bf16"} & flags)
    print(json.dumps({"torch": torch.__version__, "threads": options.threads, "cpu": bf16}))


if __name__ == "__main__":
    main()
