"""A batch in several passes: the same gradient, the same bits when resumed, the traced step."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convivo.architectures.create import create
from convivo.planning.ledger import ledger
from convivo.planning.step import cross_entropy, make_optimizer, training_step
from convivo.planning.trace import trace
from convivo.tasks import create_task
from convivo.training.loop import Schedule, train_step
from convivo.training.state import Counters, State

SCHEDULE = Schedule(
    steps=4, validate_every=4, steps_per_epoch=4, lr=0.1, warmup=0, clip=0.0, patience=0, seed=1
)


def gradients_of(network, passes, step, images, targets, **counters):
    """Of one step that does not move the weights; and its loss."""
    state = State(
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.0),
        counters=Counters(passes=passes, **counters),
    )
    loss = train_step(state, step, images, targets, Schedule(**vars(SCHEDULE) | {"lr": 0.0}))
    return loss, torch.cat([p.grad.flatten() for p in network.parameters()])


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize("passes", [2, 3, 5, 8])
def test_the_gradient_of_a_mean_over_items_is_the_whole_batchs(spatial_dims, passes):
    torch.manual_seed(4)
    size = (7, 9, 11)[:spatial_dims]
    network = nn.Sequential(nn.Flatten(), nn.Linear(2 * torch.Size(size).numel(), 4))
    task = create_task("classify", classes=("a", "b", "c", "d"), label_smoothing=0.1)
    images, targets = torch.randn(5, 2, *size), torch.randint(0, 4, (5,))
    whole = gradients_of(network, 1, task.step, images, targets)
    parts = gradients_of(network, passes, task.step, images, targets)
    assert parts[0] == pytest.approx(whole[0], rel=1e-6)
    assert torch.allclose(parts[1], whole[1], atol=1e-6)
    assert whole[1].abs().max() > 1e-3


def test_parts_of_unequal_size_count_by_their_items():
    network = nn.Linear(1, 2, bias=False)
    images, targets = torch.tensor([[1.0], [2.0], [7.0]]), torch.tensor([0, 1, 1])
    whole = gradients_of(network, 1, cross_entropy, images, targets)
    parts = gradients_of(network, 2, cross_entropy, images, targets)
    assert torch.allclose(parts[1], whole[1], atol=1e-6)
    # the mean of the two passes' own means is something else
    halves = [F.cross_entropy(network(images[a:b]), targets[a:b]) for a, b in ((0, 2), (2, 3))]
    assert abs(float(sum(halves).detach()) / 2 - whole[0]) > 1e-3


def test_the_gradients_length_and_fp16s_scale_are_of_the_sum():
    torch.manual_seed(5)
    network = nn.Linear(6, 3)
    images, targets = 30 * torch.randn(8, 6), torch.randint(0, 3, (8,))
    clipped = Schedule(**vars(SCHEDULE) | {"lr": 0.0, "clip": 0.5})
    lengths = []
    for passes in (1, 4):
        state = State(network=network, optimizer=torch.optim.SGD(network.parameters(), lr=0.0))
        state.counters = Counters(passes=passes)
        train_step(state, cross_entropy, images, targets, clipped)
        lengths.append(float(torch.cat([p.grad.flatten() for p in network.parameters()]).norm()))
    assert lengths == pytest.approx([0.5, 0.5], rel=1e-4)


def test_checkpointing_changes_no_bit_of_a_training(make_training):
    plain, again = make_training("plain"), make_training("again")
    fresh = again.fresh

    def repeating():
        state = fresh()
        state.network = nn.Sequential(state.network)  # so that there is a part
        state.optimizer = torch.optim.AdamW(state.network.parameters(), fused=True)
        state.counters.checkpointing = True
        return state

    again.fresh = repeating
    assert plain.start() == again.start() == "schedule"
    values = [list(training.state.network.state_dict().values()) for training in (plain, again)]
    assert all(torch.equal(a, b) for a, b in zip(*values, strict=True))


def with_passes(training, count):
    fresh = training.fresh

    def made():
        state = fresh()
        state.counters.passes = count
        return state

    training.fresh = made
    return training


@pytest.mark.parametrize("stop", [1, 5, 7])
def test_a_training_in_passes_goes_on_to_the_same_bits(make_training, stop):
    whole = with_passes(make_training("whole"), 2)
    whole.start()
    halted = with_passes(make_training("halted"), 2)
    batches = halted.batches

    def dying(number):
        if number == stop:
            raise KeyboardInterrupt
        return batches(number)

    halted.batches = dying
    with pytest.raises(KeyboardInterrupt):
        halted.start()
    halted.batches = batches
    halted.start()
    assert halted.tensors() == whole.tensors()
    other = make_training("other")
    other.start()
    assert halted.tensors() != other.tensors()


@pytest.mark.parametrize(("passes", "checkpointing"), [(2, False), (1, True), (3, True)])
def test_the_traced_step_is_that_of_the_training(passes, checkpointing):
    def real(network, optimizer, given):
        state = State(network=network, optimizer=optimizer)
        state.counters = Counters(passes=min(passes, 2), checkpointing=checkpointing)
        train_step(state, cross_entropy, *given, SCHEDULE)

    with torch.device("meta"):
        net = create("resnet18", spatial_dims=1, in_channels=1, num_classes=3, width=0.25)
    given = [((6, 1, 64), torch.float32), ((6,), torch.int64)]
    ours = training_step(cross_entropy, passes=min(passes, 2), checkpointing=checkpointing)
    found = [
        ledger(trace(net, step, given, optimizer=make_optimizer("adamw"))) for step in (real, ours)
    ]
    assert found[0].tensors_peak == found[1].tensors_peak
    assert found[0].memory == found[1].memory


def test_more_passes_take_less_memory_and_the_third_takes_none_more():
    with torch.device("meta"):
        net = create("resnet18", spatial_dims=1, in_channels=1, num_classes=3, width=0.25)
    given = [((12, 1, 4096), torch.float32), ((12,), torch.int64)]
    peaks = {
        passes: ledger(trace(net, training_step(cross_entropy, passes=passes), given)).tensors_peak
        for passes in (1, 2, 3, 12)
    }
    assert peaks[1] > peaks[2] > peaks[3] > peaks[12]
