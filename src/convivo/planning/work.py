"""What a step has to do: arithmetic and bytes moved, operation by operation, for its seconds.

Seen below autograd and autocast, on fake tensors as on real ones: the measurements of `speeds`
count with the same rules, so that what is a byte moved cancels out.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from convivo.planning.conv_backend import conv_backend
from convivo.planning.shadow import tensors
from convivo.planning.trace import Step

# Operations whose speed per byte differs from that of a sum or product, as torch calls them. Those
# not found here move bytes as fast as a sum does.
NAMES = {
    "matmul": "mm addmm bmm baddbmm addbmm mv dot _linear_pointwise",
    "norm": """native_batch_norm native_group_norm native_layer_norm _native_batch_norm_legit
        _native_batch_norm_legit_no_training""",
    "norm_backward": """native_batch_norm_backward native_group_norm_backward
        native_layer_norm_backward""",
    "max_pool": "max_pool2d_with_indices max_pool3d_with_indices",
    "max_pool_backward": "max_pool2d_with_indices_backward max_pool3d_with_indices_backward",
    "avg_pool": "avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d",
    "avg_pool_backward": """avg_pool2d_backward avg_pool3d_backward
        _adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward""",
    "copy": "clone cat copy_ repeat slice_backward constant_pad_nd stack _to_copy",
    "reduce": "sum mean linalg_vector_norm _foreach_norm amax amin var_mean",
    "exponential": """_log_softmax _log_softmax_backward_data _softmax _softmax_backward_data
        exp log sigmoid tanh gelu gelu_backward silu silu_backward elu mish softplus pow""",
    "gather": """gather scatter scatter_add scatter_ index _unsafe_index index_put_ index_select
        max_unpool2d max_unpool3d nll_loss2d_forward nll_loss2d_backward""",
    "random": "bernoulli bernoulli_ native_dropout rand_like randn_like",
    "update": "_fused_sgd_ _fused_adam_ _fused_adamw_",
}
KINDS = {name: kind for kind, names in NAMES.items() for name in names.split()}
BY_ONEDNN = "_linear_pointwise"  # a product whose second factor lies turned
FREE = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
FORMATS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
DEVICE = torch.ops.prim.device.default


@dataclass(frozen=True, slots=True)
class Work:
    """One operation.

    kind: of `NAMES`, "elementwise", "resize", "conv_forward", "conv_data" (gradient of the
    input) or "conv_weight" (that of the weight). precision: "fp32", "bf16" or "fp16". bytes: read
    and written; of a convolution those of its weight, of pooling what its windows look at. flops:
    a multiply-add is two. channels: in and out, of one group; kernel, groups, items and the
    output's positions in all of them. native: torch's own kernels, which it prefers on CPU for
    little work and which take item after item, and not oneDNN's.
    """

    kind: str
    precision: str
    bytes: int
    flops: int = 0
    channels: tuple[int, int] = (0, 0)
    kernel: tuple[int, ...] = ()
    groups: int = 1
    items: int = 1
    positions: int = 0
    native: bool = False


@dataclass
class Tally:
    """A step's work: each operation with how often it is asked for, and the calls themselves.

    called: operations that Python asks for, replayed: those of the backward pass; handled: tensors
    that the optimizer goes through one by one.
    """

    work: Counter[Work] = field(default_factory=Counter)
    called: int = 0
    replayed: int = 0
    handled: int = 0

    def join(self, other: "Tally") -> None:
        """Add all that another one counted."""
        self.work.update(other.work)
        self.called += other.called
        self.replayed += other.replayed
        self.handled += other.handled

    def add(self, func: Any, args: tuple, out: Any, *, learning: bool) -> None:
        """One more operation; `learning` tells those of the backward pass from the others."""
        if learning and not torch.is_grad_enabled():
            self.replayed += 1
        else:
            self.called += 1
        name = func._overloadpacket.__name__
        known = func.namespace == "aten" or name == BY_ONEDNN
        if func.is_view or name in FREE or not known:
            return
        if name.startswith("_fused_"):
            self.handled += len(args[0])
        for item in work_of(name, args, out):
            self.work[item] += 1


class _Watch(TorchDispatchMode):
    """Adds up what passes; holds no tensor, so that lifetimes stay as they are."""

    def __init__(self, tally: Tally, *, learning: bool) -> None:
        super().__init__()
        self.tally, self.learning = tally, learning

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func is DEVICE:
            return func(*args)
        if torch.is_inference_mode_enabled():  # else autograd has taken it apart before
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        out = func(*args, **(kwargs or {}))
        self.tally.add(func, args, out, learning=self.learning)
        return out


def work_of(name: str, args: tuple, out: object) -> Iterator[Work]:
    """The work of one call of torch's operation `name`."""
    if name == "convolution":
        yield from _convolution(args, out)
    elif name == "convolution_backward":
        yield from _convolution_backward(args)
    elif name == "mkldnn_convolution":
        x, weight, _, padding, stride, dilation, groups = args
        settings = (stride, padding, dilation, False, [0] * len(stride), groups)
        yield replace(_convolved("conv_forward", out, x, weight, settings), native=False)
    else:
        given, made = list(tensors(args)), list(tensors(out))
        if not made:
            made = given[:1]
        size = _pooled(name, args, made) or sum(t.numel() * t.itemsize for t in (*given, *made))
        kind = KINDS.get(name) or ("resize" if name.startswith("upsample") else "elementwise")
        flops = _product(name, given) if kind == "matmul" else 0
        yield Work(kind, _precision(made or given), size, flops)


def _pooled(name: str, args: tuple, made: list[Tensor]) -> int:
    """Bytes that the windows look at, each sample as often as it is looked at; 0 if no pooling."""
    if name in ("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d"):
        windows, kernel = made[0], args[1]
    elif name in ("avg_pool2d_backward", "avg_pool3d_backward"):
        windows, kernel = args[0], args[2]
    else:
        return 0
    axes = int(name.partition("d")[0][-1])
    taps = math.prod(kernel) if len(kernel) > 1 else kernel[0] ** axes
    return windows.numel() * windows.itemsize * taps


def _precision(tensors: Sequence[Tensor]) -> str:
    known = (FORMATS[t.dtype] for t in tensors if t.dtype in FORMATS)
    return next(known, "fp32")


def _product(name: str, given: list[Tensor]) -> int:
    """Of two matrices, or two batches of them; what is added comes first."""
    a, b = given[-2:]
    b = b.t() if name == BY_ONEDNN else b
    return 2 * a.numel() * (b.shape[-1] if b.dim() > 1 else 1)


def _convolution(args: tuple, out: object) -> Iterator[Work]:
    x, weight, transposed = args[0], args[1], args[6]
    kind, small = ("conv_data", x) if transposed else ("conv_forward", out)
    yield _convolved(kind, small, x, weight, args[3:9])


def _convolution_backward(args: tuple) -> Iterator[Work]:
    gradient, x, weight = args[:3]
    transposed, wanted = args[7], args[10]
    small = x if transposed else gradient
    if wanted[0]:
        kind = "conv_forward" if transposed else "conv_data"
        yield _convolved(kind, small, x, weight, args[4:10])
    if wanted[1]:
        yield _convolved("conv_weight", small, x, weight, args[4:10])


def _convolved(kind: str, small: Any, x: Tensor, weight: Tensor, settings: tuple) -> Work:
    """A transposed convolution is its twin's gradient; `small` is the output of the plain one."""
    positions, groups = small.numel() // small.shape[1], settings[-1]
    return Work(
        kind,
        _precision((weight,)),
        weight.numel() * weight.itemsize,
        flops=2 * positions * weight.numel(),
        channels=(weight.shape[1], weight.shape[0] // groups),
        kernel=tuple(weight.shape[2:]),
        groups=groups,
        items=len(x),
        positions=positions,
        native="Slow" in conv_backend(x, weight, None, settings),
    )


def watched(step: Step, tally: Tally, *, number: int = 2) -> Step:
    """The same step, adding the work of its `number`-th call to `tally`."""
    calls = 0

    def count(network: nn.Module, optimizer: Optimizer | None, given: tuple[Tensor, ...]) -> None:
        nonlocal calls
        calls += 1
        if calls != number:
            step(network, optimizer, given)
            return
        with _Watch(tally, learning=optimizer is not None):
            step(network, optimizer, given)

    return count


def work_done(task: Callable[[], object], *, learning: bool = False) -> Tally:
    """The work of a function.

    Example:
        >>> tally = work_done(lambda: torch.ones(3, 4) @ torch.ones(4, 5))
        >>> [item.flops for item in tally.work if item.kind == "matmul"]
        [120]
    """
    tally = Tally()
    with _Watch(tally, learning=learning):
        task()
    return tally
