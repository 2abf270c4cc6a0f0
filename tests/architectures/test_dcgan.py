"""DCGAN: both halves, their published layout, unequal axes, classes, and that they can learn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from convivo.architectures.create import create
from convivo.errors import ConfigError, ShapeError

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
SIZE = (16, 64, 32)
SETTINGS = {
    "default": {},
    "resize": {"upsampling": "resize", "output": "sigmoid"},
    "spectral": {"spectral_norm": True, "discriminator_norm": "none"},
    "penalty": {"norm": "instance", "discriminator_norm": "layer", "output": "linear"},
    "plain": {"norm": "none", "discriminator_norm": "none"},
    "classes": {"conditional": True, "num_classes": 3, "spectral_norm": True},
}


def small(dims, seed=0, size=SIZE, **settings):
    torch.manual_seed(seed)
    return create(
        "dcgan",
        spatial_dims=dims,
        in_channels=2,
        input_size=size[:dims],
        **{"width": 1 / 16, "latent": 6} | settings,
    )


def vectors(count=3):
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(1))


def labels(net):
    return (torch.tensor([0, 2, 1]),) if net.classes else ()


@DIMS
@pytest.mark.parametrize("kind", SETTINGS)
def test_shapes_and_gradients_of_both_halves(dims, kind):
    net = small(dims, **SETTINGS[kind])
    images = net(vectors(), *labels(net))
    assert images.shape == (3, 2, *SIZE[:dims])
    logits = net(images, *labels(net))
    assert logits.shape == (3, 1)
    logits.square().mean().backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@DIMS
def test_axes_are_halved_until_four_samples_are_left(dims):
    net, grids = small(dims, size=(64, 16, 32)), []
    for layer in net.discriminator.main:
        layer.register_forward_hook(lambda *call: grids.append(tuple(call[2].shape[2:])))
    net.discriminator(torch.ones(2, 2, *(64, 16, 32)[:dims]))
    last = 1
    steps = [(32, 8, 16), (16, 4, 8), (8, 4, 4), (4, 4, 4), (last, last, last)]
    assert list(dict.fromkeys(grids)) == [step[:dims] for step in steps]


def test_state_has_the_published_layout():
    """Generator 512 to 64, discriminator 64 to 512, kernels of 4, no norm at either end."""
    with torch.device("meta"):
        net = create("dcgan", in_channels=3, input_size=64)
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    convolutions = {key: shape for key, shape in shapes.items() if len(shape) == 4}
    up, down = [100, 512, 256, 128, 64, 3], [3, 64, 128, 256, 512, 1]
    generator = {f"generator.main.{3 * i}.weight": (up[i], up[i + 1], 4, 4) for i in range(5)}
    places = (0, 2, 5, 8, 11)
    discriminator = {
        f"discriminator.main.{k}.weight": (down[i + 1], down[i], 4, 4) for i, k in enumerate(places)
    }
    assert convolutions == generator | discriminator
    norms = {key.rpartition(".")[0] for key, shape in shapes.items() if len(shape) == 1}
    expected = {f"generator.main.{k}" for k in (1, 4, 7, 10)}
    expected |= {f"discriminator.main.{k}" for k in (3, 6, 9)}
    assert norms == expected
    assert len(shapes) == 10 + 7 * 5  # and of each norm: weight, bias, mean, variance, counter


def test_published_form_computes_what_its_weights_say():
    net = small(2, size=(16, 16)).eval().double()
    state = net.state_dict()
    for value in state.values():  # else what the activations do is lost in the tolerance
        value.mul_(10 if value.dim() > 2 else 1)

    def normalised(x, key):
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{key}.{name}"] for name in names))

    z = vectors().double()
    x = F.conv_transpose2d(z[:, :, None, None], state["generator.main.0.weight"])
    for i in (1, 4):
        x = normalised(x, f"generator.main.{i}").relu()
        weight = state[f"generator.main.{i + 2}.weight"]
        x = F.conv_transpose2d(x, weight, stride=2, padding=1)
    torch.testing.assert_close(net(z), x.tanh())
    assert x.std() > 0.01
    y = F.conv2d(x, state["discriminator.main.0.weight"], stride=2, padding=1)
    y = F.conv2d(F.leaky_relu(y, 0.2), state["discriminator.main.2.weight"], stride=2, padding=1)
    y = F.leaky_relu(normalised(y, "discriminator.main.3"), 0.2)
    y = F.conv2d(y, state["discriminator.main.5.weight"])
    torch.testing.assert_close(net(x), y.flatten(1))
    assert y.std() > 0.01


def test_starting_weights_are_those_of_the_paper():
    net = small(2, width=0.5, size=(64, 64))
    weights = torch.cat([p.flatten() for p in net.parameters() if p.dim() > 1])
    scales = torch.cat([v for k, v in net.named_parameters() if v.dim() == 1 and "weight" in k])
    assert weights.mean().abs() < 1e-3
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    assert scales.mean().item() == pytest.approx(1, abs=0.005)
    assert scales.std().item() == pytest.approx(0.02, rel=0.2)
    assert not any(p.any() for key, p in net.named_parameters() if key.endswith("bias"))


@pytest.mark.parametrize("kind", SETTINGS)
def test_same_seed_same_answer_also_from_a_file(kind, tmp_path):
    net, same, twin = (small(2, seed, **SETTINGS[kind]).eval() for seed in (0, 0, 1))

    def answers(net):
        return net(net(vectors(), *labels(net)), *labels(net))

    state = net.state_dict()
    assert torch.equal(answers(net), answers(same))
    assert not torch.equal(answers(net), answers(twin))
    assert len({t.data_ptr() for t in state.values()}) == len(state)
    save_file(state, tmp_path / "weights.safetensors")
    twin.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(answers(net), answers(twin))


def test_spectral_norm_bounds_every_layer_of_the_discriminator():
    net = small(2, **SETTINGS["classes"], width=0.25).eval()
    weights = [m.weight for m in net.discriminator.modules() if hasattr(m, "parametrizations")]
    assert len(weights) == 6  # five convolutions, and the classes
    for weight in weights:
        # from above by as much as the power iteration is short of the largest singular value
        assert 0.99 < torch.linalg.svdvals(weight.detach().flatten(1))[0] < 1.2


@pytest.mark.parametrize("kind", ["default", "spectral"])
@DIMS
def test_bf16_autocast_runs_forward_and_backward(dims, kind):
    net = small(dims, **SETTINGS[kind])
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(net(vectors())).float().square().mean()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_classes_change_both_answers():
    net = small(2, **SETTINGS["classes"]).eval()
    z, one, two = vectors(), torch.tensor([0, 0, 0]), torch.tensor([1, 1, 1])
    assert not torch.allclose(net(z, one), net(z, two))
    images = net(z, one)
    assert not torch.allclose(net(images, one), net(images, two))
    with pytest.raises(ConfigError, match=r"a conditional network takes labels.* Give labels"):
        net(z)
    with pytest.raises(ConfigError, match=r"got labels. Leave them out, or create it with cond"):
        small(2)(z, one)


def test_samples_follow_their_generator():
    net = small(1).eval()
    first, again, other = (net.sample(2, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert first.shape == (2, 2, 16)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    conditional = small(1, **SETTINGS["classes"])
    assert conditional.sample(2, labels=torch.tensor([0, 1])).shape == (2, 2, 16)


@pytest.mark.parametrize(
    ("size", "near"),
    [((28,), "32"), ((20, 16), "16, 16"), ((64, 7, 100), "64, 16, 128"), ((48, 96), "64, 128")],
)
def test_other_sizes_are_refused_with_the_nearest(size, near):
    match = rf"dcgan: every axis must be a power of two, 16 or more; .* Resample to \({near}"
    with pytest.raises(ShapeError, match=match):
        small(len(size), size=size)


def test_inputs_of_other_shapes_are_refused():
    net = small(2)
    with pytest.raises(
        ShapeError, match=r"latent vectors must have shape \(N, 6\); got .*\(3, 5\)"
    ):
        net(torch.ones(3, 5))
    with pytest.raises(ShapeError, match=r"created for inputs of size \(16, 64\); got \(64, 16\)"):
        net(torch.ones(3, 2, 64, 16))
    with pytest.raises(ShapeError, match=r"must have shape \(N, 2, S1, S2\)"):
        net(torch.ones(3, 1, 16, 64))


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"upsampling": "rezise"}, r"net\.upsampling: .* Did you mean 'resize'"),
        ({"output": "tan"}, r"net\.output: .* Did you mean 'tanh'"),
        ({"latent": 0}, r"net\.latent: a code needs at least one number; got 0"),
        ({"discriminator_norm": "bach"}, "Norm kind: .* Did you mean 'batch'"),
    ],
)
def test_wrong_options_are_named(settings, match):
    with pytest.raises(ConfigError, match=match):
        small(2, **settings)


def test_both_halves_learn_by_binary_cross_entropy():
    """The discriminator tells noise from smooth bumps; a step of each has finite losses."""
    net = small(1, width=0.25, size=(32,))
    halves = (net.discriminator, net.generator)
    optimizers = [torch.optim.Adam(h.parameters(), lr=0.002, betas=(0.5, 0.999)) for h in halves]
    places = torch.linspace(-1, 1, 32)

    def real():
        return torch.exp(-((places - torch.rand(16, 2, 1)) ** 2) / 0.1)

    def judged(images, label):
        logits = net(images)
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    losses = []
    for _ in range(20):
        loss = judged(real(), 1.0) + judged(torch.randn(16, 2, 32), 0.0)
        _step(optimizers[0], loss)
        losses.append(loss.item())
    assert losses[0] > 1
    assert losses[-1] < 0.2

    fake = net(vectors(16))
    against = judged(real(), 1.0) + judged(fake.detach(), 0.0)
    _step(optimizers[0], against)
    before = [p.clone() for p in net.generator.parameters()]
    fooling = judged(fake, 1.0)
    _step(optimizers[1], fooling)
    assert against.isfinite()
    assert fooling.isfinite()
    assert not any(map(torch.equal, before, net.generator.parameters()))


def _step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def test_gradient_penalty_has_a_gradient():
    net = small(2, discriminator_norm="layer")
    images = torch.randn(3, 2, *SIZE[:2], requires_grad=True)
    (slope,) = torch.autograd.grad(net(images).sum(), images, create_graph=True)
    (slope.flatten(1).norm(dim=1) - 1).square().mean().backward()
    gradient = net.discriminator.main[2].weight.grad
    assert gradient.isfinite().all()
    assert gradient.any()


def test_nothing_is_allocated_on_meta():
    with torch.device("meta"):
        net = small(3, spectral_norm=True)
        assert net(net(torch.empty(2, 6))).shape == (2, 1)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
@pytest.mark.parametrize(
    ("half", "dims", "kind"),
    [
        ("discriminator", 2, "spectral"),
        *(
            pytest.param(half, dims, kind, marks=pytest.mark.slow)
            for half, dims, kind in [
                ("discriminator", 1, "default"),
                ("discriminator", 2, "classes"),
                ("discriminator", 3, "penalty"),
                ("generator", 1, "default"),
                ("generator", 2, "classes"),
                ("generator", 3, "resize"),
            ]
        ),
    ],
)
def test_each_half_exported_gives_the_same_answers(half, dims, kind, openvino, tmp_path):
    whole = small(dims, **SETTINGS[kind]).eval()
    net: nn.Module = getattr(whole, half)
    inputs = (vectors(), *labels(whole))
    if half == "discriminator":
        inputs = (whole(*inputs).detach(), *labels(whole))
    expected = net(*inputs).detach()
    program = torch.export.export(net, inputs)
    torch.testing.assert_close(program.module()(*inputs), expected)
    path = tmp_path / "half.onnx"
    torch.onnx.export(program, dynamo=True, external_data=False, verbose=False).save(path)
    exactly = {"INFERENCE_PRECISION_HINT": "f32"}  # it would take bfloat16 where there is one
    arrays = [x.numpy() for x in inputs]
    answers = [_in_onnxruntime(path, arrays)]
    for source in (program, path):
        model = openvino.compile_model(openvino.convert_model(source), "CPU", exactly)
        answers.append(model(arrays)[0])
    tolerance = 1e-4 * expected.abs().max().item()
    for answer in answers:
        np.testing.assert_allclose(answer, expected.numpy(), rtol=0, atol=tolerance)


def _in_onnxruntime(path, arrays):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))[0]
