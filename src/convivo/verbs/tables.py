"""The table of predictions as a task fills it."""

from pathlib import Path

from convivo.data.prediction_table import PredictionTable
from convivo.tasks.task import Task


class Table(PredictionTable):
    """A table of a task's answers.

    Args:
        path: the CSV file.
        task: says which columns it has, and what an answer is in them.
        beats: a row a beat (record, sample, time_s, ...) instead of a row a case.
    """

    def __init__(self, path: Path, task: Task, *, beats: bool) -> None:
        super().__init__(path, task.columns, task.cells, beats=beats)
        self.task = task
