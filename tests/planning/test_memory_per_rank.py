"""Predicted memory of a rank against torch's own wrappers: the events of its allocator."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import profile

from convivo.architectures.create import create
from convivo.errors import UsageError
from convivo.planning.document import plan_document
from convivo.planning.ledger import ledger
from convivo.planning.ranks import blocks_of, check_ranks, per_rank, shard, simulated_world
from convivo.planning.step import make_optimizer, training_step
from convivo.planning.trace import trace


def mean_loss(network, images, targets):
    return F.cross_entropy(network(images), targets)


STEP = training_step(mean_loss)


def chain():
    blocks = [nn.Sequential(nn.Linear(96, 96), nn.Tanh()) for _ in range(4)]
    return nn.Sequential(*blocks, nn.Linear(96, 5)), (4, 96)


def residual():
    net = create("resnet18", spatial_dims=2, in_channels=3, num_classes=3, width=0.5)
    return net, (2, 3, 33, 32)


def traced(net, shape):
    given = [(shape, torch.float32), (shape[:1], torch.int64)]
    return trace(net, STEP, given, optimizer=make_optimizer("adamw"))


def living(net, optimizer, given):
    """Bytes of all storages between two steps, those of slices their own."""
    found = [*net.parameters(), *net.buffers(), *given]
    found += [t for values in optimizer.state.values() for t in values.values()]
    stores = [getattr(t, "_local_tensor", t).untyped_storage() for t in found]
    return sum({store._cdata: store.nbytes() for store in stores}.values())


def measured_peak(net, shape, *, buckets=0):
    """Most bytes of tensors during the second step of a wrapped network."""
    optimizer = make_optimizer("adamw")(net)
    given = (torch.randn(shape), torch.zeros(shape[0], dtype=torch.long))
    with profile(profile_memory=True):  # it knows the size of what it saw being allocated
        STEP(net, optimizer, given)
    total = peak = buckets + living(net, optimizer, given)
    with profile(profile_memory=True) as seen:
        STEP(net, optimizer, given)
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda e: e.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


@pytest.mark.parametrize("make", [chain, residual])
@pytest.mark.parametrize("ranks", [1, 4, 64])
def test_sharded_memory_is_that_of_the_real_wrapper_in_a_simulated_world(make, ranks):
    net, shape = make()
    expected = ledger(per_rank(traced(net, shape), net, ranks=ranks, strategy="fsdp"))
    with simulated_world(ranks), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch about views and about its own profiler
        shard(net)
        real = measured_peak(net, shape)
    assert expected.peaks[1] == pytest.approx(real, rel=0.01)


def test_replicated_memory_is_that_of_the_real_wrapper(tmp_path):
    """A world of one process, which has buckets like any other."""
    net, shape = chain()
    expected = ledger(per_rank(traced(net, shape), net, ranks=1, strategy="ddp"))
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(net, gradient_as_bucket_view=True)
        learnt = sum(4 * p.numel() for p in net.parameters())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            real = measured_peak(wrapped, shape, buckets=learnt)
    finally:
        torch.distributed.destroy_process_group()
    assert expected.peaks[1] == pytest.approx(real, rel=0.01)


def test_slices_are_rounded_up_and_add_up_to_the_peak():
    net, shape = chain()
    one = ledger(per_rank(traced(net, shape), net, ranks=7, strategy="fsdp"))
    rows, last = 14, 1  # of 96 and of 5
    slices = 4 * (4 * rows * (96 + 1) + last * (96 + 1))
    assert one.memory["parameters"] == slices
    assert sum(one.memory.values()) == one.tensors_peak


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_of_a_thousand_ranks_each_keeps_one_row_or_everything(strategy):
    with torch.device("meta"):
        net, shape = residual()
    held = ledger(per_rank(traced(net, shape), net, ranks=1024, strategy=strategy)).memory
    whole = sum(p.numel() for p in net.parameters())
    rows = sum(p[0].numel() for p in net.parameters())
    steps = sum(1 for _ in net.parameters())
    assert held["optimizer"] == 8 * (rows if strategy == "fsdp" else whole) + 4 * steps


def test_prediction_gathers_without_gradients():
    net, shape = chain()

    def look(network, optimizer, given):
        network.eval()
        with torch.no_grad():
            network(*given)

    one = ledger(
        per_rank(trace(net, look, [(shape, torch.float32)], steps=1), net, ranks=4, strategy="fsdp")
    )
    assert one.memory["gradients"] == one.memory["optimizer"] == 0
    assert one.memory["operations"] >= 4 * (96 * 96 + 96)


def test_blocks_are_the_repeated_children_of_the_outermost_containers():
    with torch.device("meta"):
        net = create("resnet18", spatial_dims=2, in_channels=3, num_classes=10)
    assert list(blocks_of(net)) == [f"layer{i}.{k}" for i in (1, 2, 3, 4) for k in (0, 1)]


def test_the_document_tells_the_memory_of_one_rank():
    with torch.device("meta"):
        net, shape = residual()
    alone = plan_document("resnet18", net, shape[1:], 2)
    shared = plan_document("resnet18", net, shape[1:], 2, ranks=8, strategy="fsdp")
    assert (shared["ranks"], shared["strategy"]) == (8, "fsdp")
    assert "ranks" not in alone
    assert shared["memory"]["optimizer"] < alone["memory"]["optimizer"] / 4


@pytest.mark.parametrize(
    ("ranks", "strategy", "message"),
    [
        (0, "ddp", "--ranks: at least one; got 0. Give for example --ranks 8."),
        (-3, "fsdp", "--ranks: at least one; got -3"),
        (2, None, "--strategy: ranks and strategy are given together; got ranks=2"),
        (None, "ddp", "--ranks: ranks and strategy are given together; got ranks=None"),
        (2, "zero", "--strategy: a known strategy; got 'zero'. Did you mean"),
    ],
)
def test_bad_ranks_and_strategies_are_refused(ranks, strategy, message):
    with pytest.raises(UsageError) as refusal:
        check_ranks(ranks, strategy)
    assert message in str(refusal.value)
