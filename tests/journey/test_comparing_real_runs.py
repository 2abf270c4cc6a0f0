"""Runs of every kind of task compared with themselves: the value is the evaluation's own."""

from collections.abc import Callable

import pytest

import convivo

from .tiny_runs import Journey, make_data, train_tiny, valid


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("cells", "auroc"), ("fields", "dice"), ("signals", "accuracy"), ("volumes", "dice.lesion")],
)
def test_a_side_has_the_value_of_its_evaluation(
    kind: str, metric: str, journey: Callable[[str], Journey]
) -> None:
    run = journey(kind).run
    found = valid("compare", convivo.compare(run, run, metric=metric))
    assert found["a"]["value"] == pytest.approx(run.evaluation["metrics"][metric]["value"])
    assert found["units"] == run.evaluation["units"]
    assert found["difference"]["value"] == 0


def test_reconstructions_are_compared_too(tmp_path) -> None:
    data = make_data("cells", tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", task="reconstruct", normal="healthy", epochs=1)
    for metric in ("mse", "psnr", "ssim", "auroc"):
        found = convivo.compare(run, run, metric=metric)
        wanted = run.evaluation["metrics"][metric]["value"]
        assert found["a"]["value"] == pytest.approx(wanted, rel=1e-5)
