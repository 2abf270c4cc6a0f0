"""What tests ask of a running lab: plain requests, and pages that tell what goes wrong in them."""

import io
import json
from http.client import HTTPConnection
from typing import Any

import numpy as np

from convivo.lab.security import Keys
from convivo.lab.server import Lab


class Running:
    """A lab on a port of this machine."""

    def __init__(self, port: int, keys: Keys, shared: Lab) -> None:
        self.port, self.keys, self.shared = port, keys, shared
        self.origin = f"http://127.0.0.1:{port}"
        self.cookie = ""

    def enter(self) -> None:
        """Exchange a launch token for the cookie."""
        status, headers, _ = self.raw("GET", f"/?token={self.keys.token()}", {})
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]

    def raw(
        self, method: str, path: str, headers: dict[str, str], body: Any = None
    ) -> tuple[int, dict[str, str], bytes]:
        """A request as it is written here, and nothing added but Host."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers, encode_chunked=_is_stream(body))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def own(self, **more: str) -> dict[str, str]:
        """Headers of the lab's own page."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Cookie": self.cookie, "Origin": self.origin} | named

    def get(self, path: str) -> tuple[int, bytes]:
        status, _, body = self.raw("GET", f"/api/v1/{path}", self.own())
        return status, body

    def post(self, path: str, value: Any) -> tuple[int, bytes]:
        headers = self.own(Content_Type="application/json")
        status, _, body = self.raw("POST", f"/api/v1/{path}", headers, json.dumps(value))
        return status, body

    def put(self, name: str, body: Any) -> tuple[int, dict]:
        headers = self.own()
        if _is_stream(body):
            headers["Transfer-Encoding"] = "chunked"
        status, _, answer = self.raw("PUT", f"/api/v1/files?name={name}", headers, body)
        return status, json.loads(answer)

    def put_array(self, values: np.ndarray, name: str = "array.npy") -> dict:
        """Upload an array (C, *S) or (*S); its card."""
        status, card = self.put(name, npy(values))
        assert status == 201, card
        return card


def _is_stream(body: Any) -> bool:
    return body is not None and not isinstance(body, str | bytes)


def npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def error_of(body: bytes | dict) -> dict:
    """The error of an answer; it always has these three parts."""
    document = json.loads(body) if isinstance(body, bytes) else body
    assert set(document["error"]) == {"code", "message", "hint"}
    assert all(isinstance(part, str) and part for part in document["error"].values())
    return document["error"]
