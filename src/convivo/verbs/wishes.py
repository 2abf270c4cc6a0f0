"""What was asked for, as Settings: command line over --set over --config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from convivo.config import build, merge, read_toml
from convivo.errors import UsageError, nearest_name
from convivo.verbs.folder import Folder
from convivo.verbs.settings import PretrainSettings, Settings

METHODS = ("reconstruct",)


def settings_of(given: dict[str, Any]) -> Settings:
    """Command line over --set over --config.

    Raises:
        UsageError: --epochs and --set train.steps, which would both say how long.
    """
    base = read_toml(Path(given["config"])) if given["config"] else {}
    values = merge(base, list(given["settings"]))
    wish = build(Settings, values)
    data = given["data"]
    facts = {k: given[k] for k in ("layout", "task", "subject", "labels", "positive") if given[k]}
    where = {"path": str(Path(data).resolve())} if isinstance(data, str | Path) else {}
    if given.get("store") is not None:
        where["store"] = str(Path(given["store"]).resolve())
    accept = {"accept": list(given["accept"])} if given["accept"] else {}
    name = {"name": given["net"]} if isinstance(given["net"], str) else {}
    if given.get("init") is not None:  # a Run has a path, a path has none
        name["pretrained"] = str(Path(getattr(given["init"], "path", given["init"])).resolve())
    normal = {"normal": given["normal"]} if given.get("normal") is not None else {}
    if isinstance(given["net"], nn.Module):
        name["name"] = type(given["net"]).__name__
    method = given.get("pretrain")
    if method is not None and method not in METHODS:
        raise UsageError(
            "--pretrain", "a known method", repr(method), nearest_name(method, METHODS)
        )
    before = {} if method is None else {"method": method}
    train: dict[str, Any] = {k: given[k] for k in ("epochs", "threads") if given[k] is not None}
    train |= _schedule_given_way(train, list(given["settings"]))
    if given["seed"] or "seed" not in values.get("train", {}):
        train["seed"] = given["seed"]
    train |= {"precision": given["precision"]} if given["precision"] != "auto" else {}
    return wish.model_copy(
        update={
            "data": wish.data.model_copy(update=facts | where | accept),
            "net": wish.net.model_copy(update=name),
            "task": wish.task.model_copy(update=normal),
            "train": wish.train.model_copy(update=train),
            "pretrain": wish.pretrain.model_copy(update=before),
        }
    )


def _schedule_given_way(train: Mapping[str, Any], settings: list[str]) -> dict[str, None]:
    """With --epochs a schedule taken over from an earlier run's configuration gives way."""
    if "epochs" not in train:
        return {}
    asked = merge({}, settings).get("train", {})
    if "steps" in asked:
        rule, got = (
            "the length of a training is given once",
            f"train.steps={asked['steps']} as well",
        )
        raise UsageError("--epochs", rule, got, "Leave one of the two out")
    return dict.fromkeys({"steps", "validate_every"} - set(asked))


def with_plan(wish: Settings, plan: Mapping[str, Any]) -> Settings:
    """The wish with what a plan to repeat says of objects, so that the data are read alike.

    And of a pretraining, whose cases are looked for anew.

    Raises:
        UsageError: a pretraining is asked for that the plan does not have.
    """
    if wish.pretrain.method is not None and not plan.get("pretrain"):
        rule, remedy = "the plan repeats a training without it", "Leave one of the two out"
        raise UsageError("--pretrain", rule, "--plan as well", remedy)
    wish = wish.model_copy(update={"pretrain": resolved_pretrain(plan)})
    if wish.task.instances is not None or plan["task"] != "segment":
        return wish
    instances = bool(plan["task_fields"].get("instances"))
    return wish.model_copy(update={"task": wish.task.model_copy(update={"instances": instances})})


def resolved_pretrain(plan: Mapping[str, Any]) -> PretrainSettings:
    """The section of the configuration that a plan's pretraining follows from."""
    entry = plan.get("pretrain") or {}
    return PretrainSettings(
        **{k: v for k, v in entry.items() if k in PretrainSettings.model_fields}
    )


def saved_settings(folder: Folder) -> Settings:
    return build(Settings, folder.config())
