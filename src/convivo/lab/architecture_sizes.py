"""The input sizes that a network takes: what the slider of the page may stop at."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from convivo.architectures import ARCHITECTURES
from convivo.errors import ConvivoError
from convivo.lab.architecture_costs import Question
from convivo.planning.shadow import run, shadow

# By number of axes: the largest size offered, and how far apart sizes are where any is taken.
LARGEST = {1: 65_536, 2: 2_048, 3: 384}
APART = {1: 1_024, 2: 32, 3: 8}
STOPS = 64  # of a slider
SHARES = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 5 / 4, 3 / 2, 2, 5 / 2, 3, 4, 6, 8)
LOOKED = 260  # sizes in a row: more than the step of any network of ours


def legal_sizes(question: Question) -> dict[str, object]:
    """Sizes of one axis, smallest first, all axes alike; at most `STOPS`, today's among them.

    Returns:
        `sizes`; `step`: the network takes only every so many-th size, 1 where it takes any.
    """
    dims, size = len(question.size), max(question.size)
    takes = _asked(question)
    if question.program:  # which may take any size, or the exported one alone: a few are tried
        tried = sorted({size, *(_near(size, share) for share in SHARES)})
        return {"sizes": [n for n in tried if n <= LARGEST[dims] and takes(n)], "step": 1}
    least = _least(takes, LARGEST[dims])
    step = _step(takes, least)
    wide = -(-APART[dims] // step) * step
    fine = max(step, wide // 4 // step * step)
    origin = least % step  # a network may want one sample more than a multiple
    small = range(origin, min(4 * wide, LARGEST[dims]), fine)
    large = range(origin, LARGEST[dims] + 1, wide)
    sizes = [n for n in sorted({least, size, *small, *large}) if n >= least and takes(n)]
    return {"sizes": _thinned(sizes, size), "step": step}


def _near(size: int, share: float) -> int:
    """A share of a size, as a multiple of what it is itself a multiple of, up to 32."""
    multiple = next(m for m in (32, 16, 8, 4, 2, 1) if size % m == 0)
    return max(multiple, round(size * share / multiple) * multiple)


def _thinned(sizes: list[int], kept: int) -> list[int]:
    """At most `STOPS`, dense where small."""
    while len(sizes) > STOPS:
        drop = min(range(1, len(sizes) - 1), key=lambda i: _gap(sizes, i, kept))
        del sizes[drop]
    return sizes


def _gap(sizes: list[int], place: int, kept: int) -> float:
    return float("inf") if sizes[place] == kept else sizes[place + 1] / sizes[place - 1]


def _asked(question: Question) -> Callable[[int], bool]:
    """Whether the network takes n samples on each axis; each n is asked once."""
    known: dict[int, bool] = {}
    sized = not question.program and ARCHITECTURES[question.net].needs_input_size
    built = None if sized else question.network()

    def takes(n: int) -> bool:
        if n not in known:
            known[n] = _takes(replace(question, size=(n,) * len(question.size)), built)
        return known[n]

    return takes


def _takes(question: Question, built: object) -> bool:
    try:
        net = question.network() if built is None else built
        check = getattr(net, "check_size", None)
        if check is None:
            run(shadow(net), (1, *question.shape))  # type: ignore[arg-type]
        else:
            check(question.size)
    except ConvivoError:
        return False
    return True


def _least(takes: Callable[[int], bool], most: int) -> int:
    return next((n for n in range(1, most + 1) if takes(n)), most)


def _step(takes: Callable[[int], bool], least: int) -> int:
    """Distance between two sizes in a row that the network takes."""
    after: Iterator[int] = (n for n in range(least + 1, least + LOOKED) if takes(n))
    return next(after, least + 1) - least
