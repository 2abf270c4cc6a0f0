"""Activations by name. None of them knows how many axes there are."""

from torch import nn

from convivo.layers.kernels import check_choice

ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "tanh",
    "sigmoid",
    "none",
)


def activation(name: str, *, inplace: bool = True) -> nn.Module:
    """The activation called `name`; `leaky_relu` has slope 0.01.

    Args:
        name: one of `ACTIVATIONS`.
        inplace: where torch can, write the result over the input. Safe after a convolution, a
            normalisation or a sum, none of which needs its own output for its gradient.
    Raises:
        ConfigError: an unknown name; the message gives the nearest one.
    Example:
        >>> activation("relu")
        ReLU(inplace=True)
    """
    check_choice(name, ACTIVATIONS, "activation")
    overwriting = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "silu": nn.SiLU}
    if name in overwriting:
        return overwriting[name](inplace=inplace)
    plain = {"gelu": nn.GELU, "softplus": nn.Softplus, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    return plain.get(name, nn.Identity)()
