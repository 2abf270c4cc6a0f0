"""Quantised networks answer nearly as torch does; milder ways leave more in float32."""

import numpy as np
import pytest

from convivo.inference.backends.engine import Unavailable
from convivo.inference.backends.openvino_engine import OpenVINO, sized
from convivo.inference.backends.quantizing import WAYS, outermost, quantized
from convivo.inference.openvino_terms import must_stay_open

from .engines import images, predictor_of, programs_of

pytestmark = pytest.mark.usefixtures("libraries")
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def libraries() -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")


def made(case, way=WAYS[0], count=24):
    """A predictor, its float32 model, its model in int8, and the engine of that."""
    predictor = predictor_of(case)
    dims = len(predictor.size)
    programs = programs_of(predictor)
    model = sized(programs.of((2, 2, *predictor.size)))
    low = quantized(model, list(images(count, dims, seed=3)), way)
    engine = OpenVINO(programs, precision="int8", threads=1, model_of=lambda program: low)
    return predictor, model, low, engine


def operations(model, kind="FakeQuantize"):
    return [one for one in model.get_ordered_ops() if one.get_type_name() == kind]


@pytest.mark.parametrize(
    "case",
    [
        "classes 2D",
        *(pytest.param(f"maps {dims}D", marks=SLOW) for dims in (1, 2, 3)),
        pytest.param("classes 1D", marks=SLOW),
        pytest.param("number 3D", marks=SLOW),
        pytest.param("images 2D", marks=SLOW),
    ],
)
def test_answers_are_nearly_those_of_torch(case: str) -> None:
    predictor, model, low, engine = made(case)
    assert operations(low)
    assert not operations(model), "what was given stays as it is"
    given = images(4, len(predictor.size))
    mine, theirs = engine(given), predictor.through_torch(given)
    away = np.abs(mine - theirs)
    assert away.max() > 0, "other multiplications"
    assert away.mean() < 0.1 * np.abs(theirs).max()


@pytest.mark.parametrize("threads", [1, 2])
def test_an_answer_does_not_depend_on_its_company(threads: int) -> None:
    """With a fixed number of items some numbers were answered otherwise, far from torch."""
    predictor, _, _low, engine = made("classes 2D")
    engine.threads = threads
    given = images(16, 2)
    together = engine(given)
    for count in (1, 2, 4, 8):
        rows = [engine(given[first : first + count]) for first in range(0, 16, count)]
        np.testing.assert_allclose(np.concatenate(rows), together, atol=1e-5)
    assert np.abs(together - predictor.through_torch(given)).mean() < 0.05


@pytest.mark.parametrize(
    ("case", "opened"),
    [
        ("images 2D", True),
        ("several 2D", False),
        pytest.param("maps 2D", False, marks=SLOW),
    ],
)
def test_the_number_of_items_is_fixed_but_where_linear_layers_follow_each_other(
    case: str, opened: bool
) -> None:
    predictor, model, low, engine = made(case)
    assert must_stay_open(low, "int8") is opened
    assert not must_stay_open(model, "fp32")
    given = images(4, 2)
    together, theirs = engine(given), predictor.through_torch(given)
    alone = np.concatenate([engine(given[place : place + 1]) for place in range(4)])
    assert np.abs(alone - together).mean() < 0.01 * np.abs(theirs).max()
    assert np.abs(alone - theirs).mean() < 0.1 * np.abs(theirs).max()
    assert np.abs(together - theirs).mean() < 0.1 * np.abs(theirs).max()


@pytest.mark.slow
def test_maps_of_other_sizes_than_the_items_are_answered() -> None:
    predictor, _, _, engine = made("maps 2D")
    given = images(1, 2, size=(32, 48))
    assert np.abs(engine(given) - predictor.through_torch(given)).mean() < 0.1


def test_the_mildest_way_leaves_the_first_and_the_last_layer() -> None:
    _, model, low, _ = made("classes 2D", "inner")
    first, last = outermost(model)
    fed = {
        one.get_friendly_name(): [
            source.get_node().get_type_name() for source in one.input_values()
        ]
        for kind in ("Convolution", "MatMul")
        for one in operations(low, kind)
    }
    assert len(fed) > 2
    # weights in int8 are scaled before they are used; others are constants as they are
    assert {name for name in fed if "Constant" in fed[name]} == {first, last}


def test_items_that_do_not_fit_are_told() -> None:
    predictor = predictor_of("classes 2D")
    model = sized(programs_of(predictor).of((2, 2, *predictor.size)))
    with pytest.raises(Unavailable, match=r"int8 must give this network's answers; got "):
        quantized(model, [np.zeros((3, 5, 5), np.float32)])


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    made("classes 2D", count=4)
    assert capsys.readouterr().out == ""
