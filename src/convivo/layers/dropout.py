"""Dropout, of single values or of whole channels."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convivo.errors import ConfigError
from convivo.layers.kernels import DROPOUT_CHANNELS, check_dimensions, check_input


class Dropout(nn.Module):
    """In training, set a share of the values to zero and scale the others up to keep the mean.

    Shape: (N, C, *S) -> (N, C, *S); any shape where `channelwise` is off.

    Args:
        probability: share of values that become zero, from 0 up to but not including 1.
        channelwise: drop whole channels, since neighbouring samples say nearly the same.
        spatial_dims: 1, 2 or 3; needed by `channelwise` only.
    Raises:
        ConfigError: a probability outside [0, 1).
        ShapeError: `channelwise` and an input of the wrong rank.
    Source: Srivastava et al. 2014; Tompson et al. 2015, arXiv:1411.4280 (channels).
    """

    def __init__(
        self, probability: float = 0.5, *, channelwise: bool = False, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            rule = "the probability lies in [0, 1)"
            raise ConfigError("Dropout", rule, probability, "Give a number such as 0.2")
        self.probability, self.channelwise = float(probability), channelwise
        self.spatial_dims = check_dimensions(spatial_dims, "Dropout")

    def forward(self, x: Tensor) -> Tensor:
        if not self.channelwise:
            return F.dropout(x, self.probability, self.training)
        if not torch.compiler.is_compiling():
            check_input(x, self.spatial_dims, None, "Dropout")
        return DROPOUT_CHANNELS[self.spatial_dims](x, self.probability, self.training)

    def extra_repr(self) -> str:
        return f"{self.probability}" + (", channelwise" if self.channelwise else "")
