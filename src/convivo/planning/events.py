"""What a trace is made of: moments, one for each operation that allocates, and what lives from when
to when. Plain numbers and words; made by `trace`, summed up by `ledger`.
"""

import math
from dataclasses import dataclass

PHASES = ("start", "forward", "loss", "backward", "optimizer")
KINDS = ("parameters", "outputs", "gradients", "losses", "optimizer", "operations")


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One operation at work.

    step: 1 for the first. phase: of `PHASES`; "start" is what comes before the forward pass.
    layer: the module's place in the network, in the backward pass that of the module whose forward
    pass made the node; "loss" outside the network, "" where none is meant. op: as torch calls it.
    hidden: bytes that its kernel takes beside its results, and gives back before it ends.
    unwritten: what of them it never writes to.
    """

    step: int
    phase: str
    layer: str
    op: str
    hidden: int
    unwritten: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """One storage: bytes that live together, whichever tensors look at them.

    bytes: what the allocator is asked for. born, died: places in the list of moments, both
    included; what lives to the end dies behind the last one. shape, itemsize: of the tensor it was
    made for. kind: its home, one of `KINDS`. layer, op: of the moment of birth, or the parameter's
    name.
    recomputed: born when a part of the network was run once more for the backward pass.
    """

    bytes: int
    born: int
    died: int
    shape: tuple[int, ...]
    itemsize: int
    kind: str
    layer: str
    op: str
    recomputed: bool = False

    @property
    def formula(self) -> str:
        """The bytes as a sum that a reader can check.

        Example:
            >>> settings = {"born": 0, "died": 1, "kind": "outputs", "layer": "pool", "op": ""}
            >>> Holding(bytes=6400, shape=(16, 10, 10), itemsize=4, **settings).formula
            '16*10*10*4 = 6,400'
        """
        factors = [*self.shape, self.itemsize]
        if math.prod(factors) != self.bytes:
            return f"{self.bytes:,}"
        return f"{'*'.join(map(str, factors))} = {self.bytes:,}"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """All moments of the steps traced, and all that lived meanwhile.

    What lives at moment m are the holdings with born <= m <= died, and the moment's `hidden`.
    """

    moments: tuple[Moment, ...]
    holdings: tuple[Holding, ...]
    steps: int
