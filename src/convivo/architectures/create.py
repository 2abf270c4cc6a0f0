"""create(): from a name and its options to a plain torch.nn.Module."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from convivo.architectures import ARCHITECTURES, Architecture
from convivo.architectures.inflation import replicate_new_axes
from convivo.architectures.initialisation import restart
from convivo.architectures.pretrained import load_pretrained
from convivo.errors import ConfigError, UsageError, nearest_name
from convivo.geometry import Axes, per_axis
from convivo.layers.kernels import check_dimensions

# what every builder takes; its other keyword arguments are options of the network
SHARED = ("spatial_dims", "in_channels", "num_classes", "input_size", "width")
# what `create` itself sees to, for every network
OWN = ("init", "pretrained", "inflation")


def architecture(name: str) -> Architecture:
    """The registry's entry.

    Raises:
        UsageError: no network of that name; the message gives the nearest one.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    raise UsageError("net", "a known network", repr(name), nearest_name(name, ARCHITECTURES))


def builder(name: str) -> Callable[..., nn.Module]:
    """The function that builds a network; its module is imported now."""
    module, function = architecture(name).build.split(":")
    return getattr(importlib.import_module(f"convivo.architectures.{module}"), function)


def options(name: str) -> dict[str, object]:
    """A network's own options and their defaults.

    Example:
        >>> options("mlp")
        {'hidden': (1000,), 'activation': 'relu', 'dropout': 0.0}
    """
    parameters = inspect.signature(builder(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in SHARED}


def create(
    name: str,
    *,
    spatial_dims: int = 2,
    in_channels: int = 1,
    num_classes: int = 2,
    input_size: int | Sequence[int] | None = None,
    width: float = 1.0,
    init: str = "paper",
    pretrained: str | Path | None = None,
    inflation: str = "centre",
    **settings: object,
) -> nn.Module:
    """Build a network, its weights drawn from torch's global generator (`torch.manual_seed`).

    Input (N, in_channels, *S); output (N, num_classes) from networks that classify, and
    (N, num_classes, *S) from those that segment: logits, before any softmax; (N, in_channels, *S)
    from those that reconstruct. `dcgan` makes such images of latent vectors (N, latent), and judges
    them, (N, 1).

    Args:
        name: a key of `ARCHITECTURES`.
        spatial_dims: 1 for signals, 2 for images, 3 for volumes.
        in_channels: channels of the input.
        num_classes: classes of the output.
        input_size: S. Networks with layers of the input's size need it (`mlp lenet5 lenet5_1998
            autoencoder vae dcgan`); others use it to refuse a bad size right away.
        width: factor on the number of channels of every hidden layer.
        init: starting weights: "paper", or one of `INITIALISATIONS` for all layers alike.
        pretrained: a file of published 2D weights, or of our own, to start from instead; its first
            layer and head are adapted, see `architectures/pretrained.py`.
        inflation: how 2D weights become 3D ones: "centre", or "mean", for which convolutions pad
            the new axis by replication. To 1D they are summed.
        settings: the network's own options, see its module.
    Raises:
        UsageError: an unknown network, a number that cannot be, or weights of another network.
        ConfigError: an unknown option, or a value it cannot take.
        ShapeError: an `input_size` that the network cannot take.
        ReadError: `pretrained` cannot be read.
    Example:
        >>> net = create("lenet5", spatial_dims=1, in_channels=2, num_classes=4, input_size=(360,))
        >>> sum(p.numel() for p in net.parameters())
        180146
    """
    entry = architecture(name)
    _check_numbers(name, spatial_dims, in_channels, num_classes, width)
    _check_options(name, settings)
    size = None if input_size is None else per_axis(input_size, spatial_dims, "input_size")
    if size is None and entry.needs_input_size:
        remedy = f"Give one number per axis ({spatial_dims}), such as 28"
        raise UsageError(name, "input_size is needed to size its last layers", "none", remedy)
    net = builder(name)(
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        num_classes=num_classes,
        input_size=size,
        width=width,
        **settings,
    )
    if size is not None:
        check_input_size(net, size)
    restart(net, init)
    replicate_new_axes(net, inflation)
    if pretrained is not None:
        load_pretrained(net, pretrained, inflation=inflation)
    return net


def check_input_size(net: nn.Module, size: Axes) -> None:
    """Ask a network whether it takes inputs of this size; one that does not know says nothing.

    Raises:
        ShapeError: it does not; the message names the nearest size that works.
    """
    check = getattr(net, "check_size", None)
    if callable(check):
        check(size)


def _check_numbers(
    name: str, spatial_dims: int, in_channels: int, num_classes: int, width: float
) -> None:
    check_dimensions(spatial_dims, name)
    if min(in_channels, num_classes) < 1 or not 0 < width < float("inf"):
        got = f"in_channels={in_channels}, num_classes={num_classes}, width={width}"
        rule = "in_channels, num_classes and width must be positive"
        raise UsageError(name, rule, got, "Give positive numbers")


def _check_options(name: str, settings: dict[str, object]) -> None:
    known, optional = options(name), _optional(name)
    for key in settings:
        if key not in known:
            rule = f"an option of {name} or of every network"
            near = nearest_name(key, [*known, *SHARED, *OWN])
            raise ConfigError(f"net.{key}", rule, repr(key), near)
        if settings[key] is not None or key not in optional:
            _check_kind(key, settings[key], known[key])


def _optional(name: str) -> set[str]:
    """The options that take None, whatever their default."""
    parameters = inspect.signature(builder(name)).parameters.values()
    return {p.name for p in parameters if "None" in str(p.annotation)}


def _check_kind(key: str, value: object, default: object) -> None:
    """A word, a switch and a number cannot stand for each other; lists are the builder's matter."""
    kinds: dict[type, type | tuple[type, ...]] = {
        bool: bool,
        str: str,
        float: (int, float),
        int: (int, list, tuple),
    }
    kind = kinds.get(type(default))
    if kind is None or (isinstance(value, kind) and isinstance(value, bool) == (kind is bool)):
        return
    rule = f"a value of the kind of its default, {default!r}"
    raise ConfigError(f"net.{key}", rule, repr(value), f"Give {type(default).__name__}")
