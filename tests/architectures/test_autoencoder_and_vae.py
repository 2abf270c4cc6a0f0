"""Autoencoders: any size restored, noise in training only, codes, and that they learn."""

import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from convivo.architectures.create import create
from convivo.architectures.vae import kl_divergence
from convivo.errors import ConfigError, ShapeError

SIZE = (9, 7, 11)
DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
BOTH = pytest.mark.parametrize("name", ["autoencoder", "vae"])


def small(name, dims, seed=0, size=SIZE, **settings):
    torch.manual_seed(seed)
    return create(
        name,
        spatial_dims=dims,
        in_channels=2,
        input_size=size[:dims],
        **{"channels": (8, 12), "latent": 5} | settings,
    )


def batch(dims, count=3, size=SIZE):
    return torch.randn(count, 2, *size[:dims], generator=torch.Generator().manual_seed(1))


@BOTH
@DIMS
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("downsampling", ["conv", "pool"])
@pytest.mark.parametrize("size", [SIZE, (16, 12, 8), (1, 6, 3)])
def test_any_size_comes_back(name, dims, upsampling, downsampling, size):
    if size[:dims] == (1,):
        size = (2,)
    net = small(name, dims, size=size, upsampling=upsampling, downsampling=downsampling)
    assert net(batch(dims, size=size)).shape == (3, 2, *size[:dims])


@DIMS
def test_codes_are_vectors_or_grids(dims):
    x = batch(dims)
    assert small("autoencoder", dims).encode(x).shape == (3, 5)
    grid = tuple(math.ceil(n / 4) for n in SIZE[:dims])
    spatial = small("autoencoder", dims, latent=0)
    code = spatial.encode(x)
    assert code.shape == (3, 12, *grid)
    assert spatial.decode(code).shape == x.shape
    mean, log_variance = small("vae", dims).encode(x)
    assert mean.shape == log_variance.shape == (3, 5)


@BOTH
@DIMS
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_every_parameter_gets_a_gradient(name, dims, norm):
    net = small(name, dims, norm=norm)
    net(batch(dims)).square().mean().backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@BOTH
@DIMS
def test_same_seed_same_answer_also_from_a_file(name, dims, tmp_path):
    net, same, twin = (small(name, dims, seed).eval() for seed in (0, 0, 1))
    x, state = batch(dims), net.state_dict()
    assert torch.equal(net(x), same(x))
    assert not torch.equal(net(x), twin(x))
    assert len({t.data_ptr() for t in state.values()}) == len(state)
    save_file(state, tmp_path / "weights.safetensors")
    twin.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(net(x), twin(x))


@BOTH
@DIMS
def test_bf16_autocast_stays_near_float32(name, dims):
    net = small(name, dims, norm="instance", size=(16, 12, 8)).eval()
    x = batch(dims, size=(16, 12, 8))
    with torch.autocast("cpu", torch.bfloat16):
        answer = net(x)
    answer.float().square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    exact = net(x)
    assert (answer.float() - exact).square().mean() < 0.01 * exact.square().mean()


def test_code_in_bf16_is_drawn_in_float32():
    net = small("vae", 1)
    mean = torch.zeros(2, 5, dtype=torch.bfloat16)
    assert net.draw(mean, mean).dtype == torch.float32
    assert kl_divergence(mean, mean).dtype == torch.float32


def test_sigmoid_stays_within_its_range():
    answer = small("autoencoder", 2, output="sigmoid")(100 * batch(2))
    assert answer.min() >= 0
    assert 0.9 < answer.max() <= 1


@pytest.mark.parametrize("kind", ["gaussian", "masking"])
def test_noise_comes_in_training_only_and_from_the_global_generator(kind):
    net = small("autoencoder", 2, noise=0.3, noise_kind=kind, norm="none")
    clean = small("autoencoder", 2, norm="none")
    x = batch(2)

    def answer(seed):
        torch.manual_seed(seed)
        return net(x)

    assert torch.equal(answer(1), answer(1))
    assert not torch.equal(answer(1), answer(2))
    assert not torch.equal(answer(1), clean(x))
    assert torch.equal(net.eval()(x), clean(x))


def test_noise_has_the_strength_it_was_given():
    seen = []
    for kind in ("gaussian", "masking"):
        net = small("autoencoder", 2, noise=0.3, noise_kind=kind, size=(64, 64))
        net.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        net(torch.ones(4, 2, 64, 64))
    gaussian, masked = seen
    assert gaussian.std().item() == pytest.approx(0.3, rel=0.03)
    assert gaussian.mean().item() == pytest.approx(1, abs=0.01)
    assert (masked == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert set(masked.unique().tolist()) == {0.0, 1.0}


def phantoms():
    """Four discs of different places, sizes and brightness."""
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(12.0), indexing="ij")
    discs = [(4, 4, 3, 1.0), (10, 6, 4, 0.7), (8, 3, 2, 0.9), (12, 9, 3, 0.5)]
    images = [v * ((rows - r) ** 2 + (columns - c) ** 2 < s * s) for r, c, s, v in discs]
    return torch.stack(images).unsqueeze(1)


@pytest.mark.parametrize("settings", [{}, {"latent": 0}, {"upsampling": "resize"}])
def test_autoencoder_overfits_four_phantoms(settings):
    torch.manual_seed(0)
    x = phantoms()
    net = create("autoencoder", input_size=(16, 12), channels=(8, 16), **settings)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(250):
        loss = (net(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < min(losses[0], x.var()) / 10


def test_denoising_is_learnt_from_clean_targets():
    torch.manual_seed(0)
    x = phantoms()
    net = create("autoencoder", input_size=(16, 12), channels=(8, 16), noise=0.3)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        (net(x) - x).square().mean().backward()
        optimizer.step()
    noisy = x + 0.3 * torch.randn_like(x)
    assert (net.eval()(noisy) - x).square().mean() < 0.5 * (noisy - x).square().mean()


def test_divergence_is_that_of_torch_distributions():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(4, 6, dtype=torch.float64), torch.randn(4, 6).double()
    code = Normal(mean, (0.5 * log_variance).exp())
    standard = Normal(torch.zeros(4, 6).double(), torch.ones(4, 6).double())
    torch.testing.assert_close(kl_divergence(mean, log_variance), torch_kl(code, standard).sum(1))


def test_code_is_drawn_from_its_distribution_in_training_and_is_the_mean_in_evaluation():
    net = small("vae", 1)
    mean, log_variance = torch.full((20_000, 5), 2.0), torch.full((20_000, 5), math.log(9))
    drawn = net.draw(mean, log_variance)
    assert drawn.mean().item() == pytest.approx(2, abs=0.05)
    assert drawn.std().item() == pytest.approx(3, rel=0.02)
    x = batch(1)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net.decode(net.encode(x)[0]))


def test_samples_follow_their_generator():
    net = small("vae", 3).eval()
    first, again, other = (net.sample(2, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert first.shape == (2, 2, *SIZE)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(0)
    assert net.sample(1).isfinite().all()


def test_evidence_lower_bound_rises():
    """Bernoulli pixels: the bound in nats per image, log likelihood minus divergence."""
    torch.manual_seed(0)
    x = phantoms()
    net = create("vae", input_size=(16, 12), channels=(8, 16), latent=4, output="sigmoid")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    bounds = []
    for _ in range(80):
        mean, log_variance = net.encode(x)
        answer = net.decode(net.draw(mean, log_variance)).clamp(1e-6, 1 - 1e-6)
        likelihood = (x * answer.log() + (1 - x) * (1 - answer).log()).flatten(1).sum(1)
        bound = (likelihood - kl_divergence(mean, log_variance)).mean()
        optimizer.zero_grad()
        (-bound).backward()
        optimizer.step()
        bounds.append(bound.item())
    assert bounds[-1] > bounds[0] / 2  # both negative
    assert bounds[-1] > max(bounds[:5])


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"channels": ()}, r"net\.channels: one positive number per level"),
        ({"channels": (8, 0)}, r"net\.channels: one positive number per level.* got \(8, 0\)"),
        ({"latent": -1}, r"net\.latent: a code needs at least one number; got -1"),
        ({"noise": -0.1}, r"net\.noise: a share in .* got -0.1 \(gaussian\)"),
        ({"noise": 1.0, "noise_kind": "masking"}, r"net\.noise: a share in \[0, 1\)"),
        ({"noise_kind": "mask"}, r"net\.noise_kind: .* Did you mean 'masking'"),
        ({"downsampling": "pol"}, r"net\.downsampling: .* Did you mean 'pool'"),
        ({"upsampling": "resise"}, r"net\.upsampling: .* Did you mean 'resize'"),
        ({"output": "sigmoyd"}, r"net\.output: .* Did you mean 'sigmoid'"),
    ],
)
def test_wrong_options_are_named(settings, match):
    with pytest.raises(ConfigError, match=match):
        small("autoencoder", 2, **settings)


def test_code_of_a_vae_needs_numbers():
    with pytest.raises(ConfigError, match=r"net\.latent: a code needs at least one number; got 0"):
        small("vae", 2, latent=0)


@BOTH
def test_other_sizes_are_refused(name):
    with pytest.raises(ShapeError, match=rf"{name}: created for inputs of size \(9, 7\); got \(9,"):
        small(name, 2)(torch.ones(2, 2, 9, 9))
    with pytest.raises(ShapeError, match=r"must have shape \(N, 2, S1, S2\)"):
        small(name, 2)(torch.ones(2, 3, 9, 7))


@BOTH
def test_nothing_is_allocated_on_meta(name):
    with torch.device("meta"):
        net = small(name, 3)
        assert net(torch.empty(2, 2, *SIZE)).shape == (2, 2, *SIZE)
