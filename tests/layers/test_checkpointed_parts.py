"""Parts computed again in the backward pass: same gradients and statistics, less memory."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from convivo.architectures.create import create
from convivo.errors import PlanError
from convivo.layers.checkpointing import checkpointed, parts_of
from convivo.planning.residence import tensors_peak
from convivo.planning.shadow import tensors
from convivo.planning.step import cross_entropy, training_step
from convivo.planning.trace import trace

SIZE = {1: (4096,), 2: (64, 48), 3: (16, 32, 24)}
NETS = ["unet", "vgg11_bn", "resnet18", "densenet121", "googlenet", "segnet"]


def outcome(
    net: nn.Module, images: Tensor, *, on: bool
) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
    """Gradients, running statistics and answer of one pass, from the same start."""
    torch.manual_seed(3)
    net.train().zero_grad(set_to_none=True)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with checkpointed(net, on=on):
        answers = list(tensors(net(images)))
    sum(answer.square().mean() for answer in answers).backward()
    gradients = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    after = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with torch.no_grad():
        for name, buffer in net.named_buffers():
            buffer.copy_(before[name])
    return gradients, after, answers[0].detach()


def must_be_alike(net: nn.Module, images: Tensor) -> None:
    keys = list(net.state_dict())
    plain, again = (outcome(net, images, on=on) for on in (False, True))
    assert plain[0]
    assert all(torch.equal(a, b) for a, b in zip(plain[0], again[0], strict=True))
    assert all(torch.equal(value, again[1][name]) for name, value in plain[1].items())
    assert torch.equal(plain[2], again[2])
    assert list(net.state_dict()) == keys
    assert not any("forward" in vars(module) for module in net.modules())


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize("name", ["unet", "resnet18"])
def test_gradients_and_statistics_are_those_of_the_plain_pass(name: str, spatial_dims: int) -> None:
    torch.manual_seed(0)
    net = create(name, spatial_dims=spatial_dims, in_channels=1, num_classes=3, width=0.25)
    must_be_alike(net, torch.randn(2, 1, *(32, 48, 32)[:spatial_dims]))


@pytest.mark.parametrize("name", NETS)
def test_every_kind_of_network_has_parts_and_keeps_its_gradients(name: str) -> None:
    torch.manual_seed(0)
    net = create(name, spatial_dims=1, in_channels=2, num_classes=3, width=0.25)
    assert len(parts_of(net)) > 1
    must_be_alike(net, torch.randn(3, 2, 64))


class Dropping(nn.Module):
    """Dropout inside a part."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(9, 9), nn.BatchNorm1d(9), nn.Dropout(0.5))
        self.last = nn.Linear(9, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.block(x))


def test_dropout_is_drawn_alike_and_statistics_count_once() -> None:
    net = Dropping()
    must_be_alike(net, torch.randn(5, 9))
    with checkpointed(net):
        net(torch.randn(5, 9)).sum().backward()
    assert int(net.block[1].num_batches_tracked) == 1


class Appending(nn.Module):
    """Gives its parts a list that grows while they wait for the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Joining(n) for n in (4, 8))

    def forward(self, x: Tensor) -> Tensor:
        rows = [x]
        for part in self.parts:
            rows.append(part(rows))
        return rows[-1]


class Joining(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, 4), nn.Tanh())

    def forward(self, rows: list[Tensor]) -> Tensor:
        return self.inner(torch.cat(rows, dim=1))


def test_a_list_that_grows_later_is_seen_as_it_was() -> None:
    must_be_alike(Appending(), torch.randn(3, 4))


class Overwriting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4), nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x * 2)


def test_a_part_that_writes_over_its_input_is_refused() -> None:
    net = Overwriting()
    message = r"^checkpointing: a part .* must leave its input as it is; got Sequential\. Write"
    with checkpointed(net), pytest.raises(PlanError, match=message):
        net(torch.randn(2, 4))


def test_nothing_is_repeated_outside_without_gradients_or_when_off() -> None:
    calls: list[int] = []
    net = Dropping()
    net.block.register_forward_hook(lambda *_: calls.append(1))
    net.block[0].register_forward_hook(lambda *_: calls.append(2))

    def count(run: Callable[[], None]) -> int:
        calls.clear()
        run()
        return calls.count(2)

    def train(on: bool) -> None:
        with checkpointed(net, on=on):
            answer = net(torch.randn(5, 9))
        answer.sum().backward()

    assert count(lambda: train(False)) == 1
    assert count(lambda: train(True)) == 2
    with torch.no_grad(), checkpointed(net):
        assert count(lambda: net(torch.randn(5, 9))) == 1


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_the_trace_sees_less_memory(spatial_dims: int) -> None:
    size = SIZE[spatial_dims]
    with torch.device("meta"):
        net = create("unet", spatial_dims=spatial_dims, in_channels=1, num_classes=2, width=0.25)
    given = [((4, 1, *size), torch.float32), ((4, *size), torch.int64)]
    peaks = [
        tensors_peak(trace(net, training_step(cross_entropy, checkpointing=on), given, steps=1))
        for on in (False, True)
    ]
    assert peaks[1] < 0.8 * peaks[0]
