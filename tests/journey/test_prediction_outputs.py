"""What `predict` writes: tables of probabilities, beats with annotations, label maps."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data.readers import read_header, read_labels

from .tiny_runs import Journey, files_below, make_data, rows_of, train_tiny, valid

Journeys = Callable[[str], Journey]
BEATS = ("N", "S", "V", "F", "Q")


def test_classification_is_a_table_of_probabilities(journey: Journeys, tmp_path: Path) -> None:
    cells = journey("cells")
    document = valid("predict", cells.run.predict(cells.inputs, tmp_path, quiet=True))
    assert (document["done"], document["skipped"], document["failed"]) == (16, 0, [])
    assert files_below(tmp_path) == ["predictions.csv"]
    rows = rows_of(tmp_path / "predictions.csv")
    assert list(rows[0]) == ["case", "prediction", "p_healthy", "p_infected"]
    assert sorted(row["case"] for row in rows) == sorted(
        p.relative_to(cells.inputs).as_posix() for p in cells.inputs.rglob("*.png")
    )
    for row in rows:
        healthy, infected = float(row["p_healthy"]), float(row["p_infected"])
        assert healthy + infected == pytest.approx(1, abs=2e-6)
        assert row["prediction"] == ("infected" if infected > healthy else "healthy")


def test_predictions_of_a_run_and_of_predict_agree(journey: Journeys, tmp_path: Path) -> None:
    cells = journey("cells")
    cells.run.predict(cells.inputs, tmp_path, threads=1, quiet=True)
    later = {row["case"]: row for row in rows_of(tmp_path / "predictions.csv")}
    for row in rows_of(cells.run.path / "predictions.csv"):
        truth = row.pop("truth")
        assert row["case"].startswith(f"{truth}/")
        assert float(row["p_infected"]) == pytest.approx(
            float(later[row["case"]]["p_infected"]), abs=1e-4
        )


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of pandas, at the package wfdb
def test_beats_are_a_row_each_and_an_annotation(journey: Journeys, tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    signals = journey("signals")
    document = valid("predict", signals.run.predict(signals.inputs, tmp_path, quiet=True))
    assert document["done"] == 6
    assert set(document["beat_positions"].values()) == {"atr"}
    rows = rows_of(tmp_path / "predictions.csv")
    classes = [name for name in BEATS if f"p_{name}" in rows[0]]
    probabilities = [f"p_{name}" for name in classes]
    assert list(rows[0]) == ["record", "sample", "time_s", "prediction", *probabilities]
    for record in sorted(path.stem for path in signals.data.glob("*.hea")):
        mine = [row for row in rows if row["record"] == record]
        truth = wfdb.rdann(str(signals.data / record), "atr")
        written = wfdb.rdann(str(tmp_path / record), "cvo")
        assert [int(row["sample"]) for row in mine] == truth.sample.tolist()
        assert written.sample.tolist() == truth.sample.tolist()
        assert written.symbol == [row["prediction"] for row in mine]
        assert float(mine[-1]["time_s"]) == pytest.approx(truth.sample[-1] / 360, abs=1e-4)


def test_beats_are_found_where_nobody_marked_them(journey: Journeys, tmp_path: Path) -> None:
    signals = journey("signals")
    bare = tmp_path / "bare"
    bare.mkdir()
    for suffix in (".hea", ".dat"):
        shutil.copy(signals.data / f"ecg01{suffix}", bare)
    document = signals.run.predict(bare / "ecg01.hea", tmp_path / "out", quiet=True)
    assert document["beat_positions"] == {"ecg01.hea": "xqrs"}
    assert len(rows_of(tmp_path / "out" / "predictions.csv")) > 5


def test_records_of_one_name_in_two_folders_are_two(journey: Journeys, tmp_path: Path) -> None:
    signals = journey("signals")
    for ward, record in (("east", "ecg01"), ("west", "ecg02")):
        folder = tmp_path / "data" / ward
        folder.mkdir(parents=True)
        for suffix in (".hea", ".dat", ".atr"):
            text = (signals.data / f"{record}{suffix}").read_bytes()
            (folder / f"100{suffix}").write_bytes(text.replace(record.encode(), b"100"))
    out = tmp_path / "out"
    assert signals.run.predict(tmp_path / "data", out, quiet=True)["done"] == 2
    records = {row["record"] for row in rows_of(out / "predictions.csv")}
    assert records == {"east/100", "west/100"}
    assert files_below(out) == ["east/100.cvo", "predictions.csv", "west/100.cvo"]


def test_segmentation_is_a_map_of_each_image(journey: Journeys, tmp_path: Path) -> None:
    for kind in ("fields", "volumes"):
        given, out = journey(kind), tmp_path / kind
        document = given.run.predict(given.inputs, out, quiet=True)
        assert document["failed"] == []
        assert files_below(out) == files_below(given.inputs)
        for name in files_below(out):
            assert read_header(out / name).shape == read_header(given.inputs / name).shape
            assert set(np.unique(read_labels(out / name))) <= {0, 1, 2}


def test_maps_hold_the_values_of_the_masks_trained_on(tmp_path: Path) -> None:
    data = make_data("fields", tmp_path / "data")
    for path in (data / "labels").iterdir():
        mask = np.where(np.array(Image.open(path)) > 0, 255, 0).astype(np.uint8)
        Image.fromarray(mask).save(path)
    run = train_tiny(data, tmp_path / "run", epochs=1)
    assert list(run.plan["label_values"]) == [0, 255]
    run.predict(data / "images", tmp_path / "out", quiet=True)
    found = {int(v) for p in (tmp_path / "out").iterdir() for v in np.unique(read_labels(p))}
    assert found <= {0, 255}
    assert set(run.evaluation["metrics"]) >= {"dice", "dice.255"}
