"""The usual script for beats: windows around annotations, a 1D ResNet-18 (MONAI's), AdamW, cosine.

Trained on the records of a run's train part, chosen by its val part, answered for its test part.
Of a run of folds give the run of each fold, and pool their rows.
Run: python bench/plain/beats.py runs/mitbih/fold_0 --seconds 240 --out fold_0_plain.json
"""

import numpy as np
import torch
import wfdb
from monai.networks.nets import resnet18
from plain_parts import Task
from torch.nn import functional as F

BATCH, RATE, EVERY, BEFORE, AFTER = 128, 1e-3, 3, 200, 160
AAMI = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
CLASS = {symbol: name for name, symbols in AAMI.items() for symbol in symbols}


def loaded(task, name):
    """Windows (n, 1, T) of the lead MLII at 120 Hz, standardised by record, and classes (n,)."""
    path = str(task.data / name).removesuffix(".hea")
    record, beats = wfdb.rdrecord(path), wfdb.rdann(path, "atr")
    lead = record.sig_name.index("MLII") if "MLII" in record.sig_name else 0
    signal = record.p_signal[:, lead]
    signal = (signal - np.median(signal)) / signal.std()
    signal = signal[: len(signal) // EVERY * EVERY].reshape(-1, EVERY).mean(1)
    signal = np.pad(signal, (BEFORE, AFTER))
    pairs = [(s // EVERY, CLASS[k]) for s, k in zip(beats.sample, beats.symbol, strict=True)
             if k in CLASS]  # fmt: skip
    windows = np.stack([signal[at : at + BEFORE + AFTER] for at, _ in pairs])
    labels = np.array([task.classes.index(kind) for _, kind in pairs])
    return torch.from_numpy(windows[:, None].astype(np.float32)), torch.from_numpy(labels)


def answers(net, windows):
    net.eval()
    with torch.inference_mode():
        return torch.cat([net(part).argmax(1) for part in windows.split(1024)]).numpy()


def recall(found, truth):
    return float(np.mean([(found[truth == c] == c).mean() for c in np.unique(truth)]))


def main():
    task = Task(__doc__)
    torch.manual_seed(task.args.seed)
    rows = [loaded(task, name) for name in task.train]
    x, y = (torch.cat(part) for part in zip(*rows, strict=True))
    vx, vy = (torch.cat(p) for p in zip(*[loaded(task, n) for n in task.val], strict=True))
    net = resnet18(spatial_dims=1, n_input_channels=1, num_classes=len(task.classes),
                   shortcut_type="B")  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.05)
    weights = 1 / torch.bincount(y, minlength=len(task.classes)).clamp_min(1).float().sqrt()
    best, kept, looked = -1.0, None, 0.0
    while task.share() < 1:
        net.train()
        some = torch.multinomial(weights[y], BATCH)
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * min(1, task.share())))
        optimizer.zero_grad()
        F.cross_entropy(net(x[some]), y[some]).backward()
        optimizer.step()
        if task.share() > looked + 0.1 or task.share() >= 1:
            looked = task.share()
            score = recall(answers(net, vx), vy.numpy())
            print(f"{looked:.0%} of the time, validation balanced accuracy {score:.4f}", flush=True)
            if score >= best:
                best, kept = score, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    rows = []
    for name in task.test:
        windows, labels = loaded(task, name)
        rows.append({"id": name, "truth": labels.tolist(), "found": answers(net, windows).tolist()})
    truth, found = (np.concatenate([row[key] for row in rows]) for key in ("truth", "found"))
    task.tell({"balanced_accuracy": recall(found, truth)}, rows)


if __name__ == "__main__":
    main()
