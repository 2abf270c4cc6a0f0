"""Numbers as people read them, and careful look-ups in documents that may lack any key."""

from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10
from typing import Any

MISSING = "–"


def at(document: object, *keys: str) -> Any:
    """The value under nested keys, or None where any of them is missing.

    Example:
        >>> at({"shape": {"max": [3, 4]}}, "shape", "max"), at({"shape": None}, "shape", "max")
        ([3, 4], None)
    """
    for key in keys:
        if not isinstance(document, Mapping):
            return None
        document = document.get(key)
    return document


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[Any]:
    """The value if it is a list or tuple, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def real(value: object) -> float | None:
    """A finite number, or None for anything else (null, NaN, text, booleans).

    Example:
        >>> real(2), real(float("nan")), real("2")
        (2.0, None, None)
    """
    if isinstance(value, bool) or value is None or isinstance(value, str | list | tuple | dict):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def decimal(value: object, places: int = 3) -> str:
    """A number with fixed decimals, so that columns line up; a dash where there is none.

    Example:
        >>> decimal(0.8843), decimal(None), decimal(-0.0001)
        ('0.884', '–', '0.000')
    """
    number = real(value)
    if number is None:
        return MISSING
    text = f"{number:.{places}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text.replace("-", "−")


def short(value: object, digits: int = 3) -> str:
    """A number with so many significant digits, in plain or scientific form.

    Example:
        >>> short(1234567.0), short(0.0123456), short(3e-7), short(12), short(0.1)
        ('1,234,567', '0.0123', '3e-07', '12', '0.1')
    """
    number = real(value)
    if number is None:
        return MISSING
    size = abs(number)
    if size == 0 or size == int(size):
        return f"{int(number):,}" if size < 1e15 else f"{number:.{digits}g}"
    if size < 1e-4 or size >= 1e9:
        return f"{number:.{digits}g}"
    places = max(0, digits - 1 - floor(log10(size)))
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: object, noun: str = "") -> str:
    """A whole number with separators, and its noun in the right number.

    Example:
        >>> count(12034, "beat"), count(1, "case"), count(3, "study"), count(None)
        ('12,034 beats', '1 case', '3 studies', '–')
    """
    number = real(value)
    text = MISSING if number is None else f"{round(number):,}"
    if not noun:
        return text
    return f"{text} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """The plural of a regular English noun."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def large(value: object) -> str:
    """A count that may be too long to read digit by digit.

    Example:
        >>> large(1402611), large(8.9e10), large(14552591360)
        ('1,402,611', '89 billion', '14.6 billion')
    """
    number = real(value)
    return count(value) if number is None or number < 1e9 else f"{short(number / 1e9)} billion"


def sentence(text: object) -> str:
    """A message as a sentence: ended by a stop, and begun with a capital if it begins with a word.

    Example:
        >>> sentence("the image has no label"), sentence("a_1.png is black.")
        ('The image has no label.', 'a_1.png is black.')
    """
    words = str(text or "").strip()
    if words and words.split()[0].isalpha():
        words = words[0].upper() + words[1:]
    return words if not words or words.endswith((".", "!", "?")) else words + "."


def byte_size(value: object) -> str:
    """Bytes in the largest binary unit that leaves a number of at least one.

    Example:
        >>> byte_size(1536), byte_size(3 * 2**30), byte_size(12)
        ('1.5 KiB', '3 GiB', '12 B')
    """
    number = real(value)
    if number is None:
        return MISSING
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024:
            return f"{short(number)} {unit}"
        number /= 1024
    return f"{short(number)} TiB"


def duration(value: object) -> str:
    """Seconds as a person would say them.

    Example:
        >>> duration(0.0421), duration(8.25), duration(754), duration(7384)
        ('42.1 ms', '8.25 s', '12 min 34 s', '2 h 3 min')
    """
    seconds = real(value)
    if seconds is None:
        return MISSING
    if seconds < 1:
        return f"{short(seconds * 1000)} ms"
    if seconds < 60:
        return f"{short(seconds)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def sizes(value: object, digits: int = 4) -> str:
    """Sizes along the axes, joined by a times sign.

    Example:
        >>> sizes([35, 51, 35.5]), sizes(7), sizes(None)
        ('35 × 51 × 35.5', '7', '–')
    """
    values = sequence(value) or ([value] if real(value) is not None else [])
    return " × ".join(short(v, digits) for v in values) or MISSING


def percent(part: object, whole: object) -> str:
    """The share of a part in per cent; a dash where the whole is nothing.

    Example:
        >>> percent(1, 8), percent(1, 0), percent(1, 5000)
        ('12.5 %', '–', '0.02 %')
    """
    numerator, denominator = real(part), real(whole)
    if numerator is None or not denominator:
        return MISSING
    share = 100 * numerator / denominator
    return f"{short(share, 3 if share >= 1 else 1)} %"


def span(low: object, high: object) -> str:
    """A range in words, "a to b", or one value where both are the same text."""
    ends = [str(low), str(high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
