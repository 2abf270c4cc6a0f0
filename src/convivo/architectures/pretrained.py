"""Weights of a file put into a network: published ones of images, or our own, in any dimension.

What differs is adapted where that has a meaning, and refused where it would have none:

- other spatial axes: kernels, and linear layers behind a fixed grid, see `inflation.py`;
- other input channels: the first convolution. One channel gets the sum over the file's (exact for a
  grey image given there as equal channels); n channels get the file's f in turn, times f / n;
- other classes: the layers that answer keep their starting weights;
- a classifier's weights for a network on an encoder: they go to its `backbone`, all else keeps
  its starting weights.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from convivo.architectures.inflation import INFLATIONS, replicate_new_axes
from convivo.architectures.matching import BACKBONE, Match
from convivo.architectures.weights_file import read_weights
from convivo.layers.kernels import check_choice

NAMED = 3  # layers named in a line for people


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a network started from.

    matched: names of tensors taken as they are. adapted: name -> how. left: the network's names at
    their own starting weights. ignored: the file's names that it has no place for.
    """

    source: str
    matched: tuple[str, ...]
    adapted: dict[str, str]
    left: tuple[str, ...]
    ignored: tuple[str, ...]

    def text(self) -> str:
        """One line for people.

        Example:
            >>> conv, fc = "conv1.weight", ("fc.weight", "fc.bias")
            >>> how = {conv: "adapted to 1 channel"}
            >>> Start(source="", matched=("bn1.bias",), adapted=how, left=fc, ignored=()).text()
            '2 tensors, conv1 adapted to 1 channel, head new (fc)'
        """
        hows = [(how, name) for name, text in self.adapted.items() for how in text.split(", ")]
        parts = [f"{len(self.matched) + len(self.adapted)} tensors"]
        for how, count in Counter(how for how, _ in hows).items():
            one = next(name for h, name in hows if h == how).rpartition(".")[0]
            parts.append(f"{one if count == 1 else f'{count} kernels'} {how}")
        fresh = list(dict.fromkeys(name.rpartition(".")[0] for name in self.left))
        if fresh and len(fresh) <= NAMED:
            parts.append(f"head new ({', '.join(fresh)})")
        elif fresh:
            parts.append(f"{len(self.left)} tensors new")
        return ", ".join(parts)


def load_pretrained(
    net: nn.Module, path: str | Path, *, inflation: str = "centre", keep_head: bool = True
) -> Start:
    """Put the weights of a file into a network, adapting what may differ; all or nothing.

    A network may offer `published_state(state)`, which translates other keys to its own.

    Args:
        net: one of our networks, its starting weights drawn.
        path: a safetensors file, or a `.pth` or `.pt` without code.
        inflation: how weights of images become those of volumes, "centre" or "mean"; with "mean"
            the network is changed to repeat its border slices, see `replicate_new_axes`.
        keep_head: False leaves the layers that answer at their starting weights: the file's
            classes mean something else, though they are as many.
    Returns:
        What was taken, adapted, left and ignored.
    Raises:
        ReadError: the file is missing or damaged, or has code in it.
        UsageError: the weights of another network; the first tensors that differ are named.
        ConfigError: an unknown inflation.
    """
    check_choice(inflation, INFLATIONS, "net.inflation")
    state = _translated(net, read_weights(path))
    match = Match(net, state, inflation=inflation, keep_head=keep_head)
    match.check(str(path))
    replicate_new_axes(net, inflation)
    taken = match.copy()
    return Start(
        source=str(path),
        matched=tuple(name for name, how in taken.items() if not how),
        adapted={name: how for name, how in taken.items() if how},
        left=tuple(name for name in match.counted() if name not in taken),
        ignored=tuple(match.unknown()),
    )


def _translated(net: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors under this network's names."""
    state = _published(net, state)
    backbone = getattr(net, "backbone", None)
    if not isinstance(backbone, nn.Module) or any(name.startswith(BACKBONE) for name in state):
        return state
    return {BACKBONE + name: t for name, t in _published(backbone, state).items()}


def _published(net: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    translate = getattr(net, "published_state", None)
    return translate(state) if callable(translate) else state
