"""Pictures of cases: what is drawn, where, in which colour, and how large it may be."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image, ImageColor

from convivo.errors import ShapeError
from convivo.reporting.content import CasePicture, Report
from convivo.reporting.gallery import describe, gallery
from convivo.reporting.pictures import enlarged, eroded, intensity_window, png_address
from convivo.reporting.planes import centre, planes, views
from convivo.reporting.plots import PREDICTION_COLORS, TRUTH_COLORS
from convivo.reporting.traces import trace

SHAPE = (7, 9, 11)


def volume(**more: object) -> CasePicture:
    image = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(1, *SHAPE)
    return CasePicture(id="a", caption="", image=image, **more)  # type: ignore[arg-type]


def pixels(case: CasePicture, budget: int = 10**7) -> np.ndarray:
    """The picture (h, w, 4) that a page would show."""
    address, width, height = png_address(case, budget=budget)
    data = base64.b64decode(address.partition(",")[2])
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    assert picture.shape == (height, width, 4)
    return picture


def painted(picture: np.ndarray, color: str) -> np.ndarray:
    return (picture[..., :3] == ImageColor.getrgb(color)[:3]).all(axis=-1)


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3, 4, 5), (1, 0, 4)])
def test_a_picture_refuses_other_dimensions(shape):
    with pytest.raises(ShapeError, match=r"x: a picture needs an image of shape \(C, \*S\)"):
        CasePicture(id="x", caption="", image=np.zeros(shape, np.float32))


@pytest.mark.parametrize("name", ["truth", "prediction"])
def test_a_picture_refuses_maps_of_another_shape(name):
    labels = np.zeros((9, 7), int)
    with pytest.raises(ShapeError, match=rf"the {name} must have .* \(7, 9\); got \(9, 7\)"):
        CasePicture(id="x", caption="", image=np.zeros((1, 7, 9), np.float32), **{name: labels})


def test_three_planes_without_orientation_are_plain_cuts():
    case = volume()
    point = centre(case)
    assert point == (3, 4, 5)
    first, second, third = planes(case)
    np.testing.assert_array_equal(first.image[0], case.image[0, 3])
    np.testing.assert_array_equal(second.image[0], case.image[0, :, 4])
    np.testing.assert_array_equal(third.image[0], case.image[0, :, :, 5])


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PSR", "IRA", "SAL"])
def test_anatomical_planes_stand_upright_whatever_the_stored_order(axes):
    """One patient, stored in any order: front up, head up, right of the patient at the left."""
    patient = np.arange(np.prod(SHAPE)).reshape(SHAPE)  # axes run to R, A, S
    order = ["RLAPSI".index(c) // 2 for c in axes]
    stored = patient.transpose(order)[tuple(slice(None, None, 1 if c in "RAS" else -1)
                                            for c in axes)]  # fmt: skip
    case = CasePicture(id="a", caption="", image=stored[None].astype(np.float32), axes=axes)
    axial, coronal, sagittal = planes(case)
    middle = [n // 2 for n in SHAPE]
    np.testing.assert_array_equal(axial.image[0], patient[::-1, ::-1, middle[2]].T)
    np.testing.assert_array_equal(coronal.image[0], patient[::-1, middle[1], ::-1].T)
    np.testing.assert_array_equal(sagittal.image[0], patient[middle[0], ::-1, ::-1].T)
    assert axial.name.startswith("axial, 6 of 11")


def test_axes_that_are_no_anatomy_are_cut_plainly():
    assert [v.name for v in views("RAX")] == [v.name for v in views("")]


def test_planes_go_through_the_truth_else_the_prediction():
    truth, prediction = np.zeros(SHAPE, int), np.zeros(SHAPE, int)
    truth[1, 2, 3], prediction[5, 6, 7] = 2, 1
    assert centre(volume(truth=truth, prediction=prediction)) == (1, 2, 3)
    assert centre(volume(truth=0 * truth, prediction=prediction)) == (5, 6, 7)


def test_centre_lies_in_the_structure_even_if_it_is_a_ring():
    truth = np.zeros(SHAPE, int)
    truth[1:6, 1:8, 1:10] = 1
    truth[2:5, 2:7, 2:9] = 0
    assert truth[centre(volume(truth=truth))] == 1


def test_a_volume_keeps_its_proportions_in_millimetres():
    case = volume(spacing=(1.0, 1.0, 2.5), spacing_unit="mm")
    opaque = pixels(case)[..., 3] > 0
    heights = opaque.sum(axis=0)
    # Across axis 1: 9 x 27.5 mm; across axis 2: 7 x 27.5 mm; across axis 3: 7 x 9 mm.
    first, last = heights[0], heights[-1]
    assert first / last == pytest.approx(9 / 7, rel=0.02)
    assert (heights == first).sum() / first == pytest.approx(27.5 / 9, rel=0.02)


@pytest.mark.parametrize("spacing", [None, (0.0, 1.0, 1.0), (1.0,), (float("nan"), 1.0, 1.0)])
def test_senseless_spacing_counts_as_equal(spacing):
    assert [p.pixel for p in planes(volume(spacing=spacing))] == [(1.0, 1.0)] * 3


def test_outlines_have_the_colour_of_their_class_and_family():
    truth, prediction = np.zeros((20, 30), int), np.zeros((20, 30), int)
    truth[2:9, 2:9], prediction[11:18, 11:18] = 1, 2
    case = CasePicture(id="a", caption="", image=np.zeros((1, 20, 30), np.float32), truth=truth,
                       prediction=prediction)  # fmt: skip
    picture = pixels(case)
    scale = picture.shape[0] / 20
    rows, columns = np.nonzero(painted(picture, TRUTH_COLORS[0]))
    assert (rows.min() / scale, columns.min() / scale) == pytest.approx((2, 2), abs=0.1)
    assert (rows.max() / scale, columns.max() / scale) == pytest.approx((9, 9), abs=0.1)
    rows, columns = np.nonzero(painted(picture, PREDICTION_COLORS[1]))
    assert (rows.min() / scale, columns.max() / scale) == pytest.approx((11, 18), abs=0.1)
    assert not painted(picture, TRUTH_COLORS[1]).any()


def test_where_both_agree_both_outlines_are_seen():
    labels = np.zeros((20, 30), int)
    labels[5:15, 5:25] = 1
    case = CasePicture(id="a", caption="", image=np.zeros((1, 20, 30), np.float32), truth=labels,
                       prediction=labels)  # fmt: skip
    picture = pixels(case)
    assert painted(picture, TRUTH_COLORS[0]).any()
    assert painted(picture, PREDICTION_COLORS[0]).any()


def test_small_images_are_enlarged_and_large_ones_reduced():
    for side in (5, 3000):
        case = CasePicture(id="a", caption="", image=np.eye(side, dtype=np.float32)[None])
        assert 280 <= pixels(case).shape[0] <= 640


def test_a_budget_makes_a_picture_smaller_but_never_unreadable():
    noise = np.random.default_rng(0).normal(size=(1, 500, 400)).astype(np.float32)
    case = CasePicture(id="a", caption="", image=noise)
    assert pixels(case).shape[0] == 620
    assert pixels(case, budget=10).shape[0] == 280


def test_grey_levels_run_from_black_to_white_despite_an_outlier():
    image = np.tile(np.linspace(10, 20, 40, dtype=np.float32), (30, 1))
    image[0, 0] = 1e6
    picture = pixels(CasePicture(id="a", caption="", image=image[None]))
    assert picture[300, 2, 0] < 10
    assert picture[300, -3, 0] > 245


@pytest.mark.parametrize("value", [0.0, 3.5, np.nan, np.inf])
def test_constant_and_missing_values_are_drawn(value):
    for shape in ((1, 7, 9), (3, 7, 9), (2, 7, 9, 11)):
        assert pixels(CasePicture(id="a", caption="", image=np.full(shape, value, np.float32))).size


def test_window_ignores_what_is_not_finite():
    low, high = intensity_window([np.array([[[np.nan, 1.0, 2.0, np.inf]]])])
    assert 1 <= low < high <= 2


def test_colour_images_keep_their_colours():
    image = np.zeros((3, 8, 12), np.float32)
    image[0, :, :6], image[2, :, 6:] = 1, 1
    picture = pixels(CasePicture(id="a", caption="", image=image))
    assert picture[200, 50, :3].tolist() == [255, 0, 0]
    assert picture[200, -50, :3].tolist() == [0, 0, 255]


def test_colour_volumes_share_one_palette():
    image = np.random.default_rng(1).uniform(size=(3, *SHAPE)).astype(np.float32)
    image[0, 3], image[2, :, :, 5] = 1, 1
    assert pixels(CasePicture(id="a", caption="", image=image))[..., 3].min() == 0


def test_labels_are_enlarged_without_new_values():
    labels = np.array([[0, 3], [7, 1]])
    large = enlarged(labels, (5, 7))
    assert set(large.ravel()) == {0, 1, 3, 7}
    assert (large[0, 0], large[-1, -1]) == (0, 1)


def test_erosion_counts_the_edge_of_the_picture_as_outside():
    assert eroded(np.ones((5, 7), bool), 2).sum() == 1 * 3


def test_a_trace_holds_every_peak_of_a_long_signal():
    signal = np.zeros((1, 200_000), np.float32)
    signal[0, ::500] = 1
    drawing = str(trace(CasePicture(id="a", caption="", image=signal), label="l"))
    points = re.search(r'points="([^"]+)"', drawing)
    assert points
    heights = {p.split(",")[1] for p in points.group(1).split()}
    assert len(heights) == 2
    assert len(drawing) < 40_000


def test_a_trace_names_its_time_unit_and_its_marks():
    case = CasePicture(id="a", caption="", image=np.zeros((2, 720), np.float32),
                       spacing=(1 / 360,), spacing_unit="s",
                       marks=((360, "V"), (362, "hidden"), (5000, "outside")))  # fmt: skip
    drawing = str(trace(case, label="l"))
    assert "time in s" in drawing
    assert ">V<" in drawing
    assert "outside" not in drawing
    assert "hidden" not in drawing
    assert drawing.count('class="mark"') == 2


def test_a_trace_breaks_where_samples_are_missing():
    signal = np.ones((1, 60), np.float32)
    signal[0, 20:30] = np.nan
    drawing = str(trace(CasePicture(id="a", caption="", image=signal), label="l"))
    assert drawing.count("<polyline") == 2
    assert "nan" not in drawing
    empty = CasePicture(id="a", caption="", image=signal * np.nan)
    assert "<polyline" not in str(trace(empty, label="l"))


def test_labelled_stretches_are_drawn_as_bars():
    labels = np.zeros(100, np.uint8)
    labels[10:20], labels[20:30], labels[99] = 1, 2, 1
    case = CasePicture(id="a", caption="", image=np.zeros((1, 100), np.float32), truth=labels,
                       prediction=np.zeros(100, np.uint8))  # fmt: skip
    drawing = str(trace(case, label="l"))
    assert drawing.count('<rect class="f0"') == 2
    assert drawing.count('<rect class="f1"') == 1


def test_alternative_text_tells_kind_outlines_and_caption():
    truth = np.zeros(SHAPE, int)
    assert describe(volume(truth=truth)) == (
        "Three planes of the volume of case a with outlines of truth."
    )


def test_gallery_is_limited_and_says_so():
    case = CasePicture(id="a", caption="", image=np.zeros((1, 7, 9), np.float32))
    group = gallery(Report(title="t", worst=[case] * 15))[0]
    assert (group["title"], len(group["cases"]), group["more"]) == ("Worst cases", 12, 3)


def test_outline_key_names_only_drawn_classes():
    labels = np.zeros((7, 9), int)
    labels[2:4, 2:4] = 2
    case = CasePicture(id="a", caption="", image=np.zeros((1, 7, 9), np.float32), truth=labels)
    inspection = {"classes": [{"name": n} for n in ("background", "organ", "lesion")]}
    legend = gallery(Report(title="t", best=[case], inspection=inspection))[0]["legend"]
    assert [item["name"] for item in legend] == ["lesion"]
