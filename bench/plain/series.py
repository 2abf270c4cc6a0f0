"""The usual script for whole signals: a 1D ResNet-18 (MONAI's) on random crops, AdamW, cosine.

Records of WFDB, or lines of a UCR/UEA file (.arff, .ts), each standardised; a crop has at most
3,000 samples, and an answer is the mean over such windows, half overlapping. The stem strides, as
published, for longer series than 128 samples (MONAI's own default does not).
Of a run of folds give the run of each fold, and pool their rows.
Run: python bench/plain/series.py runs/ecg200 --seconds 60 --out ecg200_plain.json
"""

import csv
from functools import cache

import numpy as np
import torch
import wfdb
from monai.networks.nets import resnet18
from plain_parts import Task
from torch.nn import functional as F

BATCH, RATE, MOST, SHORT = 32, 1e-3, 3000, 128


@cache
def lines(path):
    """All series of a file: channels parted by colons, the class behind them."""
    text = path.read_text(errors="replace")
    rows = [line for line in text.splitlines() if line.strip() and line[0] not in "%@#"]
    split = [row.rsplit(":" if path.suffix == ".ts" else ",", 1) for row in rows]
    return [(np.array([part.split(",") for part in values.split(":")], np.float32), kind.strip())
            for values, kind in split]  # fmt: skip


@cache
def references(folder):
    with (folder / "REFERENCE.csv").open() as file:
        return dict(csv.reader(file))


def loaded(task, name):
    """A series (C, T), standardised, and its class."""
    file, _, number = name.partition("#")
    path = task.data / file
    if number:
        signal, kind = lines(path)[int(number)]
        kind = f"{float(kind):g}" if kind.replace(".", "").lstrip("-").isdigit() else kind
    else:
        signal = wfdb.rdrecord(str(path.with_suffix(""))).p_signal.T.astype(np.float32)
        kind = references(path.parent)[path.stem]
    mean, deviation = signal.mean(1, keepdims=True), signal.std(1, keepdims=True)
    return torch.from_numpy((signal - mean) / (deviation + 1e-6)), task.classes.index(kind)


def crop(signal, length):
    start = torch.randint(max(1, signal.shape[1] - length + 1), ()).item()
    part = signal[:, start : start + length]
    return F.pad(part, (0, length - part.shape[1]))


def answers(net, cases, length):
    net.eval()
    rows = []
    with torch.inference_mode():
        for signal, _ in cases:
            padded = F.pad(signal, (0, max(0, length - signal.shape[1])))
            windows = padded.unfold(1, length, max(1, length // 2)).transpose(0, 1)
            rows.append(net(windows).softmax(1).mean(0).numpy())
    return np.stack(rows)


def main():
    task = Task(__doc__)
    torch.manual_seed(task.args.seed)
    train, val, test = ([loaded(task, n) for n in p] for p in (task.train, task.val, task.test))
    task.restart()
    length = min(MOST, max(signal.shape[1] for signal, _ in train))
    net = resnet18(spatial_dims=1, n_input_channels=len(train[0][0]), shortcut_type="B",
                   num_classes=len(task.classes), conv1_t_size=7,
                   conv1_t_stride=1 if length <= SHORT else 2)  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.05)
    best, kept, looked = -1.0, None, 0.0
    while task.share() < 1:
        net.train()
        for rows in torch.randperm(len(train)).split(BATCH):
            for group in optimizer.param_groups:
                group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * min(1, task.share())))
            optimizer.zero_grad()
            x = torch.stack([crop(train[i][0], length) for i in rows])
            F.cross_entropy(net(x), torch.tensor([train[i][1] for i in rows])).backward()
            optimizer.step()
        if task.share() > looked + 0.05 or task.share() >= 1:
            looked = task.share()
            truth = np.array([kind for _, kind in val])
            score = (answers(net, val, length).argmax(1) == truth).mean()
            if score >= best:
                best, kept = score, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    task.tell_classes(answers(net, test, length), np.array([kind for _, kind in test]))


if __name__ == "__main__":
    main()
