"""What a layer is called in a drawing of a network."""

from collections.abc import Callable, Sequence

from torch import nn

from convivo.layers import AdaptivePool, Conv, GlobalPool, Norm, Pool, UpConv, Upsample
from convivo.planning.flow import Call

# kinds that follow nearly every convolution; a drawing names them once, above it
QUIET_KINDS = (
    *("Identity", "Dropout", "Tanh", "ScaledTanh", "Sigmoid", "Flatten", "Unflatten"),
    *("flatten", "reshape", "view", "getitem", "pad", "Crop", "relu"),
)
JOINS = {"cat": "cat", "add": "add", "radd": "add", "mul": "multiply", "sum": "add"}
FUNCTIONS = {"getitem": "crop", "narrow": "crop", "conv2d": "Conv", "mean": "average of the grid"}


def is_quiet(call: Call) -> bool:
    """Whether a drawing leaves this call out: normalisation, activation, dropout, reshaping."""
    module = call.module
    if isinstance(module, Norm) or call.kind in QUIET_KINDS:
        return True
    return module is not None and type(module).__module__ == "torch.nn.modules.activation"


def quiet_words(calls: Sequence[Call]) -> str:
    """The kinds of what is left out, such as "batch norm, ReLU"."""
    words: dict[str, None] = {}
    for call in calls:
        module = call.module
        if isinstance(module, Norm) and module.kind != "none":
            words[f"{module.kind} norm"] = None
        elif is_quiet(call) and call.kind[0].isupper() and "latten" not in call.kind:
            words[call.kind] = None
    return ", ".join(word for word in words if word not in ("Identity", "Norm", "Crop"))


def by(sizes: Sequence[int]) -> str:
    """Sizes in a narrow column: by((64, 56, 56)) is "64x56x56"."""
    return "x".join(map(str, sizes))


def _window(sizes: Sequence[int], steps: Sequence[int], sign: str) -> str:
    text = "x".join(map(str, sizes))
    if max(steps) == 1:
        return text
    return f"{text} {sign}" + ("x".join(map(str, steps)) if len(set(steps)) > 1 else str(steps[0]))


def _conv(layer: nn.Module) -> str:
    assert isinstance(layer, Conv | UpConv)
    grouped = f" g{layer.groups}" if layer.groups > 1 else ""
    if isinstance(layer, UpConv):
        return f"UpConv {_window(layer.kernel_size, layer.stride, '*')}{grouped}"
    return f"Conv {_window(layer.kernel_size, layer.stride, '/')}{grouped}"


def _pool(layer: nn.Module) -> str:
    assert isinstance(layer, Pool)
    kind = {"avg": "average"}.get(layer.kind, layer.kind)
    return f"{kind} pool {_window(layer.kernel_size, layer.stride, '/')}"


def _adaptive(layer: nn.Module) -> str:
    assert isinstance(layer, AdaptivePool)
    kind = {"avg": "average"}.get(layer.kind, layer.kind)
    return f"{kind} to {by(layer.output_size)}"


def _upsample(layer: nn.Module) -> str:
    assert isinstance(layer, Upsample)
    return f"{layer.kind} *{'x'.join(map(str, layer.factor))}"


WORDS: dict[type[nn.Module], Callable[[nn.Module], str]] = {
    Conv: _conv,
    UpConv: _conv,
    Pool: _pool,
    AdaptivePool: _adaptive,
    Upsample: _upsample,
    GlobalPool: lambda layer: "average of the grid",
}


def word(call: Call) -> str:
    """The call without its channels, such as "Conv 3x3 /2", or g4 behind it for four groups."""
    if call.module is None:
        return JOINS.get(call.kind, FUNCTIONS.get(call.kind, call.kind))
    return WORDS.get(type(call.module), lambda layer: call.kind)(call.module)


def phrase(call: Call) -> str:
    """The call with the channels it gives, such as "Conv 3x3 /2, 64"."""
    given = channels(call)
    return word(call) + (f", {given}" if given else "")


def channels(call: Call) -> str:
    """The channels a call gives, where it decides on them."""
    decides = isinstance(call.module, Conv | UpConv) or call.kind in ("Linear", "cat")
    return str(call.shape[0]) if decides else ""
