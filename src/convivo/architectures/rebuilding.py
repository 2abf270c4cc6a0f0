"""A network's body that must rebuild its input: what classifiers learn from images alone by."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from convivo.architectures.blocks import initialise
from convivo.architectures.initialisation import INITIALISATIONS
from convivo.errors import UsageError
from convivo.layers import Conv, activation

WIDEST, FINEST = 64, 16  # channels of the decoder: at most, and on the input's own grid


class Up(nn.Module):
    """(N, ins, *S) -> (N, outs, *size): made fewer channels, repeated (nearest), convolved."""

    def __init__(self, ins: int, outs: int, spatial_dims: int) -> None:
        super().__init__()
        self.squeeze = Conv(ins, outs, 1, spatial_dims=spatial_dims)
        self.conv = Conv(outs, outs, 3, padding=1, spatial_dims=spatial_dims)
        self.act = activation("relu")

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        x = F.interpolate(self.squeeze(x), size=tuple(size), mode="nearest")
        return self.act(self.conv(self.act(x)))


class Rebuilding(nn.Module):
    """The features of `body` before they are pooled, and a light decoder back to the input.

    Shape: (N, C, *S) -> (N, C, *S). Only the coarsest features are decoded, so that the last
    layers of the body must hold what is needed; of the finer ones the sizes alone are used. What
    the body does behind its features has no part in it, and gets no gradient.

    Args:
        body: with `features(x)`, a list of (N, c, *s) from fine to coarse, and their channels as
            `feature_channels`.
    Raises:
        UsageError: a body without these.
    Source: a head of a few layers suffices: Xie et al. 2022, SimMIM, arXiv:2111.09886; convolution
        behind repetition: Odena et al. 2016, doi:10.23915/distill.00003.
    """

    def __init__(self, body: nn.Module, *, spatial_dims: int, in_channels: int) -> None:
        super().__init__()
        check_body(body)
        *finer, ins = (int(c) for c in body.feature_channels)  # type: ignore[union-attr]
        self.body, self.ups = body, nn.ModuleList()
        for outs in (*(min(WIDEST, c) for c in reversed(finer)), FINEST):
            self.ups.append(Up(ins, outs, spatial_dims))
            ins = outs
        self.head = Conv(ins, in_channels, 3, padding=1, spatial_dims=spatial_dims)
        for part in (self.ups, self.head):
            initialise(part, INITIALISATIONS["he_normal"])

    def forward(self, x: Tensor) -> Tensor:
        *finer, below = self.body.features(x)  # type: ignore[operator]
        for up, like in zip(self.ups, [*reversed(finer), x], strict=True):
            below = up(below, like.shape[2:])
        return self.head(below)


def check_body(network: nn.Module) -> None:
    """Refuse a network that does not tell where its body ends.

    Raises:
        UsageError: no `features` or no `feature_channels`.
    """
    missing = [n for n in ("features", "feature_channels") if not hasattr(network, n)]
    if missing:
        rule = "a network whose convolutional body can be told, by features and feature_channels"
        remedy = "Use one such as resnet18, or leave --pretrain out"
        got = f"{type(network).__name__} without {missing[0]}"
        raise UsageError("--pretrain", rule, got, remedy)
