"""What the plain scripts share: a run's own split and data, and a clock. Nothing of convivo."""

import argparse
import json
import sys
import time
import tomllib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for peers.py


class Task:
    """The cases of a run, by part: `train`, `val`, `test` lists of ids below `data`."""

    def __init__(self, about: str) -> None:
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("run", type=Path, help="a run of convivo, whose split is used")
        parser.add_argument("--seconds", type=float, default=300, help="of training")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--out", type=Path, help="JSON with the score of each test case")
        self.args = parser.parse_args()
        run = self.args.run
        split = json.loads((run / "split.json").read_text())
        self.train, self.val, self.test = (split[part] for part in ("train", "val", "test"))
        self.units = split["units"]
        self.data = Path(tomllib.loads((run / "config.toml").read_text())["data"]["path"])
        self.classes = json.loads((run / "plan.json").read_text())["task_fields"]["classes"]
        self.restart()

    def restart(self) -> None:
        """The time begins here: what was read before does not count."""
        self.began = time.monotonic()

    def share(self) -> float:
        """How much of the time is gone, from 0 to 1 and beyond."""
        return (time.monotonic() - self.began) / self.args.seconds

    def tell(self, metrics: dict, rows: list[dict]) -> None:
        """Print the result, and write it with its cases."""
        document = {"metrics": metrics, "seconds": self.args.seconds, "seed": self.args.seed}
        print(json.dumps(document))
        if self.args.out:
            self.args.out.write_text(json.dumps(document | {"per_case": rows}, indent=1))

    def tell_classes(self, found: np.ndarray, truth: np.ndarray) -> None:
        """Probabilities (n, K) and classes (n,) of the test cases, as `tell` does."""
        metrics = {"accuracy": float((found.argmax(1) == truth).mean())}
        if len(self.classes) == 2:
            metrics["auroc"] = auroc(found[:, 1], truth == 1)
        rows = [{"id": n, "unit": self.units[n], "p": p.tolist(), "truth": int(t)}
                for n, p, t in zip(self.test, found, truth, strict=True)]  # fmt: skip
        self.tell(metrics, rows)


def auroc(scores, truth):
    order = np.argsort(np.argsort(scores, kind="stable")) + 1.0
    for value in np.unique(scores):  # ties share their mean rank
        order[scores == value] = order[scores == value].mean()
    positive = truth.sum()
    area = order[truth].sum() - positive * (positive + 1) / 2
    return float(area / (positive * (len(truth) - positive)))
