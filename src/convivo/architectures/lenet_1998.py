"""LeNet-5 as published: subsampling with weights, C3's table of connections, codes for digits."""

import torch
from torch import Tensor, nn

from convivo.architectures.blocks import check_least, check_network_input, initialise, scaled
from convivo.errors import ShapeError
from convivo.geometry import Axes
from convivo.layers import Conv, Pool, activation
from convivo.layers.kernels import CONV

# 16 -> convolution 12 -> pooled 6 -> convolution 2 -> pooled 1
LEAST = 16
# The paper's table I: the maps of S2 (0 to 5) that each of the 16 maps of C3 is connected to: every
# three neighbours in a ring, every four, some fours with gaps, all.
TABLE = (
    *("012", "123", "234", "345", "045", "015"),
    *("0123", "1234", "2345", "0345", "0145", "0125"),
    *("0134", "1245", "0235", "012345"),
)
# Codes of the ten digits, 12 rows of 7 samples, one digit beside the other: their drawings
DIGITS = """
 .###... ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
 ##.##.. ..###.. ##...## ##...## ...###. ##..... .##.... ......# ##...## ##...##
 #...##. .####.. #.....# .....## ..####. ##..... ##..... .....## #.....# #.....#
 #....#. ...##.. ......# .....## .##.##. ##..... ##..... .....#. ##...## #.....#
 #....## ...##.. .....## ...###. ##..##. ##.###. ##.###. ....##. .#####. ##....#
 #.....# ...##.. ....##. ...###. ##..##. ###..## ###..## ....#.. .#####. .######
 #.....# ...##.. ...##.. .....## ##..##. .....## ##...## ...##.. ##...## ..##.##
 ##....# ...##.. ..##... .....## ####### .....## ##...## ...##.. #.....# .....##
 .#....# ...##.. .##.... .....## ....##. .....## ##...## ..##... #.....# .....##
 .##...# ...##.. ##..... ##...## ....##. ##...## ##...## ..##... #.....# .....##
 ..##.## ...##.. ##..... ##...## ....##. ##...## .##.##. ..##... ##...## ....##.
 ...###. .###### ####### .#####. ....##. .#####. ..###.. ..##... .#####. .####..
"""


def digit_codes() -> Tensor:
    """The drawings of DIGITS as (10, 84) numbers: ink +1, paper -1, row after row.

    Example:
        >>> digit_codes().shape, digit_codes()[1, :7].tolist()
        (torch.Size([10, 84]), [-1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0])
    """
    rows = [line.split() for line in DIGITS.split("\n") if line]
    drawings = ["".join(parts) for parts in zip(*rows, strict=True)]
    return torch.tensor([[1.0 if c == "#" else -1.0 for c in drawing] for drawing in drawings])


def connections(ins: int, outs: int) -> list[tuple[int, ...]]:
    """The maps of S2 that each map of C3 sees, those with fewest first: TABLE for 6 and 16 maps.

    For other numbers the table is stretched: a map stands for the published one at its share of
    the list, or, where there are fewer than six, for all those at its share.

    Example:
        >>> connections(6, 16)[-2:]
        [(0, 2, 3, 5), (0, 1, 2, 3, 4, 5)]
        >>> connections(2, 4)
        [(0,), (0, 1), (0, 1), (0, 1)]
    """
    shares = [range(i * 6 // ins, max((i + 1) * 6 // ins, i * 6 // ins + 1)) for i in range(ins)]
    rows = []
    for j in range(outs):
        seen = {int(c) for c in TABLE[j * len(TABLE) // outs]}
        rows.append(tuple(i for i, share in enumerate(shares) if seen.intersection(share)))
    return sorted(rows, key=len)


class Subsampling(nn.Module):
    """The sum of each window of 2 per axis, times a weight, plus a bias: two numbers per map.

    Shape: (N, C, *S) -> (N, C, *(S // 2)).
    """

    def __init__(self, channels: int, *, spatial_dims: int) -> None:
        super().__init__()
        self.samples = 2**spatial_dims
        self.mean = Pool(2, kind="avg", spatial_dims=spatial_dims)
        per_map = (channels, *(1,) * spatial_dims)
        self.weight = nn.Parameter(torch.ones(per_map))
        self.bias = nn.Parameter(torch.zeros(per_map))

    def forward(self, x: Tensor) -> Tensor:
        return self.mean(x) * (self.samples * self.weight) + self.bias


class TableConv(nn.Module):
    """A convolution of 5 per axis whose maps each see only the maps that a table names.

    Shape: (N, C, *S) -> (N, D, *(S - 4)). Maps that see equally many are one grouped `Conv`, which
    holds their kernels and knows their fan-in. They are computed as one dense convolution with
    zeros where nothing is connected, on CPUs about ten times faster than groups of one map.
    """

    table: Tensor

    def __init__(self, rows: list[tuple[int, ...]], ins: int, *, spatial_dims: int) -> None:
        super().__init__()
        self.spatial_dims = spatial_dims
        lengths = [len(row) for row in rows]
        self.groups = nn.ModuleList(
            Conv(n * count, count, 5, groups=count, spatial_dims=spatial_dims)
            for n in sorted(set(lengths))
            for count in [lengths.count(n)]
        )
        # position of each connection's kernel among all; the last, behind them, is the zero one
        table = torch.full((len(rows), ins), sum(lengths))
        for j, row in enumerate(rows):
            table[j, list(row)] = sum(lengths[:j]) + torch.arange(len(row))
        self.register_buffer("table", table)

    def forward(self, x: Tensor) -> Tensor:
        kernels = [group.get_parameter("weight").flatten(0, 1) for group in self.groups]
        zero = torch.zeros_like(kernels[0][:1])
        weight = torch.cat([*kernels, zero]).index_select(0, self.table.flatten())
        weight = weight.unflatten(0, self.table.shape)
        bias = torch.cat([group.get_parameter("bias") for group in self.groups])
        one, none = (1,) * self.spatial_dims, (0,) * self.spatial_dims
        return CONV[self.spatial_dims](x, weight, bias, one, none, one, 1)


class NearestCode(nn.Module):
    """Radial basis units: minus the squared distance to each of ten fixed codes.

    Shape: (N, 84) -> (N, 10).
    """

    codes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("codes", digit_codes())

    def forward(self, x: Tensor) -> Tensor:
        return -(x.unsqueeze(1) - self.codes).square().sum(-1)


class LeNet1998(nn.Module):
    """Layers C1 to F6 under the paper's names, each but the output squashed by 1.7159 tanh(2x/3).

    Shape: (N, C, *input_size) -> (N, num_classes). `features(x)` lists C1, C3 and S4.
    """

    def __init__(
        self,
        *,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Axes,
        width: float,
    ) -> None:
        super().__init__()
        self.in_channels, self.input_size = in_channels, input_size
        # too small an input would leave no grid to size C5 by
        least = (LEAST,) * spatial_dims
        check_least(input_size, least, "lenet5_1998", "to leave a grid behind S4")
        maps, deep, c5, f6 = (scaled(c, width) for c in (6, 16, 120, 84))
        codes = digit_codes()
        coded = num_classes == len(codes)
        f6 = codes.shape[1] if coded else f6
        self.feature_channels = (maps, deep, deep)
        self.feature_strides = tuple((s,) * spatial_dims for s in (1, 2, 4))
        grid = tuple(((n - 4) // 2 - 4) // 2 for n in input_size)
        self.squash = activation("scaled_tanh")
        self.c1 = Conv(in_channels, maps, 5, spatial_dims=spatial_dims)
        self.s2 = Subsampling(maps, spatial_dims=spatial_dims)
        self.c3 = TableConv(connections(maps, deep), maps, spatial_dims=spatial_dims)
        self.s4 = Subsampling(deep, spatial_dims=spatial_dims)
        self.c5 = Conv(deep, c5, grid, spatial_dims=spatial_dims)
        self.f6 = nn.Linear(c5, f6)
        self.output = NearestCode() if coded else nn.Linear(f6, num_classes)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless `size` is the one it was created for."""
        if size != self.input_size:
            rule = f"created for inputs of size {self.input_size}"
            remedy = f"Resample to {self.input_size}, or create it with input_size={size}"
            raise ShapeError("lenet5_1998", rule, size, remedy)

    def features(self, x: Tensor) -> list[Tensor]:
        """The squashed outputs of C1, C3 and S4."""
        c1 = self.squash(self.c1(x))
        c3 = self.squash(self.c3(self.squash(self.s2(c1))))
        return [c1, c3, self.squash(self.s4(c3))]

    def forward(self, x: Tensor) -> Tensor:
        dims = len(self.input_size)
        check_network_input(x, self.in_channels, dims, "lenet5_1998", self.check_size)
        x = self.squash(self.c5(self.features(x)[-1])).flatten(1)
        return self.output(self.squash(self.f6(x)))


def _start(net: LeNet1998) -> None:
    """Uniform within 2.4 / fan-in, also for the weight of a subsampling window; biases zero."""
    initialise(net, lambda weight, fan: nn.init.uniform_(weight, -2.4 / fan, 2.4 / fan))
    for layer in (net.s2, net.s4):
        nn.init.uniform_(layer.weight, -2.4 / layer.samples, 2.4 / layer.samples)


def lenet5_1998(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes,
    width: float = 1.0,
) -> LeNet1998:
    """LeNet-5 of 1998, for any input size of at least 16 per axis; the paper has 32.

    Test error on MNIST in the paper: 0.95 %, with distorted copies in training 0.8 %.

    Ten classes end in the paper's units: the squared distance y_i of F6 to a fixed code, the
    digit's stylised 7 x 12 drawing. We return -y_i, so that higher is more likely, as from all
    networks. Softmax cross-entropy on it, y_D + log(sum_i exp(-y_i)) for the right class D, is the
    paper's competitive loss (its equation 9) without the constant exp(-j) inside the logarithm,
    which keeps distances that are large already from being pushed further.

    Differs from the paper: the drawings are ours; any other number of classes than ten ends in a
    linear layer; C5 spans whatever grid is left. `width` leaves F6 at 84 units where these must
    match the codes, and stretches the table of C3 (`connections`).

    Raises:
        ShapeError: an axis of fewer than 16 samples.
    Source: LeCun et al. 1998, Proc. IEEE 86(11), section II.B and table I.
    """
    net = LeNet1998(
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        num_classes=num_classes,
        input_size=input_size,
        width=width,
    )
    _start(net)
    return net
