"""The codec: what is given comes back unchanged, and what is wrong is named."""

import math
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from convivo.config import build, duration, merge, read_toml, size, to_toml
from convivo.errors import ConfigError, ReadError, UsageError


class Network(BaseModel):
    name: str | None = None
    width: float = 1.0
    kernel: tuple[int, ...] = (3,)


class Options(BaseModel):
    model_config = ConfigDict(extra="allow")
    enabled: bool = True


class Training(BaseModel):
    lr: float = 1e-3
    epochs: int | None = None
    optimizer: Literal["adamw", "sgd"] = "adamw"


class Whole(BaseModel):
    seed: int = 0
    net: Network = Network()
    train: Training = Training()
    augment: Options = Options()


# --- merge


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32", 32),
        ("1e-3", 1e-3),
        ("true", True),
        ("[1000]", [1000]),
        ("[[1, 3], [3, 3]]", [[1, 3], [3, 3]]),
        ('"two words"', "two words"),
        ("adamw", "adamw"),
        ("runs/last one", "runs/last one"),
        ("2020-01-31", "2020-01-31"),
        ("{a = 1}", {"a": 1}),
    ],
)
def test_values_are_toml_or_bare_words(text: str, value: object) -> None:
    assert merge({}, [f"net.key={text}"]) == {"net": {"key": value}}


def test_later_overrides_win_and_the_base_is_kept() -> None:
    base = {"train": {"lr": 1.0}, "seed": 3}
    merged = merge(base, ["train.lr=2.0", "train.lr=3.0", "train.clip=1"])
    assert merged == {"train": {"lr": 3.0, "clip": 1}, "seed": 3}
    assert base == {"train": {"lr": 1.0}, "seed": 3}


@pytest.mark.parametrize("text", ["net.width", "=3", "net..width=3", ".=1"])
def test_override_without_key_or_value(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--set: takes key=value; got {text}. ")):
        merge({}, [text])


@pytest.mark.parametrize("text", ["a=[1", "a=", 'a="x', "a=1\nb = 2", "a={b", "a=x # y"])
def test_override_value_that_is_neither(text: str) -> None:
    with pytest.raises(UsageError, match="--set: the value must be TOML or a bare word; got a="):
        merge({}, [text])


def test_override_through_a_value() -> None:
    with pytest.raises(UsageError, match=r"--set: train is a value, not a table; got train\.lr\. "):
        merge({"train": 3}, ["train.lr=1"])


# --- build


def test_build_fills_defaults_and_nests() -> None:
    whole = build(Whole, {"net": {"width": 2, "kernel": [1, 3, 3]}, "train": {"epochs": 5}})
    assert whole.net == Network(width=2.0, kernel=(1, 3, 3))
    assert (whole.train.epochs, whole.seed) == (5, 0)


def test_sections_that_allow_keys_of_their_own_take_them() -> None:
    assert build(Whole, {"augment": {"rotate_deg": 15}}).augment.model_extra == {"rotate_deg": 15}


def test_unknown_key_names_the_nearest() -> None:
    message = (
        "net.widht: unknown key; got 32. "
        "Did you mean 'net.width'? Keys of [net]: kernel, name, width."
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        build(Whole, {"net": {"widht": 32}})


def test_unknown_table_and_misplaced_key() -> None:
    with pytest.raises(ConfigError, match=r"trian: unknown key; .* Did you mean 'train\.lr'\?"):
        build(Whole, {"trian": {"lr": 1.0}})
    with pytest.raises(ConfigError, match=r"epochs: unknown key; .*'train\.epochs'"):
        build(Whole, {"epochs": 3})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"seed": "3"}, "seed: input should be a valid integer; got '3'. Set it: --set seed=VALUE"),
        ({"seed": 1.5}, "seed: input should be a valid integer"),
        ({"seed": True}, "seed: input should be a valid integer; got True"),
        ({"train": {"lr": "fast"}}, "train.lr: input should be a valid number; got 'fast'"),
        ({"train": {"optimizer": "adm"}}, "train.optimizer: input should be 'adamw' or 'sgd'"),
        ({"net": 3}, "net: "),
        ({"net": {"kernel": [1, "x"]}}, "net.kernel.1: input should be a valid integer"),
    ],
)
def test_wrong_kind_is_said_in_our_form(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        build(Whole, data)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_missing_key_is_named() -> None:
    class Strict(BaseModel):
        path: str

    with pytest.raises(ConfigError, match="path: the key must be given; got nothing"):
        build(Strict, {})


# --- TOML

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.one_of(st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False), words)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.lists(st.lists(scalars, max_size=2)))
tables = st.recursive(
    st.dictionaries(words, values, max_size=4),
    lambda inner: st.dictionaries(words, st.one_of(values, inner), max_size=4),
    max_leaves=8,
)


@given(tables)
def test_toml_round_trip(table: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(table)) == table


def test_models_go_to_toml_and_back() -> None:
    whole = build(Whole, {"net": {"name": "unet"}, "augment": {"flips": [0, 1]}})
    text = to_toml(whole)
    assert build(Whole, tomllib.loads(text)) == whole
    assert "epochs" not in text
    assert text.startswith("seed = 0\n\n[net]\n")


def test_nothing_but_toml_kinds() -> None:
    assert math.isnan(tomllib.loads(to_toml({"a": math.nan}))["a"])
    assert to_toml({"a": Path("x") / "y", "b": [{"c": 1, "d": None}]}) == (
        'a = "x/y"\nb = [{c = 1}]\n'
    )
    with pytest.raises(ConfigError, match=r"net\.a: the value must be text, a number, .*; got \{1"):
        to_toml({"net": {"a": {1, 2}}})


def test_read_toml_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"none\.toml: the file must exist; got nothing"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ReadError, match="the file must be readable text"):
        read_toml(tmp_path)
    (tmp_path / "a.toml").write_text("net = = 1\n")
    with pytest.raises(ReadError, match=r"a\.toml: the file must be TOML .*line 1"):
        read_toml(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text("[net]\nwidth = 2\n")
    assert read_toml(tmp_path / "a.toml") == {"net": {"width": 2}}


# --- budgets


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("1h30m", 5400), ("45s", 45), ("90", 90), ("1.5h", 5400), (12.5, 12.5)],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5m", "0", "0s", "1.2.3m", "5 m", "30m1h", "nan"])
def test_nonsense_durations(text: str) -> None:
    with pytest.raises(
        UsageError, match=re.escape(f"--time: takes a length of time; got {text!r}")
    ):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("8G", 2**33), ("512M", 2**29), ("2GiB", 2**31), ("2GB", 2 * 10**9), ("4096", 4096), (7, 7)],
)
def test_sizes(text: str | int, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "much", "-1G", "0", "0G", "1.2.3G", "8 G", "8GG", "iB"])
def test_nonsense_sizes(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--vram: takes a size; got {text!r}")):
        size(text, "--vram")
