import numpy as np
import pytest
from scipy.linalg import sqrtm

from convivo.errors import DataError, ShapeError
from convivo.metrics.generation import frechet_distance, generation_metrics, nearest


def test_frechet_distance_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 4)), rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + 1
    means = a.mean(0) - b.mean(0)
    s, t = np.cov(a.T), np.cov(b.T)
    wanted = means @ means + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(wanted, rel=1e-8)


def test_fewer_items_than_features_still_have_a_distance() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(5, 20))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + 1) == pytest.approx(20, rel=1e-6)


def test_good_images_come_near_the_floor_and_copies_are_found() -> None:
    rng = np.random.default_rng(2)
    train, test, good = (rng.normal(size=(400, 3)) for _ in range(3))
    units = np.arange(400) // 4
    found = generation_metrics(good, test, train, units)
    assert found["fid"]["value"] < 4 * found["fid_floor"]["value"] + 0.05
    assert found["fid"]["low"] is None
    assert found["diversity"]["low"] < 1 < found["diversity"]["high"]
    assert found["nearest_train"]["low"] < 1 < found["nearest_train"]["high"]
    copies = generation_metrics(train[:200], test, train, units)
    assert copies["nearest_train"]["value"] == 0
    alike = generation_metrics(np.ones((50, 3)) + 1e-3 * good[:50], test, train, units)
    assert alike["diversity"]["high"] < 0.05
    assert alike["fid"]["value"] > found["fid"]["value"]


def test_nearest_items_are_those_of_all_distances() -> None:
    rng = np.random.default_rng(3)
    items, among = rng.normal(size=(7, 5)), rng.normal(size=(11, 5))
    table = np.linalg.norm(items[:, None] - among[None], axis=2)
    distances, places = nearest(items, among)
    assert distances == pytest.approx(table.min(1))
    assert places.tolist() == table.argmin(1).tolist()


def test_too_few_items_and_bad_features_are_refused() -> None:
    with pytest.raises(ShapeError, match="two sets of at least two items"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(DataError, match="features are finite"):
        frechet_distance(np.full((3, 3), np.nan), np.zeros((5, 3)))
