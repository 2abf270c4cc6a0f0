"""LeNet-5 as it is built today: full connections in C3, ordinary pooling, a linear output."""

import math

from torch import Tensor, nn

from convivo.architectures.blocks import check_least, check_network_input, initialise, scaled
from convivo.errors import ShapeError
from convivo.geometry import Axes
from convivo.layers import Conv, Pool
from convivo.layers import activation as activation_layer
from convivo.layers.conv_pool import conv_pool

# 12 -> padded convolution 12 -> pooled 6 -> convolution 2 -> pooled 1
LEAST = 12


def _grid(size: int) -> int:
    return (size // 2 - 4) // 2


class LeNet5(nn.Module):
    """Two convolutions with pooling, three linear layers; names as in the paper.

    Shape: (N, C, *input_size) -> (N, num_classes).
    """

    def __init__(
        self,
        *,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Axes,
        width: float,
        activation: str,
        pool: str,
    ) -> None:
        super().__init__()
        self.in_channels, self.input_size = in_channels, input_size
        # too small an input would leave no grid to size f5 by
        check_least(input_size, (LEAST,) * spatial_dims, "lenet5", "to leave a grid behind pool 4")
        maps, deep, c5, f6 = (scaled(c, width) for c in (6, 16, 120, 84))
        grid = math.prod(_grid(n) for n in input_size)
        self.c1 = Conv(in_channels, maps, 5, padding=2, spatial_dims=spatial_dims)
        self.act1 = activation_layer(activation)
        self.s2 = Pool(2, kind=pool, spatial_dims=spatial_dims)
        self.c3 = Conv(maps, deep, 5, spatial_dims=spatial_dims)
        self.act3 = activation_layer(activation)
        self.s4 = Pool(2, kind=pool, spatial_dims=spatial_dims)
        self.feature_channels = (maps, deep, deep)
        self.c5 = nn.Linear(deep * grid, c5)
        self.act5 = activation_layer(activation)
        self.f6 = nn.Linear(c5, f6)
        self.act6 = activation_layer(activation)
        self.output = nn.Linear(f6, num_classes)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless `size` is the one it was created for."""
        if size != self.input_size:
            rule = f"created for inputs of size {self.input_size}"
            remedy = f"Resample to {self.input_size}, or create it with input_size={size}"
            raise ShapeError("lenet5", rule, size, remedy)

    def features(self, x: Tensor) -> list[Tensor]:
        """The last tensor at each resolution: before each pooling, and behind the last one."""
        fine = self.act1(self.c1(x))
        middle = self.act3(self.c3(self.s2(fine)))
        return [fine, middle, self.s4(middle)]

    def forward(self, x: Tensor) -> Tensor:
        check_network_input(x, self.in_channels, len(self.input_size), "lenet5", self.check_size)
        x = conv_pool(x, self.c1, self.act1, self.s2)
        x = conv_pool(x, self.c3, self.act3, self.s4)
        x = self.act5(self.c5(x.flatten(1)))
        return self.output(self.act6(self.f6(x)))


def lenet5(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes,
    width: float = 1.0,
    activation: str = "relu",
    pool: str = "max",
) -> LeNet5:
    """LeNet-5 in today's dress, for any input size of at least 12 per axis.

    28 samples per axis are padded by 2 inside the first convolution, which gives the paper's 32.
    Differs from the paper: C3 sees all maps of S2, S2 and S4 have no weights, the output is linear.

    Args:
        activation: "relu" as networks have it today, "tanh" as in the paper (unscaled), or another.
        pool: "max" or "avg". Maximum by default although the paper averages: it keeps a stroke's
            or a spike's strongest response where an average dilutes it among its neighbours.
    Raises:
        ShapeError: an axis of fewer than 12 samples.
        ConfigError: an unknown activation or pool.
    Source: LeCun et al. 1998; starting weights of tanh LeCun et al. 1998, Efficient BackProp, eq.
    16, of others He et al. 2015, arXiv:1502.01852, eq. 10.
    """
    net = LeNet5(
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        num_classes=num_classes,
        input_size=input_size,
        width=width,
        activation=activation,
        pool=pool,
    )
    gain = 1 if activation == "tanh" else 2  # half of what a rectifier sees is lost
    initialise(net, lambda weight, fan: nn.init.normal_(weight, std=math.sqrt(gain / fan)))
    return net
