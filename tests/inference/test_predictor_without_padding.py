"""Tiles of the published U-Net against one pass over the whole mirrored image."""

import numpy as np
import pytest
import torch

from convivo.architectures.create import create
from convivo.architectures.unet_2015 import lattice
from convivo.arrays.mirrored_tiles import predict_mirrored
from convivo.inference.predictor import Predictor
from convivo.tasks.segment import Segment
from convivo.verbs.setup import build_predictor

CLASSES = ("background", "a", "b")
SHAPES = [(97,), (61, 38), (21, 13, 26)]


def network(dims, levels=3):
    torch.manual_seed(0)
    net = create(
        "unet_2015", spatial_dims=dims, in_channels=2, num_classes=3, levels=levels, channels=4
    )
    return net.eval()


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)


def tiled(net, size, **more):
    return Predictor(
        network=net, task=Segment(classes=CLASSES), sampling="patch", size=size,
        margin=net.margin, step=net.grid_step, **more,
    )  # fmt: skip


def whole(net, image):
    """The image mirrored by NumPy to a size that the network takes, in one pass."""
    step, margin, least = lattice(net.levels)
    pads = [(0, 0)]
    for n in image.shape[1:]:
        seen = least + step * -(-max(0, n + 2 * margin - least) // step)
        pads.append((margin, seen - n - margin))
    with torch.no_grad():
        logits = net(torch.tensor(np.pad(image, pads, mode="reflect"))[None])
    inside = tuple(slice(n) for n in image.shape[1:])
    return logits.softmax(1).numpy()[(0, slice(None), *inside)]


def by_tiles(net, image, size, batch):
    """Answer tile by tile even where one tile would do, and the number of tiles."""
    tiles = []
    net.register_forward_hook(lambda _, inputs, __: tiles.append(len(inputs[0])))
    found = predict_mirrored(
        image, tiled(net, size).run, tile=size, margin=net.margin, step=net.grid_step, batch=batch
    )
    return found, sum(tiles)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("larger", "batch"), [(0, 1), (1, 2), (2, 5)])
def test_tiles_have_no_seams(shape, larger, batch):
    net, image = network(len(shape)), noise(shape)
    size = tuple(44 + 4 * larger + 4 * axis for axis in range(len(shape)))
    found, tiles = by_tiles(net, image, size, batch)
    assert tiles > 1
    assert found.shape == (3, *shape)
    np.testing.assert_allclose(found, whole(net, image), atol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (5, 9), (4, 7, 2)])
def test_images_shorter_than_the_margin_are_mirrored_again_and_again(shape):
    net, image = network(len(shape)), noise(shape)
    found = tiled(net, (52,) * len(shape)).case(image)
    np.testing.assert_allclose(found, whole(net, image), atol=1e-5)


def test_five_levels_in_two_dimensions():
    net, image = network(2, levels=5), noise((50, 23))
    # 188 answers about 4, less than a step
    found, tiles = by_tiles(net, image, (188, 204), batch=2)
    assert tiles == 4 * 2
    np.testing.assert_allclose(found, whole(net, image), atol=1e-5)


def test_an_image_of_a_few_tiles_is_one_pass():
    net, calls = network(2), []
    net.register_forward_hook(lambda _, inputs, __: calls.append(tuple(inputs[0].shape)))
    tiled(net, (60, 60)).case(noise((50, 40)))
    assert calls == [(1, 2, 92, 80)]


def test_a_plan_s_predictor_knows_the_margin():
    net = network(2)
    seen = {"mode": "patch", "size": [60, 68], "before": 0.5, "batch": 2}
    predictor = build_predictor({"sampling": seen}, net, Segment(classes=CLASSES))
    image = noise((61, 38))
    assert (predictor.margin, predictor.step) == ((20, 20), (4, 4))
    np.testing.assert_allclose(predictor.case(image), whole(net, image), atol=1e-5)
