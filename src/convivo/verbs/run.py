"""A finished run as an object: its network, its evaluation, and the verbs on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convivo.errors import ReadError
from convivo.verbs.folder import Folder

if TYPE_CHECKING:
    from torch import nn


class Run:
    """A run folder.

    Args:
        path: the folder.
        network: the user's own module, where the run was trained with one.
    Raises:
        ReadError: not the folder of a run.
    """

    def __init__(self, path: str | Path, *, network: "nn.Module | None" = None) -> None:
        self.path = Path(path)
        self.folder = Folder(self.path)
        if not (self.folder / "plan.json").exists():
            got, remedy = "a folder without plan.json", "Train first"
            if not self.path.is_dir():
                got = "nothing"
            elif (self.folder / "folds.json").exists():
                got, remedy = "folds that are not all finished", "Train the others with --resume"
            raise ReadError(self.path, "must be the folder of a run", got, remedy)
        self.own = network
        self._loaded: nn.Module | None = None

    @property
    def plan(self) -> Mapping[str, Any]:
        return self.folder.json("plan.json")

    @property
    def evaluation(self) -> dict[str, Any]:
        """The evaluation on the test part, as it was written at the end of the training."""
        return self.folder.json("evaluation.json")

    @property
    def network(self) -> "nn.Module":
        """The trained network with its best weights, a plain `torch.nn.Module` in eval mode."""
        if self._loaded is None:
            from convivo.verbs.setup import build_network, load_weights

            bare = build_network(self.plan, self.own)
            self._loaded = load_weights(bare, self.folder / "weights.safetensors")
        return self._loaded

    def evaluate(self, data: object = None, split: str = "test", **options: Any) -> dict[str, Any]:
        from convivo.verbs.evaluate import evaluate

        return evaluate(self, data=data, split=split, **options)

    def predict(
        self,
        inputs: str | Path | Sequence[str | Path],
        out: str | Path = "predictions",
        **options: Any,
    ) -> dict[str, Any]:
        from convivo.verbs.predict import predict

        return predict(self, inputs, out=out, **options)

    def generate(self, count: int, out: str | Path, **options: Any) -> dict[str, Any]:
        from convivo.verbs.generate import generate

        return generate(self, count=count, out=out, **options)

    def export(self, to: str, out: str | Path, **options: Any) -> dict[str, Any]:
        from convivo.verbs.export import export

        return export(self, to=to, out=out, **options)

    def verify(self) -> dict[str, Any]:
        from convivo.verbs.verify import verify

        return verify(self)

    def text(self) -> str:
        """The result in lines for people."""
        from convivo.verbs.measure import headline

        return f"{headline(self.evaluation)}\nreport: {self.path / 'report.html'}"

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def as_run(run: "Run | str | Path") -> Run:
    """A run, or the run in a folder."""
    return run if isinstance(run, Run) else Run(run)
