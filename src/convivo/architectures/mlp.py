"""The multilayer perceptron: every unit sees the whole input. What convolutions are measured by."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from convivo.architectures.blocks import check_network_input, initialise, scaled
from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes
from convivo.layers import Dropout
from convivo.layers import activation as activation_layer


class MLP(nn.Module):
    """Flatten, then linear layers with activations between them.

    Shape: (N, C, *input_size) -> (N, num_classes).
    """

    def __init__(
        self,
        features: Sequence[int],
        *,
        in_channels: int,
        input_size: Axes,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.in_channels, self.input_size = in_channels, input_size
        layers: list[nn.Module] = [nn.Flatten()]
        for i, (ins, outs) in enumerate(pairwise(features)):
            if i:
                layers.append(activation_layer(activation))
                layers += [Dropout(dropout)] if dropout else []
            layers.append(nn.Linear(ins, outs))
        self.layers = nn.Sequential(*layers)

    def check_size(self, size: Axes) -> None:
        """Raises ShapeError unless `size` is the one it was created for."""
        if size != self.input_size:
            rule = f"created for inputs of size {self.input_size}"
            remedy = f"Resample to {self.input_size}, or create it with input_size={size}"
            raise ShapeError("mlp", rule, size, remedy)

    def forward(self, x: Tensor) -> Tensor:
        check_network_input(x, self.in_channels, len(self.input_size), "mlp", self.check_size)
        return self.layers(x)


def mlp(
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    input_size: Axes,
    width: float = 1.0,
    hidden: Sequence[int] = (1000,),
    activation: str = "relu",
    dropout: float = 0.0,
) -> MLP:
    """A multilayer perceptron with He's starting weights.

    Args:
        hidden: units of each hidden layer; () leaves a linear classifier.
        activation: between the layers.
        dropout: share of hidden units dropped in training.
    Raises:
        ConfigError: a hidden layer without units, an unknown activation.
    Source: Rumelhart et al. 1986; He et al. 2015, arXiv:1502.01852 (starting weights).
    """
    if any(h < 1 for h in hidden):
        raise ConfigError("net.hidden", "units per hidden layer, each at least 1", hidden, "Fix it")
    inputs = in_channels * math.prod(input_size)
    features = [inputs, *(scaled(h, width) for h in hidden), num_classes]
    net = MLP(
        features,
        in_channels=in_channels,
        input_size=input_size,
        activation=activation,
        dropout=dropout,
    )
    initialise(net, lambda weight, fan: nn.init.normal_(weight, std=math.sqrt(2 / fan)))
    return net
