"""The usual script for volumes with label maps: MONAI's UNet, DiceCE, flips, AdamW, cosine.

Run: python bench/plain/volumes.py runs/hippocampus --seconds 1200 --out hippocampus_plain.json
"""

import nibabel as nib
import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from plain_parts import Task

SIZE, BATCH, RATE = (40, 56, 40), 2, 1e-3


def loaded(task, name):
    """Image (1, *S) standardised, label map (*S); labels lie beside as the data set has them."""
    path = task.data / name
    folder = {"imagesTr": "labelsTr", "images": "labels"}[path.parent.name]
    image = np.asarray(nib.load(path).dataobj, np.float32)
    label = np.asarray(nib.load(path.parent.parent / folder / path.name).dataobj)
    image = (image - image.mean()) / max(float(image.std()), 1e-6)
    return image[None], np.rint(label).astype(np.int64)


def padded(image, label, rng):
    """A crop or a padded piece of SIZE, mirrored at random along the first axis."""
    for axis, size in enumerate(SIZE):
        spare = image.shape[axis + 1] - size
        if spare > 0:
            start = int(rng.integers(spare + 1))
            image = image.take(range(start, start + size), axis=axis + 1)
            label = label.take(range(start, start + size), axis=axis)
        else:
            width = [(0, 0)] * 3
            width[axis] = (-spare // 2, -spare - -spare // 2)
            image, label = np.pad(image, [(0, 0), *width]), np.pad(label, width)
    if rng.random() < 0.5:
        image, label = image[:, ::-1], label[::-1]
    return image * rng.uniform(0.9, 1.1) + rng.normal(0, 0.1), label


def dice(found, truth, classes):
    rows = []
    for c in range(1, classes):
        a, b = found == c, truth == c
        rows.append(2 * (a & b).sum() / (a.sum() + b.sum()) if (a | b).any() else np.nan)
    return rows


def predicted(net, image):
    net.eval()
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(image[None]))
        return sliding_window_inference(batch, SIZE, 2, net, overlap=0.5).argmax(1)[0].numpy()


def main():
    task = Task(__doc__)
    torch.manual_seed(task.args.seed)
    rng, classes = np.random.default_rng(task.args.seed), len(task.classes)
    train = [loaded(task, name) for name in task.train]
    val = [loaded(task, name) for name in task.val]
    net = UNet(
        spatial_dims=3, in_channels=1, out_channels=classes, channels=(32, 64, 128, 256),
        strides=(2, 2, 2), num_res_units=2, norm="instance",
    )  # fmt: skip
    loss = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-5)
    best, kept, looked = -1.0, None, 0.0
    while task.share() < 1:
        net.train()
        rows = [padded(*train[i], rng) for i in rng.choice(len(train), BATCH)]
        x, y = (torch.from_numpy(np.stack(part).copy()) for part in zip(*rows, strict=True))
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * min(1, task.share())))
        optimizer.zero_grad()
        loss(net(x.float()), y[:, None]).backward()
        optimizer.step()
        if task.share() > looked + 0.05 or task.share() >= 1:
            looked = task.share()
            scores = [dice(predicted(net, image), label, classes) for image, label in val]
            score = float(np.nanmean(scores))
            print(f"{looked:.0%} of the time, validation Dice {score:.4f}", flush=True)
            if score >= best:
                best, kept = score, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    rows = []
    for name in task.test:
        image, label = loaded(task, name)
        scores = dice(predicted(net, image), label, classes)
        rows.append({"id": name, "unit": task.units[name], "dice": float(np.nanmean(scores))})
    task.tell({"dice": float(np.mean([row["dice"] for row in rows]))}, rows)


if __name__ == "__main__":
    main()
