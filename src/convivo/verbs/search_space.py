"""What a sweep searches: keys of the configuration, each with a range or a list of values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from convivo.config import build, merge
from convivo.errors import UsageError
from convivo.verbs.choose import RATES
from convivo.verbs.settings import Settings

WIDE = 10.0  # a range of positive numbers that spans so many times its least is searched by factors
EXAMPLE = "For example --search train.lr=1e-4..1e-2, or --search net.width=0.25|0.5|1"


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`; whole ones, or by factors (`log`), where that is meant."""

    low: float
    high: float
    whole: bool
    log: bool


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several values, as texts of the configuration."""

    values: tuple[str, ...]


Space = Mapping[str, Range | Choice]


def space_of(searched: Sequence[str]) -> Space:
    """ "key=low..high" or "key=a|b|c", each -> what is searched.

    Raises:
        UsageError: another form, an empty range, or a key that the configuration has not.
    Example:
        >>> space_of(["train.lr=1e-4..1e-2"])["train.lr"]
        Range(low=0.0001, high=0.01, whole=False, log=True)
        >>> space_of(["net.width=0.25|0.5"])["net.width"]
        Choice(values=('0.25', '0.5'))
    """
    return dict(_parsed(text) for text in searched)


def _parsed(text: str) -> tuple[str, Range | Choice]:
    key, equals, values = (part.strip() for part in text.partition("="))
    if not (key and equals and values):
        raise UsageError("--search", "takes key=low..high or key=a|b", repr(text), EXAMPLE)
    found = _range(values, text) if ".." in values else Choice(values=tuple(values.split("|")))
    for value in found.values if isinstance(found, Choice) else (_text(found.low, found),):
        build(Settings, merge({}, [f"{key}={value}"]))
    return key, found


def _range(values: str, text: str) -> Range:
    low_text, _, high_text = values.partition("..")
    try:
        low, high = float(low_text), float(high_text)
    except ValueError:
        raise UsageError(
            "--search", "the ends of a range are numbers", repr(text), EXAMPLE
        ) from None
    if not low < high < float("inf"):
        raise UsageError("--search", "a range rises", repr(text), "Give the lower end first")
    whole = low_text.strip().lstrip("-").isdigit() and high_text.strip().isdigit()
    return Range(low=low, high=high, whole=whole, log=low > 0 and high / low >= WIDE)


def _text(value: float, found: Range) -> str:
    return str(int(value)) if found.whole else repr(float(value))


def usual_space(task: str) -> Space:
    """What is searched where nothing is said: learning rate and weight decay around the rule's."""
    rate, decay, _ = RATES[task]
    decay = decay or 1e-3
    return {
        key: Range(low=middle / span, high=middle * span, whole=False, log=True)
        for key, middle, span in (("train.lr", rate, sqrt(30)), ("train.weight_decay", decay, 10.0))
    }


def suggested(space: Space, trial: Any) -> dict[str, str]:
    """The next values to try, as texts of the configuration.

    Args:
        trial: of an Optuna study.
    """
    return {key: _suggest(key, found, trial) for key, found in space.items()}


def _suggest(key: str, found: Range | Choice, trial: Any) -> str:
    if isinstance(found, Choice):
        return trial.suggest_categorical(key, found.values)
    ask = trial.suggest_int if found.whole else trial.suggest_float
    ends = (int(found.low), int(found.high)) if found.whole else (found.low, found.high)
    return _text(ask(key, *ends, log=found.log), found)


def distributions(space: Space) -> dict[str, Any]:
    """The space as Optuna knows it, so that trials of an earlier process can be told to a study."""
    from optuna import distributions as kinds

    def of(found: Range | Choice) -> Any:
        if isinstance(found, Choice):
            return kinds.CategoricalDistribution(found.values)
        if found.whole:
            return kinds.IntDistribution(int(found.low), int(found.high), log=found.log)
        return kinds.FloatDistribution(found.low, found.high, log=found.log)

    return {key: of(found) for key, found in space.items()}


def as_values(space: Space, texts: Mapping[str, str]) -> dict[str, Any]:
    """What `suggested` gave, as Optuna's own values."""

    def of(found: Range | Choice, text: str) -> Any:
        if isinstance(found, Choice):
            return text
        return int(text) if found.whole else float(text)

    return {key: of(found, texts[key]) for key, found in space.items()}
