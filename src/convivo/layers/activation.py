"""Activations by name. None of them knows how many axes there are."""

from torch import Tensor, nn

from convivo.layers.kernels import check_choice

ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "prelu",
    "relu6",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "hardswish",
    "softplus",
    "softsign",
    "tanh",
    "scaled_tanh",
    "sigmoid",
    "hardsigmoid",
    "none",
)
OVERWRITING: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "relu6": nn.ReLU6,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "celu": nn.CELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
}


class ScaledTanh(nn.Module):
    """f(x) = 1.7159 tanh(2 x / 3), the squashing function of LeNet-5.

    With it f(1) = 1 and f(-1) = -1: targets of one lie where the curve bends most, inside its
    asymptotes, and activations keep a variance near one. Shape: any -> the same.

    Source: LeCun et al. 1998, Proc. IEEE 86(11), appendix A.
    """

    amplitude = 1.7159
    slope = 2 / 3

    def forward(self, x: Tensor) -> Tensor:
        return self.amplitude * (self.slope * x).tanh()


def activation(name: str, *, inplace: bool = True, channels: int = 1) -> nn.Module:
    """The activation called `name`; `leaky_relu` has slope 0.01, `prelu` learns it from 0.25.

    Args:
        name: one of `ACTIVATIONS`.
        inplace: where torch can, write the result over the input. Safe after a convolution, a
            normalisation or a sum, none of which needs its own output for its gradient.
        channels: for "prelu", how many slopes are learnt: one for all channels, or one each.
    Raises:
        ConfigError: an unknown name; the message gives the nearest one.
    Example:
        >>> activation("relu")
        ReLU(inplace=True)

    Source: Nair & Hinton 2010 (relu); He et al. 2015, arXiv:1502.01852 (prelu); Clevert et al.
    2016, arXiv:1511.07289 (elu); Klambauer et al. 2017, arXiv:1706.02515 (selu); Barron 2017,
    arXiv:1704.07483 (celu); Hendrycks & Gimpel 2016, arXiv:1606.08415 (gelu); Elfwing et al. 2017,
    arXiv:1702.03118 (silu); Misra 2019, arXiv:1908.08681 (mish); Howard et al. 2019,
    arXiv:1905.02244 (hardswish).
    """
    check_choice(name, ACTIVATIONS, "activation")
    if name in OVERWRITING:
        return OVERWRITING[name](inplace=inplace)
    if name == "prelu":
        return nn.PReLU(channels)
    plain: dict[str, type[nn.Module]] = {
        "gelu": nn.GELU,
        "softplus": nn.Softplus,
        "softsign": nn.Softsign,
        "tanh": nn.Tanh,
        "scaled_tanh": ScaledTanh,
        "sigmoid": nn.Sigmoid,
    }
    return plain.get(name, nn.Identity)()
