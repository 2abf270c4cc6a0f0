"""Generation: new images like those of the training part, by two networks against each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convivo.metrics.generation import frechet_distance, generation_metrics
from convivo.tasks.task import Line

SLOPES_EVERY = 8  # steps: those at real images cost another pass and its derivative


@dataclass(frozen=True, kw_only=True)
class Generate:
    """A generator that makes images of random vectors, a discriminator that tells them from real.

    Both have an optimizer of their own and take turns in every step (`training.adversarial`).

    Args:
        classes: names by index, where the data have classes.
        conditional: both networks are told the class.
        channels: of an image.
        loss: "nonsaturating" (the generator maximises the log probability that its images are
            real), "hinge", or "wgan-gp" (distance of the distributions, slopes held at 1).
        penalty: weight of the slopes' deviation, for "wgan-gp".
        r1: weight of the slopes at real images, for the other losses: what keeps a discriminator
            that could tell all images apart from leaving its generator without a gradient.
        every: the generator learns in every so many-th step, the discriminator in each.
        ema: share of the old weights in each update of the generator's running mean, which is what
            is kept, shown and measured. 0: the weights themselves.
    """

    classes: tuple[str, ...] = ()
    conditional: bool = False
    channels: int = 1
    loss: Literal["nonsaturating", "hinge", "wgan-gp"] = "nonsaturating"
    penalty: float = 10.0
    r1: float = 0.0
    every: int = 1
    ema: float = 0.99
    name: ClassVar[str] = "generate"
    output: ClassVar[str] = "samples"

    @property
    def outputs(self) -> int:
        """Channels the network must have."""
        return self.channels

    @property
    def score_name(self) -> str:
        """The metric that picks the best weights: the least distance to validation images."""
        return "fid"

    @property
    def columns(self) -> list[str]:
        """Head of a table: the training case that is most like an image, and how far it is."""
        return ["nearest_train", "distance"]

    def step(self, network: Any, images: Tensor, targets: Tensor) -> Tensor:
        """All losses of a DCGAN, for plans: at its peak a step holds less than this."""
        losses = self.judge(network, images, targets) + self.create(network, images, targets)
        return losses + self.slopes(network, images, targets) if self.r1 else losses

    def judge(self, network: Any, images: Tensor, targets: Tensor) -> Tensor:
        """The discriminator's loss: images (B, C, *S), targets (B,) classes.

        As many new images are held against them, which no gradient leads back from.
        """
        labels = self._labels(targets)
        with torch.no_grad():
            made = self._made(network, images, labels)
        real = network.discriminator(images, labels).float()
        fake = network.discriminator(made, labels).float()
        if self.loss == "hinge":
            return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        if self.loss == "wgan-gp":
            slopes = self._slopes(network.discriminator, images, made, labels)
            return fake.mean() - real.mean() + self.penalty * ((slopes - 1) ** 2).mean()
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def slopes(self, network: Any, images: Tensor, targets: Tensor) -> Tensor:
        """What every `SLOPES_EVERY`-th step adds to `judge`: `r1` halves of |slope|^2, for all.

        Source: Mescheder et al. 2018, arXiv:1801.04406 (R1); taken lazily as in Karras et al. 2020,
        arXiv:1912.04958.
        """
        slope = self._slope(network.discriminator, images, self._labels(targets))
        return SLOPES_EVERY * self.r1 / 2 * slope.square().sum(dim=1).mean()

    def create(self, network: Any, images: Tensor, targets: Tensor) -> Tensor:
        """The generator's loss, of as many new images as `images` has."""
        labels = self._labels(targets)
        judged = network.discriminator(self._made(network, images, labels), labels).float()
        return F.softplus(-judged).mean() if self.loss == "nonsaturating" else -judged.mean()

    def _labels(self, targets: Tensor) -> Tensor | None:
        return targets if self.conditional else None

    def _made(self, network: Any, images: Tensor, labels: Tensor | None) -> Tensor:
        z = torch.randn(len(images), network.latent, device=images.device)
        return network.generator(z, labels)

    def _slopes(
        self, discriminator: nn.Module, images: Tensor, made: Tensor, labels: Tensor | None
    ) -> Tensor:
        """(B,) length of the judgement's gradient between a real and a new image.

        Source: Gulrajani et al. 2017, arXiv:1704.00028.
        """
        share = torch.rand(len(images), *[1] * (images.dim() - 1), device=images.device)
        between = share * images + (1 - share) * made
        return self._slope(discriminator, between, labels).norm(dim=1)

    def _slope(self, discriminator: nn.Module, images: Tensor, labels: Tensor | None) -> Tensor:
        """(B, n) the judgement's gradient at images."""
        images = images.detach().requires_grad_(True)
        judged = discriminator(images, labels).float().sum()
        (slope,) = torch.autograd.grad(judged, images, create_graph=True)
        return slope.flatten(1)

    def decode(self, logits: Tensor) -> Tensor:
        """Images as they are."""
        return logits.float()

    def collect(self, found: np.ndarray, target: Any, **context: Any) -> dict[str, Any]:
        """Features of images; see `measure`."""
        return {"features": found, **context}

    def score(self, answers: list[dict[str, Any]]) -> float:
        """Minus the distance of `generated` features from `test` ones."""
        return -frechet_distance(answers[0]["generated"], answers[0]["test"])

    def measure(self, answers: list[dict[str, Any]], *, seed: int = 0) -> dict[str, Any]:
        """The contract's metrics of generated images, from one answer of features.

        It holds `generated`, `test`, `train` (n, F) and the `units` of the test items.
        """
        one = answers[0]
        return generation_metrics(
            one["generated"], one["test"], one["train"], one["units"], seed=seed
        )

    def row(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An image's nearest training case."""
        return {"nearest_train": answer["nearest"], "distance": answer["distance"]}

    def lines(self, answer: dict[str, Any]) -> Iterator[Line]:
        """One line an image."""
        yield "", answer.get("label", ""), [answer["nearest"], f"{answer['distance']:.6g}"]

    def cells(self, found: np.ndarray) -> list[object]:
        """Nothing is predicted."""
        return []

    def details(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """How many images were made."""
        return {"generated": len(answers)}
