"""Receptive fields of any network: what each tensor sees of the input, followed call by call.

A function mode watches the calls of torch's public functions (conv2d, cat, +, ...), which still
know the spatial axes, and hands each result the reach of its inputs. A function it does not know
makes the result's reach unknown, never wrong. Normalisation and what is multiplied in from a global
pooling see the whole grid by their statistics; as is usual, that is left out.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convivo.geometry import Axes
from convivo.planning.calls import RULES, UNKNOWN, Mark, Rule, all_known
from convivo.planning.reach import INPUT, join
from convivo.planning.shadow import run, shadow, tensors


def _meet(marks: list[Mark]) -> Mark:
    """Several inputs of one call; those without a grid are only multiplied or added in."""
    gridded = [m for m in marks if not m.whole] or marks
    if len(gridded) == 1:
        return gridded[0]

    def both(a: Mark, b: Mark) -> Mark:
        if a.reach is None or b.reach is None or len(a.reach) != len(b.reach):
            return UNKNOWN
        met = all_known(list(map(join, a.reach, b.reach)))
        return Mark(met.reach, whole=a.whole)

    return reduce(both, gridded)


class FieldTracker(TorchFunctionMode):
    """While active, every tensor made from a marked one is marked."""

    def __init__(self) -> None:
        super().__init__()
        # tensors are kept so that no id is given twice; on meta that costs nothing
        self._marks: dict[int, tuple[Tensor, Mark]] = {}

    def start(self, x: Tensor) -> None:
        """`x` (N, C, *S) is the network's input."""
        self._marks[id(x)] = (x, Mark((INPUT,) * (x.dim() - 2)))

    def mark(self, x: Tensor) -> Mark | None:
        """What is known of a tensor; None for weights and constants."""
        found = self._marks.get(id(x))
        return found[1] if found else None

    def field(self, output: object, size: Axes) -> Axes | None:
        """Receptive field per axis of a network's output: the largest of its tensors' fields."""
        marks = [self.mark(t) or UNKNOWN for t in tensors(output)]
        fields = []
        for mark in marks:
            if mark.reach is None:
                return None
            untouched = mark.whole and all(r == INPUT for r in mark.reach)
            fields.append(size if untouched else tuple(r.size for r in mark.reach))
        return tuple(map(max, zip(*fields, strict=True))) if fields else None

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        marks = [m for t in tensors([list(args), kwargs]) if (m := self.mark(t))]
        out = func(*args, **kwargs)
        made = list(tensors(out)) if marks else []
        if made:
            rule = RULES.get(getattr(func, "__name__", "").strip("_"))
            mark = self._apply(rule, _meet(marks), made[0], args, kwargs)
            for tensor in made:
                self._marks[id(tensor)] = (tensor, mark)
        return out

    @staticmethod
    def _apply(rule: Rule | None, mark: Mark, out: Tensor, args: tuple, kwargs: dict) -> Mark:
        if rule is None or mark.reach is None:
            return UNKNOWN
        try:
            return rule(mark, out, *args, **kwargs)
        except (TypeError, ValueError, IndexError, AttributeError):
            return UNKNOWN  # an unusual way to call it


def receptive_field(net: nn.Module, input: Sequence[int]) -> Axes | None:
    """Input samples per axis that one sample of the last grid sees, borders left out.

    The last grid is the output, or what goes into global pooling or flattening. Exact for residual
    joins, concatenations, dilation and unequal axes; where positions see unequally much (behind
    transposed convolutions), that of the one that sees most. A network without any grid sees all.

    Args:
        net: any module; nothing is allocated or changed.
        input: shape (C, *S) of one input.
    Returns:
        One number per axis; None where a function is met whose reach is not known.
    Raises:
        ShapeError: the network does not take that input.
    Example:
        >>> receptive_field(nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)), (1, 9, 11))
        (4, 4)

    Source: Araujo et al. 2019, Computing receptive fields of convolutional neural networks, for
        the single steps.
    """
    tracker = FieldTracker()
    twin = shadow(net)
    twin.register_forward_pre_hook(lambda _, inputs: tracker.start(inputs[0]))
    with tracker:
        output = run(twin, (1, *input))
    return tracker.field(output, tuple(input[1:]))
