import json
from functools import cache

import pytest

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import options
from convivo.errors import UsageError
from convivo.verbs.nets import describe, networks

EVERY = pytest.mark.parametrize("name", ARCHITECTURES)


text_of = cache(describe)


def drawing(name):
    """The lines below the last empty one, of each part."""
    return text_of(name).split("\n\n")[2::2]


def test_every_network_is_listed_with_published_counts():
    listed = json.loads(json.dumps(networks(), allow_nan=False))
    assert listed["schema"] == 1
    nets = {net["name"]: net for net in listed["nets"]}
    assert list(nets) == list(ARCHITECTURES)
    assert nets["resnet18"]["parameters"] == {"1": 4_357_800, "2": 11_689_512, "3": 33_716_904}
    assert nets["resnet18"]["counted"] == {"in_channels": 3, "num_classes": 1000}
    assert nets["lenet5"]["parameters"]["2"] == 61_706
    assert nets["unet"]["spatial_dims"] == [1, 2, 3]
    assert all(net["year"] and net["paper"] for net in nets.values())


def test_a_single_network_is_asked_for():
    (entry,) = networks("resnet18")["nets"]
    assert entry["parameters"]["2"] == 11_689_512
    with pytest.raises(UsageError, match="Did you mean 'unet'"):
        networks("unett")


@EVERY
def test_description_names_paper_options_and_costs(name):
    text = text_of(name)
    assert ARCHITECTURES[name].paper in text
    assert all(f"option      {option}=" in text for option in options(name))
    assert "option " in text
    assert "parameters  1D" in text
    assert "multiply-accumulates" in text


@EVERY
def test_drawing_is_folded_to_a_page(name):
    lines = [line for part in drawing(name) for line in part.splitlines()]
    assert 0 < len(lines) <= 40
    assert max(map(len, text_of(name).splitlines()[3:])) <= 100
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(
    "name", [name for name, entry in ARCHITECTURES.items() if entry.tasks[0] == "classify"]
)
def test_parameters_of_a_tree_add_up(name):
    (lines,) = drawing(name)
    rows = lines.splitlines()
    width = max(map(len, rows))  # the last column is set flush right, and left out where empty
    counts = [int(row.split()[-1].replace(",", "")) for row in rows if len(row) == width]
    assert sum(counts) == networks(name)["nets"][0]["parameters"]["2"]


def test_shortcuts_are_branches_and_repeats_are_counted():
    (lines,) = drawing("resnet101")
    assert lines.count("┴─ add") == 8
    assert "layer3.1-22" in lines
    assert "x 22" in lines
    assert "┬─ 1x1, 256 ─ 3x3 /2, 256 ─ 1x1, 1024 ─┐" in lines
    assert "└─ 1x1 /2, 1024 ───────────────────────┴─ add" in lines


def test_inception_branches_stand_side_by_side_once():
    (lines,) = drawing("googlenet")
    assert "├─ 1x1, 96 ─ 3x3, 128 ─" in lines
    assert "└─ max pool 3x3 ─ 1x1, 32 ─┴─ cat, 256" in lines
    assert "inception5b  like inception3a: 384 | 192, 384 | 48, 128 | 128" in lines


def test_dense_layers_are_said_to_see_all():
    (lines,) = drawing("densenet121")
    assert "denselayer2-24  cat of all ─ 1x1, 128 ─ 3x3, 32  x 23" in lines


def test_unet_is_drawn_as_a_u():
    (lines,) = drawing("unet_2015")
    rows = lines.splitlines()
    arrows = [row for row in rows if "▶ cat" in row]
    assert len(arrows) == 4
    starts = [len(row) - len(row.lstrip()) for row in arrows]
    heads = [row.index("▶") for row in arrows]
    assert starts == [0, 2, 4, 6]
    assert heads == sorted(heads, reverse=True)
    assert all(row.split()[:2] == ["Conv", "3x3,"] for row in arrows)
    assert rows[0].split() == ["Conv", "1x1,", "2", "2x388x388"]
    assert rows[-1].split() == ["Conv", "3x3,", "1024", "x", "2", "1024x28x28"]


@pytest.mark.parametrize(
    ("name", "arrows", "what"),
    [("segnet", 4, "Unpool"), ("fcn8s", 2, "max pool"), ("fcn32s", 0, ""), ("autoencoder", 0, "")],
)
def test_what_is_handed_across_has_an_arrow(name, arrows, what):
    (lines,) = drawing(name)
    assert lines.count("▶") == lines.count(f"▶ {what}") == arrows
    assert "UpConv" in lines or what == "Unpool"


def test_both_halves_of_a_dcgan_are_drawn():
    generator, discriminator = drawing("dcgan")
    assert generator.splitlines()[0].split() == [
        *("main.0", "UpConv", "4x4,", "512", "512x4x4", "820,224")
    ]
    assert discriminator.splitlines()[-1].split()[-2:] == ["1x1x1", "8,192"]


def test_unknown_network_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'unet'"):
        describe("unett")
