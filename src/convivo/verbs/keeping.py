"""What a training keeps beside its steps, foretold from headers: data, batches, answers."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import prod
from typing import Any

from torch import nn

from convivo.data import ahead, augment, batches, readers, store
from convivo.data.inspection import Inspection
from convivo.geometry import Axes
from convivo.inference.predictor import Predictor
from convivo.planning.budget import Setting
from convivo.planning.rehearsal import rehearse
from convivo.planning.residence import tensors_peak
from convivo.verbs.mean_weights import mean_bytes
from convivo.verbs.setup import build_predictor, build_preparation, build_task

READERS, COPIES = 2, 3  # threads that read, and copies of a case on its way (`store.build_store`)
RECORD = 2**10  # bytes of what is known of a case: id, paths, header, unit
SCORING = 32  # bytes a position: labels and truth as int64, and what their histogram needs,
SCORED_AT_ONCE = 2**20  # of so many of them (`tasks.segment.quick_dice`)


class Keeping:
    """Bytes that a training on this data holds throughout, and needs between two steps.

    Args:
        draft: the plan, as far as it is fixed.
        network: counted with its inputs, never with its values.
        train, val: ids of the cases that are prepared: kept in memory, or streamed.
    """

    def __init__(
        self,
        draft: Mapping[str, Any],
        network: nn.Module,
        inspection: Inspection,
        *,
        train: Iterable[str],
        val: Iterable[str],
    ) -> None:
        self.draft, self.network = draft, network
        preparation = build_preparation(draft)
        cases = {case.id: case for case in inspection.cases}
        self.parts = [
            [store.shape_of(cases[i], preparation) for i in part] for part in (train, val)
        ]
        self.records = RECORD * len(cases)
        self.libraries = readers.cost(file for case in cases.values() for file in case.image)
        headers = [case.header for case in cases.values() if case.header is not None]
        self.largest_file = max((h.channels * prod(h.shape) for h in headers), default=0)
        self.maps = draft["task"] == "segment"
        self.images = draft["task"] == "reconstruct"
        entry = draft.get("store") or {}
        self.half = bool(entry.get("half"))
        self.packed, self.streamed = entry.get("packed") is not None, bool(entry.get("streamed"))
        self.mean = mean_bytes(draft, network)
        self._passes: dict[Axes, int] = {}

    @cached_property
    def lasting(self) -> int:
        """The readers' libraries; the prepared cases, or what reading them piece by piece takes.

        And what is known of each case, and the running mean of the weights.
        """
        return self.libraries + self.records + self._cases() + self.mean

    def _cases(self) -> int:
        """Of the prepared cases; of those read piece by piece, with the batches that wait."""
        if not self.streamed:
            classes = len(self.draft["task_fields"]["classes"])
            told = {"maps": self.maps, "half": self.half, "classes": classes}
            return sum(store.cost(part, **told) for part in self.parts)
        size, channels = self.draft["sampling"]["size"], self.draft["network"]["in_channels"]
        waiting = batches.cost(self.draft["batch"], channels, size, maps=self.maps)
        cases = [shape for part in self.parts for shape in part]
        reading = store.streaming_cost(cases, size, maps=self.maps, half=self.half)
        return reading + ahead.BATCHES * waiting

    def between(self, setting: Setting) -> int:
        """The most of what reading, drawing a batch and validating need beside the weights."""
        return max(self._reading(), self._drawing(setting), self._validating(setting))

    def _reading(self) -> int:
        cases = [shape for part in self.parts for shape in part]
        packing = store.packing_cost(cases, maps=self.maps, half=self.half) if self.packed else 0
        return packing + READERS * COPIES * 4 * self.largest_file

    def _drawing(self, setting: Setting) -> int:
        channels, items = self.draft["network"]["in_channels"], self._items(setting)
        drawn = batches.cost(items, channels, setting.patch, maps=self.maps)
        if self.draft["augment"]:
            how = augment.Augmentation.from_dict(self.draft["augment"])
            more = {"linear_labels": how.labels == "linear", "blur": how.blur, "maps": self.maps}
            return drawn + augment.cost(items, channels, setting.patch, in_place=True, **more)
        return drawn + (8 * items * prod(setting.patch) if self.maps else 0)  # labels as int64

    def _items(self, setting: Setting) -> int:
        """Of an update."""
        return self.draft["batch"] if setting.accumulate > 1 else setting.batch

    def _validating(self, setting: Setting) -> int:
        if self.draft["task"] == "generate":
            return 0  # it makes a few images without gradients: less than a step
        shape = max(self.parts[1] or self.parts[0], key=prod)
        predictor = self._predictor(setting)
        scored = prod(shape[1:]) + SCORING * min(prod(shape[1:]), SCORED_AT_ONCE)
        kept = 4 * prod(shape) + scored if self.maps else 0
        if predictor.sampling != "patch":
            return kept + predictor.batch * self._pass(predictor, setting.patch)
        tile = predictor.tile_for(shape[1:])
        one = predictor.at_once(shape) * self._pass(predictor, tile)
        return kept + predictor.cost(shape) + max(one, predictor.between(shape))

    def _predictor(self, setting: Setting) -> Predictor:
        sampling = self.draft["sampling"] | {"size": list(setting.patch)}
        sampling |= {"batch": predicted_at_once(self.draft, setting)}
        plan = dict(self.draft) | {"sampling": sampling}
        return build_predictor(plan, self.network, build_task(plan))

    def _pass(self, predictor: Predictor, tile: Axes) -> int:
        """Bytes that one item of a forward pass takes beside the weights; asked once a tile."""
        if tile not in self._passes:
            shape = (self.draft["network"]["in_channels"], *tile)
            held = sum(t.numel() * t.itemsize for t in self.network.state_dict().values())
            traced = rehearse(self.network, shape, 1, mode="infer")
            answer = 8 * predictor.task.outputs * (prod(tile) if self.maps or self.images else 1)
            self._passes[tile] = max(0, tensors_peak(traced) - held) + answer
        return self._passes[tile]


def predicted_at_once(draft: Mapping[str, Any], setting: Setting) -> int:
    """Items of a forward pass of the validation: no more than fit while training."""
    wish = int(draft["sampling"]["batch"])
    return min(wish, setting.batch) if setting.accumulate > 1 else wish
