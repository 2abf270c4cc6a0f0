"""Padding: samples added around a grid, and its transpose, which folds them back onto the inside.

Used by the convolutions for every mode that torch's own kernels do not know.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function_unary

from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Sides, per_side
from convivo.layers.kernels import check_choice, check_dimensions, check_input

PADDING_MODES = ("zeros", "reflect", "symmetric", "replicate", "circular")
Modes = tuple[str, ...]
# F.pad does these in one pass over all axes, as long as a mirror image is not mirrored again
_ONE_PASS = ("reflect", "replicate")


def padding_modes(mode: str | Sequence[str], spatial_dims: int, where: str) -> Modes:
    """One mode per spatial axis; a single word serves them all.

    Raises:
        ConfigError: an unknown mode, with the nearest one; another length than `spatial_dims`.
    Example:
        >>> padding_modes("reflect", 2, "Conv")
        ('reflect', 'reflect')
    """
    modes = (mode,) * spatial_dims if isinstance(mode, str) else tuple(mode)
    for one in modes:
        check_choice(one, PADDING_MODES, f"{where} padding_mode")
    if len(modes) != spatial_dims:
        rule = f"padding_mode is one word or one per axis ({spatial_dims})"
        raise ConfigError(where, rule, modes, f"Give {spatial_dims} words or a single one")
    return modes


def pad(x: Tensor, amounts: Sides, modes: Modes) -> Tensor:
    """Add samples around the last axes of `x`, (N, C, *S) -> (N, C, *T), T = before + S + after.

    Of samples a b c d, with two added on each side:
    "zeros" 0 0 | a b c d | 0 0; "reflect" c b | a b c d | c b (mirrored, edge not repeated);
    "symmetric" b a | a b c d | d c (mirrored, edge repeated); "replicate" a a | a b c d | d d;
    "circular" c d | a b c d | a b.

    All modes go on beyond the length of the axis, as in NumPy's `pad`: mirror images are mirrored
    again, periods repeated. A single sample has no reflection and is repeated.

    Args:
        x: the tensor.
        amounts: samples (before, after) per spatial axis.
        modes: one of `PADDING_MODES` per spatial axis.
    Raises:
        ShapeError: an axis without samples, in any mode but "zeros".
    Example:
        >>> pad(torch.tensor([[[1, 2, 3]]]), ((4, 2),), ("reflect",)).tolist()
        [[[1, 2, 3, 2, 1, 2, 3, 2, 1]]]
    """
    if has_torch_function_unary(x):  # seen as one call by whoever follows the calls of a network
        return handle_torch_function(pad, (x,), x, amounts, modes)
    if modes.count(modes[0]) == len(modes):
        return _pad_alike(x, amounts, modes[0])
    for mode in dict.fromkeys(modes):
        sides = tuple(a if m == mode else (0, 0) for a, m in zip(amounts, modes, strict=True))
        if any(map(any, sides)):
            x = _pad_alike(x, sides, mode)
    return x


def _pad_alike(x: Tensor, sides: Sides, mode: str) -> Tensor:
    size = x.shape[-len(sides) :]
    flat = [n for pair in reversed(sides) for n in pair]  # F.pad: last axis first
    if mode == "zeros":
        return F.pad(x, flat)
    if any(n == 0 and any(pair) for n, pair in zip(size, sides, strict=True)):
        rule = f"padding_mode {mode!r} needs at least one sample on every padded axis"
        raise ShapeError("pad", rule, f"size {tuple(size)}", "Use padding_mode 'zeros'")
    room = mode == "replicate" or all(max(p) < n for n, p in zip(size, sides, strict=True))
    if mode in _ONE_PASS and room:
        return F.pad(x, flat, mode=mode)
    for axis, (before, after) in enumerate(sides, start=x.dim() - len(sides)):
        x = _extend(x, axis, (before, after), mode)
    return x


def _source(length: int, period: int, step: int, mode: str) -> tuple[int, int]:
    """Where the `step` samples that belong before the first and behind the last one come from."""
    if mode == "circular":
        return period - step, length - period
    edge = 1 if mode == "reflect" and length > 1 else 0
    return edge, length - edge - step


def _period(size: int, mode: str) -> int:
    """At most so many samples come from inside at once; then the new edge is a mirror too."""
    return size - 1 if mode == "reflect" and size > 1 else size


def _steps(amount: int, period: int) -> Iterator[int]:
    while amount > 0:
        yield min(amount, period)
        amount -= period


def _extend(x: Tensor, axis: int, amounts: tuple[int, int], mode: str) -> Tensor:
    """One axis padded piece by piece: slices, so that gradients add up in a fixed order."""
    period, turn = _period(x.shape[axis], mode), mode != "circular"
    for behind, amount in enumerate(amounts):
        for step in _steps(amount, period):
            start = _source(x.shape[axis], period, step, mode)[behind]
            piece = x.narrow(axis, start, step)
            piece = piece.flip(axis) if turn else piece
            x = torch.cat([x, piece] if behind else [piece, x], axis)
    return x


def fold_back(x: Tensor, amounts: Sides, modes: Modes) -> Tensor:
    """The transpose of `pad`: every added sample goes back to, and is added to, where it came from.

    (N, C, *T) -> (N, C, *S), S = T - before - after. `<pad(x), y> == <x, fold_back(y)>`.

    Args:
        x: a tensor of the padded size.
        amounts: samples (before, after) per spatial axis that `pad` added.
        modes: its modes.
    Raises:
        ShapeError: nothing would be left of an axis.
    Example:
        >>> fold_back(torch.tensor([[[1, 2, 3, 4, 5]]]), ((1, 1),), ("reflect",)).tolist()
        [[[2, 9, 4]]]
    """
    if has_torch_function_unary(x):
        return handle_torch_function(fold_back, (x,), x, amounts, modes)
    first = x.dim() - len(amounts)
    for axis, (sides, mode) in enumerate(zip(amounts, modes, strict=True), start=first):
        size = x.shape[axis] - sum(sides)
        if size < 1:
            rule = f"the margins {amounts} must leave a sample on every axis"
            raise ShapeError("fold_back", rule, f"size {tuple(x.shape[first:])}", "Give more")
        x = _fold(x, axis, sides, mode) if any(sides) else x
    return x


def _fold(x: Tensor, axis: int, amounts: tuple[int, int], mode: str) -> Tensor:
    """`_extend` undone, last step first."""
    size = x.shape[axis] - sum(amounts)
    if mode == "zeros":
        return x.narrow(axis, amounts[0], size)
    if mode == "replicate":
        return _fold_edges(x, axis, amounts)
    period, turn = _period(size, mode), mode != "circular"
    for behind in (1, 0):
        for step in reversed(list(_steps(amounts[behind], period))):
            length = x.shape[axis] - step
            start = _source(length, period, step, mode)[behind]
            piece = x.narrow(axis, length if behind else 0, step)
            inside = x.narrow(axis, 0 if behind else step, length)
            x = _add_at(inside, piece.flip(axis) if turn else piece, axis, start)
    return x


def _fold_edges(x: Tensor, axis: int, amounts: tuple[int, int]) -> Tensor:
    before, after = amounts
    size = x.shape[axis] - before - after
    if before:
        head = x.narrow(axis, 0, before).sum(axis, keepdim=True)
        x = _add_at(x.narrow(axis, before, size + after), head, axis, 0)
    if after:
        tail = x.narrow(axis, size, after).sum(axis, keepdim=True)
        x = _add_at(x.narrow(axis, 0, size), tail, axis, size - 1)
    return x


def _add_at(x: Tensor, piece: Tensor, axis: int, start: int) -> Tensor:
    """`x` with `piece` added from `start` on; nothing is overwritten, so it can be exported."""
    step, length = piece.shape[axis], x.shape[axis]
    parts = [x.narrow(axis, 0, start), x.narrow(axis, start, step) + piece]
    parts.append(x.narrow(axis, start + step, length - start - step))
    return torch.cat([p for p in parts if p.shape[axis]], axis)


class Pad(nn.Module):
    """Add samples around the grid, as many as wanted on each side of each axis.

    Shape: (N, C, *S) -> (N, C, *T) with T_i = before_i + S_i + after_i.

    Args:
        amounts: samples added: one integer, one per axis, or a pair (before, after) per axis.
        mode: "zeros", "reflect" (mirrored, edge not repeated), "symmetric" (mirrored, edge
            repeated), "replicate" or "circular"; one word, or one per axis. What each does, also
            beyond the length of the axis: see `pad`.
        spatial_dims: 1, 2 or 3.
    Raises:
        ConfigError: an unknown mode; the message gives the nearest one.
        ShapeError: amounts that are negative or not one per axis; an input of the wrong rank, or
            without samples.
    Example:
        >>> Pad(((2, 1),), mode="symmetric", spatial_dims=1)(torch.tensor([[[1, 2, 3]]])).tolist()
        [[[2, 1, 1, 2, 3, 3]]]
    """

    def __init__(
        self,
        amounts: int | Sequence[int | Sequence[int]],
        *,
        mode: str | Sequence[str] = "zeros",
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        self.spatial_dims = check_dimensions(spatial_dims, "Pad")
        self.amounts = per_side(amounts, spatial_dims, "amounts")
        self.modes = padding_modes(mode, spatial_dims, "Pad")

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.spatial_dims, None, "Pad")
        return pad(x, self.amounts, self.modes)

    def extra_repr(self) -> str:
        return f"{self.amounts}, mode={self.modes}"
