"""What the claims share in training: a short loop on arrays in memory, and phantoms.

The road proper (`convivo train`) splits, stops and reports; here only one thing may vary.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.signal import decimate
from torch import Tensor, nn

from convivo.data.phantoms import make_images, make_signals


def train(
    net: nn.Module, x: Tensor, y: Tensor, *, steps: int, lr: float = 2e-3, seed: int = 0
) -> list[float]:
    """`steps` of AdamW on batches of at most 32, the rate falling to 0; the loss of each step."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses, batch = [], min(32, len(x))
    net.train()
    for _ in range(steps):
        chosen = torch.randint(len(x), (batch,), generator=generator)
        loss = F.cross_entropy(net(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach().item())
    return losses


@torch.no_grad()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of cases whose largest logit is that of their class."""
    net.eval()
    answers = torch.cat([net(part).argmax(1) for part in x.split(256)])
    return (answers == y).float().mean().item()


def cells(count: int, seed: int, *, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """Phantom cells (count, 1, 24, 28), grey, mean 0, deviation 1; 0 healthy, 1 infected.

    noise: standard deviation of what is added to them then. Of every seed other slides.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(
            make_images(Path(folder), seed=seed, count=count, task="classify").rglob("*.png")
        )
        images = [
            Image.open(file).convert("L").resize((28, 24), Image.Resampling.BOX) for file in files
        ]
        x = torch.from_numpy(np.stack(images).astype(np.float32))[:, None]
        y = torch.tensor([int(file.parent.name == "infected") for file in files])
    generator = torch.Generator().manual_seed(seed)
    x = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)
    return x + noise * torch.randn(x.shape, generator=generator), y


def signals(count: int, length: int) -> np.ndarray:
    """Phantom ECG at 120 Hz (count, 1, length), mean 0, deviation 1, each of another patient."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = length / 120 + 1
        files = sorted(make_signals(Path(folder), records=count, seconds=seconds).glob("*.dat"))
        records = [np.fromfile(file, "<i2").reshape(-1, 2)[:, 0] for file in files]
    x = np.stack([decimate(r.astype(float), 3)[:length] for r in records])[:, None]
    return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
