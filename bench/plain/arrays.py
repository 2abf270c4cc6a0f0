"""The usual script for a MedMNIST file, 2D or 3D: MONAI's ResNet-18, flips, AdamW, cosine.

Cases are `file.npz#17`, numbered through train, val and test. Images of at most 32 pixels keep
their grid in the stem (3 per axis, no pooling), as the authors of the file do it; for larger ones
the stem is the published one (MONAI's own default does not stride).
Run: python bench/plain/arrays.py runs/breast --seconds 120 --out breast_plain.json
"""

import numpy as np
import torch
from monai.networks.nets import resnet18
from plain_parts import Task, auroc
from torch.nn import functional as F

BATCH, RATE, SMALL = 32, 1e-3, 32


def loaded(task):
    """All images (n, C, *S) from 0 to 1 and labels (n,), numbered as the cases are."""
    source = np.load(task.data / task.train[0].split("#")[0])
    parts = [part for part in ("train", "val", "test") if f"{part}_images" in source]
    images, labels = (
        np.concatenate([source[f"{part}_{kind}"] for part in parts])
        for kind in ("images", "labels")
    )
    colours = images.ndim == 4 and images.shape[-1] == 3
    images = np.moveaxis(images, -1, 1) if colours else images[:, None]
    return torch.from_numpy(images.copy()), torch.from_numpy(labels.reshape(-1).astype(np.int64))


def network(images, classes):
    options = {"spatial_dims": images.ndim - 2, "n_input_channels": images.shape[1]}
    if max(images.shape[2:]) <= SMALL:
        options |= {"conv1_t_size": 3, "conv1_t_stride": 1, "no_max_pool": True}
    else:
        options |= {"conv1_t_size": 7, "conv1_t_stride": 2}
    return resnet18(num_classes=classes, **options)


def normal(images):
    return images.float() / 255 * 2 - 1


def answers(net, images):
    net.eval()
    with torch.inference_mode():
        return torch.cat([net(normal(part)).softmax(1) for part in images.split(32)]).numpy()


def main():
    task = Task(__doc__)
    torch.manual_seed(task.args.seed)
    images, labels = loaded(task)
    number = {part: [int(n.split("#")[1]) for n in getattr(task, part)]
              for part in ("train", "val", "test")}  # fmt: skip
    train = torch.tensor(number["train"])
    net = network(images, len(task.classes))
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.05)
    best, kept, truth = -1.0, None, labels.numpy() == 1
    while (share := task.share()) < 1:
        net.train()
        for rows in train[torch.randperm(len(train))].split(BATCH):
            for group in optimizer.param_groups:
                group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * min(1, task.share())))
            x = normal(images[rows])
            for axis in range(2, x.ndim):
                x = x.flip(axis) if torch.rand(()) < 0.5 else x
            optimizer.zero_grad()
            F.cross_entropy(net(x), labels[rows]).backward()
            optimizer.step()
            if task.share() >= 1:
                break
        score = auroc(answers(net, images[number["val"]])[:, 1], truth[number["val"]])
        print(f"{share:.0%} of the time, validation AUROC {score:.4f}", flush=True)
        if score >= best:
            best, kept = score, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    found, wanted = answers(net, images[number["test"]]), labels[number["test"]].numpy()
    task.tell_classes(found, wanted)


if __name__ == "__main__":
    main()
