"""Weights of a file in a network: what is taken, adapted, left at its start, and refused."""

import pytest
import torch
from safetensors.torch import save_file

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create
from convivo.architectures.pretrained import load_pretrained
from convivo.errors import ConfigError, ReadError, UsageError

CLASSIFIERS = [
    name for name, entry in ARCHITECTURES.items()
    if entry.tasks == ("classify",) and not entry.needs_input_size
]  # fmt: skip
FAMILIES = ["alexnet", "vgg11", "googlenet", "resnet18", "resnext50_32x4d", "densenet121"]


def small(name, dims=2, seed=0, **options):
    torch.manual_seed(seed)
    settings = {"in_channels": 3, "num_classes": 10, "width": 0.0625} | options
    return create(name, spatial_dims=dims, **settings).eval()


def saved(net, path, state=None):
    save_file(dict(state or net.state_dict()), path / "weights.safetensors")
    return path / "weights.safetensors"


def image(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_published_layout_loads_unchanged(name, tmp_path):
    first, second = small(name), small(name, seed=1)
    start = load_pretrained(second, saved(first, tmp_path))
    expected = first.state_dict()
    assert set(start.matched) == set(expected)
    assert (start.adapted, start.left, start.ignored) == ({}, (), ())
    assert all(torch.equal(t, expected[k]) for k, t in second.state_dict().items())


def test_create_takes_a_file(tmp_path):
    path = saved(small("resnet18"), tmp_path)
    net = small("resnet18", seed=1, pretrained=path)
    assert torch.equal(net.conv1.weight, small("resnet18").conv1.weight)
    with torch.device("meta"):
        assert small("resnet18", dims=3, pretrained=path).conv1.weight.is_meta
    with pytest.raises(ReadError, match=r"nowhere\.pth: .*; got nothing"):
        small("resnet18", pretrained=tmp_path / "nowhere.pth")
    with pytest.raises(ConfigError, match="Did you mean 'centre'"):
        small("resnet18", pretrained=path, inflation="centered")


@pytest.mark.parametrize("name", FAMILIES)
def test_one_channel_answers_as_equal_channels_did(name, tmp_path):
    colours, grey = small(name), small(name, seed=1, in_channels=1)
    start = load_pretrained(grey, saved(colours, tmp_path))
    ((first, how),) = start.adapted.items()
    assert how == "adapted to 1 channel"
    assert f", {first.removesuffix('.weight')} adapted to 1 channel" in start.text()
    x = image(2, 1, 64, 72)
    torch.testing.assert_close(grey(x), colours(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


def test_other_channels_get_the_known_ones_in_turn(tmp_path):
    known = small("resnet18").conv1.weight
    path = saved(small("resnet18"), tmp_path)
    for count in (2, 4, 6):
        net = small("resnet18", seed=1, in_channels=count)
        start = load_pretrained(net, path)
        assert start.adapted == {"conv1.weight": f"adapted to {count} channels"}
        for channel in range(count):
            expected = known[:, channel % 3] * 3 / count
            torch.testing.assert_close(net.conv1.weight[:, channel], expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", FAMILIES)
def test_other_classes_leave_the_head_at_its_start(name, dims, tmp_path):
    path = saved(small(name), tmp_path)
    net, start_of = small(name, dims, seed=1, num_classes=4), small(name, dims, 1, num_classes=4)
    start = load_pretrained(net, path)
    assert {key.rpartition(".")[2] for key in start.left} == {"weight", "bias"}
    assert len(start.left) == 2
    assert start.text().endswith(f", head new ({start.left[0].removesuffix('.weight')})")
    before = start_of.state_dict()
    kept = {key for key, tensor in net.state_dict().items() if torch.equal(tensor, before[key])}
    assert set(start.left) <= kept
    assert not {key for key in kept if before[key].dim() > 1} - set(start.left)


def test_a_head_of_as_many_other_classes_can_be_left(tmp_path):
    net = small("resnet18", seed=1)
    head = net.fc.weight.clone()
    start = load_pretrained(net, saved(small("resnet18"), tmp_path), keep_head=False)
    assert start.left == ("fc.weight", "fc.bias")
    assert torch.equal(net.fc.weight, head)


def test_heads_at_each_resolution_are_all_left(tmp_path):
    path = saved(small("unet", num_classes=3, deep_supervision=True), tmp_path)
    start = load_pretrained(small("unet", num_classes=4, deep_supervision=True), path)
    assert {key.split(".")[0] for key in start.left} == {"heads"}
    assert len(start.left) == 6
    start = load_pretrained(small("unet", num_classes=3), path)
    assert (start.left, len(start.ignored)) == ((), 4)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_auxiliary_heads_go_with_their_network(dims, tmp_path):
    path = saved(small("googlenet", aux=True), tmp_path)
    start = load_pretrained(small("googlenet", dims, 1, aux=True, num_classes=4), path)
    assert {key.rpartition(".")[0] for key in start.left} == {"aux1.fc2", "aux2.fc2", "fc"}
    start = load_pretrained(small("googlenet", dims, 1), path)
    assert start.left == ()


def test_older_files_without_counters_and_files_without_a_head(tmp_path):
    state = {k: t for k, t in small("resnet18").state_dict().items() if "num_batches" not in k}
    start = load_pretrained(small("resnet18", seed=1), saved(None, tmp_path, state))
    assert (len(start.matched), start.left) == (len(state), ())
    state = {k: t for k, t in state.items() if not k.startswith("fc.")}
    start = load_pretrained(small("resnet18", seed=1), saved(None, tmp_path, state))
    assert start.left == ("fc.weight", "fc.bias")


def test_half_precision_is_widened(tmp_path):
    state = {k: t.bfloat16() for k, t in small("resnet18").state_dict().items()}
    net = small("resnet18", seed=1)
    load_pretrained(net, saved(None, tmp_path, state))
    assert net.conv1.weight.dtype == torch.float32
    assert torch.equal(net.conv1.weight, small("resnet18").conv1.weight.bfloat16().float())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_classifier_becomes_the_encoder_of_a_unet(dims, tmp_path):
    classifier = small("resnet18")
    net = small("unet", dims, 1, encoder="resnet18", in_channels=1, num_classes=2)
    decoder = {k: t.clone() for k, t in net.state_dict().items() if not k.startswith("backbone.")}
    start = load_pretrained(net, saved(classifier, tmp_path))
    assert set(start.left) == {k for k in decoder if not k.endswith("num_batches_tracked")}
    assert "adapted to 1 channel" in start.adapted["backbone.conv1.weight"]
    after = net.state_dict()
    assert torch.equal(after["backbone.bn1.weight"], classifier.bn1.weight)
    assert all(torch.equal(after[k], t) for k, t in decoder.items())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_vgg_becomes_an_fcn_linear_layers_and_all(dims, tmp_path):
    vgg, net = small("vgg16"), small("fcn16s", dims, 1, num_classes=2)
    start = load_pretrained(net, saved(vgg, tmp_path))
    assert not [key for key in start.left if key.startswith(("backbone", "fc6", "fc7"))]
    first = vgg.classifier[0].weight
    kernel = net.fc6.weight.sum(2) if dims == 3 else net.fc6.weight
    expected = first.view(len(first), -1, 7, 7)
    torch.testing.assert_close(kernel, expected.sum(2) if dims == 1 else expected)


WRONG = [
    ("resnet18", {}, "resnet34", {}, r"got no layer1\.2\.conv1\.weight; "),
    ("resnet34", {}, "resnet18", {}, r"got layer1\.2\.\S+ besides; "),
    ("resnet18", {}, "resnet18", {"width": 0.125}, r"conv1\.weight \(4, 3, 7, 7\) for \(8, 3, "),
    ("resnet18", {}, "resnet18", {"stem": "small"}, r"conv1\.weight \(4, 3, 7, 7\) for \(4, 3, 3"),
    ("resnet18", {}, "vgg11", {}, r"got no features\.0\.weight; .* and \d+ more\. Name the net"),
    ("vgg11", {}, "vgg11_bn", {}, "besides|for|no features"),
    ("resnet34", {}, "unet", {"encoder": "resnet18"}, r"backbone\.layer1\.2\.\S+ besides"),
]


@pytest.mark.parametrize(("name", "options", "other", "others", "got"), WRONG)
@pytest.mark.parametrize("dims", [2, 3])
def test_weights_of_another_network_are_refused_whole(
    name, options, other, others, got, dims, tmp_path
):
    path = saved(small(name, **options), tmp_path)
    net = small(other, dims, 1, **others)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    with pytest.raises(UsageError, match=rf"the weights must be those of this network .*{got}"):
        load_pretrained(net, path)
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
