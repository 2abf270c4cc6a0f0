"""What int8 is calibrated on, and what it is held against: training items, validation cases."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from convivo.data.batches import Batches
from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.data.store import Store
from convivo.errors import ConvivoError, UsageError
from convivo.progress import Progress
from convivo.verbs.evaluate import own_data
from convivo.verbs.parts import batches_of
from convivo.verbs.run import Run
from convivo.verbs.setup import Plan
from convivo.verbs.storing import open_parts

LEAST, MOST = 100, 300  # items; fewer only where the training part has no more
POSITIONS = 2**26  # of all items together, where they are large
RECORDS = 50  # cases that many patches or windows are drawn from
CASES = 3  # stream of randomness, apart from those of data.batches


@dataclass(frozen=True)
class Items:
    """Prepared images (C, *S), as training draws them but for augmentation; the same at each look.

    batches: of the training part. count: of items.
    """

    batches: Batches
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[np.ndarray]:
        for step in range(-(-self.count // self.batches.batch)):
            left = self.count - step * self.batches.batch
            yield from self.batches(step).images[:left]


def read_parts(
    run: Run, margin: tuple[int, ...] | None, progress: Callable[[str, int], Progress]
) -> tuple[Items, Store]:
    """The items of a run's training part, and its prepared validation cases.

    Args:
        margin: of networks that answer less than they see.
    Raises:
        UsageError: the run's data are not there any more, or there is nothing to validate on.
    """
    plan, split = run.plan, Split.from_document(run.folder.json("split.json"))
    if plan.get("ensemble"):  # its networks have not trained on the same cases
        rule, remedy = "int8 is for the run of one network", "Name the run of a fold"
        raise UsageError("--precision", rule, f"{len(plan['ensemble'])} folds", remedy)
    try:
        inspection = own_data(run)
        some = _some(plan, inspection, split)
        training, validation = open_parts(plan, inspection, some, None, progress)
    except ConvivoError as error:
        rule = "int8 needs the run's own training and validation cases"
        remedy = "Restore them, or leave --precision out"
        raise UsageError("--precision", rule, f"{error.where}: {error.got}", remedy) from error
    batches = batches_of(plan, training, margin)
    return Items(batches, min(_wanted(batches.size), batches.items_per_epoch)), validation


def _some(plan: Plan, inspection: Inspection, split: Split) -> Split:
    """The split with as many training cases as items are drawn from, by the plan's seed."""
    known = {case.id for case in inspection.cases}
    train = [name for name in split.train if name in known]
    gone = [name for name in split.val if name not in known]
    if not train or not split.val or gone:
        got = f"{len(train)} for training, {len(gone)} of {len(split.val)} for validation gone"
        rule, remedy = "the cases of the run's split must be there", "Restore them"
        raise UsageError(inspection.index.root, rule, got, remedy)
    seen = plan["sampling"]
    most = RECORDS if seen["mode"] in ("patch", "window") else _wanted(tuple(seen["size"]))
    rng = np.random.default_rng((int(plan["seed"]), CASES))
    chosen = sorted(rng.permutation(len(train))[:most])
    return replace(split, train=tuple(train[place] for place in chosen))


def _wanted(size: tuple[int, ...]) -> int:
    return int(np.clip(POSITIONS // prod(size), LEAST, MOST))
