"""Which settings fit a budget of memory: the largest batch; where none fits, the mildest way out.

Only what a setting costs is asked, in bytes, of a function; nothing is tried out with real memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import ceil, prod
from typing import Any

from convivo.errors import PlanError
from convivo.geometry import Axes
from convivo.planning.border import border

MOST = 65_536
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the search may change.

    batch: items of one forward pass. patch: samples per axis. accumulate: passes whose gradients
    are added up for one update. allocator: "keep" what was freed for the next step, or "return" it
    to the system at once (`training.allocator`).
    """

    batch: int
    patch: Axes
    precision: str = "fp32"
    checkpointing: bool = False
    accumulate: int = 1
    allocator: str = "keep"

    @property
    def words(self) -> str:
        """The setting in words.

        Example:
            >>> Setting(batch=2, patch=(64, 96), precision="bf16").words
            'batch 2, 64 x 96, bf16'
        """
        parts = [f"batch {self.batch}", " x ".join(map(str, self.patch)), self.precision]
        parts += ["checkpointing"] * self.checkpointing
        parts += [f"{self.accumulate} passes an update"] * (self.accumulate > 1)
        parts += ["memory given back"] * (self.allocator == "return")
        return ", ".join(parts)


Cost = Callable[[Setting], int]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One setting that was looked at on the way: its bytes, and whether they fit."""

    setting: Setting
    bytes: int
    fits: bool


@dataclass(frozen=True, kw_only=True)
class Solution:
    """What fits.

    bytes: of the setting. price: a sentence for each thing that was given up. steps: all that was
    looked at, in order; the last of them need not be the solution.
    """

    setting: Setting
    bytes: int
    limit: int
    price: tuple[str, ...]
    steps: tuple[Step, ...]

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        rows = [{**_plain(s.setting), "bytes": s.bytes, "fits": s.fits} for s in self.steps]
        for row in rows:
            del row["accumulate"]
        plain = _plain(self.setting)
        return plain | {
            "limit": self.limit,
            "bytes": self.bytes,
            "price": list(self.price),
            "steps": rows,
        }


@dataclass(frozen=True, kw_only=True)
class Space:
    """What there is to choose from.

    patches: the wished one, then ever smaller ones, if smaller ones are allowed. precisions,
    checkpointing, allocators: the wished first. batch: the wished items of an update; None for the
    largest. least: the fewest items of a pass that the network takes; steady: the fewest that it
    learns well from, given up only where no other way is left; most: the most that are of use.
    """

    patches: Sequence[Axes]
    precisions: Sequence[str] = ("fp32",)
    checkpointing: Sequence[bool] = (False,)
    allocators: Sequence[str] = ("keep",)
    batch: int | None = None
    least: int = 1
    steady: int = 1
    most: int = MOST


def solve(cost: Cost, limit: int, space: Space, *, option: str = "--ram") -> Solution:
    """The largest patch and batch that fit, at the smallest price.

    In order: the wished batch whole; fewer items in a pass, several passes an update; other number
    formats; checkpointing; memory given back after each use; fewer items than are steady; a smaller
    patch. What changes no result but takes time thus comes before what changes it, but for number
    formats, which also save time where the processor has them. The bytes rise with the batch along
    a convex line of a few straight pieces, so that a handful of costs finds its largest.

    Args:
        cost: bytes of a setting; each is asked once.
        limit: bytes there are.
        option: of the command line, for the message.
    Raises:
        PlanError: not even the smallest setting fits; it says what the least would need.
    """
    search = _Search(cost, limit)
    ways = [
        Setting(
            batch=space.least, patch=space.patches[0], precision=p, checkpointing=c, allocator=a
        )
        for a, c, p in product(space.allocators, space.checkpointing, space.precisions)
    ]
    wished = ways[0]
    if space.batch is not None and search.fits(whole := replace(wished, batch=space.batch)):
        return search.solution(whole, wished, space)
    most = max(space.least, min(space.most, space.batch or space.most))
    steady = max(space.least, min(space.steady, most))
    tried = [in_passes(way, n, space) for n in dict.fromkeys((steady, space.least)) for way in ways]
    start = next((way for way in tried if search.fits(way)), None)
    start = start or _smaller_patch(search, tried[-len(ways) :], space, option)
    largest = border(lambda n: search.bytes(in_passes(start, n, space)), limit, start.batch, most)
    return search.solution(in_passes(start, largest, space), wished, space)


def in_passes(setting: Setting, items: int, space: Space) -> Setting:
    """The setting with so many items a pass, and as many passes as the wished batch then takes."""
    passes = 1 if space.batch is None else max(1, ceil(space.batch / items))
    return replace(setting, batch=items, accumulate=passes)


class _Search:
    """Asks each cost once, and keeps what was asked."""

    def __init__(self, cost: Cost, limit: int) -> None:
        self.cost, self.limit = cost, limit
        self.known: dict[Setting, int] = {}

    def bytes(self, setting: Setting) -> int:
        if setting not in self.known:
            self.known[setting] = int(self.cost(setting))
        return self.known[setting]

    def fits(self, setting: Setting) -> bool:
        return self.bytes(setting) <= self.limit

    def solution(self, found: Setting, wished: Setting, space: Space) -> Solution:
        """Close the search; a wished batch is shared out evenly over as few passes as can be."""
        settled = found
        if space.batch is not None and found.batch < space.batch:
            even = replace(found, batch=max(space.least, ceil(space.batch / found.accumulate)))
            settled = even if self.fits(even) else found
        return Solution(
            setting=settled,
            bytes=self.bytes(settled),
            limit=self.limit,
            price=tuple(_prices(settled, wished)),
            steps=tuple(
                Step(setting=setting, bytes=count, fits=count <= self.limit)
                for setting, count in self.known.items()
            ),
        )


def _smaller_patch(search: _Search, ways: Sequence[Setting], space: Space, option: str) -> Setting:
    """The largest patch at which the cheapest way fits, in the mildest way that then does."""
    last = [replace(way, patch=space.patches[-1]) for way in ways]
    least = min(last, key=search.bytes)
    if not search.fits(least):
        raise _nothing_fits(search, least, space, option)
    cheapest = [replace(min(ways, key=search.bytes), patch=p) for p in space.patches]
    if not search.fits(cheapest[-1]):  # small patches and large ones may differ in what is cheapest
        cheapest = [replace(least, patch=p) for p in space.patches]
    sizes = [prod(way.patch) for way in reversed(cheapest)]
    place = border(
        lambda n: search.bytes(cheapest[-1 - n]),
        search.limit, 0, len(cheapest) - 1,
        scale=lambda n: sizes[n],
    )  # fmt: skip
    found = cheapest[-1 - place]
    same_patch = (replace(way, patch=found.patch) for way in ways)
    return next((way for way in same_patch if way == found or search.fits(way)), found)


def _nothing_fits(search: _Search, least: Setting, space: Space, option: str) -> PlanError:
    need = search.bytes(least)
    enough = ceil(need / (10 * MIB)) * 10
    plain = Setting(batch=least.batch, patch=space.patches[0], accumulate=least.accumulate)
    extra = least.words.partition(", ")[2] if least != plain else ""
    rule = f"needs at least {ceil(need / MIB):,} MiB for batch {least.batch}"
    rule += f" ({extra})" if extra else ""
    got = f"{search.limit / MIB:,.0f} MiB"
    return PlanError("plan", rule, got, f"Give {option} {enough}M or a smaller input")


def _plain(setting: Setting) -> dict[str, Any]:
    return asdict(setting) | {"patch": list(setting.patch)}


def _prices(found: Setting, wished: Setting) -> list[str]:
    """What each thing given up costs, in sentences."""
    prices = []
    if found.accumulate > 1:
        prices.append(
            f"{found.accumulate} passes of {found.batch} an update: the same gradient, unless a "
            "layer normalizes over the batch"
        )
    if found.precision != wished.precision:
        prices.append(
            f"{found.precision}: numbers are rounded to 3 digits, and slow where the processor has "
            "no instructions for them"
        )
    if found.checkpointing:
        prices.append("checkpointing: the same result, for a third more time")
    if found.allocator != wished.allocator:
        prices.append("memory given back after each use: the same result, for up to twice the time")
    if found.patch != wished.patch:
        share = prod(found.patch) / prod(wished.patch)
        prices.append(f"the network sees {share:.0%} of the wished samples at once")
    return prices
