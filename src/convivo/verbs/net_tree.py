"""A network as lines of text from its input to its output; branches side by side, repeats folded.

conv1     Conv 7x7 /2, 64                     64 x 112 x 112    9,536
layer1.0  ┬─ 3x3, 64 ─ 3x3, 64 ─┐
          └─────────────────────┴─ add        64 x 56 x 56     73,984
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from convivo.planning.flow import Call
from convivo.verbs.net_words import by, channels, phrase, word

ROOM = 60  # letters of a chain that still fits into a line


@dataclass
class Step:
    """A call, or parallel branches with the call that joins them, as one thing in a chain.

    reads, last: numbers of the calls it takes from, and of the one it gives.
    """

    call: Call
    reads: tuple[int, ...]
    last: int
    branches: list[list["Step"]] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        """Of all calls in it."""
        inner = sum(step.parameters for branch in self.branches for step in branch)
        return inner + self.call.parameters


@dataclass
class Block:
    """One entry of the drawing: a chain of steps. last_name: where it repeats, of the last one."""

    name: str
    steps: list[Step]
    times: int = 1
    parameters: int = 0
    last_name: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.steps[-1].call.shape


def draw_tree(calls: Sequence[Call]) -> list[str]:
    """The lines of a drawing: name, picture, repeats, shape, parameters, each in a column.

    Args:
        calls: of the network, in order, without what is not to be drawn.
    """
    blocks = _folded(_blocks(list(enumerate(calls)), 0))
    drawn: dict[str, str] = {}
    rows = [row for block in blocks for row in _rows(block, drawn)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(_padded(row, widths)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.rjust(w) if i == len(row) - 1 else cell.ljust(w)
        for i, (cell, w) in enumerate(zip(row, widths, strict=True))
    ]


Numbered = list[tuple[int, Call]]


def _blocks(calls: Numbered, depth: int) -> list[Block]:
    """Entries of what happens inside one module: itself if it fits, else its parts' ones."""
    steps = _chain(calls) if depth else None
    if steps and (len(calls) == 1 or _fits(steps)):
        name = calls[0][1].scopes[depth]
        return [Block(name, steps, parameters=sum(s.parameters for s in steps))]
    result: list[Block] = []
    for inner, group in groupby(calls, lambda item: item[1].scopes[depth + 1 : depth + 2]):
        part = list(group)
        if inner:
            result += _blocks(part, depth + 1)
        else:
            result += [_single(number, call) for number, call in part]
    return result


def _single(number: int, call: Call) -> Block:
    step = Step(call, call.sources, number)
    return Block(call.name, [step], parameters=call.parameters)


def _fits(steps: list[Step]) -> bool:
    """Whether a module is drawn as one entry: a chain that is short, or one of branches."""
    joins = sum(bool(step.branches) for step in steps)
    return len(steps) <= 4 and joins <= 1 and max(map(len, _picture(steps))) <= ROOM


def _chain(calls: Numbered) -> list[Step] | None:
    """The calls as one chain in which branches are single steps; None where they are no such."""
    steps: list[Step] = []
    inside = {number for number, _ in calls}
    for number, call in calls:
        outer = [s for s in call.sources if s not in inside]
        joins = len(call.sources) > 1 and len(outer) < len(call.sources)
        if joins:
            step = _joined(steps, number, call)
            if step is None:
                return None
            steps.append(step)
        else:
            steps.append(Step(call, call.sources, number))
    connected = all(b.reads == (a.last,) for a, b in pairwise(steps))
    return steps if connected else None


def _joined(steps: list[Step], number: int, call: Call) -> Step | None:
    """The branches that end in this call, taken out of `steps`; None if they branch again."""
    made = {step.last: step for step in steps}
    paths = [_path(made, source) for source in call.sources]
    fork = next((s for s in paths[0] if all(s in path for path in paths[1:])), None)
    if fork is None:
        return None
    branches = [[made[s] for s in reversed(path[: path.index(fork)])] for path in paths]
    if any(step.branches for branch in branches for step in branch):
        return None
    gone = {step.last for branch in branches for step in branch}
    steps[:] = [step for step in steps if step.last not in gone]
    return Step(call, (fork,), number, branches)


def _path(made: dict[int, Step], source: int) -> list[int]:
    """A call and all before it, newest first, as long as each reads from one."""
    path = [source]
    while path[-1] in made and len(made[path[-1]].reads) == 1:
        path.append(made[path[-1]].reads[0])
    return path


def _text(steps: list[Step], numbers: bool = True) -> str:
    """A chain without branches on one line, equal neighbours folded."""
    alone = len(steps) == 1
    words = [_word(step.call, numbers, alone) for step in steps]
    folded = [(text, len(list(same))) for text, same in groupby(words)]
    return " ─ ".join(text + (f" x {n}" if n > 1 else "") for text, n in folded)


def _word(call: Call, numbers: bool, alone: bool) -> str:
    """In a chain a kernel speaks for itself."""
    if call.kind == "cat" and not alone:
        return "cat of all"
    text = phrase(call) if numbers else word(call)
    return text if alone else text.removeprefix("Conv ")


def _picture(steps: list[Step], numbers: bool = True) -> list[str]:
    """A chain as lines; only its first branching is drawn with branches."""
    place = next((i for i, step in enumerate(steps) if step.branches), None)
    if place is None:
        return [_text(steps, numbers)]
    before, step, after = _text(steps[:place], numbers), steps[place], steps[place + 1 :]
    texts = [_text(branch, numbers).removeprefix("Conv ") for branch in step.branches]
    width = max(map(len, texts))
    end = phrase(step.call) if numbers else word(step.call)
    end += f" ─ {_text(after, numbers)}" if after else ""
    lines = []
    for i, text in enumerate(texts):
        last = i == len(texts) - 1
        left = f"{before} ─┬─" if before and i == 0 else "┬─" if i == 0 else "└─" if last else "├─"
        body = f" {text} ─" if text else "───"
        close = f"┴─ {end}" if last else "┐" if i == 0 else "┤"
        lines.append(
            left.rjust(len(before) + 4 if before else 2) + body.ljust(width + 3, "─") + close
        )
    return lines


def _numbers(steps: list[Step]) -> str:
    """The channels alone, branch by branch."""
    parts = []
    for step in steps:
        if step.branches:
            parts.append(" | ".join(_numbers(b) or "itself" for b in step.branches))
        elif text := channels(step.call):
            parts.append(text)
    return ", ".join(parts)


def _folded(blocks: list[Block]) -> list[Block]:
    """Neighbours that look alike and give the same shape become one with a count."""
    result: list[Block] = []
    for block in blocks:
        last = result[-1] if result else None
        if last and _picture(last.steps) == _picture(block.steps) and _alike(last, block):
            last.times += 1
            last.parameters += block.parameters
            last.last_name = block.name
        else:
            result.append(block)
    return result


def _alike(a: Block, b: Block) -> bool:
    return a.shape == b.shape and bool(a.name) == bool(b.name)


def _rows(block: Block, drawn: dict[str, str]) -> list[list[str]]:
    """Name, picture, shape and parameters of each line; what has been drawn is referred to."""
    lines = _picture(block.steps)
    form = "\n".join(_picture(block.steps, numbers=False))
    name = _range(block.name, block.last_name)
    if len(lines) > 2 and form in drawn:
        lines = [f"like {drawn[form]}: {_numbers(block.steps)}"]
    drawn.setdefault(form, block.name)
    times = f"x {block.times}" if block.times > 1 else ""
    size = f"{block.parameters:,}" if block.parameters else ""
    rows = [["", line, "", "", ""] for line in lines]
    rows[-1][2:] = [times, by(block.shape), size]
    rows[0][0] = ".".join(name.split(".")[-2:])
    return rows


def _range(first: str, last: str) -> str:
    """Example: _range("layer1.1", "layer1.5") is "layer1.1-5"."""
    if not last:
        return first
    a, b = (re.fullmatch(r"(.*?)(\d+)", name) for name in (first, last))
    if a and b and a[1] == b[1]:
        return f"{first}-{b[2]}"
    return f"{first} ... {last.rpartition('.')[2]}"
