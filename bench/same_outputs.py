"""Do torchvision's state dicts load unchanged, and are the outputs the same?

Random weights, random running statistics, one file per network, read by `create(pretrained=)`.
Run: make bench, or: python bench/same_outputs.py --out bench/results/same_outputs.md
"""

import argparse
import tempfile
from pathlib import Path

import torch
from peers import torchvision_networks
from safetensors.torch import save_file

import convivo
from convivo.architectures import ARCHITECTURES

TOLERANCE = 1e-5
SIZES = ((128, 128), (97, 163))


def randomised(net, seed):
    """Weights as they start, norms as if they had seen data: equal ones would hide a mistake."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in net.state_dict().items():
        if "running_mean" in name:
            tensor.normal_(0, 0.1, generator=generator)
        elif "running_var" in name:
            tensor.uniform_(0.5, 1.5, generator=generator)
    return net.eval()


def difference(name, models, folder):
    """Largest difference of the logits, absolute, and relative to the largest logit."""
    torch.manual_seed(0)
    options = {"init_weights": True} if name == "googlenet" else {}
    theirs = randomised(getattr(models, name)(weights=None, **options), 1)
    state = theirs.state_dict()
    path = Path(folder) / f"{name}.safetensors"
    save_file(state, path)
    ours = convivo.create(name, in_channels=3, num_classes=1000, pretrained=path).eval()
    unequal = [
        key
        for key, value in ours.state_dict().items()
        if key not in state or not torch.equal(value, state[key])
    ]
    worst, scale = 0.0, 0.0
    for size in SIZES:
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            wanted, got = theirs(x), ours(x)
        worst = max(worst, (wanted - got).abs().max().item())
        scale = max(scale, wanted.abs().max().item())
    return worst, worst / scale, unequal


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    models = torchvision_networks()
    shared = [name for name in ARCHITECTURES if hasattr(models, name)]
    rows, failed = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in shared:
            worst, relative, unequal = difference(name, models, folder)
            good = worst <= TOLERANCE and not unequal
            failed += [] if good else [name]
            rows.append(f"| {name} | {worst:.1e} | {relative:.1e} | {'yes' if good else 'NO'} |")
            print(rows[-1], flush=True)
    head = [
        f"torch {torch.__version__}, inputs 2 x 3 x 128 x 128 and 2 x 3 x 97 x 163, seeds 0, 1, 2; "
        "every tensor of our network is found bit by bit in the file.",
        "",
        "| network | largest difference | relative to the largest logit | within 1e-5 |",
        "|---|---|---|---|",
    ]
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("\n".join(head + rows) + "\n")
    raise SystemExit(f"different: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
