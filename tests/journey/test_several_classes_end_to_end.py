"""Images with several classes each, from a container of MedMNIST's kind."""

from pathlib import Path

import numpy as np

from .tiny_runs import rows_of, train_tiny, valid


def make_several(path: Path) -> Path:
    """A bright left half is class 0, a bright top half class 1; each for itself."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 48), ("val", 16), ("test", 16)):
        labels = rng.integers(0, 2, (count, 2))
        images = rng.integers(0, 60, (count, 12, 14))
        images[:, :, :7] += 120 * labels[:, :1, None]
        images[:, :6, :] += 60 * labels[:, 1:, None]
        arrays |= {f"{split}_images": images.astype(np.uint8), f"{split}_labels": labels}
    np.savez(path, **arrays)
    return path


def test_several_classes_are_trained_measured_and_predicted(tmp_path: Path) -> None:
    data = make_several(tmp_path / "several.npz")
    run = train_tiny(data, tmp_path / "run", epochs=8)
    found = valid("evaluation", run.evaluation)
    assert found["score_name"] == "auroc"
    assert found["metrics"]["auroc"]["value"] > 0.8
    assert np.shape(found["metrics"]["confusion"]["value"]) == (2, 2, 2)
    assert set(found["roc"]) == {"0", "1"}
    own = rows_of(run.path / "predictions.csv")
    assert list(own[0]) == ["case", "truth", "prediction", "p_0", "p_1"]
    assert {row["truth"] for row in own} == {"", "0", "1", "0 + 1"}
    run.predict(data, out=tmp_path / "out", quiet=True)
    rows = {row["case"]: row for row in rows_of(tmp_path / "out" / "predictions.csv")}
    assert len(rows) == 80
    assert all(rows[row["case"]]["prediction"] == row["prediction"] for row in own)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Confusion matrix" not in page
