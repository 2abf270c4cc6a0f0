"""The exported programs that were opened, by id: the last few, as long as the lab runs."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

from starlette.requests import Request

from convivo.lab.answers import Refusal

MOST = 16


class Shelf:
    """Files of graphs and what is known of them; the longest unused go first."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, tuple[Path, dict[str, Any]]] = OrderedDict()

    def keep(self, path: Path, facts: dict[str, Any]) -> dict[str, Any]:
        """Take in a private file of the lab's store; its card with the id."""
        card = {"id": path.stem, **facts}
        self._items[path.stem] = (path, card)
        while len(self._items) > MOST:
            _, (old, _) = self._items.popitem(last=False)
            old.unlink(missing_ok=True)
        return card

    def item(self, name: str) -> tuple[Path, dict[str, Any]]:
        """File and card.

        Raises:
            Refusal: there is none of this id (any more).
        """
        if name not in self._items:
            raise Refusal(404, "gone", "there is no such program", "Open your module again")
        self._items.move_to_end(name)
        return self._items[name]


def shelf(request: Request) -> Shelf:
    """That of this lab."""
    state = request.app.state
    if not hasattr(state, "programs"):
        state.programs = Shelf()
    return state.programs
