"""From logits to probabilities: the end of a network, where its answer is read."""

import torch
from torch import Tensor, nn

from convivo.errors import ShapeError


class Softmax(nn.Module):
    """Probabilities of exclusive classes: p_i = exp(z_i) / sum over j of exp(z_j).

    Computed as exp(z_i - m) / sum of exp(z_j - m) with m the largest logit, which is the same
    number but never overflows. The probabilities of a sample add up to one.

    Shape: (N, K) or (N, K, *S) -> the same; the classes are along axis 1.

    Raises:
        ShapeError: an input without an axis of classes.
    Example:
        >>> Softmax()(torch.tensor([[0.0, 1000.0], [3.0, 3.0]])).tolist()
        [[0.0, 1.0], [0.5, 0.5]]
    """

    def forward(self, logits: Tensor) -> Tensor:
        return probabilities(logits, exclusive=True)


class Sigmoid(nn.Module):
    """Probabilities of classes that may occur together: p_i = 1 / (1 + exp(-z_i)), each by itself.

    Shape: (N, K) or (N, K, *S) -> the same; the classes are along axis 1.

    Raises:
        ShapeError: an input without an axis of classes.
    Example:
        >>> Sigmoid()(torch.tensor([[-1000.0, 0.0, 1000.0]])).tolist()
        [[0.0, 0.5, 1.0]]
    """

    def forward(self, logits: Tensor) -> Tensor:
        return probabilities(logits, exclusive=False)


def probabilities(logits: Tensor, exclusive: bool) -> Tensor:
    """The probability of each class.

    Args:
        logits: (N, K) or (N, K, *S).
        exclusive: exactly one class is right (softmax along axis 1); otherwise any number of them
            may be (sigmoid).
    Raises:
        ShapeError: an input without an axis of classes.
    Example:
        >>> probabilities(torch.zeros(1, 4), exclusive=True).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    if logits.dim() < 2:
        rule = "logits have shape (N, K) or (N, K, *S)"
        raise ShapeError(
            "probabilities", rule, f"shape {tuple(logits.shape)}", "Add the batch axis"
        )
    return torch.softmax(logits, dim=1) if exclusive else torch.sigmoid(logits)
