import pytest
import torch
from torch import nn

from convivo.architectures.create import create
from convivo.errors import ShapeError
from convivo.layers import Conv, UpConv
from convivo.planning.counting import count


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolution_costs_its_weights_at_every_output_sample(dims):
    size = (7, 9, 11)[:dims]
    net = Conv(4, 6, 3, groups=2, padding="same", spatial_dims=dims)
    samples = 1
    for n in size:
        samples *= n
    counts = count(net, (4, *size), batch=5)
    assert counts.macs == 5 * samples * net.weight.numel()
    assert counts.parameters == net.weight.numel() + 6


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_convolution_costs_its_weights_at_every_input_sample(dims):
    net = UpConv(4, 6, 3, stride=2, spatial_dims=dims)
    assert count(net, (4, *(5,) * dims)).macs == 5**dims * net.weight.numel()


def test_published_cost_of_resnet18():
    with torch.device("meta"):
        net = create("resnet18", in_channels=3, num_classes=1000)
    counts = count(net, (3, 224, 224))
    assert counts.parameters == 11_689_512
    assert counts.macs == 1_814_073_344
    assert counts.receptive_field == (435, 435)
    first = counts.layers[0].document()
    assert first == {
        "name": "conv1",
        "type": "Conv",
        "output": [64, 112, 112],
        "parameters": 9408,
        "macs": 118_013_952,
        "receptive_field": [7, 7],
        "outputs": 4 * 64 * 112 * 112,
    }


@pytest.mark.parametrize(
    ("name", "input"),
    [("resnet50", (3, 64, 64)), ("unet", (1, 16, 24, 8)), ("lenet5", (1, 28)), ("mlp", (1, 28))],
)
def test_rows_add_up_to_the_whole(name, input):
    net = create(name, spatial_dims=len(input) - 1, in_channels=input[0], input_size=input[1:])
    counts = count(net, input, batch=3)
    assert sum(row.macs for row in counts.layers) == counts.macs
    assert sum(row.parameters for row in counts.layers) == counts.parameters
    assert counts.parameters == sum(p.numel() for p in net.parameters())


def test_cost_grows_with_the_batch_and_parameters_do_not():
    net = create("lenet5", input_size=28)
    one, four = count(net, (1, 28, 28)), count(net, (1, 28, 28), batch=4)
    assert four.macs == 4 * one.macs
    assert four.parameters == one.parameters
    assert [r.outputs for r in four.layers] == [4 * r.outputs for r in one.layers]


def test_activation_that_overwrites_its_input_adds_no_bytes():
    counts = count(create("resnet18", width=0.1), (1, 64, 64))
    rows = {row.name: row for row in counts.layers}
    assert rows["relu"].outputs == 0
    assert rows["bn1"].outputs > 0


def test_tied_weights_count_once_and_repeated_calls_add_up():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(2, 2, 3, padding=1, bias=False)
            self.tied = nn.Conv1d(2, 2, 3, padding=1, bias=False)
            self.tied.weight = self.conv.weight

        def forward(self, x):
            return self.tied(self.conv(self.conv(x)))

    counts = count(Twice(), (2, 10))
    rows = {row.name: row for row in counts.layers}
    assert counts.parameters == 12
    assert (rows["conv"].macs, rows["tied"].macs) == (2 * 120, 120)
    assert (rows["conv"].parameters, rows["tied"].parameters) == (12, 0)


def test_work_of_plain_functions_is_seen():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(5, 3))
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(x.flatten(1)[:, :3] @ self.weight.T)

    counts = count(Functional(), (1, 9))
    assert counts.macs == 15
    assert [row.name for row in counts.layers] == ["act", "Functional"]


def test_attention_of_a_foreign_network_is_counted():
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True, dropout=0.0)
    counts = count(layer, (6, 8))
    projections = 6 * 8 * (3 * 8 + 8 + 2 * 16)
    assert counts.macs >= projections
    assert counts.receptive_field is None


def test_enormous_input_costs_nothing_to_count():
    with torch.device("meta"):
        net = create("unet", spatial_dims=3)
    assert count(net, (1, 1024, 1024, 1024), batch=8).macs > 10**12


@pytest.mark.parametrize("input", [(3,), (0, 4, 4), (3, 4, 0)])
def test_input_without_samples_is_refused(input):
    with pytest.raises(ShapeError, match=r"plan: an input has channels and axes .* Give C,S1"):
        count(nn.Identity(), input)


def test_input_too_small_for_the_network_speaks_its_own_error():
    with pytest.raises(ShapeError, match=r"resnet: every axis .* Pad or resample to \(5, 5\)"):
        count(create("resnet18", width=0.1), (1, 3, 3))
