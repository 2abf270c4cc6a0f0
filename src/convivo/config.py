"""The strict codec between TOML, `--set` and typed settings; the settings live with their verbs.

An unknown key is an error that names the nearest one; nothing is guessed and nothing is dropped.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from convivo.errors import ConfigError, ReadError, UsageError

if TYPE_CHECKING:  # pydantic is not needed to read a duration, and `convivo --help` must be quick
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")

_DURATION = re.compile(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?")
_SIZE = re.compile(r"([\d.]+)([KMGT]?)(i?B)?", re.IGNORECASE)
_BARE_WORD = re.compile(r"[^\s\"'\[\]{}=,#][^\"'\[\]{}=,#\n]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ReadError: the file is missing, unreadable or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReadError(path, "the file must exist", "nothing", "Check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(path, "the file must be readable text", error, "Check the path") from None
    except tomllib.TOMLDecodeError as error:
        rule = "the file must be TOML (https://toml.io)"
        raise ReadError(path, rule, error, "Correct that line") from None


def merge(base: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`base` with each `key.path=value` of `overrides` set, later ones winning; `base` is kept.

    Values are TOML (`0.1`, `true`, `[1000]`, `"text"`); a bare word is a string.

    Raises:
        UsageError: no `=`, an empty key, a value that is neither TOML nor a bare word, or a path
            that leads through something that is no table.
    Example:
        >>> merge({"net": {"name": "unet"}}, ["net.width=32", "net.hidden=[1000]", "task=segment"])
        {'net': {'name': 'unet', 'width': 32, 'hidden': [1000]}, 'task': 'segment'}
    """
    merged = deepcopy(dict(base))
    for text in overrides:
        key, equals, value = text.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not equals or not all(path):
            raise UsageError("--set", "takes key=value", text, "For example --set train.lr=1e-3")
        _set(merged, path, _value(value.strip(), text))
    return merged


def _set(tables: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *parents, last = path
    for depth, name in enumerate(parents):
        tables = tables.setdefault(name, {})
        if not isinstance(tables, dict):
            parent, key = ".".join(parents[: depth + 1]), ".".join(path)
            raise UsageError(
                "--set", f"{parent} is a value, not a table", key, "Set one of the two"
            )
    tables[last] = value


def _value(text: str, whole: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        parsed = {}
    value = parsed.get("value")
    if isinstance(value, bool | int | float | str | list | dict) and len(parsed) == 1:
        return value
    if _BARE_WORD.fullmatch(text):  # a TOML date arrives here too: no setting is one
        return text
    remedy = "Quote text that is more than a word: --set 'key=\"some text\"'"
    raise UsageError("--set", "the value must be TOML or a bare word", whole, remedy)


def build(model_class: type[Model], data: Mapping[str, Any]) -> Model:
    """`data` as a validated model: every key known, every value of its kind, nothing coerced.

    Models whose pydantic configuration says `extra="allow"` take keys of their own.

    Raises:
        ConfigError: an unknown key, or a value of the wrong kind.
    """
    from pydantic import ValidationError

    known = _dotted(model_class)
    for key, value in _unknown(model_class, data):
        raise ConfigError(key, "unknown key", _shown(value), _nearest(key, known))
    try:
        # As JSON, strict mode takes a list for a tuple (TOML has no tuples) but no "3" for 3.
        return model_class.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        raise _wrong_kind(error.errors()[0]) from None


def _sections(model_class: "type[BaseModel]") -> "dict[str, type[BaseModel]]":
    """The fields of a model that are models themselves."""
    from pydantic import BaseModel

    kinds = {name: field.annotation for name, field in model_class.model_fields.items()}
    found = {}
    for name, kind in kinds.items():
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found[name] = kind
    return found


def _dotted(model_class: "type[BaseModel]", prefix: str = "") -> list[str]:
    sections = _sections(model_class)
    keys: list[str] = []
    for name in model_class.model_fields:
        inner = sections.get(name)
        keys += _dotted(inner, f"{prefix}{name}.") if inner else [prefix + name]
    return keys


def _unknown(
    model_class: "type[BaseModel]", data: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    sections = _sections(model_class)
    for name, value in data.items():
        key = f"{prefix}{name}"
        if name in sections and isinstance(value, Mapping):
            yield from _unknown(sections[name], value, f"{key}.")
        elif (
            name not in model_class.model_fields
            and model_class.model_config.get("extra") != "allow"
        ):
            yield key, value


def _nearest(key: str, known: Sequence[str]) -> str:
    close = get_close_matches(key, known, n=1, cutoff=0.0)
    if not close:
        return "There are no keys to set"
    table, dot, _ = close[0].rpartition(".")
    beside = [k.removeprefix(table + dot) for k in known if k.rpartition(".")[0] == table]
    place = f"Keys of [{table}]" if table else "Keys"
    return f"Did you mean {close[0]!r}? {place}: {', '.join(sorted(beside))}"


def _wrong_kind(detail: Mapping[str, Any]) -> ConfigError:
    key = ".".join(str(part) for part in detail["loc"]) or "configuration"
    rule = str(detail["msg"]).rstrip(".")
    rule = rule[:1].lower() + rule[1:]
    if detail["type"] == "missing":
        return ConfigError(key, "the key must be given", "nothing", f"Add it: --set {key}=VALUE")
    remedy = f"Set it: --set {key}=VALUE"
    return ConfigError(key, rule, _shown(detail["input"]), remedy)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def to_toml(settings: "BaseModel | Mapping[str, Any]") -> str:
    """Settings as TOML text, complete and stable: values first, then a table for each section.

    None is left out (TOML has none); `tomllib.loads` gives the rest back.

    Raises:
        ConfigError: a value of a kind that TOML cannot hold.
    Example:
        >>> print(to_toml({"seed": 0, "net": {"name": "unet", "width": None}}), end="")
        seed = 0
        <BLANKLINE>
        [net]
        name = "unet"
    """
    tables = settings if isinstance(settings, Mapping) else settings.model_dump()
    return "\n".join(_tables(tables, ())).lstrip("\n") + "\n"


def _tables(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    present = {name: value for name, value in table.items() if value is not None}
    for name, value in present.items():
        if not isinstance(value, Mapping):
            yield f"{_key(name)} = {_literal(value, (*path, name))}"
    for name, value in present.items():
        if isinstance(value, Mapping):
            yield f"\n[{'.'.join(_key(part) for part in (*path, name))}]"
            yield from _tables(value, (*path, name))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    # JSON strings are TOML strings, save that TOML also wants DEL escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _literal(value: Any, path: tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return _text(str(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(item, path) for item in value)}]"
    if isinstance(value, Mapping):  # inside a list
        rows = (f"{_key(k)} = {_literal(v, path)}" for k, v in value.items() if v is not None)
        return f"{{{', '.join(rows)}}}"
    where, kinds = ".".join(path), "text, a number, true or false, a list or a table"
    raise ConfigError(where, f"the value must be {kinds}", _shown(value), "Change its kind")


def duration(text: str | float, where: str = "--time") -> float:
    """Seconds of `30m`, `1h30m`, `45s`, `90` (seconds).

    Raises:
        UsageError: anything else, or no time at all.
    Example:
        >>> duration("1h30m"), duration("45s"), duration(90)
        (5400.0, 45.0, 90.0)
    """
    match = _DURATION.fullmatch(str(text).strip().lower())
    parts = match.groups() if match else (None, None, None)
    try:
        hours, minutes, seconds = (float(part or 0) for part in parts)
    except ValueError:  # "1.2.3"
        hours = minutes = seconds = 0.0
    total = 3600 * hours + 60 * minutes + seconds
    if total <= 0:
        raise UsageError(where, "takes a length of time", repr(text), "For example 20m, 1h30m, 90s")
    return total


def size(text: str | int, where: str = "--ram") -> int:
    """Bytes of `8G`, `512M`, `2GiB` (powers of 1024), `2GB` (powers of 1000), `4096` (bytes).

    Raises:
        UsageError: anything else, or nothing at all.
    Example:
        >>> size("2GiB"), size("512M"), size("2GB")
        (2147483648, 536870912, 2000000000)
    """
    match = _SIZE.fullmatch(str(text).strip())
    number, letter, ending = match.groups() if match else ("0", "", None)
    base = 1000 if letter and ending and ending.lower() == "b" else 1024
    try:
        total = int(float(number) * base ** " KMGT".index(letter.upper() or " "))
    except ValueError:  # "1.2.3"
        total = 0
    if total <= 0:
        raise UsageError(where, "takes a size", repr(text), "For example 8G, 512M, 2GiB")
    return total
