"""`train` with networks other than the chosen one: from a folder of images to maps of its grid."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

import convivo

from .tiny_runs import make_data, train_tiny

FIELDS = {
    "fcn8s": ('net.encoder="vgg11"', "net.width=0.03"),
    "segnet": ("net.width=0.03",),
    "unet": ('net.encoder="resnet18"', "net.width=0.06"),
}


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data("fields", tmp_path_factory.mktemp("fields"))


@pytest.mark.parametrize("net", FIELDS)
def test_images_are_segmented_by_any_network(net: str, fields: Path, tmp_path: Path) -> None:
    settings = FIELDS[net]
    run = train_tiny(fields, tmp_path / "run", net=net, settings=settings, epochs=1)
    assert 0 <= run.evaluate()["metrics"]["dice"]["value"] <= 1
    again = convivo.load(tmp_path / "run")
    again.predict(fields / "images", out=tmp_path / "maps")
    maps = sorted((tmp_path / "maps").rglob("*.png"))
    assert len(maps) == 10
    assert {np.asarray(Image.open(path)).shape for path in maps} == {(36, 44)}


def test_volumes_are_segmented_on_an_encoder(tmp_path: Path) -> None:
    data = make_data("volumes", tmp_path / "data")
    settings = ('net.encoder="resnet18"', "net.width=0.06")
    run = train_tiny(data, tmp_path / "run", net="unet", settings=settings, epochs=1)
    run.predict(data / "imagesTr", out=tmp_path / "maps")
    maps = {path.name: nibabel.load(path) for path in (tmp_path / "maps").rglob("*.nii.gz")}
    volumes = {path.name: nibabel.load(path) for path in (data / "imagesTr").iterdir()}
    assert len(maps) == len(volumes) == 6
    for name, labels in maps.items():
        assert labels.shape == volumes[name].shape
        np.testing.assert_allclose(labels.affine, volumes[name].affine)
