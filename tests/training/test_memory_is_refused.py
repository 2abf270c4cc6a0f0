"""Past its limit a process hears a refusal instead of being ended; afterwards all is as before."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells and limits data")

HEAD = """
import resource, numpy as np, torch
from convivo.shortage import is_shortage
from convivo.training.refusal import refused_past
from convivo.training.process_memory import held, memory_of
MIB = 2**20
def refused(make):
    try:
        make()
    except (MemoryError, RuntimeError) as error:
        assert is_shortage(error), error
        return True
    return False
torch.zeros(1)
here = held(memory_of("self"))
"""


def run(body: str) -> None:
    subprocess.run([sys.executable, "-c", HEAD + body], check=True, timeout=120)


@pytest.mark.parametrize(
    "make", ["torch.ones(400 * MIB, dtype=torch.uint8)", "np.ones(400 * MIB, np.uint8)"]
)
def test_too_much_is_refused_and_enough_is_given(make: str) -> None:
    run(f"""
before = resource.getrlimit(resource.RLIMIT_DATA)
with refused_past(here + 300 * MIB):
    assert refused(lambda: {make})
    kept = torch.ones(250 * MIB, dtype=torch.uint8)  # what is promised is there
assert resource.getrlimit(resource.RLIMIT_DATA) == before
del kept
assert not refused(lambda: {make})
""")


def test_without_a_limit_nothing_is_refused_and_a_tighter_one_stays() -> None:
    run("""
with refused_past(None):
    assert not refused(lambda: torch.ones(400 * MIB, dtype=torch.uint8))
soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (2**40, hard))
with refused_past(2**50):
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == 2**40
""")


def test_addresses_without_pages_are_no_memory() -> None:
    """A heap that was kept and given back leaves its addresses, which the system counts as data."""
    run("""
from convivo.training.allocator import keep_memory
from convivo.training.easing import release_memory
assert keep_memory()
blocks = [torch.ones(MIB, dtype=torch.uint8) for _ in range(250)]
top = blocks.pop()  # holds the heap's end where it is
with refused_past(here + 300 * MIB):
    blocks.clear()
    assert refused(lambda: torch.ones(270 * MIB, dtype=torch.uint8))
    release_memory()
    assert not refused(lambda: torch.ones(270 * MIB, dtype=torch.uint8))
    assert refused(lambda: torch.ones(400 * MIB, dtype=torch.uint8))
""")


def test_a_training_that_needs_more_than_was_foretold_goes_on_in_passes(tmp_path: Path) -> None:
    """Its step is refused memory, and is taken again in a milder way, told in a line."""
    run(f"""
from convivo.progress import Progress
from convivo.training.easing import Cap
from convivo.training.journal import Journal
from convivo.training.loop import fit
from convivo.training.schedule import Schedule
from convivo.training.state import Counters, State
from pathlib import Path
network = torch.nn.Linear(8, 2)
state = State(network=network, optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
              counters=Counters())
def step(network, images, targets):
    wide = torch.ones(len(images), 20 * MIB)  # 80 MiB an item
    return network(images).sum() + 0 * wide[:, 0].sum()
schedule = Schedule(steps=2, validate_every=2, steps_per_epoch=2, lr=0.1, warmup=0,
                    clip=0.0, patience=0, seed=0)
with refused_past(here + 400 * MIB):
    end = fit(state, lambda n: (torch.ones(8, 8), torch.zeros(8)), step, schedule=schedule,
              validate=lambda network: {{"score": 0.0}}, cap=Cap(limit=here + 400 * MIB),
              journal=Journal(Path({str(tmp_path)!r}), Progress("step", 2, quiet=True)))
assert end == "schedule"
assert state.counters.passes == 2, state.counters.eased
""")
