"""The usual script for images with masks: MONAI's U-Net on random crops, Dice + cross-entropy.

For cells beside membranes (images in `image`, labels in `label`, 255 inside cells), measured by
V-Rand after thinning as convivo measures it, its threshold chosen on validation, and for nuclei
(`images` and a file each in `masks`), by foreground Dice.
Run: python bench/plain/sections.py runs/isbi2012 --seconds 1200 --out isbi2012_plain.json
"""

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from PIL import Image
from plain_parts import Task

from convivo.metrics.membranes import best_over_thresholds, v_rand_of_probability

SIDE, BATCH, RATE = 256, 4, 1e-3


def loaded(task, name):
    """Image (C, H, W) standardised, mask (H, W)."""
    path, one = task.data / name, "membrane" in task.classes
    image = np.asarray(Image.open(path).convert("L" if one else "RGB"), np.float32)
    image = (image - image.mean()) / max(float(image.std()), 1e-6)
    files = [path.parent.parent / "label" / path.name] if one else (
        (path.parent.parent / "masks").glob("*.png"))  # fmt: skip
    mask = np.any([np.asarray(Image.open(file).convert("L")) > 127 for file in files], axis=0)
    return image.reshape(*mask.shape, -1).transpose(2, 0, 1), mask


def crop(image, mask, rng):
    """A random piece of SIDE x SIDE, turned and mirrored; smaller images are reflected."""
    spare = [max(0, SIDE - size) for size in mask.shape]
    width = [(0, n) for n in spare]
    image, mask = np.pad(image, [(0, 0), *width], "reflect"), np.pad(mask, width, "reflect")
    y, x = (int(rng.integers(size - SIDE + 1)) for size in mask.shape)
    image, mask = image[:, y : y + SIDE, x : x + SIDE], mask[y : y + SIDE, x : x + SIDE]
    turns, mirrored = int(rng.integers(4)), slice(None, None, int(rng.choice([1, -1])))
    image, mask = (np.rot90(part, turns, (-2, -1))[..., mirrored] for part in (image, mask))
    return image * rng.uniform(0.9, 1.1) + rng.normal(0, 0.1), mask.astype(np.int64)


def probability(net, image):
    net.eval()
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(image[None]))
        answer = sliding_window_inference(batch, (SIDE, SIDE), BATCH, net, overlap=0.5)
        return answer.softmax(1)[0, 1].numpy()


def dice(found, truth):
    return 2 * (found & truth).sum() / max(1, found.sum() + truth.sum())


def main():
    task = Task(__doc__)
    torch.manual_seed(task.args.seed)
    rng = np.random.default_rng(task.args.seed)
    train, val, test = ([loaded(task, n) for n in p] for p in (task.train, task.val, task.test))
    task.restart()
    net = UNet(spatial_dims=2, in_channels=len(train[0][0]), out_channels=2, norm="batch",
               channels=(32, 64, 128, 256, 512), strides=(2,) * 4, num_res_units=2)  # fmt: skip
    loss = DiceCELoss(to_onehot_y=True, softmax=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-5)
    best, kept, looked = -1.0, None, 0.0
    while task.share() < 1:
        net.train()
        rows = [crop(*train[i], rng) for i in rng.choice(len(train), BATCH)]
        x, y = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * min(1, task.share())))
        optimizer.zero_grad()
        loss(net(x.float()), y[:, None]).backward()
        optimizer.step()
        if task.share() > looked + 0.05 or task.share() >= 1:
            looked = task.share()
            score = np.mean([dice(probability(net, image) > 0.5, mask) for image, mask in val])
            if score >= best:
                best, kept = score, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    found = [probability(net, image) for image, _ in test]
    rows = [{"id": n, "unit": task.units[n], "dice": float(dice(p > 0.5, mask))}
            for n, p, (_, mask) in zip(task.test, found, test, strict=True)]  # fmt: skip
    metrics = {"dice": float(np.mean([row["dice"] for row in rows]))}
    if "membrane" in task.classes:
        borders = [1 - probability(net, image) for image, _ in val]
        threshold = best_over_thresholds([mask for _, mask in val], borders)["threshold"]
        for row, p, (_, mask) in zip(rows, found, test, strict=True):
            row["v_rand"] = v_rand_of_probability(mask, 1 - p, threshold)
        metrics["v_rand"] = float(np.mean([row["v_rand"] for row in rows]))
    task.tell(metrics, rows)


if __name__ == "__main__":
    main()
