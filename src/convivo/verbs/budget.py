"""The time and memory a training may take, and the refusal of what cannot do."""

import time as clock
from collections.abc import Mapping
from typing import Any

from convivo.errors import PlanError
from convivo.planning.machine import this_machine
from convivo.training.process_memory import held_now

PROCESS_BYTES = 300 * 2**20  # an interpreter with torch loaded
REPORT_SECONDS = 8.0
AUDIT_SHARE, COMPARED_A_SECOND = 0.05, 1000  # of the time; images, on two cores


class Budget:
    """The time and memory there are.

    foreign: bytes that the process held when it began, beyond what a command of its own holds.
    """

    def __init__(
        self, began: float, seconds: float | None, ram: int | None, vram: int | None = None
    ) -> None:
        self.began, self.seconds, self.ram, self.vram = began, seconds, ram, vram
        self.reserve = REPORT_SECONDS
        self.foreign = max(0, held_now() - this_machine().memory.library)

    @property
    def compared(self) -> int | None:
        """Among how many images near duplicates are looked for: a twentieth of the time does that.

        None: among all.
        """
        return None if self.seconds is None else int(self.seconds * AUDIT_SHARE * COMPARED_A_SECOND)

    def left(self) -> float:
        """Seconds left of the budget; only asked where there is one."""
        return self.began + float(self.seconds or 0) - clock.monotonic()

    def share(self, remaining: int, after: float) -> "Budget":
        """The time of the next of so many trainings; what one leaves over goes to the others.

        Args:
            after: seconds that are kept for what follows all of them.
        """
        seconds = None
        if self.seconds is not None:
            seconds = max(1.0, (self.left() - after) / remaining)
        return Budget(clock.monotonic(), seconds, self.ram, self.vram)


def must_fit(plan: Mapping[str, Any], ram: int | None) -> None:
    """Refuse a memory that cannot even hold the weights, their gradients and two moments.

    All that can be said of a network that cannot be traced.
    """
    least = 16 * plan["parameters"] + PROCESS_BYTES
    if ram is not None and ram < least:
        rule = "the memory must hold the network, its gradients and the optimizer"
        remedy = f"Allow at least {least / 2**20:.0f} MiB, or --set net.width=0.5"
        raise PlanError("--ram", rule, f"{ram / 2**20:.0f} MiB", remedy)
