"""The published U-Net on the whole road: from a folder to label maps of the images' own size."""

from pathlib import Path

import pytest
from torch import Tensor, nn

from convivo import predict
from convivo.data.readers import read_header
from convivo.errors import ShapeError

from .tiny_runs import make_data, train_tiny, valid

FIELDS = ("net.levels=3", "train.border_weight=10")


@pytest.mark.parametrize("kind", ["fields", "volumes"])
def test_answers_have_the_size_of_the_inputs(kind: str, tmp_path: Path) -> None:
    data = make_data(kind, tmp_path / "data")
    settings = FIELDS if kind == "fields" else ("net.levels=3",)
    run = train_tiny(data, tmp_path / "run", net="unet_2015", epochs=1, settings=settings)
    assert run.plan["network"]["options"]["levels"] == 3
    assert ("border_weight" in run.plan["task_fields"]) == (kind == "fields")
    document = valid("evaluation", run.evaluate())
    assert 0 <= document["metrics"]["dice"]["value"] <= 1
    inputs = data / ("images" if kind == "fields" else "imagesTr")
    answer = predict(run.path, inputs, out=tmp_path / "answers")
    names = sorted(p.name for p in inputs.iterdir())
    assert answer["done"] == len(names)
    for name in names:
        found = read_header(tmp_path / "answers" / name).shape
        assert found == read_header(inputs / name).shape
    assert (tmp_path / "run" / "report.html").exists()


def test_a_patch_it_cannot_halve_is_refused_with_the_nearest(tmp_path: Path) -> None:
    data = make_data("fields", tmp_path / "data")
    with pytest.raises(ShapeError, match=r"; got size \(100, 100\). .* to \(188, 188\)"):
        train_tiny(data, tmp_path / "run", net="unet_2015", settings=("input.size=[100, 100]",))
    assert not (tmp_path / "run").exists()


class Valid(nn.Module):
    """Somebody's own network without padding: it says how much it cuts off."""

    margin = (2, 2)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())


def test_your_own_network_without_padding_says_its_margin(tmp_path: Path) -> None:
    data = make_data("fields", tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", net=Valid(), epochs=1)
    assert run.evaluate()["cases"] > 0
