"""Hidden blocks: the network does not see them, and they alone count."""

import pytest
import torch
from torch import nn

from convivo.tasks.masked import MaskedReconstruct, hidden_blocks

SIZES = {1: (29,), 2: (11, 26), 3: (7, 9, 19)}


class Seen(nn.Module):
    """Keeps what it is given, and answers with `answer`."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.given = answer, torch.empty(0)

    def forward(self, x):
        self.given = x
        return self.answer


def drawn(images, share):
    torch.manual_seed(3)
    return hidden_blocks(images, share)


def loss_of(images, answer, share=0.6):
    network = Seen(answer)
    torch.manual_seed(3)
    loss = MaskedReconstruct(masked=share).step(network, images, torch.zeros(len(images)))
    return loss, network.given


@pytest.mark.parametrize("dims", SIZES)
def test_what_is_hidden_is_not_seen_and_alone_counts(dims):
    torch.manual_seed(0)
    images = torch.randn(2, 3, *SIZES[dims])
    hidden = drawn(images, 0.6)
    assert hidden.shape == (2, 1, *SIZES[dims])
    answer = torch.where(hidden, images + 0.5, 1000.0)
    loss, given = loss_of(images, answer)
    torch.testing.assert_close(loss, torch.tensor(0.5))
    everywhere = hidden.expand_as(images)
    mean = images.mean(dim=tuple(range(2, images.dim())), keepdim=True).expand_as(images)
    torch.testing.assert_close(given[everywhere], mean[everywhere])
    assert torch.equal(given[~everywhere], images[~everywhere])


def test_blocks_are_an_eighth_of_an_axis_and_differ_by_item():
    hidden = drawn(torch.zeros(200, 1, 64, 5), 0.3)
    blocks = hidden.reshape(200, 8, 8, 5)
    assert (blocks == blocks[:, :, :1]).all()
    assert 0.27 < hidden.float().mean() < 0.33
    assert len({row.numpy().tobytes() for row in hidden}) > 150


def test_answers_of_a_network_without_padding_are_held_against_the_middle():
    images = torch.randn(2, 1, 20, 17)
    answer = images[:, :, 3:17, 3:14] + 2.0
    loss, _ = loss_of(images, answer)
    torch.testing.assert_close(loss, torch.tensor(2.0))


def test_nothing_hidden_costs_nothing():
    images = torch.randn(1, 1, 9)
    assert float(loss_of(images, images + 1, share=1e-9)[0]) == 0.0
