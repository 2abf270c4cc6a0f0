"""Each backend's answers are torch's, for every task, batch size and tile."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from convivo.architectures.create import create
from convivo.inference.backends.engine import Unavailable
from convivo.inference.backends.openvino_engine import COMPILED, OpenVINO
from convivo.inference.predictor import Predictor
from convivo.tasks.segment import Segment

from .engines import CASES, CLASSES, ENGINES, engine_of, images, predictor_of, programs_of

FAST = ("classes 1D", "images 2D")  # maps of volumes: see journey/test_prediction_backends.py
BOTH = pytest.mark.parametrize("name", ENGINES)
OPENVINO = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "openvino" else pytest.mark.slow) for n in ENGINES]
)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@BOTH
@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=() if c in FAST else pytest.mark.slow) for c in CASES]
)
def test_answers_of_every_task_are_those_of_torch(name, case, openvino):
    predictor = predictor_of(case)
    engine = engine_of(predictor, name)
    for count in (5, 1):
        given = images(count, CASES[case][1], seed=count)
        found = engine(given)
        assert found.dtype == np.float32
        close(found, predictor.through_torch(given))


@BOTH
@pytest.mark.parametrize(
    ("case", "size"),
    [("maps 1D", (111,)), pytest.param("maps 2D", (61, 66), marks=pytest.mark.slow)],
)
def test_maps_from_tiles_that_reach_beyond_the_image_are_those_of_torch(name, case, size, openvino):
    predictor = predictor_of(case, batch=4, tile=(32, 16)[: len(size)])
    image = images(1, len(size), size=size)[0]
    assert predictor.count(image.shape) % 4, "the last batch is a smaller one"
    served = replace(predictor, engine=engine_of(predictor, name))
    close(served.map(image), predictor.map(image))
    assert (served.labels(image) == predictor.labels(image)).mean() > 0.999


@OPENVINO
def test_images_of_many_sizes_come_from_one_program(name, openvino):
    predictor = predictor_of("maps 2D")
    engine = engine_of(predictor, name)
    for size in ((48, 64), (64, 32), (96, 48), (32, 32), (48, 64)):
        given = images(2, 2, size=size)
        close(engine(given), predictor.through_torch(given))
    assert len(engine.programs._made) == 1


@pytest.mark.slow
@BOTH
def test_network_without_padding_is_answered_in_mirrored_tiles(name, openvino):
    task = Segment(classes=CLASSES)
    torch.manual_seed(0)
    network = create(
        "unet_2015",
        spatial_dims=2,
        in_channels=2,
        num_classes=3,
        width=0.125,
        levels=3,
        dropout=0.0,
    ).eval()
    predictor = Predictor(
        network=network, task=task, sampling="patch", size=(44, 60), batch=2,
        margin=network.margin, step=network.grid_step,
    )  # fmt: skip
    image = images(1, 2, size=(61, 70))[0]
    close(replace(predictor, engine=engine_of(predictor, name)).map(image), predictor.map(image))


@pytest.mark.slow
def test_few_compiled_networks_are_kept(openvino):
    engine = engine_of(predictor_of("maps 2D"), "openvino")
    for side in range(32, 32 + 16 * (COMPILED + 2), 16):
        engine(images(1, 2, size=(side, 32)))
    assert len(engine._requests) == COMPILED


def test_normalization_is_folded_into_the_convolutions(openvino):
    model = OpenVINO(programs_of(predictor_of("several 2D")), precision="fp32", threads=1)
    model(images(1, 2))
    (request,) = model._requests.values()
    kinds = [node.get_rt_info()["layerType"].astype(str) for node in _nodes(request)]
    assert "Convolution" in kinds
    assert not [kind for kind in kinds if "Norm" in kind or kind in ("Multiply", "ScaleShift")]


def _nodes(request):
    return request.get_compiled_model().get_runtime_model().get_ops()


def test_bfloat16_is_nearly_the_same(openvino):
    predictor = predictor_of("classes 2D")
    engine = OpenVINO(programs_of(predictor), precision="bf16", threads=1)
    given = images(4, 2)
    np.testing.assert_allclose(engine(given), predictor.through_torch(given), atol=0.05)


@BOTH
def test_network_that_cannot_be_exported_is_told(name, openvino):
    predictor = predictor_of("classes 2D")

    def by_values(logits):
        return logits if logits.sum() > 0 else -logits

    engine = engine_of(predictor, name)
    engine.programs.decode = by_values
    with pytest.raises(Unavailable, match=r"^--backend: .* must give this network's answers; got"):
        engine(images(2, 2))
