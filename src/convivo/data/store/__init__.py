"""Prepared cases, ready for batching: in memory where they are few, else packed and streamed.

`memory` holds what is small. What is not is read and prepared once, case by case, into a Zarr
group on disk (`packing`) and from then on read in pieces (`reading`), as much as a batch needs.
Both give the same batches, bit for bit.
"""

from convivo.data.store.cases import Store, Target
from convivo.data.store.costs import (
    cost,
    in_half,
    packed_bytes,
    packing_cost,
    shape_of,
    streaming_cost,
)
from convivo.data.store.memory import build_store
from convivo.data.store.packing import Wanted, packed_store
from convivo.data.store.place import checked_place, default_place
from convivo.data.store.prepared import Prepared, prepare_read, prepare_sample, prepared_target
from convivo.data.store.reading import opened_store

__all__ = [
    "Prepared",
    "Store",
    "Target",
    "Wanted",
    "build_store",
    "checked_place",
    "cost",
    "default_place",
    "in_half",
    "opened_store",
    "packed_bytes",
    "packed_store",
    "packing_cost",
    "prepare_read",
    "prepare_sample",
    "prepared_target",
    "shape_of",
    "streaming_cost",
]
