"""Which call reads from which: joins, skips, repeats, and what is merged into one."""

import torch
from torch import nn

from convivo.architectures.create import create
from convivo.planning.flow import INPUT, flow, without


class Branches(nn.Module):
    """Two ways that meet twice, in place and by concatenation, behind a way of their own."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        a = self.relu(self.first(x))
        b = self.second(x)
        b += a
        return torch.cat([a, b * 2, x], dim=1)


class Hidden(nn.Module):
    """Its part is never called: only its weight is used."""

    def __init__(self):
        super().__init__()
        self.part = nn.Linear(5, 2, bias=False)

    def forward(self, x):
        return nn.functional.linear(x, self.part.weight).relu()


def test_whoever_watches_is_told_of_every_result():
    shapes = {}
    calls = flow(Branches(), (3, 7, 9), lambda number, made: shapes.update({number: made.shape}))
    assert [tuple(shapes[i][1:]) for i in range(len(calls))] == [call.shape for call in calls]
    told = {}
    (hidden, *_) = flow(Hidden(), (5,), lambda number, made: told.update({number: made.shape}))
    assert tuple(told[0][1:]) == hidden.shape


def test_joins_read_from_all_that_meet_there():
    calls = flow(Branches(), (3, 7, 9))
    seen = [(call.name, call.kind, call.sources) for call in calls]
    assert seen == [
        ("first", "Conv2d", (INPUT,)),
        ("relu", "ReLU", (0,)),
        ("second", "Conv2d", (INPUT,)),
        ("", "add", (2, 1)),
        ("", "cat", (1, 3, INPUT)),
    ]
    assert [call.shape for call in calls[-2:]] == [(4, 7, 9), (11, 7, 9)]


def test_module_whose_parts_are_not_called_is_one_call():
    (call, last) = flow(nn.Sequential(Hidden(), nn.Linear(2, 1)), (5,))
    assert (call.name, call.kind, call.parameters, call.sources) == ("0", "Hidden", 10, (INPUT,))
    assert last.sources == (0,)


def test_repeated_module_is_called_twice_and_counted_once():
    layer = nn.Linear(4, 4)
    calls = flow(nn.Sequential(layer, layer), (4,))
    assert [(c.sources, c.parameters) for c in calls] == [((INPUT,), 20), ((0,), 0)]


def test_shape_change_is_a_call_and_scopes_are_told():
    calls = flow(nn.Sequential(nn.Sequential(nn.Conv1d(1, 2, 3)), nn.Flatten()), (1, 7))
    assert [c.shape for c in calls] == [(2, 5), (10,)]
    assert [c.scopes for c in calls] == [("", "0"), ("",)]


def test_leaving_out_calls_keeps_paths_and_parameters():
    net = create("resnet18", spatial_dims=3, width=0.1)
    calls = flow(net, (1, 33, 34, 35))
    kept = without(calls, lambda call: call.kind in ("Norm", "ReLU", "Identity"))
    total = sum(p.numel() for p in net.parameters())
    assert sum(call.parameters for call in calls) == total
    assert sum(call.parameters for call in kept) == total
    assert {call.kind for call in kept} == {"Conv", "Pool", "add", "GlobalPool", "Linear"}
    assert all(source < number for number, call in enumerate(kept) for source in call.sources)
    assert sum(len(call.sources) == 2 for call in kept) == 8


def test_nothing_is_changed_or_kept():
    net = create("lenet5", input_size=(28, 28))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    flow(net.train(), (1, 28, 28))
    assert net.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
