"""What a hostile page, file or neighbour tries on the lab, each refused."""

import gzip
import io
import json
import pickle
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .conftest import MOST_UPLOAD
from .running import Running, error_of, npy


def test_a_launch_token_serves_once_and_leaves_the_address(lab: Running) -> None:
    token = lab.keys.token()
    status, headers, _ = lab.raw("GET", f"/?token={token}", {})
    assert status == 303
    assert headers["location"] == "./"
    cookie = headers["set-cookie"]
    assert cookie.startswith(f"convivo-lab-{lab.port}=")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert lab.raw("GET", f"/?token={token}", {})[0] == 403
    assert lab.raw("GET", "/?token=guess", {})[0] == 403
    assert lab.raw("GET", "/", {})[0] == 403


@pytest.mark.parametrize("cookie", ["", "convivo-lab-1=x", "convivo-lab-{port}=wrong"])
def test_without_the_cookie_there_is_no_data(lab: Running, cookie: str) -> None:
    headers = {"Cookie": cookie.format(port=lab.port), "Origin": lab.origin}
    status, _, body = lab.raw("GET", "/api/v1/sources", headers)
    assert status == 403
    assert error_of(body)["code"] == "cookie"


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:{port}", "127.0.0.1.evil.test", "127.0.0.1:x", "[::2]:80", ""]
)
@pytest.mark.parametrize("path", ["/", "/api/v1/sources", "/static/x/app.js"])
def test_a_foreign_name_is_refused_everywhere(lab: Running, host: str, path: str) -> None:
    headers = {"Host": host.format(port=lab.port), "Cookie": lab.cookie}
    status, _, body = lab.raw("GET", path, headers)
    assert status in (400, 403)
    if status == 403:
        assert error_of(body)["code"] == "host"


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:9", "[::1]:{port}", "LOCALHOST"])
def test_this_machines_names_are_known(lab: Running, host: str) -> None:
    headers = {"Host": host.format(port=lab.port), "Cookie": lab.cookie}
    assert lab.raw("GET", "/", headers)[0] == 200


FOREIGN = [
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "https://evil.test"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},  # another port of this machine
    {"Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_another_page_neither_reads_nor_changes(
    lab: Running, foreign: dict[str, str], method: str
) -> None:
    path = {"POST": "open", "PUT": "files?name=a.npy"}.get(method, "arrays/" + 24 * "a")
    headers = {"Cookie": lab.cookie} | foreign
    status, answered, body = lab.raw(method, f"/api/v1/{path}", headers, "{}")
    assert status == 403
    assert error_of(body)["code"] == "origin"
    assert not [name for name in answered if name.startswith("access-control")]


def test_a_change_without_any_origin_is_refused(lab: Running) -> None:
    headers = {"Cookie": lab.cookie, "Content-Type": "application/json"}
    status, _, body = lab.raw("POST", "/api/v1/open", headers, '{"sample": "ecg"}')
    assert status == 403
    assert error_of(body)["code"] == "origin"


def test_a_form_cannot_speak_for_the_page(lab: Running) -> None:
    headers = lab.own(Content_Type="text/plain")
    status, _, body = lab.raw("POST", "/api/v1/open", headers, '{"sample": "ecg"}')
    assert status == 400
    assert error_of(body)["code"] == "parameter"


TRAVERSALS = [
    "static/{version}/..%2f..%2fserver.py",
    "static/{version}/../server.py",
    "static/{version}/%2e%2e/server.py",
    "static/{version}//etc/passwd",
    "static/{version}/core/..%5c..%5cserver.py",
    "static/..%2f..%2f/app.js",
    "api/v1/arrays/..%2f..%2fetc%2fpasswd.npy",
    "api/v1/arrays/%2fetc%2fpasswd.npy",
    "api/v1/arrays/....npy",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out(lab: Running, path: str) -> None:
    page = lab.raw("GET", "/", lab.own())[2].decode()
    version = page.split("static/")[1].split("/")[0]
    status, _, body = lab.raw("GET", "/" + path.format(version=version), lab.own())
    assert status == 404
    assert b"import" not in body
    assert b"root:" not in body


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "link.csv", 24 * "0", ""])
def test_a_file_is_opened_by_an_id_of_the_list_only(lab: Running, name: str) -> None:
    status, body = lab.post("open", {"entry": name})
    assert status == 404
    assert error_of(body)["code"] == "gone"


def test_links_are_neither_listed_nor_followed(lab: Running, roots: Path) -> None:
    files = json.loads(lab.get("sources")[1])["files"]
    assert [f["name"] for f in files] == ["below/deep.txt", "trace.csv"]
    assert all(str(roots) not in json.dumps(f) for f in files)
    status, body = lab.post("open", {"entry": files[1]["entry"]})
    assert (status, json.loads(body)["shape"]) == (200, [2, 3])


def test_a_file_that_became_a_link_is_refused(lab: Running, roots: Path) -> None:
    swapped = roots / "swapped.csv"
    swapped.write_text("1\n2\n")
    files = json.loads(lab.get("sources")[1])["files"]
    entry = next(f["entry"] for f in files if f["name"] == "swapped.csv")
    swapped.unlink()
    swapped.symlink_to(roots.parent / "outside0" / "secret.csv")
    try:
        assert lab.post("open", {"entry": entry})[0] == 404
    finally:
        swapped.unlink()


def test_an_oversize_body_is_cut_off_while_it_comes(lab: Running) -> None:
    sent = []

    def stream() -> Iterator[bytes]:
        for _ in range(16 * MOST_UPLOAD // 65536):
            sent.append(1)
            yield bytes(65536)

    try:
        status, answer = lab.put("large.npy", stream())
    except (BrokenPipeError, ConnectionResetError):  # the lab stopped listening: as good
        pass
    else:
        assert status == 413
        assert error_of(answer)["code"] == "too-large"
    left = sum(path.stat().st_size for path in lab.shared.store.folder.iterdir())
    assert left <= lab.shared.store.quota


def test_oversize_parameters_are_refused(lab: Running) -> None:
    status, body = lab.post("open", {"sample": "x" * 2**21})
    assert status == 413
    assert error_of(body)["code"] == "too-large"


def test_a_header_that_promises_terabytes_allocates_nothing(lab: Running) -> None:
    stream = io.BytesIO()
    promised = {"descr": "<f8", "fortran_order": False, "shape": (2**20, 2**20)}
    np.lib.format.write_array_header_1_0(stream, promised)
    status, answer = lab.put("huge.npy", stream.getvalue() + bytes(64))
    assert status == 422
    assert error_of(answer)


def _nifti_bomb() -> bytes:
    """A volume of zeros, 1600 MiB, in less than two."""
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape((1024, 1024, 400))
    header.set_data_dtype(np.float32)
    header["vox_offset"] = 352
    stream = io.BytesIO()
    header.write_to(stream)
    packed = gzip.compress(stream.getvalue() + bytes(4), 9)
    return packed + gzip.compress(bytes(2**24), 9) * 10


def _png_bomb() -> bytes:
    """Thirty thousand pixels square, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    size = struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(2**20), 9)
    head = b"\x89PNG\r\n\x1a\n"
    return head + chunk(b"IHDR", size) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("name", "bomb"), [("a.nii.gz", _nifti_bomb), ("a.png", _png_bomb)])
def test_a_bomb_is_told_by_its_header(lab: Running, name: str, bomb: object) -> None:
    status, answer = lab.put(name, bomb())  # type: ignore[operator]
    assert status == 422
    assert error_of(answer)
    assert lab.get("sources")[0] == 200


def test_objects_in_an_npy_are_not_unpickled(lab: Running, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (mark,)

    status, answer = lab.put("object.npy", npy(np.array([Evil(), None], dtype=object)))
    assert status == 422
    assert error_of(answer)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "model.ckpt", "MODEL.PTH"])
def test_pickled_models_are_refused_with_a_reason(lab: Running, name: str) -> None:
    status, answer = lab.put(name, pickle.dumps({"weight": 1}))
    assert status == 422
    assert "run" in error_of(answer)["message"]


@pytest.mark.parametrize(
    "name", ["%22%3E%3Cimg%20src=x%3E.txt", "a%0ab.csv", "", "a.exe", 300 * "a"]
)
def test_names_are_checked_and_never_become_paths(lab: Running, name: str) -> None:
    status, answer = lab.put(name, b"1\n2\n3\n")
    if status == 201:
        assert answer["name"].startswith('"><img')
        path = lab.shared.store.path(answer["id"])
        assert path.parent == lab.shared.store.folder
        assert path.name == f"{answer['id']}.npy"
    else:
        assert status in (400, 415)
        assert error_of(answer)


def test_files_are_private(lab: Running) -> None:
    card = lab.put_array(np.arange(4.0))
    path = lab.shared.store.path(card["id"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert lab.raw("DELETE", f"/api/v1/arrays/{card['id']}", lab.own())[0] == 204
    assert not path.exists()
    assert lab.get(f"arrays/{card['id']}")[0] == 404


def test_every_answer_carries_the_headers(lab: Running) -> None:
    for path in ("/", "/api/v1/sources", "/nothing", "/static/x/app.js"):
        _, headers, _ = lab.raw("GET", path, lab.own())
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"


WRONG = [
    {"dims": 4},
    {"stride": [0, 1]},
    {"stride": [1]},
    {"stride": [True, 1]},
    {"kernel": [65, 1]},
    {"weights": [1.0]},
    {"bias": 1e99},
    {"op": "eval"},
    {"end": [99, 99]},
    {"padding": {"mode": "zeros", "lo": [1, 1], "hi": [1, 1], "x": 1}},
    {"padding": {"mode": "same", "lo": [1, 1], "hi": [1, 1]}},
    {"flip": 1},
]


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_every_parameter_is_checked(lab: Running, change: dict) -> None:
    card = lab.put_array(np.arange(64.0).reshape(8, 8))
    asked = {
        "op": "conv", "array": card["id"], "channel": 0, "first": [0, 0], "end": [8, 8],
        "kernel": [1, 1], "weights": [1.0], "bias": 0.0, "flip": False, "stride": [1, 1],
        "dilation": [1, 1], "padding": {"mode": "zeros", "lo": [0, 0], "hi": [0, 0]},
    }  # fmt: skip
    assert lab.post("bench/forward", asked)[0] == 200
    wrong = asked | change
    if change == {"weights": [1.0]}:
        wrong["kernel"] = [3, 3]
    status, body = lab.post("bench/forward", wrong)
    assert status == 400
    assert error_of(body)["code"] == "parameter"


def test_json_holds_no_nan(lab: Running) -> None:
    card = lab.put_array(np.array([np.nan, np.inf, 1.0]))
    assert (card["min"], card["max"], card["holes"]) == (1.0, 1.0, 2)
    body = lab.get(f"arrays/{card['id']}")[1].decode()
    assert "NaN" not in body
    assert "Infinity" not in body
