"""The usual script for images in class folders: torchvision's ResNet-18, flips, AdamW, cosine.

Run: python bench/plain/images.py runs/malaria --seconds 300 --out malaria_plain.json
"""

import numpy as np
import torch
from PIL import Image
from plain_parts import Task
from torch.nn import functional as F

BATCH, RATE = 64, 1e-3


def loaded(task, ids, side):
    def one(name):
        picture = Image.open(task.data / name).convert("RGB").resize((side, side))
        return np.asarray(picture, np.uint8).transpose(2, 0, 1)

    images = torch.from_numpy(np.stack([one(name) for name in ids]))
    labels = [next(i for i, c in enumerate(task.classes) if f"/{c}/" in f"/{n}") for n in ids]
    return images, torch.tensor(labels)


def normal(images, mean, std):
    return (images.float() / 255 - mean) / std


def answers(net, images, mean, std):
    net.eval()
    with torch.inference_mode():
        rows = [net(normal(part, mean, std)).softmax(1) for part in images.split(256)]
    return torch.cat(rows).numpy()


def main():
    from peers import torchvision_networks  # the path to it is known only now

    task = Task(__doc__)
    torch.manual_seed(task.args.seed)
    side = 64
    images, labels = loaded(task, task.train, side)
    mean, std = (f(images.float() / 255, (0, 2, 3), keepdim=True) for f in (torch.mean, torch.std))
    net = torchvision_networks().resnet18(weights=None, num_classes=len(task.classes))
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.05)
    best, kept = -1.0, None
    val, truth = loaded(task, task.val, side)
    task.restart()
    while (share := task.share()) < 1:
        net.train()
        for rows in torch.randperm(len(images)).split(BATCH):
            for group in optimizer.param_groups:
                group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * min(1, task.share())))
            x = normal(images[rows], mean, std)
            x = x.flip(3) if torch.rand(()) < 0.5 else x
            x = x.flip(2) if torch.rand(()) < 0.5 else x
            optimizer.zero_grad()
            F.cross_entropy(net(x), labels[rows]).backward()
            optimizer.step()
            if task.share() >= 1:
                break
        right = float((answers(net, val, mean, std).argmax(1) == truth.numpy()).mean())
        print(f"{share:.0%} of the time, validation accuracy {right:.4f}", flush=True)
        if right >= best:
            best, kept = right, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    test, truth = loaded(task, task.test, side)
    found, truth = answers(net, test, mean, std), truth.numpy()
    task.tell_classes(found, truth)


if __name__ == "__main__":
    main()
