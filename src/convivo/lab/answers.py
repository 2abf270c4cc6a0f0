"""What the lab sends: JSON without NaN, arrays as .npy, and refusals in one form."""

import io
import json
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from convivo.errors import ConvivoError
from convivo.files import plain

NO_STORE = {"Cache-Control": "no-store"}


class Refusal(Exception):
    """A request that is not carried out.

    Args:
        status: of HTTP. code: one word for programs. message: for people. hint: what to do.
    """

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint

    def __reduce__(self) -> tuple:
        return type(self), (self.status, self.code, self.message, self.hint)

    def response(self) -> Response:
        error = {"code": self.code, "message": self.message, "hint": self.hint}
        return document({"error": error}, self.status)


def document(value: Any, status: int = 200) -> Response:
    """A value as JSON; NaN and infinity become null."""
    text = json.dumps(plain(value), allow_nan=False, ensure_ascii=False)
    return Response(text, status, NO_STORE, "application/json")


def array(values: np.ndarray) -> Response:
    """An array as .npy bytes, in C order and little endian."""
    stream = io.BytesIO()
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    np.save(stream, np.ascontiguousarray(little), allow_pickle=False)
    return Response(stream.getvalue(), 200, NO_STORE, "application/octet-stream")


async def refused(_: Request, error: Exception) -> Response:
    """The answer to a request that failed for a reason we know."""
    if isinstance(error, Refusal):
        return error.response()
    assert isinstance(error, ConvivoError)
    code = type(error).__name__.removesuffix("Error").lower()
    message = f"{error.where}: {error.rule}; got {error.got}"
    return Refusal(422, code, message, error.remedy).response()
