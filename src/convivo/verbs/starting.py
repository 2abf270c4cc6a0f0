"""train --init: the weights that a training starts from, found, recorded in its plan, loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import options
from convivo.architectures.pretrained import Start, load_pretrained
from convivo.errors import ReadError, UsageError
from convivo.files import read_json, sha256
from convivo.verbs.fingerprint import Facts
from convivo.verbs.settings import NetSettings, Settings

WEIGHTS = "weights.safetensors"
SENTENCE = "starts from"
DEFAULT_NET = "resnet18"  # what is chosen to classify with


def find_start(named: str | Path) -> tuple[Path, Mapping[str, Any] | None]:
    """The file of weights behind `--init`, and the plan of the run that it is of, if it is of one.

    Raises:
        ReadError: no such file, or a folder that is not that of a run with weights.
    """
    path = Path(named)
    weights = path / WEIGHTS if path.is_dir() else path
    if not weights.is_file():
        rule = "--init takes the folder of a run, or a file of weights"
        got = f"a folder without {WEIGHTS}" if path.is_dir() else "nothing"
        raise ReadError(path, rule, got, "Check the path")
    plan = weights.parent / "plan.json"
    return weights, read_json(plan) if weights.name == WEIGHTS and plan.is_file() else None


def with_start(wish: Settings, facts: Facts) -> Settings:
    """What the weights to start from settle: a run's network, or the published form of one.

    What the user set stays as it is. Nothing is taken from a run of another network than asked for.

    Raises:
        ReadError: nothing to start from is there.
    """
    net = wish.net
    if net.pretrained is None:
        return wish
    _, plan = find_start(net.pretrained)
    if plan is None:
        settled = _published_form(net, facts)
    else:
        settled = _network_of(plan, net, facts.spatial_dims)
    own = net.model_dump(exclude_none=True)
    return wish.model_copy(update={"net": NetSettings(**(settled | own))})


def _published_form(net: NetSettings, facts: Facts) -> dict[str, Any]:
    """Weights of a file are of a network as published, not of one fitted to the data."""
    name = net.name or (DEFAULT_NET if facts.task == "classify" else "")
    if name not in ARCHITECTURES:
        return {}
    own = options(name)
    return {"width": 1.0} | {k: own[k] for k in ("stem",) if k in own}


def _network_of(plan: Mapping[str, Any], net: NetSettings, dims: int) -> dict[str, Any]:
    trained = plan["network"]
    if trained.get("custom") or net.name not in (None, trained["name"]):
        return {}
    have = trained["spatial_dims"]
    rows = {k: _for_axes(k, v, have, dims) for k, v in trained.get("options", {}).items()}
    return {"name": trained["name"], "width": trained["width"], **rows}


def _for_axes(key: str, value: Any, have: int, want: int) -> Any:
    """An option that has a number per axis, for another number of axes; the first ones come or go.

    Example:
        >>> _for_axes("strides", [[1, 1], [2, 4]], 2, 3)
        [[1, 1, 1], [2, 2, 4]]
        >>> _for_axes("channels", [32, 64], 2, 3)
        [32, 64]
    """
    if not isinstance(value, list | tuple):
        return value
    if value and all(isinstance(v, list | tuple) for v in value):
        return [_for_axes("stem_stride", v, have, want) for v in value]
    if key == "stem_stride" and len(value) == have:
        return [value[0]] * (want - have) + list(value[max(0, have - want) :])
    return value


def start_entry(plan: Mapping[str, Any], named: str | None) -> dict[str, Any]:
    """What a plan says of its starting weights: {"init": ...}, or nothing where it has none.

    path: the file. sha256: of its bytes. inflation: how weights of images became those of volumes.
    keep_head: the last layer was taken over too, where it fits; not where the classes mean others.

    Args:
        plan: a new plan, or one to repeat, which keeps what it says.
        named: what `--init` names; for a plan to repeat, where its weights are now.
    Raises:
        ReadError: nothing to start from is there.
        UsageError: a plan to repeat started from other weights.
    """
    old = plan.get("init")
    if named is None:
        if old is None:
            return {}
        named = str(old["path"])
    weights, trained = find_start(named)
    digest = sha256(weights)
    if old is not None:
        _must_be(weights, digest, old["sha256"])
        return {"init": old | {"path": str(weights)}}
    classes = trained["task_fields"].get("classes") if trained else None
    entry = {
        "path": str(weights),
        "sha256": digest,
        "inflation": plan["network"].get("options", {}).get("inflation", "centre"),
        "keep_head": classes in (None, plan["task_fields"].get("classes")),
    }
    return {"init": entry}


def _must_be(weights: Path, digest: str, recorded: str) -> None:
    if digest != recorded:
        rule = f"the plan starts from weights with the hash {recorded[:12]}"
        remedy = "Name the file it was made with: --init WEIGHTS"
        raise UsageError(weights, rule, digest[:12], remedy)


def begin(network: nn.Module, plan: Mapping[str, Any]) -> Start | None:
    """Put the weights that a plan starts from into its network; None where it starts anew.

    Raises:
        ReadError: they are missing or damaged. UsageError: of another network, or changed since.
    """
    init = plan.get("init")
    if init is None:
        return None
    weights, _ = find_start(init["path"])
    _must_be(weights, sha256(weights), init["sha256"])
    return load_pretrained(
        network, weights, inflation=init["inflation"], keep_head=init["keep_head"]
    )


def tell_start(plan: dict[str, Any], start: Start | None) -> None:
    """Add to the plan's reasons what the network starts from."""
    if start is None:
        return
    source = Path(start.source)
    name = source.parent.name if source.name == WEIGHTS else source.name
    sentence = f"{SENTENCE} {name}: {start.text()}"
    # a plan to repeat has one already, and stays as it is, byte for byte
    reasons = [sentence if r.startswith(SENTENCE) else r for r in plan["reasons"]]
    plan["reasons"] = reasons if sentence in reasons else [*reasons, sentence]
