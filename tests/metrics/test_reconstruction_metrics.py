import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from convivo.errors import ShapeError
from convivo.metrics.reconstruction import (
    anomaly_metrics,
    item_statistics,
    reconstruction_metrics,
)


@pytest.mark.parametrize("size", [(41,), (19, 23), (9, 11, 13), (5, 9)])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_item_agrees_with_scikit_image(size: tuple[int, ...], channels: int) -> None:
    rng = np.random.default_rng(len(size))
    truth = rng.random((channels, *size))
    found = truth + 0.2 * rng.normal(size=truth.shape)
    row = item_statistics(truth, found, data_range=1.0)
    side = min(7, min(size) - (min(size) + 1) % 2)
    wanted = structural_similarity(truth, found, win_size=side, data_range=1.0, channel_axis=0)
    assert row["ssim"] == pytest.approx(wanted, abs=1e-9)
    assert row["psnr"] == pytest.approx(peak_signal_noise_ratio(truth, found, data_range=1.0))
    assert row["mse"] == pytest.approx(((truth - found) ** 2).mean())


def test_ratio_and_similarity_do_not_depend_on_the_scale_of_an_image() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(1, 12, 15))
    found = truth + rng.normal(size=truth.shape)
    one, other = item_statistics(truth, found), item_statistics(truth * 40, found * 40)
    assert other["psnr"] == pytest.approx(one["psnr"])
    assert other["mse"] == pytest.approx(1600 * one["mse"])


def test_what_has_no_value_is_left_out_and_counted() -> None:
    flat = item_statistics(np.ones((1, 8, 8)), np.zeros((1, 8, 8)))
    exact = item_statistics(np.eye(8)[None], np.eye(8)[None])
    assert np.isnan([flat["psnr"], flat["ssim"], exact["psnr"]]).all()
    assert exact["ssim"] == pytest.approx(1.0)
    rows = {name: np.array([flat[name], exact[name], 0.5]) for name in flat}
    found = reconstruction_metrics(rows, ["a", "b", "c"])
    assert found["psnr"]["value"] == 0.5
    assert found["psnr"]["excluded"] == 2
    assert found["mse"]["value"] == pytest.approx(0.5)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="an image and its reconstruction have one shape"):
        item_statistics(np.zeros((1, 4)), np.zeros((1, 5)))


def test_anomalies_are_ranked_against_the_normal_class() -> None:
    scores = np.array([1.0, 2.0, 5.0, 1.5, 9.0, 0.1])
    targets = np.array([0, 0, 1, 2, 1, -1])
    found = anomaly_metrics(scores, targets, list("abcdef"), ("n", "v", "s"), normal=0)
    assert found["auroc"]["value"] == pytest.approx(5 / 6)
    assert found["auroc.v"]["value"] == 1.0
    assert found["auroc.s"]["value"] == 0.5
    assert anomaly_metrics(scores[:2], targets[:2], list("ab"), ("n", "v"), normal=0) == {}
