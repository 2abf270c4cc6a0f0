"""The hunt for images that a data set holds twice, and what is kept of it for the report.

Cases and what their pixels left behind -> Audit; `leaks` makes problems and units of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from convivo.data.closer import hold_closer, is_sure
from convivo.data.near import near_pairs
from convivo.data.overlaps import overlapping
from convivo.data.sample import Case
from convivo.data.survey import Pixels
from convivo.data.units import natural

Kind = Literal["equal", "near", "overlap"]
Progress = Callable[[str, int, int], None]
MOST = 200_000  # images laid on each other; more would take over half an hour


@dataclass(frozen=True, kw_only=True)
class Link:
    """Two cases that show the same thing, by id, the earlier first.

    similarity: correlation once laid on each other, 1 for equal values. how: "mirrored", "turned",
    or for recordings the share of the shorter one that both hold; "" where there is no more to say.
    """

    first: str
    second: str
    kind: Kind
    similarity: float = 1.0
    how: str = ""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was looked at and found. audited: images compared, of so many."""

    links: tuple[Link, ...] = ()
    audited: int = 0
    of: int = 0

    def document(self) -> dict:
        """Counts by kind, as `convivo inspect --json` and the report show them."""
        counts = dict.fromkeys(("equal", "near", "overlap"), 0)
        for link in self.links:
            counts[link.kind] += 1
        return {"audited": self.audited, "of": self.of, "pairs": counts}


NO_AUDIT = Audit()


def audit(
    cases: Sequence[Case],
    pixels: Mapping[str, Pixels],
    *,
    spatial_dims: int,
    stacked: bool = False,
    most: int | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Equal images, near ones, and recordings that overlap.

    Of equal images the first stands for all. Images of one value throughout say nothing and are
    left to `constant-image`.

    Args:
        pixels: what was kept of the images that were read, by case id.
        most: of so many at most, an evenly spread sample; 0 looks for equal ones only.
        stacked: the images are sections of one stack: neighbours are alike by nature, only equal
            ones are looked for.
    """
    ordered = sorted(cases, key=lambda case: natural(case.id))
    seen = {case.id: pixels[case.id] for case in ordered if _tells(pixels.get(case.id))}
    equal, different = _equal(seen)
    chosen = _spread(different, MOST if most is None else min(most, MOST))
    links = list(equal)
    if not stacked:
        by_id = {case.id: case for case in ordered}
        near, sure = _near(chosen, seen, progress)
        pairs = [(by_id[a.first], by_id[a.second], s) for a, s in zip(near, sure, strict=True)]
        kept = hold_closer(pairs, spatial_dims)
        links += [link for link, holds in zip(near, kept, strict=True) if holds]
        known = {(link.first, link.second) for link in links}
        found = overlapping({name: seen[name].landmarks for name in chosen})
        links += [
            Link(first=o.first, second=o.second, kind="overlap", similarity=o.similarity, how=o.how)
            for o in found
            if (o.first, o.second) not in known
        ]
    audited = len(chosen) + len(seen) - len(different)
    return Audit(links=tuple(links), audited=audited, of=len(ordered))


def _tells(pixels: Pixels | None) -> bool:
    return pixels is not None and bool(pixels.digest) and not pixels.constant


def _spread(names: Sequence[str], most: int) -> list[str]:
    count = min(most, len(names))
    return [names[i * len(names) // count] for i in range(count)]


def _equal(seen: Mapping[str, Pixels]) -> tuple[list[Link], list[str]]:
    """Links from the first of equal images to the others, and the ids without those others."""
    first: dict[bytes, str] = {}
    links = []
    for name, pixels in seen.items():
        earlier = first.setdefault(pixels.digest, name)
        if earlier != name:
            links.append(Link(first=earlier, second=name, kind="equal"))
    return links, list(first.values())


def _near(
    names: Sequence[str], seen: Mapping[str, Pixels], progress: Progress | None
) -> tuple[list[Link], list[bool]]:
    """Links of the first look, and which of them are sure."""
    prints = {name: p for name in names if (p := seen[name].fingerprint) is not None}
    shown = list(prints)
    total = len(shown)

    def done(count: int) -> None:
        if progress:
            progress("duplicates", count, total)

    pairs = near_pairs(list(prints.values()), done)
    links = [
        Link(
            first=shown[pair.first],
            second=shown[pair.second],
            kind="near",
            similarity=pair.similarity,
            how=pair.how,
        )
        for pair in pairs
    ]
    return links, [is_sure(pair) for pair in pairs]
