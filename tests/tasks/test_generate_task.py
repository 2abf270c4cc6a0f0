import pytest
import torch
from torch.nn import functional as F

from convivo.architectures.create import create
from convivo.tasks.generate import SLOPES_EVERY, Generate

LOSSES = ("nonsaturating", "hinge", "wgan-gp")


def network(dims: int = 2, **options):
    torch.manual_seed(0)
    return create(
        "dcgan", spatial_dims=dims, in_channels=1, num_classes=3, input_size=16, width=0.05,
        latent=6, discriminator_norm="layer", **options,
    ).train()  # fmt: skip


def real(dims: int = 2) -> torch.Tensor:
    return torch.randn(4, 1, *[16] * dims, generator=torch.Generator().manual_seed(1))


def test_losses_are_the_published_ones() -> None:
    net, images = network(), real()
    labels = torch.zeros(4, dtype=torch.int64)
    torch.manual_seed(3)
    z = torch.randn(4, 6)
    made = net.generator(z).detach()
    a, b = net.discriminator(images), net.discriminator(made)
    wanted = {
        "nonsaturating": -(F.logsigmoid(a).mean() + F.logsigmoid(-b).mean()),
        "hinge": (1 - a).clamp(min=0).mean() + (1 + b).clamp(min=0).mean(),
        "wgan-gp": b.mean() - a.mean(),
    }
    for loss in LOSSES:
        torch.manual_seed(3)
        found = Generate(loss=loss, penalty=0.0).judge(net, images, labels)
        torch.testing.assert_close(found, wanted[loss])
        torch.manual_seed(3)
        own = Generate(loss=loss).create(net, images, labels)
        expected = -F.logsigmoid(b).mean() if loss == "nonsaturating" else -b.mean()
        torch.testing.assert_close(own, expected)


class Linear(torch.nn.Module):
    def forward(self, x: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        return 3.0 * x.flatten(1)[:, :1]


def test_slopes_at_real_images_are_weighed_for_the_steps_between() -> None:
    net, images = network(), real()
    net.discriminator = Linear()
    labels = torch.zeros(4, dtype=torch.int64)
    found = Generate(r1=2.0).slopes(net, images, labels)
    assert found.item() == pytest.approx(SLOPES_EVERY * 2 / 2 * 3**2)


def test_plans_know_of_the_slopes() -> None:
    net, images, labels = network(), real(), torch.zeros(4, dtype=torch.int64)
    torch.manual_seed(3)
    without = Generate().step(net, images, labels)
    torch.manual_seed(3)
    task = Generate(r1=0.5)
    more = task.step(net, images, labels) - without
    torch.testing.assert_close(more, task.slopes(net, images, labels))
    assert more.item() > 0


def test_gradient_penalty_holds_slopes_at_one() -> None:
    net, images = network(), real()
    net.discriminator = Linear()
    labels = torch.zeros(4, dtype=torch.int64)
    torch.manual_seed(3)
    without = Generate(loss="wgan-gp", penalty=0.0).judge(net, images, labels)
    torch.manual_seed(3)
    with_it = Generate(loss="wgan-gp", penalty=2.0).judge(net, images, labels)
    assert float(with_it - without) == pytest.approx(2 * (3 - 1) ** 2, rel=1e-4)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_one_learns_from_judging_the_other_from_being_judged(dims: int, loss: str) -> None:
    net, images = network(dims), real(dims)
    labels = torch.zeros(4, dtype=torch.int64)
    Generate(loss=loss).judge(net, images, labels).backward()
    assert all(p.grad is None for p in net.generator.parameters())
    assert all(p.grad is not None for p in net.discriminator.parameters())
    net.zero_grad(set_to_none=True)
    Generate(loss=loss).create(net, images, labels).backward()
    assert all(p.grad is not None and p.grad.any() for p in net.generator.parameters())


def test_conditional_networks_are_told_the_class() -> None:
    net, images = network(conditional=True), real()
    task = Generate(classes=("a", "b", "c"), conditional=True)
    found = []
    for labels in (torch.tensor([0, 1, 2, 0]), torch.tensor([2, 2, 2, 2])):
        torch.manual_seed(3)
        found.append(task.judge(net, images, labels).item())
    assert found[0] != found[1]
