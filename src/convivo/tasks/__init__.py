"""What a network is trained for: target, loss, step, decode, measure. One file per task."""

from importlib import import_module
from typing import TYPE_CHECKING

from convivo.errors import UsageError, nearest_name

if TYPE_CHECKING:
    from convivo.tasks.task import Task

TASKS = {
    "classify": "convivo.tasks.classify:Classify",
    "generate": "convivo.tasks.generate:Generate",
    "reconstruct": "convivo.tasks.reconstruct:Reconstruct",
    "regress": "convivo.tasks.regress:Regress",
    "segment": "convivo.tasks.segment:Segment",
}
FORMS = {
    "instances": "convivo.tasks.instances:Instances",
    "regions": "convivo.tasks.regions:Regions",
    "membranes": "convivo.tasks.membranes:Membranes",
}
"""Of `segment`: the option that asks for another form of it -> that form."""


def create_task(name: str, *, classes: tuple[str, ...], **options: object) -> "Task":
    """The task of that name for these classes; options are the task's own fields.

    Raises:
        UsageError: no task of that name.
    """
    if name not in TASKS:
        raise UsageError("task", "unknown task", repr(name), nearest_name(name, TASKS))
    form = next((FORMS[key] for key in FORMS if name == "segment" and options.get(key)), None)
    module, _, attribute = (form or TASKS[name]).partition(":")
    return getattr(import_module(module), attribute)(classes=classes, **options)
