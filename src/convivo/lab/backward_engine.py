"""The gradients of one layer by torch's own differentiation: what the page is held against."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from convivo.errors import UsageError
from convivo.geometry import Axes, Sides
from convivo.layers import Conv, Pool, TrueConv, Unpool


@dataclass(frozen=True, kw_only=True)
class Case:
    """One layer with its numbers, as the page has them; all grids flat, last axis fastest.

    size: of the input. kernel, stride, dilation: per axis. padding: (before, after) per axis.
    flip: a convolution turns its kernel. counted: an average counts the padding. before, fine: of
    an unpooling, the grid that was pooled and its size. grad: what comes from above. loss, target:
    where it comes from, if from a loss. check: which entry to tell by central differences.
    """

    op: str
    kind: str
    size: Axes
    kernel: Axes
    stride: Axes
    dilation: Axes
    padding: Sides
    mode: str
    flip: bool
    counted: bool
    input: list[float]
    weight: list[float]
    bias: float
    grad: list[float]
    before: list[float]
    fine: Axes
    loss: str
    target: list[float]
    check: tuple[str, int, float]

    @property
    def dims(self) -> int:
        return len(self.size)


def backward(case: Case) -> np.ndarray:
    """One forward and backward pass in float32, and a central difference in float64.

    Returns:
        loss, numeric, dL/db, then z, dL/dz by the loss (or as given), dL/dI, dL/dw: one after the
        other, as float64, which holds every float32 exactly.
    Raises:
        ConfigError, ShapeError: what the layer refuses. UsageError: numbers that do not fit it.
    """
    layer = _layer(case, torch.float32)
    x = _grid(case.input, case.size, "input").requires_grad_()
    z = layer(x)
    if len(case.grad) != z.numel():
        rule = f"the upstream gradient has an entry per output, {tuple(z.shape[2:])}"
        raise UsageError("backward", rule, f"{len(case.grad)} entries", "Give that many")
    own, value = _own_gradient(case, z)
    z.backward(torch.tensor(case.grad, dtype=z.dtype).view_as(z))
    assert x.grad is not None, "every layer here is differentiable"
    dw, db = _of_parameters(layer)
    parts = (value, _numeric(case), db, z, own, x.grad, dw)
    return np.concatenate([np.ravel(np.asarray(_plain(p), dtype=np.float64)) for p in parts])


def _plain(value: object) -> object:
    return value.detach().numpy() if isinstance(value, Tensor) else value


def _of_parameters(layer: Callable[[Tensor], Tensor]) -> tuple[Tensor, float]:
    """dL/dw and dL/db; nothing and 0 of a layer that learns nothing."""
    if not isinstance(layer, Conv):
        return torch.empty(0), 0.0
    assert layer.weight.grad is not None
    assert layer.bias is not None
    assert layer.bias.grad is not None
    return layer.weight.grad, float(layer.bias.grad)


def _grid(values: list[float], size: Axes, name: str, dtype: torch.dtype = torch.float32) -> Tensor:
    if len(values) != int(np.prod(size)):
        rule = f"{name} has one number per sample of {size}"
        raise UsageError("backward", rule, f"{len(values)} numbers", "Give that many")
    return torch.tensor(values, dtype=dtype).view(1, 1, *size)


def _layer(case: Case, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    makers = {"conv": _conv, "pool": _pool, "unpool": _unpool}
    return makers[case.op](case, dtype) if case.op in makers else nn.ReLU()


def _conv(case: Case, dtype: torch.dtype) -> Conv:
    kind = TrueConv if case.flip else Conv
    layer = kind(
        1, 1, case.kernel, spatial_dims=case.dims, stride=case.stride, dilation=case.dilation,
        padding=case.padding, padding_mode=case.mode,
    ).to(dtype)  # fmt: skip
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.copy_(_grid(case.weight, case.kernel, "weight", dtype))
        layer.bias.fill_(case.bias)
    return layer


def _pool(case: Case, _: torch.dtype) -> Pool:
    average = {"count_padding": case.counted} if case.kind == "avg" else {}
    return Pool(
        case.kernel, kind=case.kind, spatial_dims=case.dims, stride=case.stride,
        padding=case.padding, dilation=case.dilation, **average,
    )  # fmt: skip


def _unpool(case: Case, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    if case.kind != "max":
        plain = Unpool(case.kernel, kind=case.kind, spatial_dims=case.dims)
        return lambda x: plain(x, None, case.fine)
    paired = Pool(case.kernel, spatial_dims=case.dims, stride=case.stride, return_indices=True)
    _, places = paired(_grid(case.before, case.fine, "before", dtype))
    back = Unpool(pool=paired)
    return lambda x: back(x, places, case.fine)


def _own_gradient(case: Case, z: Tensor) -> tuple[Tensor, float]:
    """dL/dz and the loss, by torch; where there is no loss, the sum that has this gradient."""
    answer = z.detach().requires_grad_()
    value = _loss(case, answer)
    value.backward()
    assert answer.grad is not None
    return answer.grad, float(value.detach())


def _loss(case: Case, z: Tensor) -> Tensor:
    if case.loss == "none":
        return (torch.tensor(case.grad, dtype=z.dtype).view_as(z) * z).sum()
    if len(case.target) != z.numel():
        rule = f"the target has an entry per output, {tuple(z.shape[2:])}"
        raise UsageError("backward", rule, f"{len(case.target)} entries", "Give that many")
    target = torch.tensor(case.target, dtype=z.dtype).view_as(z)
    return {"mse": mse_loss, "bce": binary_cross_entropy_with_logits}[case.loss](z, target)


def _numeric(case: Case) -> float:
    """(L(v + h) - L(v - h)) / 2h in float64, through the same layer."""
    grid, index, step = case.check
    values = {"w": case.weight, "b": [case.bias], "x": case.input}[grid]
    if index >= len(values):
        rule = f"an entry of {grid} is one of {len(values)}"
        raise UsageError("backward", rule, index, "Choose another")
    return (_moved(case, step) - _moved(case, -step)) / (2 * step)


def _moved(case: Case, by: float) -> float:
    moved = _with(case, *case.check[:2], by)
    with torch.no_grad():
        x = _grid(moved.input, moved.size, "input", torch.float64)
        return float(_loss(moved, _layer(moved, torch.float64)(x)))


def _with(case: Case, grid: str, index: int, by: float) -> Case:
    """The case with one of its numbers changed."""
    if grid == "b":
        return replace(case, bias=case.bias + by)
    values = list(case.weight if grid == "w" else case.input)
    values[index] += by
    return replace(case, weight=values) if grid == "w" else replace(case, input=values)
