"""Files become arrays: kinds, sizes and sides, and room that is made for new ones."""

import io
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from convivo.data.phantoms import make_signals
from convivo.lab import samples

from .running import Running, error_of, npy


def values(lab: Running, card: dict, query: str = "") -> np.ndarray:
    status, body = lab.get(f"arrays/{card['id']}.npy{query}")
    assert status == 200, body
    return np.load(io.BytesIO(body), allow_pickle=False)


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_every_sample_opens_and_is_always_the_same(lab: Running, name: str) -> None:
    status, body = lab.post("open", {"sample": name})
    card = json.loads(body)
    assert (status, card["sample"]) == (200, name)
    assert json.loads(lab.post("open", {"sample": name})[1])["id"] == card["id"]
    shown = values(lab, card)
    assert shown.dtype == np.float32
    assert list(shown.shape) == card["shape"][1:]
    assert np.isfinite(shown).all()
    assert shown.std() > 0
    again, _ = samples.SAMPLES[name].make()
    assert np.array_equal(again[0].astype(np.float32), shown)
    assert all(0 <= b < n for b, n in zip(card["busy"], card["shape"][1:], strict=True))


def test_a_table_is_a_signal(lab: Running) -> None:
    status, card = lab.put("leads.csv", b"I,II\n1,-1\n2,-2.5\n3,nan\n")
    assert (status, card["kind"], card["shape"]) == (201, "signal", [2, 3])
    assert card["channels"] == ["I", "II"]
    assert (card["min"], card["max"], card["holes"]) == (-2.5, 3, 1)
    assert values(lab, card, "?channel=1").tolist()[:2] == [-1, -2.5]


@pytest.mark.parametrize("text", [b"", b"a,b\n", b"1,2\n3\n", b"1\nx\n"])
def test_a_table_that_is_none_is_refused(lab: Running, text: bytes) -> None:
    status, answer = lab.put("bad.csv", text)
    assert status == 422
    assert error_of(answer)["message"].startswith("bad.csv: ")


def test_a_picture_keeps_its_colours(lab: Running) -> None:
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    status, card = lab.put("field.png", stream.getvalue())
    assert (status, card["kind"], card["shape"]) == (201, "image", [3, 5, 7])
    assert np.array_equal(values(lab, card, "?channel=2"), pixels[..., 2])


def test_a_scan_is_shown_from_front_to_back_whatever_way_it_lies(lab: Running) -> None:
    scan = np.zeros((6, 7, 8), dtype=np.int16)
    scan[0, :, :] = 1  # left
    scan[:, 6, :] = 2  # anterior
    scan[:, :, 0] = 3  # inferior
    ras = nibabel.Nifti1Image(scan, np.diag([1.0, 1, 1, 1]))
    lps = nibabel.Nifti1Image(scan[::-1, ::-1], np.diag([-1.0, -1, 1, 1]))
    found = []
    for image in (ras, lps):
        status, card = lab.put("scan.nii", image.to_bytes())
        assert (status, card["shape"]) == (201, [1, 8, 7, 6])
        found.append(values(lab, card))
    assert np.array_equal(*found)
    assert (found[0][0] == 3).all()  # the first slice is the lowest
    assert (found[0][3, 0] == 2).all()  # the first row is in front
    assert (found[0][3, 1:, -1] == 1).all()  # the patient's left is on the right


def test_parts_are_sent_as_asked(lab: Running) -> None:
    whole = np.arange(6 * 7, dtype=np.float32).reshape(6, 7)
    card = lab.put_array(whole)
    assert np.array_equal(values(lab, card, "?region=1:4,2:7"), whole[1:4, 2:7])
    assert np.array_equal(values(lab, card, "?step=3"), whole[::3, ::3])
    for wrong in ("?region=1:9,0:1", "?region=2:1,0:1", "?region=1:2", "?channel=1", "?step=0"):
        status, body = lab.get(f"arrays/{card['id']}.npy{wrong}")
        assert status == 400
        assert error_of(body)["code"] == "parameter"


def test_the_longest_unused_makes_room(lab: Running) -> None:
    block = np.zeros((400, 1000), dtype=np.float32)  # 1.6 MB of the 6 MiB
    cards = [lab.put_array(block + i) for i in range(3)]
    assert lab.get(f"arrays/{cards[0]['id']}")[0] == 200  # used: the second is the oldest now
    for i in range(2):
        cards.append(lab.put_array(block - i))
    there = [lab.get(f"arrays/{card['id']}")[0] for card in cards]
    assert there[1] == 404
    assert there[3:] == [200, 200]


def test_a_header_finds_the_samples_sent_with_it(lab: Running, tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    make_signals(tmp_path, records=1, seconds=2)
    group = 24 * "b"
    for name, part in (("ecg01.dat", 1), ("ecg01.hea", 0)):
        body = (tmp_path / name).read_bytes()
        query = f"files?name={name}&group={group}&part={part}"
        status, _, answer = lab.raw("PUT", f"/api/v1/{query}", lab.own(), body)
    card = json.loads(answer)
    assert (status, card["kind"], card["shape"]) == (201, "signal", [2, 720])
    assert card["channels"] == ["MLII", "V1"]
    assert not list(lab.shared.store.folder.glob("group-*"))


@pytest.mark.parametrize(
    "query", ["name=..%2fa.dat&group=" + 24 * "c", "name=a%2fb.dat&group=" + 24 * "c",
              "name=.dat&group=" + 24 * "c", "name=a.dat&group=..%2f..%2fx"]
)  # fmt: skip
def test_names_of_files_sent_together_stay_in_their_folder(lab: Running, query: str) -> None:
    path = f"/api/v1/files?part=1&{query}"
    status, _, body = lab.raw("PUT", path, lab.own(), b"x")
    assert status == 400
    assert error_of(body)["code"] == "parameter"


def test_an_array_of_too_many_axes_is_refused(lab: Running) -> None:
    status, answer = lab.put("many.npy", npy(np.zeros((2, 2, 2, 2, 2))))
    assert status == 422
    assert error_of(answer)
