import json

import pytest

from convivo.architectures import ARCHITECTURES
from convivo.errors import UsageError
from convivo.verbs.nets import describe, networks


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


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_description_names_paper_options_and_layers(name):
    text = describe(name)
    assert ARCHITECTURES[name].paper in text
    assert "option " in text
    assert "parameters  1D" in text
    assert max(map(len, text.splitlines()[5:])) <= 100


def test_unknown_network_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'unet'"):
        describe("unett")
