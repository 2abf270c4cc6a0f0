"""What was asked for: which of command line, --set and --config counts."""

from pathlib import Path

import pytest

from convivo.errors import UsageError
from convivo.verbs.settings import TrainSettings
from convivo.verbs.wishes import settings_of

NONE = ("config", "layout", "task", "subject", "labels", "positive", "accept", "net", "data")
SCHEDULE = "[train]\nepochs = 9\nsteps = 90\nvalidate_every = 10\n"


def train_wish(**given: object) -> TrainSettings:
    plain = dict.fromkeys(NONE) | {"epochs": None, "threads": None, "seed": 0, "precision": "auto"}
    return settings_of(plain | {"settings": ()} | given).train


def test_the_length_of_a_training_is_given_once() -> None:
    rule = r"--epochs: the length of a training is given once; got train\.steps=30 as well\. Leave"
    with pytest.raises(UsageError, match=rule):
        train_wish(epochs=2, settings=("train.steps=30",))
    assert train_wish(settings=("train.steps=30",)).steps == 30


def test_epochs_are_over_the_schedule_of_an_earlier_run(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(SCHEDULE, encoding="utf-8")
    taken = train_wish(config=config)
    assert (taken.epochs, taken.steps, taken.validate_every) == (9, 90, 10)
    over = train_wish(config=config, epochs=2)
    assert (over.epochs, over.steps, over.validate_every) == (2, None, None)


def test_what_is_set_beside_epochs_counts() -> None:
    assert train_wish(epochs=2, settings=("train.validate_every=3",)).validate_every == 3
