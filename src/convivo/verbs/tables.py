"""predictions.csv: rows by case, read back so that finished cases are not predicted again."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convivo.errors import ReadError
from convivo.files import write_text
from convivo.tasks.task import Task
from convivo.verbs.measure import csv_text


class Table:
    """A table of predictions.

    Args:
        path: the CSV file.
        task: says which columns it has, and what an answer is in them.
        beats: a row a beat (record, sample, time_s, ...) instead of a row a case.
    """

    def __init__(self, path: Path, task: Task, *, beats: bool) -> None:
        self.path, self.task, self.beats = path, task, beats
        key = ["record", "sample", "time_s"] if beats else ["case"]
        self.head = [*key, *task.columns]
        self.rows: dict[str, list[list[Any]]] = {}

    def read(self) -> None:
        """Take over what an earlier call finished.

        Raises:
            ReadError: a file of that name with other columns.
        """
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
        if not lines or lines[0] != self.head:
            got = ",".join(lines[0]) if lines else "an empty file"
            raise ReadError(self.path, f"columns {','.join(self.head)}", got, "Add --overwrite")
        for line in lines[1:]:
            self.rows.setdefault(line[0], []).append(line)

    def has(self, name: str) -> bool:
        return name in self.rows

    def add(self, name: str, answers: Sequence[Any]) -> None:
        """answers: what was found of a case, (K, ...), or (sample, time, (K, ...)) of its beats."""
        self.rows[name] = [self._line(name, answer) for answer in answers]

    def _line(self, name: str, answer: Any) -> list[Any]:
        place: list[Any] = []
        if self.beats:
            sample, seconds, answer = answer
            place = [int(sample), f"{seconds:.4f}"]
        return [name, *place, *self.task.cells(answer)]

    def write(self) -> None:
        """Write all rows, whole or not at all."""
        write_text(self.path, csv_text(self.head, [r for rows in self.rows.values() for r in rows]))
