"""Weight gradients of bf16 conv3d on the CPU against float32, contiguous and channels_last_3d.

With AVX512-BF16, torch 2.13 (oneDNN 3.12), every layout gives wrong or non-finite gradients where
the first axis is padded and shorter than the kernel. `--convivo` tests convivo's own layer, which
computes such grids in float32. Run: python bench/bf16_hazard.py --steps 70
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

# items, channels, grid, kernel
SHAPES = [
    (2, 128, (2, 3, 2), 3),
    (2, 128, (2, 2, 2), 3),
    (4, 128, (2, 3, 2), 3),
    (2, 32, (2, 8, 8), 3),
    (2, 32, (4, 4, 4), 5),
    (2, 128, (1, 3, 2), 3),
    (2, 128, (3, 2, 2), 3),
    (2, 128, (3, 3, 3), 3),
    (2, 128, (4, 6, 4), 3),
    (2, 32, (5, 4, 4), 5),
]
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last_3d": torch.channels_last_3d}
WRONG = 0.1  # relative error that rounding to bf16 cannot explain


def convolution(ours):
    """torch's function, or convivo's guarded one."""
    if not ours:
        return lambda x, w, p: F.conv3d(x, w, padding=p)
    from convivo.layers.kernels import CONV

    return lambda x, w, p: CONV[3](x, w, None, (1, 1, 1), (p, p, p), (1, 1, 1), 1)


def weight_gradient(conv, x, weight, upstream, layout, bf16):
    """Gradient of a convolution's weight, as a training step under autocast computes it."""
    x = x.to(memory_format=layout)
    weight = weight.detach().clone().to(memory_format=layout).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = conv(x, weight, weight.shape[-1] // 2)
    out.float().backward(upstream)
    return weight.grad.float().contiguous()


def trial(conv, shape, seed):
    """For each layout "good", "wrong" or "non-finite"."""
    items, channels, grid, kernel = shape
    generator = torch.Generator().manual_seed(seed)
    x, upstream = (torch.randn(items, channels, *grid, generator=generator) for _ in range(2))
    weight = torch.randn(channels, channels, *(kernel,) * 3, generator=generator)
    reference = weight_gradient(conv, x, weight, upstream, torch.contiguous_format, False)
    results = {}
    for name, layout in LAYOUTS.items():
        gradient = weight_gradient(conv, x, weight, upstream, layout, True)
        error = float((gradient - reference).norm() / reference.norm())
        finite = bool(gradient.isfinite().all())
        results[name] = "non-finite" if not finite else "wrong" if error > WRONG else "good"
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=70, help="trials per shape")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--convivo", action="store_true", help="test convivo's layer instead")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    conv = convolution(options.convivo)
    for shape in SHAPES:
        outcomes = [trial(conv, shape, seed) for seed in range(options.steps)]
        row = dict(zip(("items", "channels", "grid", "kernel"), shape, strict=True))
        for name in LAYOUTS:
            seen = [outcome[name] for outcome in outcomes]
            row[name] = {kind: seen.count(kind) for kind in ("good", "wrong", "non-finite")}
        print(json.dumps(row))
    flags = set(Path("/proc/cpuinfo").read_text().split())
    cpu = sorted({"avx512_bf16", "amx_bf16"} & flags)
    print(json.dumps({"torch": torch.__version__, "threads": options.threads, "cpu": cpu}))


if __name__ == "__main__":
    main()
