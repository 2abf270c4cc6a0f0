"""Strict reading of what the page asks: every name known, every value in its range."""

import json
import math
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from convivo.lab.answers import Refusal

MOST_BYTES = 2**20  # of a JSON body: parameters, never data


def wrong(name: str, rule: str, got: object) -> Refusal:
    return Refusal(400, "parameter", f"{name}: {rule}; got {got!r:.80}", "Change this value")


async def body(request: Request) -> "Parameters":
    """The JSON object of a request."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise wrong("body", "application/json", request.headers.get("content-type"))
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            hint = "Send arrays as files"
            raise Refusal(413, "too-large", f"parameters hold at most {MOST_BYTES} bytes", hint)
        parts.append(part)
    try:
        value = json.loads(b"".join(parts))
    except ValueError:
        raise wrong("body", "must be JSON", b"".join(parts[:1])[:40]) from None
    return Parameters(value)


class Parameters:
    """A JSON object, read name by name; `done` refuses what nobody read."""

    def __init__(self, value: Any, where: str = "") -> None:
        if not isinstance(value, dict):
            raise wrong(where or "body", "must be an object", value)
        self._values, self._where, self._read = value, where, set()

    def _take(self, name: str, default: Any) -> Any:
        self._read.add(name)
        value = self._values.get(name, default)
        if value is None:
            raise wrong(self._name(name), "must be given", None)
        return value

    def _name(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self._take(name, default)
        if value not in choices:
            raise wrong(self._name(name), f"one of {', '.join(choices)}", value)
        return value

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        return self._integer(name, self._take(name, default), low, high)

    def _integer(self, name: str, value: Any, low: int, high: int) -> int:
        if type(value) is not int or not low <= value <= high:
            raise wrong(self._name(name), f"an integer in {low} ... {high}", value)
        return value

    def integers(self, name: str, count: int, low: int, high: int) -> tuple[int, ...]:
        """A list of `count` integers."""
        values = self._take(name, None)
        if not isinstance(values, list) or len(values) != count:
            raise wrong(self._name(name), f"a list of {count} integers", values)
        return tuple(self._integer(name, value, low, high) for value in values)

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        return self._number(name, self._take(name, default), low, high)

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
            raise wrong(self._name(name), f"a number in {low} ... {high}", value)
        return float(value)

    def numbers(self, name: str, most: int, low: float, high: float) -> list[float]:
        """A list of at least one and at most `most` numbers."""
        values = self._take(name, None)
        if not isinstance(values, list) or not 1 <= len(values) <= most:
            raise wrong(self._name(name), f"a list of 1 to {most} numbers", values)
        return [self._number(name, value, low, high) for value in values]

    def rows(self, name: str, most: int, count: int, low: int, high: int) -> list[tuple[int, ...]]:
        """A list of at least one and at most `most` lists of `count` integers."""
        rows = self._take(name, None)
        if not isinstance(rows, list) or not 1 <= len(rows) <= most:
            raise wrong(self._name(name), f"1 to {most} lists of {count} integers", rows)
        each = Parameters({str(i): row for i, row in enumerate(rows)}, self._name(name))
        return [each.integers(str(i), count, low, high) for i in range(len(rows))]

    def plain(self, name: str) -> Any:
        """Any JSON value, which the caller checks itself."""
        return self._take(name, None)

    def flag(self, name: str, default: bool | None = None) -> bool:
        value = self._take(name, default)
        if type(value) is not bool:
            raise wrong(self._name(name), "true or false", value)
        return value

    def text(self, name: str, most: int, default: str | None = None) -> str:
        value = self._take(name, default)
        if not isinstance(value, str) or len(value) > most:
            raise wrong(self._name(name), f"a text of at most {most} letters", value)
        return value

    def inner(self, name: str) -> "Parameters":
        """An object within."""
        return Parameters(self._take(name, None), self._name(name))

    def has(self, name: str) -> bool:
        """Whether the name is given."""
        return self._values.get(name) is not None

    def done(self) -> None:
        """Refuse names that were not read."""
        unknown = sorted(set(self._values) - self._read)
        if unknown:
            raise wrong(self._name(str(unknown[0])), "there is no such parameter", unknown[0])
