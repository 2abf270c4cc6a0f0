"""What a sweep searches, read from its command line."""

import pytest

from convivo.errors import ConfigError, UsageError
from convivo.verbs.search_space import (
    Choice,
    Range,
    as_values,
    distributions,
    space_of,
    suggested,
    usual_space,
)

KEYS = ["train.lr=1e-4..1e-2", "train.batch=4..16", "augment.p_noise=0..0.5", "net.width=0.25|0.5"]


def test_ranges_and_choices_are_read():
    found = space_of(KEYS)
    assert found["train.lr"] == Range(low=1e-4, high=1e-2, whole=False, log=True)
    assert found["train.batch"] == Range(low=4, high=16, whole=True, log=False)
    assert found["augment.p_noise"] == Range(low=0, high=0.5, whole=False, log=False)
    assert found["net.width"] == Choice(values=("0.25", "0.5"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train.lr", "takes key=low..high or key=a|b; got 'train.lr'"),
        ("=1..2", "takes key=low..high"),
        ("train.lr=a..b", "the ends of a range are numbers"),
        ("train.lr=2..1", "a range rises"),
        ("train.lr=1..inf", "a range rises"),
    ],
)
def test_other_forms_are_refused(text, words):
    with pytest.raises(UsageError, match=r"--search: " + words.replace("|", r"\|")):
        space_of([text])


@pytest.mark.parametrize("text", ["train.lrr=1e-4..1e-2", "train.optimizer=adamw|adm"])
def test_keys_and_values_are_those_of_the_configuration(text):
    with pytest.raises(ConfigError):
        space_of([text])


def test_what_is_suggested_is_in_the_space_and_is_told_back():
    optuna = pytest.importorskip("optuna")
    space = space_of(KEYS)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        texts = suggested(space, study.ask())
        values = as_values(space, texts)
        assert 1e-4 <= values["train.lr"] <= 1e-2
        assert values["train.batch"] in range(4, 17)
        optuna.trial.create_trial(params=values, distributions=distributions(space), value=0.5)


@pytest.mark.parametrize("task", ["classify", "segment", "regress", "reconstruct", "generate"])
def test_without_words_rate_and_decay_are_searched(task):
    space = usual_space(task)
    assert set(space) == {"train.lr", "train.weight_decay"}
    assert all(found.log and found.low > 0 for found in space.values())
