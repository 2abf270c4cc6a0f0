"""predictions.csv: rows by case, read back so that finished cases are not predicted again."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from convivo.errors import ReadError
from convivo.files import write_text


class PredictionTable:
    """A table of predictions.

    Args:
        path: the CSV file.
        columns: of an answer. cells: an answer -> what stands in them.
        beats: a row a beat (record, sample, time_s, ...) instead of a row a case.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        cells: Callable[[Any], Sequence[object]],
        *,
        beats: bool,
    ) -> None:
        self.path, self.cells, self.beats = path, cells, beats
        key = ["record", "sample", "time_s"] if beats else ["case"]
        self.head = [*key, *columns]
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
        return [name, *place, *self.cells(answer)]

    def write(self) -> None:
        """Write all rows, whole or not at all."""
        write_text(self.path, csv_text(self.head, [r for rows in self.rows.values() for r in rows]))


def csv_text(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV, quoted where needed; None as an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()
