"""Where the limits for small images stand: between copied digits and the likest different ones."""

from collections.abc import Sequence

import numpy as np
from leak_copies import first_look, plant
from leak_sets import SETS, mnist, mnist_labels

from convivo.data import near

TOO_SMALL = ("size x 0.5",)  # 14 x 14: below the least that is compared at all
LIFTED = (0.2, 0.6)  # what a fit may leave, so that it is seen where look-alikes begin
RULES = (
    (0.064, 0.3), (0.07, 0.23), (0.08, 0.2), (0.08, 0.23), (0.08, 0.26), (0.08, 0.3), (0.09, 0.23),
    (0.1, 0.23), (0.12, 0.23), (0.12, 0.3),
)  # fmt: skip
SMALL = "300 sets of 20, 30 of 200 digits, 150 of 20 and 30 of 100 written 1"


def threshold(per: int, seed: int) -> list[str]:
    """What the first look's fit leaves of copies, of different digits, and in small sets."""
    changes = {k: c for k, c in SETS["MNIST"][1].items() if k not in TOO_SMALL}
    images, rng = mnist(), np.random.default_rng(seed)
    whole = plant(images, changes, per, rng)
    usual = near.MOST, near.SHARE
    near.MOST, near.SHARE = LIFTED
    pairs = first_look(whole.images)
    few = [p for some in small_sets(images, rng) for p in first_look(some)]
    near.MOST, near.SHARE = usual
    copies, others = [], []
    for pair in pairs:
        same = whole.source(pair.first) == whole.source(pair.second)
        (copies if same else others).append(pair)
    kinds = {k: [p for p, (n, _) in whole.owner.items() if n == k] for k in changes}
    lines = [
        f"MNIST, n = {len(images):,} and {per} copies of each kind, seed {seed}; beside them "
        f"{SMALL}. Counted is what a fit explains to 0.2 and to 0.6 of the look-alike level. Of "
        f"pairs of different digits the likest leave {least(others, 'share')} of their level, and "
        f"{least(others, 'residual')} in all; in the small sets {least(few, 'share')} of their "
        f"level, and {least(few, 'residual')} in all. (The one where the other is at most what the "
        "first look lets pass: 0.12 in all, 0.3 of the level.)",
        "",
        "| at most | of the level | " + " | ".join(kinds) + " | different | in small sets |",
        "|---" * (len(kinds) + 4) + "|",
    ]  # fmt: skip
    for most, share in RULES:
        kept = [p for p in copies if p.residual <= most and p.share <= share]
        known = {place for p in kept for place in (p.first, p.second)}
        cells = [f"{np.mean([place in known for place in of]):.1%}" for of in kinds.values()]
        cells += [
            str(sum(p.residual <= most and p.share <= share for p in wrong))
            for wrong in (others, few)
        ]
        lines.append(f"| {most:g} | {share:g} | " + " | ".join(cells) + " |")
    return lines


def least(pairs: Sequence[near.Near], what: str) -> str:
    """The likest three, of those that the other rule lets pass."""
    most = {"share": ("residual", near.MOST), "residual": ("share", near.SHARE)}[what]
    found = sorted(getattr(p, what) for p in pairs if getattr(p, most[0]) <= most[1])
    return ", ".join(f"{v:.3f}" for v in found[:3]) or "more"


def small_sets(images: Sequence[np.ndarray], rng: np.random.Generator) -> list[list[np.ndarray]]:
    """Sets of 20 and 200 digits, and of 20 and 100 of the simplest, a written 1."""
    ones = [image for image, label in zip(images, mnist_labels(), strict=True) if label == 1]
    return [
        [pool[i] for i in rng.choice(len(pool), size, replace=False)]
        for pool, size, count in (
            (images, 20, 300),
            (images, 200, 30),
            (ones, 20, 150),
            (ones, 100, 30),
        )
        for _ in range(count)
    ]
