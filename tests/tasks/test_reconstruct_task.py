import numpy as np
import pytest
import torch
from torch import nn

from convivo.architectures.create import create
from convivo.tasks.reconstruct import Reconstruct


class Halved(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


def test_loss_is_the_error_against_the_clean_input() -> None:
    images = torch.tensor([[[2.0, -4.0]]])
    none = torch.zeros(1)
    assert float(Reconstruct().step(Halved(), images, none)) == pytest.approx(2.5)
    assert float(Reconstruct(loss="l1").step(Halved(), images, none)) == pytest.approx(1.5)
    torch.manual_seed(0)
    net = create("autoencoder", spatial_dims=1, input_size=16, width=0.1, noise=5.0)
    clean = torch.randn(4, 1, 16)
    net.train()
    torch.manual_seed(1)
    noisy = net(clean)
    torch.manual_seed(1)
    loss = Reconstruct().step(net, clean, none)
    torch.testing.assert_close(loss, ((noisy - clean) ** 2).mean())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_variational_loss_is_the_bound_a_value(dims: int) -> None:
    torch.manual_seed(0)
    net = create("vae", spatial_dims=dims, input_size=8, width=0.1, latent=5).train()
    images = torch.randn(3, 1, *[8] * dims)
    nn.init.normal_(net.log_variance.weight, std=0.1)
    for beta in (0.0, 1.0, 4.0):
        torch.manual_seed(2)
        loss = Reconstruct(beta=beta).step(net, images, torch.zeros(3))
        torch.manual_seed(2)
        mean, log_variance = net.encode(images)
        variance = log_variance.exp()
        z = mean + variance.sqrt() * torch.randn_like(mean)
        likelihood = -0.5 * ((net.decode(z) - images) ** 2).flatten(1).sum(1)
        divergence = 0.5 * (mean**2 + variance - 1 - log_variance).sum(1)
        bound = (likelihood - beta * divergence).mean() / 8**dims
        torch.testing.assert_close(loss, -bound)


def test_errors_are_told_in_stored_units() -> None:
    task = Reconstruct(channels=2, scale=(0.5, 0.25), data_range=1.0)
    image = np.zeros((1, 2, 8, 8), np.float32)
    found = np.ones((1, 2, 8, 8), np.float32)
    full = task.collect(found, None, image=image, id="a", unit="a")
    assert full["mse"] == pytest.approx([(0.25 + 0.0625) / 2])
    assert full["targets"].tolist() == [-1]
    quick = task.collect(found, None, image=image, quick=True, id="a", unit="a")
    assert quick["mse"] == pytest.approx(full["mse"])
    assert task.score([quick]) == pytest.approx(-full["mse"][0])


def test_a_record_without_items_says_nothing() -> None:
    task, none = Reconstruct(classes=("n", "v"), normal=0), np.zeros((0, 2, 30), np.float32)
    for quick in (True, False):
        answer = task.collect(none, np.zeros(0), image=none, quick=quick, id="a", unit="a")
        assert answer["mse"].shape == (0,)
    assert task.row(answer) == {"mse": None, "psnr": None, "ssim": None, "items": 0, "score": None}
    assert list(task.lines(answer)) == []
    other = np.ones((1, 2, 30), np.float32)
    full = task.collect(other, np.zeros(1), image=0 * other, quick=True, id="b", unit="b")
    assert task.score([answer, full]) == -1.0


def test_anomalies_are_what_is_rebuilt_badly() -> None:
    task = Reconstruct(classes=("well", "ill"), normal=0, only_normal=True)
    rng = np.random.default_rng(0)
    answers = []
    for number in range(8):
        target, image = number % 2, rng.normal(size=(1, 1, 9)).astype(np.float32)
        found = image + 0.1 * (1 + 5 * target)
        answers.append(task.collect(found, target, image=image, id=str(number), unit=str(number)))
    metrics = task.measure(answers)
    assert metrics["auroc"]["value"] == 1.0
    assert {"mse", "psnr", "ssim"} < set(metrics)
    assert task.details(answers)["score_name"] == "auroc"
    assert [len(v) for v in task.details(answers)["anomaly"].values()] == [4, 4]
    assert list(task.lines(answers[1])) == [("", "ill", ["0.36"])]
    assert "auroc" not in Reconstruct(classes=("a", "b")).measure(answers)
