"""Which of the six kinds a storage belongs to. Every one has a single home.

- parameters: parameters, buffers, and the copies of buffers that a step sets aside.
- outputs: input, targets; whatever is saved for the backward pass, masks, indices, statistics; what
  modules hand to each other. Recomputed ones too.
- gradients: of parameters.
- losses: the loss, what it saves for its own backward pass, and gradients of activations.
- optimizer: its state.
- operations: casts of parameters and of their gradients, and temporaries.
"""

from dataclasses import dataclass, field

from convivo.planning.events import Holding


@dataclass(kw_only=True, slots=True)
class Record:
    """A storage while it is being watched.

    born: a place in the list of moments; died likewise, None while it lives. role: "parameters" or
    "outputs" of what is there before the step. phase: of birth. saved: it outlived the pass that
    made it. handed: a module took or returned it. gradient, state: a parameter's, the optimizer's.
    cast_of: what it is a copy of in another number format; casts: its own such copies.
    """

    bytes: int
    born: int
    shape: tuple[int, ...]
    itemsize: int
    phase: str
    layer: str
    op: str
    role: str = ""
    died: int | None = None
    recomputed: bool = False
    saved: bool = False
    handed: bool = False
    gradient: bool = False
    state: bool = False
    cast_of: "Record | None" = None
    casts: "list[Record]" = field(default_factory=list)

    def settle(self, end: int) -> Holding:
        """The record closed; `end` is the place behind the last moment."""
        return Holding(
            bytes=self.bytes,
            born=self.born,
            died=end if self.died is None else self.died,
            shape=self.shape,
            itemsize=self.itemsize,
            kind=home(self),
            layer=self.layer,
            op=self.op,
            recomputed=self.recomputed,
        )


def home(record: Record) -> str:
    """The kind of a storage, from all that was seen of it."""
    if record.role or record.gradient or record.state:
        return record.role or ("gradients" if record.gradient else "optimizer")
    if record.cast_of is not None and record.cast_of.role == "parameters":
        return "operations"
    if record.phase == "forward" or record.recomputed:
        return "outputs" if record.saved or record.handed else "operations"
    if record.phase == "loss":
        return "losses" if record.saved else "operations"
    if record.phase == "backward":
        return "operations" if any(copy.gradient for copy in record.casts) else "losses"
    return "parameters" if record.phase == "start" else "operations"
