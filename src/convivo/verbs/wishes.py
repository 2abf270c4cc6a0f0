"""What was asked for, as Settings: command line over --set over --config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from convivo.config import build, merge, read_toml
from convivo.errors import UsageError
from convivo.verbs.folder import Folder
from convivo.verbs.settings import Settings


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


def with_task_of(wish: Settings, plan: Mapping[str, Any]) -> Settings:
    """The wish with what a plan to repeat says of objects, so that the data are read alike."""
    if wish.task.instances is not None or plan["task"] != "segment":
        return wish
    instances = bool(plan["task_fields"].get("instances"))
    return wish.model_copy(update={"task": wish.task.model_copy(update={"instances": instances})})


def saved_settings(folder: Folder) -> Settings:
    return build(Settings, folder.config())
