"""`run.py` as a command: what it finds, skips, reports, and never does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from convivo import schemas

Exported = Callable[..., Callable[..., int]]
Output = pytest.CaptureFixture[str]


def pictures(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        values = np.random.default_rng(number).integers(0, 255, (12, 15)).astype(np.uint8)
        Image.fromarray(values).save(folder / name)
    return folder


def told(capsys: Output) -> dict:
    document = json.loads(capsys.readouterr().out)
    Draft202012Validator(schemas.schema("predict")).validate(document)
    return document


def counts(document: dict) -> tuple[int, int, int]:
    return document["done"], document["skipped"], len(document["failed"])


def test_a_broken_file_is_reported_and_the_rest_go_on(
    exported: Exported, tmp_path: Path, capsys: Output
) -> None:
    inputs, out = pictures(tmp_path / "in", "a10.png", "a2.png", "c.png"), tmp_path / "out"
    (inputs / "b.png").write_bytes(b"no picture")
    (inputs / ".hidden.png").write_bytes(b"no input")
    run = exported("table", mode="whole", size=(12, 15))
    assert run(inputs, "--out", out, "--json") == 1
    caught = capsys.readouterr()
    document = json.loads(caught.out)
    Draft202012Validator(schemas.schema("predict")).validate(document)
    assert counts(document) == (3, 0, 1)
    assert document["backend"] == "onnx"
    assert document["failed"][0]["path"] == str(inputs / "b.png")
    assert "failed: " in caught.err
    lines = (out / "predictions.csv").read_text().splitlines()
    assert lines[0] == "case,prediction,p_N,p_V"
    assert [line.split(",")[0] for line in lines[1:]] == ["a2.png", "a10.png", "c.png"]


@pytest.mark.parametrize("kind", ["map", "table", "number", "image"])
def test_what_is_finished_is_skipped(
    kind: str, exported: Exported, tmp_path: Path, capsys: Output
) -> None:
    inputs, out = pictures(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    whole = {} if kind == "map" else {"mode": "whole", "size": (12, 15)}
    run = exported(kind, **whole)
    words = [inputs, "--out", out, "--json", "-q"]
    assert run(*words) == 0
    assert counts(told(capsys)) == (2, 0, 0)
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    pictures(tmp_path / "more", "c.png")
    shutil.move(tmp_path / "more" / "c.png", inputs / "c.png")
    assert run(*words) == 0
    assert counts(told(capsys)) == (1, 2, 0)
    assert run(*words, "--overwrite") == 0
    assert counts(told(capsys)) == (3, 0, 0)
    assert set(first) < {p.name for p in out.iterdir()} or kind in ("table", "number")
    assert all((out / n).read_bytes().startswith(b[:8]) for n, b in first.items())


def test_images_are_never_written_over(exported: Exported, tmp_path: Path, capsys: Output) -> None:
    inputs = pictures(tmp_path / "in", "a.png")
    before = (inputs / "a.png").read_bytes()
    run = exported("map")
    assert run(inputs, "--out", inputs) == 2
    assert "label maps are not written over images; got 'a.png'" in capsys.readouterr().err
    assert (inputs / "a.png").read_bytes() == before
    shutil.copy(inputs / "a.png", inputs / "a.bmp")
    assert run(inputs, "--out", tmp_path / "out") == 2
    assert "inputs need label maps of different names; got 'a.bmp', 'a.png'" in (
        capsys.readouterr().err
    )
    other = pictures(tmp_path / "other", "a.png")
    assert run(inputs / "a.png", other / "a.png", "--out", tmp_path / "out", "--json") == 2
    caught = capsys.readouterr()
    assert json.loads(caught.out)["error"]["got"] == "two named 'a.png'"
    assert not (tmp_path / "out").exists()
    assert run(inputs, "--out", inputs / "a.png") == 2
    assert "--out must be a folder; got a file" in capsys.readouterr().err


def test_ends_are_told_apart(exported: Exported, tmp_path: Path, capsys: Output) -> None:
    inputs, calls = pictures(tmp_path / "in", "a.png", "b.png", "c.png"), []

    def failing(images: np.ndarray) -> np.ndarray:
        calls.append(images)
        if len(calls) == 1:
            return np.zeros((1, 2), np.float32)
        raise ends[0]

    ends: list[BaseException] = [MemoryError()]
    run = exported("table", mode="whole", size=(12, 15), model=failing)
    words = [inputs, "--out", tmp_path / "out", "--json", "-q"]
    assert run(*words) == 1
    caught = capsys.readouterr()
    assert counts(json.loads(caught.out)) == (1, 0, 2)
    assert "an input must fit into memory; got out of memory" in caught.err
    ends[0] = KeyboardInterrupt()
    assert run(*words) == 130
    assert "interrupted; the same command goes on" in capsys.readouterr().err
    ends[0] = ZeroDivisionError("of the program")
    assert run(*words) == 3
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert (tmp_path / "out" / "predictions.csv").read_text().count("\n") == 2, "it is kept"


def test_items_of_a_container_have_numbers(exported: Exported, tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (3, 9, 11)).astype(np.uint8)
    np.savez(tmp_path / "s.npz", test_images=stack)
    assert exported("map")(tmp_path / "s.npz", "--out", tmp_path / "out", "-q") == 0
    found = [np.load(tmp_path / "out" / f"s.npz#{item}.npy") for item in range(3)]
    assert set(np.unique(found)) == {0, 7}
    for values, labels in zip(stack, found, strict=True):
        np.testing.assert_array_equal(labels == 7, values > values.mean())


def test_beats_are_rows_and_annotations(exported: Exported, tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    from convivo.data.phantoms import make_signals
    from convivo.data.readers.wfdb import read_beats

    records, out = make_signals(tmp_path / "in", records=1, seconds=12), tmp_path / "out"
    shutil.copytree(records, tmp_path / "silent")
    for path in (tmp_path / "silent").iterdir():
        if path.suffix == ".atr":
            path.unlink()
        elif path.suffix == ".dat":
            path.write_bytes(bytes(path.stat().st_size))
    run = exported("table", 1, mode="window", size=(360,), channel_names=("MLII",))
    assert run(records, "--out", out, "-q") == 0
    (name,) = (p.stem for p in records.glob("*.hea"))
    positions, _ = read_beats(records / f"{name}.atr")
    mine, symbols = read_beats(out / f"{name}.cvo")
    np.testing.assert_array_equal(mine, positions)
    rows = [line.split(",") for line in (out / "predictions.csv").read_text().splitlines()[1:]]
    assert [row[3] for row in rows] == symbols
    assert [int(row[1]) for row in rows] == positions.tolist()
    assert run(tmp_path / "silent", "--out", tmp_path / "none", "-q") == 0
    assert (tmp_path / "none" / "predictions.csv").read_text().count("\n") == 1
    assert (tmp_path / "none" / f"{name}.cvo").exists()


def test_memory_does_not_grow_with_classes_times_volume(exported: Exported, tmp_path: Path) -> None:
    import tracemalloc

    classes, size = 40, (160, 24, 24)

    def striped(images: np.ndarray) -> np.ndarray:
        answers = np.zeros((len(images), classes, *images.shape[2:]), np.float32)
        answers[:, 3] = 1
        return answers

    folder = tmp_path / "model"
    run = exported("map", 3, size=(12, 12, 12), model=striped)
    pipeline = json.loads((folder / "pipeline.json").read_text())
    pipeline["output"] |= {"classes": [str(c) for c in range(classes)], "values": [*range(classes)]}
    pipeline["batch"] = 1
    (folder / "pipeline.json").write_text(json.dumps(pipeline))
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=size).astype(np.float32))
    tracemalloc.start()
    try:
        assert run(tmp_path / "v.npy", "--out", tmp_path / "out", "-q") == 0
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (np.load(tmp_path / "out" / "v.npy") == 3).all()
    probabilities = 4 * classes * np.prod(size)
    assert most < probabilities / 3, f"{most / 2**20:.1f} MiB"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("... std::bad_alloc")])
def test_tiles_get_narrower_where_memory_runs_out(
    error: Exception, exported: Exported, tmp_path: Path
) -> None:
    sizes = []

    def large(images: np.ndarray) -> np.ndarray:
        sizes.append(images.shape[2:])
        if images[0].size > 32 * 32:
            raise error
        return np.concatenate([-images, images], 1)

    inputs = pictures(tmp_path / "in", "a.png")
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1))).save(inputs / "a.png")
    run = exported("map", size=(32, 64), model=large)
    assert run(inputs, "--out", tmp_path / "out", "-q") == 0
    assert [size for n, size in enumerate(sizes) if size not in sizes[:n]] == [
        (64, 64), (32, 64), (32, 32),
    ]  # fmt: skip
    labels = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    np.testing.assert_array_equal(labels[0], [0] * 32 + [7] * 32)
