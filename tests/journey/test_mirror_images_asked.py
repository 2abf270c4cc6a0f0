"""`--tta` as a user meets it."""

import numpy as np
import pytest

import convivo
from convivo.data.readers import read
from convivo.errors import UsageError

from .tiny_runs import make_data, rows_of, train_tiny, valid


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirrors")
    data = make_data("cells", folder / "data")
    return train_tiny(data, folder / "run", settings=("augment.flips=[0,1]",))


def test_the_table_tells_the_mean_and_the_answer_its_cost(run, tmp_path):
    image = next((run.path.parent / "data").rglob("*.png"))
    found = run.predict(image, out=tmp_path / "tta", tta=True, backend="torch", quiet=True)
    assert valid("predict", found)["passes"] == 4
    plain = run.predict(image, out=tmp_path / "plain", backend="torch", quiet=True)
    assert "passes" not in valid("predict", plain)
    rows = [rows_of(tmp_path / name / "predictions.csv")[0] for name in ("tta", "plain")]
    key = next(key for key in rows[0] if key.startswith("p_"))
    assert rows[0][key] != rows[1][key]


def test_it_is_not_for_int8(run, tmp_path):
    pytest.importorskip("nncf")
    with pytest.raises(UsageError, match="int8 is calibrated on inputs as they are"):
        run.predict(
            run.path.parent / "data", out=tmp_path / "o", tta=True, backend="openvino",
            precision="int8", quiet=True,
        )  # fmt: skip


def test_an_evaluation_says_so(run):
    found = valid("evaluation", convivo.evaluate(run, tta=True, quiet=True))
    assert any("4 passes of the network" in note for note in found["notes"])
    again = convivo.evaluate(run, quiet=True)
    assert again["metrics"] == run.evaluation["metrics"]


def test_maps_come_back_on_their_grid(tmp_path):
    data = make_data("fields", tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", settings=("augment.flips=[1]",))
    source = sorted((data / "images").iterdir())[0]
    assert run.predict(source, out=tmp_path / "o", tta=True, quiet=True)["passes"] == 2
    masks = read(tmp_path / "o" / source.name).array
    assert masks.shape[1:] == read(source).array.shape[1:]
    assert np.unique(masks).size <= len(run.plan["task_fields"]["classes"])


def test_without_mirrored_axes_it_is_refused(tmp_path):
    data = make_data("cells", tmp_path / "data")
    run = train_tiny(data, tmp_path / "run", settings=("augment.flips=[]",))
    with pytest.raises(
        UsageError, match=r"--tta: a run that was trained on mirror images too; got"
    ):
        run.predict(data, out=tmp_path / "o", tta=True, quiet=True)
    assert not (tmp_path / "o").exists()
