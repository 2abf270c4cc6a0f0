"""What a run writes while it trains (metrics.jsonl, weights, last/), and the control it obeys."""

import json
import time
from pathlib import Path
from typing import Any

from torch import nn

from convivo.files import plain, write_json, write_text
from convivo.progress import Progress
from convivo.training.checkpoint import save_weights
from convivo.training.state import State, load_state, save_state

ACTIONS = ("run", "pause", "stop-after-epoch", "stop")
SAVE_SECONDS, REST_SECONDS = 30.0, 10.0


class Journal:
    """The run folder as the training loop sees it.

    Args:
        run: the run folder.
        progress: where lines for people go.
        rest: seconds between two savings at validations; a state of a large network takes its time.
        control: the folder of control.json. Default: the run folder.
        scored: what a score is called in lines for people.
    """

    def __init__(
        self,
        run: Path,
        progress: Progress,
        *,
        rest: float = REST_SECONDS,
        control: Path | None = None,
        scored: str = "validation score",
    ) -> None:
        self.scored = scored
        self.run, self.progress, self.rest = run, progress, rest
        self.control = (control or run) / "control.json"
        self.saved = time.monotonic()

    @property
    def last(self) -> Path:
        """The file to resume from."""
        return self.run / "last" / "state.safetensors"

    def resume(self, state: State) -> bool:
        """Continue from last/ where there is one; lines logged after it are taken back.

        Returns:
            Whether there was one.
        Raises:
            ReadError: it is damaged, or of another network.
        """
        if not self.last.exists():
            (self.run / "metrics.jsonl").unlink(missing_ok=True)
            return False
        load_state(self.last, state)
        path = self.run / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= state.step]
        write_text(path, "".join(f"{line}\n" for line in kept))
        return True

    def log(self, line: dict[str, Any]) -> None:
        """Append one line, flushed."""
        with (self.run / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(line)) + "\n")

    def save_best(self, network: nn.Module) -> None:
        """Keep these weights as the best so far."""
        save_weights(self.run / "weights.safetensors", network)

    def save_last(self, state: State, *, after: float = 0.0) -> None:
        """Save everything to resume from, if the last time is `after` seconds ago."""
        if time.monotonic() - self.saved >= after:
            save_state(self.last, state)
            self.saved = time.monotonic()

    def action(self) -> str:
        """What control.json asks for; a damaged or unknown one is read as "run"."""
        try:
            action = json.loads(self.control.read_text())["action"]
        except (OSError, ValueError, KeyError, TypeError):
            return "run"
        return action if action in ACTIONS else "run"

    def reset_control(self) -> None:
        """Forget what control.json asked an earlier run for."""
        write_json(self.control, {"schema": 1, "action": "run"})


def _step_of(line: str) -> int:
    """The step of a metrics line; half a line, as a killed run may leave, is past any step."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 2**62
