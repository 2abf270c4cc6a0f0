"""What the claims share on paper: options, intervals, drawings and the table in README.md."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from scipy.stats import t

mpl.use("Agg")  # no window, wherever it runs
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
# Okabe & Ito's palette, told apart by colour-blind readers; line and marker say the same again
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLES, MARKERS = ("-", "--", "-.", ":", "-", "--"), "osD^vX"
# text stays text, and equal figures are equal files
PLAIN = {"svg.fonttype": "none", "svg.hashsalt": "convivo", "font.family": "sans-serif"}
PLAIN |= {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
PLAIN |= {"axes.grid": True, "axes.axisbelow": True, "grid.color": "#e5e5e5"}


def arguments(about: str | None) -> argparse.Namespace:
    """`--quick` (seconds, few seeds, nothing to learn from) and `--out` (where figures go)."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="a few seconds: does it run at all?")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the figure")
    return parser.parse_args()


def interval(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Mean and its 95 % interval (Student's t over the values, one for each seed or image)."""
    array = np.asarray(values, dtype=float)
    half = t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return array.mean(), array.mean() - half, array.mean() + half


def said(values: Sequence[float] | np.ndarray, digits: int = 2) -> str:
    """`0.71 (0.65 to 0.77)`."""
    return "{:.{d}f} ({:.{d}f} to {:.{d}f})".format(*interval(values), d=digits)


def canvas(columns: int, width: float = 4.0, height: float = 3.4) -> tuple[plt.Figure, np.ndarray]:
    """A figure of `columns` plots side by side."""
    plt.rcParams.update(PLAIN)
    figure, axes = plt.subplots(1, columns, figsize=(width * columns, height), squeeze=False)
    return figure, axes[0]


def curve(ax: plt.Axes, x: Sequence, samples: Sequence, label: str, number: int) -> None:
    """One line, a mean for each of `x`, and the band of its intervals; samples (len(x), n)."""
    mean, low, high = np.array([interval(row) for row in samples]).T
    ax.fill_between(x, low, high, color=COLORS[number], alpha=0.2, linewidth=0)
    look = {"linestyle": STYLES[number], "marker": MARKERS[number], "color": COLORS[number]}
    ax.plot(x, mean, ms=4, label=label, **look)


def logarithmic(ax: plt.Axes, ticks: Sequence[float]) -> None:
    """A logarithmic horizontal axis with plain numbers at `ticks` alone."""
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{n:g}" for n in ticks])
    ax.minorticks_off()


def save(figure: plt.Figure, name: str, rows: Sequence[Sequence[object]], out: Path) -> None:
    """Write `name`.svg into `out`; print the table `rows`, and renew it in README.md beside."""
    out.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(out / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    head, *lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    table = "\n".join([head, "|" + "---|" * len(rows[0]), *lines])
    print(table)
    if (page := out / "README.md").exists():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        text = marked.sub(lambda m: f"{m[1]}{table}\n{m[2]}", page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")
