"""A packed store: the same batches as from memory, made once, whole or not at all."""

import json
import multiprocessing
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convivo.arrays.preparation import Preparation
from convivo.data import store as storing
from convivo.data.batches import Batches
from convivo.data.sample import Case, Events, Header, Index, Sample
from convivo.data.store import Wanted, build_store, opened_store, packed_store
from convivo.errors import DataError, PlanError, ReadError, UsageError

SHAPES = {1: (310,), 2: (45, 70), 3: (40, 75, 33)}
SIZES = {1: (64,), 2: (32, 24), 3: (16, 20, 24)}
CHANNELS = 2


class Folder:
    """A data set of .npy files, one a case; counts how often each is read."""

    def __init__(self, root: Path, dims: int, kind: str, *, alike: bool, cases: int = 5) -> None:
        root.mkdir()
        self.kind, self.read = kind, []
        task = "segment" if kind == "maps" else "classify"
        found = [self._case(root, dims, number, alike) for number in range(cases)]
        self.index = Index(
            layout="array", root=root, task=task, spatial_dims=dims, cases=tuple(found),
            classes=("a", "b", "c"), events=kind == "events",
        )  # fmt: skip
        self.preparation = Preparation(spatial_dims=dims, channels=CHANNELS)

    def _case(self, root: Path, dims: int, number: int, alike: bool) -> Case:
        rng = np.random.default_rng(number)
        shape = tuple(n + (0 if alike else 7 * number) for n in SHAPES[dims])
        path = root / f"{number}.npy"
        np.save(path, rng.normal(size=(CHANNELS, *shape)).astype(np.float32))
        label = None
        if self.kind == "maps":
            labels = rng.integers(0, 3, shape).astype(np.uint8)
            labels[: shape[0] // 2] = 0
            label = root / f"{number}_label.npy"
            np.save(label, labels)
        header = Header(shape=shape, channels=CHANNELS, dtype="float32", axes="T")
        return Case(
            id=path.name, image=(str(path),), label=label and str(label), header=header,
            target=number % 3 if self.kind == "classes" else None,
        )  # fmt: skip

    def load(self, case: Case) -> Sample:
        self.read.append(case.id)
        target: object = case.target
        if case.label is not None:
            target = np.load(case.label)
        if self.kind == "events":
            target = Events(positions=np.arange(9, 300, 17), labels=np.arange(18) % 4 - 1)
        return Sample(id=case.id, image=np.load(case.image[0]), target=target, unit=case.id[0])

    def wanted(self, *, half: bool = False) -> Wanted:
        return Wanted(
            cases=self.index.cases, index=self.index, load=self.load,
            preparation=self.preparation, half=half,
        )  # fmt: skip

    def opened(self, folder: Path) -> storing.Store:
        ids = [case.id for case in self.index.cases]
        return opened_store(folder, ids, [i[0] for i in ids], range(len(ids)))

    def in_memory(self, *, half: bool = False) -> storing.Store:
        cases = {case.id: case for case in self.index.cases}
        return build_store(lambda i: self.load(cases[i]), cases, self.preparation, half=half)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "stores"
    folder.mkdir()
    return folder


def same(one: Batches, other: Batches, steps: int = 6) -> bool:
    pairs = [(one(step), other(step)) for step in range(steps)]
    return all(
        a.images.tobytes() == b.images.tobytes() and a.targets.tobytes() == b.targets.tobytes()
        for a, b in pairs
    )


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("margin", [None, 3])
def test_patches_are_the_same_bits_as_from_memory(tmp_path, place, dims, alike, half, margin):
    data = Folder(tmp_path / "data", dims, "maps", alike=alike)
    packed = data.opened(packed_store(place, data.wanted(half=half)))
    memory = data.in_memory(half=half)
    assert (packed.ids, packed.units, packed.alike) == (memory.ids, memory.units, alike)
    assert packed.streamed
    for size in (SIZES[dims], tuple(n + 20 for n in SHAPES[dims])):  # within, and beyond the image
        batches = [
            Batches(
                kept, size=size, batch=3, sampling="patch", seed=1, foreground=0.7,
                margin=margin and (margin,) * dims,
            )
            for kept in (packed, memory)
        ]  # fmt: skip
        assert batches[0].steps_per_epoch == batches[1].steps_per_epoch
        assert same(*batches)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("half", [True, False])
def test_whole_cases_are_the_same_bits_as_from_memory(tmp_path, place, dims, half):
    data = Folder(tmp_path / "data", dims, "classes", alike=True)
    packed = data.opened(packed_store(place, data.wanted(half=half)))
    memory = data.in_memory(half=half)
    kept = [
        Batches(s, size=SHAPES[dims], batch=4, sampling="whole", seed=0, balance=0.5)
        for s in (packed, memory)
    ]
    assert same(*kept)
    assert packed.stacked([3, 0, 3]).tobytes() == memory.stacked([3, 0, 3]).tobytes()


@pytest.mark.parametrize("kind", ["events", "classes"])
@pytest.mark.parametrize("alike", [True, False])
def test_windows_and_crops_are_the_same_bits_as_from_memory(tmp_path, place, kind, alike):
    data = Folder(tmp_path / "data", 1, kind, alike=alike)
    packed = data.opened(packed_store(place, data.wanted()))
    sampling = "window" if kind == "events" else "crop"
    kept = [
        Batches(s, size=(40,), batch=6, sampling=sampling, seed=0)
        for s in (packed, data.in_memory())
    ]
    assert len(kept[0].items) == len(kept[1].items)
    assert same(*kept)


def test_labels_are_unchanged_and_some_cases_are_a_store(tmp_path, place):
    data = Folder(tmp_path / "data", 3, "maps", alike=False)
    few = data.opened(packed_store(place, data.wanted())).some([4, 1])
    assert few.ids == ("4.npy", "1.npy")
    for number, case in enumerate((4, 1)):
        labels = np.load(data.index.cases[case].label)
        assert np.array_equal(np.asarray(few.targets[number]), labels)
        places = few.places_of(number)
        assert sorted(places) == [1, 2]
        assert all((labels.reshape(-1)[where] == c).all() for c, where in places.items())


def test_what_is_packed_is_used_again(tmp_path, place):
    data = Folder(tmp_path / "data", 2, "maps", alike=True)
    first = packed_store(place, data.wanted())
    assert sorted(set(data.read)) == [case.id for case in data.index.cases]
    data.read.clear()
    assert packed_store(place, data.wanted()) == first
    assert data.read == []


def test_other_bytes_or_another_preparation_are_another_store(tmp_path, place):
    data = Folder(tmp_path / "data", 2, "classes", alike=True)
    first = packed_store(place, data.wanted())
    other = replace(data.wanted(), preparation=replace(data.preparation, normalization="robust"))
    second = packed_store(place, other)
    path = Path(data.index.cases[2].image[0])
    stamp = path.stat()
    np.save(path, np.load(path) + 1)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # only the bytes tell
    third = packed_store(place, data.wanted())
    assert len({first, second, third}) == 3
    assert np.allclose(data.opened(third).images[2][...], data.in_memory().images[2])


def test_a_killed_writer_is_gone_on_from(tmp_path, place):
    data = Folder(tmp_path / "data", 3, "maps", alike=False)
    whole = packed_store(place, data.wanted())
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    shutil.rmtree(whole)

    def dying(case: Case) -> Sample:
        if case.id == "3.npy":
            raise KeyboardInterrupt
        return data.load(case)

    with pytest.raises(KeyboardInterrupt):
        packed_store(place, replace(data.wanted(), load=dying))
    assert not whole.exists()
    part = next(place.glob(".*.part"))
    done = len((part / "cases.jsonl").read_text().splitlines())
    assert 0 < done < 5
    with (part / "cases.jsonl").open("a") as journal:
        journal.write('{"first": 3, "ca')  # killed in the middle of a line
    data.read.clear()
    assert packed_store(place, data.wanted()) == whole
    assert len(data.read) == 5 - done
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        assert (whole / path.relative_to(copy)).read_bytes() == path.read_bytes(), path


def _pack_slowly(root: Path, place: Path, index: Index, ready: object) -> None:
    data = Folder.__new__(Folder)
    data.kind, data.read, data.index = "maps", [], index
    data.preparation = Preparation(spatial_dims=2, channels=CHANNELS)
    ready.wait()  # type: ignore[attr-defined]
    packed_store(place, data.wanted())
    (place / f"{os.getpid()}.read").write_text(str(len(data.read)))


def test_two_writers_make_it_once(tmp_path, place):
    data = Folder(tmp_path / "data", 2, "maps", alike=False)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    args = (tmp_path / "data", place, data.index, ready)
    writers = [context.Process(target=_pack_slowly, args=args) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert sorted(int(p.read_text()) for p in place.glob("*.read")) == [0, 5]
    assert len(list(place.glob("*/complete.json"))) == 1
    assert not list(place.glob(".*.part"))


def test_a_second_writer_says_that_it_waits(tmp_path, place):
    data = Folder(tmp_path / "data", 2, "maps", alike=False)
    said, entered, go = [], threading.Event(), threading.Event()

    def slow(case: Case) -> Sample:
        entered.set()
        go.wait(20)
        return data.load(case)

    first = threading.Thread(target=packed_store, args=(place, replace(data.wanted(), load=slow)))
    first.start()
    entered.wait(20)
    second = threading.Thread(
        target=packed_store, args=(place, data.wanted()), kwargs={"say": said.append}
    )
    second.start()
    while not said:
        time.sleep(0.01)
    go.set()
    first.join()
    second.join()
    assert said == ["another process packs the same data; waiting for it"]
    assert len(data.read) == 5


@pytest.mark.parametrize("harm", ["gone", "short"])
def test_a_store_that_lost_a_file_is_made_anew(tmp_path, place, harm):
    data = Folder(tmp_path / "data", 2, "maps", alike=False)
    folder = packed_store(place, data.wanted())
    victim = max(
        (p for p in (folder / "arrays.zarr/images").rglob("*") if p.is_file()), key=os.path.getsize
    )
    if harm == "gone":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-1])
    assert packed_store(place, data.wanted()) == folder
    memory = data.in_memory()
    for one, other in zip(data.opened(folder).images, memory.images, strict=True):
        assert np.array_equal(np.asarray(one), other)


@pytest.mark.parametrize("name", ["images", "labels"])
def test_changed_bytes_are_found_when_they_are_read(tmp_path, place, name):
    data = Folder(tmp_path / "data", 3, "maps", alike=True)
    folder = packed_store(place, data.wanted())
    victim = max(
        (p for p in (folder / "arrays.zarr" / name).rglob("*") if p.is_file()), key=os.path.getsize
    )
    content = bytearray(victim.read_bytes())
    content[len(content) // 3] ^= 0xFF
    victim.write_bytes(content)
    kept = data.opened(folder)
    rows = kept.images if name == "images" else kept.targets
    with pytest.raises(ReadError, match=r"packed data agrees with its checksums; got .* anew"):
        [np.asarray(row) for row in rows]


def test_something_else_is_no_store(tmp_path):
    with pytest.raises(ReadError, match=r"a packed store is whole; got .* Delete it"):
        opened_store(tmp_path, ["a"], ["a"], [0])


def test_a_file_that_is_not_what_its_header_told_is_named(tmp_path, place):
    data = Folder(tmp_path / "data", 2, "classes", alike=True)
    np.save(data.index.cases[1].image[0], np.zeros((CHANNELS, 3, 3), np.float32))
    rule = r"1\.npy: a file holds what its header tells, \(2, 45, 70\) once prepared; got"
    with pytest.raises(DataError, match=rule):
        packed_store(place, data.wanted())


def test_a_full_disk_is_told_beforehand(tmp_path, place, monkeypatch):
    data = Folder(tmp_path / "data", 2, "maps", alike=True)
    usage = shutil.disk_usage(place)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(PlanError, match=r"the disk must hold the packed data, up to .* --store"):
        packed_store(place, data.wanted())
    assert data.read == []


def test_a_store_never_lies_in_the_data(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(UsageError, match=r"packed data lies outside of the data; got .*elsewhere"):
        storing.checked_place(str(tmp_path / "data" / "packed"), tmp_path / "data")
    named = storing.checked_place(str(tmp_path / "packed"), tmp_path / "data")
    assert named.is_dir()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"must be writable; got .*Name another: --store DIR"):
        storing.checked_place(str(tmp_path / "file" / "stores"), tmp_path / "data")


def test_the_users_cache_is_the_place_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert storing.default_place() == tmp_path / "convivo" / "stores"


def test_a_store_takes_no_more_disk_than_was_told(tmp_path, place):
    data = Folder(tmp_path / "data", 3, "maps", alike=False)
    folder = packed_store(place, data.wanted())
    shapes = [storing.shape_of(case, data.preparation) for case in data.index.cases]
    files = [p for p in (folder / "arrays.zarr").rglob("*") if p.is_file() and p.suffix != ".json"]
    arrays = sum(path.stat().st_size for path in files)
    assert arrays <= storing.packed_bytes(shapes, maps=True, classes=3)


def test_any_zarr_library_reads_it(tmp_path, place):
    import zarr

    data = Folder(tmp_path / "data", 3, "maps", alike=True)
    folder = packed_store(place, data.wanted())
    group = zarr.open_group(folder / "arrays.zarr", mode="r")
    assert group.metadata.zarr_format == 3
    assert group["images"].shape == (5, CHANNELS, *SHAPES[3])
    assert np.array_equal(group["images"][...], data.in_memory().images)
    facts = json.loads((folder / "complete.json").read_text())
    assert facts["cases"] == 5
