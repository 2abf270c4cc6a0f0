"""The road of one training in one folder: inspect, split, choose, plan, fit, evaluate, report.

Each step leaves its file in the run folder; a resumed training goes on from whatever is there.
"""

import time as clock
from pathlib import Path
from typing import Any, Literal

from torch import nn

from convivo.config import to_toml
from convivo.data import sandbox
from convivo.data.inspection import Inspection, inspect_data
from convivo.data.objects_found import must_tell_apart
from convivo.data.split import Split
from convivo.errors import DataError
from convivo.files import write_json, write_text
from convivo.planning.limits import killing_limit
from convivo.progress import Progress
from convivo.training.easing import Cap
from convivo.training.journal import Journal
from convivo.training.loop import fit
from convivo.training.refusal import refused_past
from convivo.training.signals import terminable
from convivo.verbs.affording import bounds_of, cap_of
from convivo.verbs.assemble import Fold, fix_parts, given_plan, parts_again
from convivo.verbs.budget import Budget
from convivo.verbs.examples import write_examples
from convivo.verbs.features import FILE as FEATURES_FILE
from convivo.verbs.features import save_features
from convivo.verbs.finish import finish
from convivo.verbs.folder import Folder
from convivo.verbs.keeping import Keeping
from convivo.verbs.measure import Measured
from convivo.verbs.observed import observed
from convivo.verbs.parts import Parts
from convivo.verbs.pretraining import pretrained
from convivo.verbs.run import Run
from convivo.verbs.scheduling import loop_schedule
from convivo.verbs.settings import Settings
from convivo.verbs.wishes import saved_settings, settings_of, with_plan


def train_in(
    path: Path,
    given: dict[str, Any],
    budget: Budget,
    *,
    inspection: Inspection | None = None,
    fold: Fold | None = None,
    part: Literal["test", "val"] = "test",
) -> tuple[Run, Measured | None]:
    """Train in a folder that nobody else writes meanwhile.

    Args:
        given: the arguments of `train`. inspection: of the data, where it is done.
        fold: what this training holds out, and the facts that it shares with others.
        part: of the split, that the trained network is measured on.
    Returns:
        The run, and what was measured; None of one that was finished before.
    """
    folder = Folder(path)
    folder.claim(resume=given["resume"])
    try:
        with terminable():
            return _train(folder, given, budget, inspection, fold, part)
    except BaseException:
        if not (folder / "plan.json").exists():
            folder.abandon()
        raise
    finally:
        folder.release()


def _train(
    folder: Folder,
    given: dict[str, Any],
    budget: Budget,
    inspection: Inspection | None,
    fold: Fold | None,
    part: Literal["test", "val"],
) -> tuple[Run, Measured | None]:
    """The road, step by step, in a folder that is ours."""
    own = given["net"] if isinstance(given["net"], nn.Module) else None
    device, quiet = given["device"], given["quiet"]
    if folder.finished:
        return Run(folder.path, network=own), None
    again = (folder / "plan.json").exists()
    wish = saved_settings(folder) if again else settings_of(given)
    if given["plan"] is not None:
        wish = with_plan(wish, given_plan(given["plan"]))
    if inspection is None:
        inspection = inspect_for(given, wish, budget, again=again)
    if again:
        parts, split, every = parts_again(folder, inspection, own, device, quiet, wish.data.store)
    else:
        parts, split, every, resolved = fix_parts(
            inspection, wish, budget,
            own=own, given=given["plan"], device=device, fold=fold, quiet=quiet,
        )  # fmt: skip
        if parts.features is not None:
            held = save_features(parts.features, folder / FEATURES_FILE)
            parts.plan["features"]["sha256"] = held  # type: ignore[index]
        _write_plan(folder, parts.plan, split, resolved, quiet)
    more = (parts.plan.get("pretrain") or {}).get("unlabelled", ())
    train = (*split.train, *more)
    keeping = Keeping(parts.plan, parts.state.network, every, train=train, val=split.val)
    bounds = bounds_of(budget, parts.device)
    cap = cap_of(bounds, parts.plan, parts.state.network, keeping)
    sandbox.rest()
    Journal(folder.path, Progress("", 1, quiet=quiet)).reset_control()
    most = _end(budget, cap) if parts.device.type == "cpu" else None
    with refused_past(most):
        parts = pretrained(folder, parts, budget, cap, quiet=quiet)
    ended = _fit(folder, parts, budget, cap, most, quiet)
    measured = finish(
        folder, parts, inspection, split,
        ended=ended, began=budget.began, quiet=quiet, part=part,
    )  # fmt: skip
    return Run(folder.path, network=own), measured


def inspect_for(
    given: dict[str, Any], wish: Settings, budget: Budget, *, again: bool
) -> Inspection:
    """Look at the data, and refuse what would make a dishonest training.

    Args:
        again: it was looked at before, so that no duplicates are looked for.
    Raises:
        DataError: it has errors that were not waived. ReadError: nothing to read.
    """
    data = given["data"]
    if isinstance(data, Inspection):
        inspection = data
    elif isinstance(data, str | Path):
        want = wish.data
        inspection = inspect_data(
            Path(data), task=want.task, layout=want.layout, subject=want.subject,
            labels=want.labels, positive=want.positive, instances=wish.task.instances,
            compared=0 if again else budget.compared,
        )  # fmt: skip
    else:
        from convivo.verbs.samples import inspection_of

        inspection = inspection_of(data, task=wish.data.task, instances=bool(wish.task.instances))
    _must_be_sound(inspection, wish)
    Progress("", 1, quiet=given["quiet"]).say(
        f"{inspection.index.layout}: {len(inspection.cases)} cases, {inspection.index.task}, "
        f"{inspection.index.spatial_dims}D"
    )
    return inspection


def _must_be_sound(inspection: Inspection, wish: Settings) -> None:
    inspection.require_labels()
    must_tell_apart(inspection.index, wish.task.instances)
    errors = [p for p in inspection.problems if p.severity == "error"]
    refused = [p for p in errors if p.code not in wish.data.accept]
    if refused:
        first = refused[0]
        more = f" (and {len(refused) - 1} more errors)" if len(refused) > 1 else ""
        raise DataError(
            first.path or wish.data.path,
            f"the data must have no errors ({first.code})",
            first.message.rstrip(".") + more,
            f"{first.remedy.rstrip('.')}; or waive it: --accept {first.code}",
        )


def _write_plan(folder: Folder, plan: Any, split: Split, settings: Settings, quiet: bool) -> None:
    """The joints on disk; plan.json last, since it says that the others are there."""
    write_json(folder / "split.json", split.document())
    write_text(folder / "config.toml", to_toml(settings.model_dump(exclude_none=True)))
    write_json(folder / "plan.json", plan)
    say = Progress("", 1, quiet=quiet).say
    for reason in plan["reasons"]:
        say(f"  {reason}")


def _fit(
    folder: Folder, parts: Parts, budget: Budget, cap: Cap, most: int | None, quiet: bool
) -> str:
    plan = dict(parts.plan)
    progress = Progress("step", plan["steps"], unit="steps", quiet=quiet)
    journal = Journal(folder.path, progress)
    if journal.resume(parts.state):
        progress.first = parts.state.step
        progress.say(f"going on after step {parts.state.step} of {plan['steps']}")

    def validate(network: nn.Module) -> dict[str, Any]:
        write_examples(folder / "examples", parts, network, parts.state.step)
        return parts.validate(network)

    deadline = None
    if budget.seconds is not None:
        deadline = clock.monotonic() + budget.left() - budget.reserve
    with observed(folder, parts, progress) as seen, refused_past(most):
        ended = fit(
            parts.state, parts.tensors, seen.step(parts.step), update=parts.update,
            schedule=loop_schedule(plan), validate=seen.validating(validate), journal=journal,
            deadline=deadline, around=seen.around, cap=cap,
        )  # fmt: skip
    progress.close()
    return ended


def _end(budget: Budget, cap: Cap) -> int | None:
    """Bytes past which memory is refused: before the system ends the process, or at the limit."""
    own = None if cap.limit is None else cap.limit + budget.foreign
    return min((n for n in (killing_limit(), own) if n is not None), default=None)
