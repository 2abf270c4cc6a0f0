"""PyTorch's DCGAN example on the training images of a run, judged as that run judges its own.

The example: 64 x 64 pixels, 64 features, a random vector of 100, batches of 64, normal weights of
0.02, binary cross-entropy, Adam with 2e-4 and 0.5. Its images are brought back to the run's grid
and measured by `convivo`: `fid` in that run's features, against its test part, as many of a kind.
Of signals and volumes it has the same layers along one axis and along three.
Run: python bench/plain/gan.py runs/mnist_gan --seconds 600 --out mnist_gan_plain.json
"""

import torch
from plain_parts import Task
from torch import nn
from torch.nn import functional as F

from convivo.data.store import build_store
from convivo.verbs.evaluate import own_data
from convivo.verbs.imitation import seen_images
from convivo.verbs.measure import measure
from convivo.verbs.run import as_run
from convivo.verbs.setup import build_preparation

SIDE, LATENT, WIDTH, BATCH, RATE = 64, 100, 64, 64, 2e-4
MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def layer(name, dims, *sizes, **settings):
    return getattr(nn, f"{name}{dims}d")(*sizes, **settings)


def generator(dims, channels):
    layers, ins = [], LATENT
    for place, outs in enumerate((8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH)):
        sizes = (4, 1, 0) if place == 0 else (4, 2, 1)
        layers += [layer("ConvTranspose", dims, ins, outs, *sizes, bias=False)]
        layers += [layer("BatchNorm", dims, outs), nn.ReLU(True)]
        ins = outs
    last = layer("ConvTranspose", dims, ins, channels, 4, 2, 1, bias=False)
    return nn.Sequential(*layers, last, nn.Tanh())


def discriminator(dims, channels):
    layers = [layer("Conv", dims, channels, WIDTH, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for ins in (WIDTH, 2 * WIDTH, 4 * WIDTH):
        layers += [layer("Conv", dims, ins, 2 * ins, 4, 2, 1, bias=False)]
        layers += [layer("BatchNorm", dims, 2 * ins), nn.LeakyReLU(0.2, True)]
    last = layer("Conv", dims, 8 * WIDTH, 1, 4, 1, 0, bias=False)
    return nn.Sequential(*layers, last, nn.Flatten(0))


def drawn_weights(module):
    name = type(module).__name__
    if name.startswith(("Conv", "BatchNorm")):
        nn.init.normal_(module.weight, float(name.startswith("BatchNorm")), 0.02)


class OnTheGrid(nn.Module):
    """What a measurement draws from: vectors (n, LATENT) -> images of the run's grid."""

    def __init__(self, network, grid):
        super().__init__()
        self.network, self.grid, self.latent = network, grid, LATENT

    def generator(self, vectors, labels=None):
        dims = len(self.grid)
        images = self.network(vectors.reshape(len(vectors), LATENT, *[1] * dims))
        return F.interpolate(
            images, self.grid, mode=MODES[dims], antialias=MODES[dims] == "bilinear"
        )


def trained(task, images):
    dims, channels = images.dim() - 2, images.shape[1]
    make, judge = generator(dims, channels), discriminator(dims, channels)
    make.apply(drawn_weights), judge.apply(drawn_weights)
    makes, judges = (torch.optim.Adam(n.parameters(), RATE, (0.5, 0.999)) for n in (make, judge))
    loss = F.binary_cross_entropy_with_logits
    while task.share() < 1:
        for rows in torch.randperm(len(images)).split(BATCH):
            real = F.interpolate(images[rows], (SIDE,) * dims, mode=MODES[dims])
            fake, ones = make(torch.randn(len(rows), LATENT, *[1] * dims)), torch.ones(len(rows))
            judges.zero_grad()
            (loss(judge(real), ones) + loss(judge(fake.detach()), 0 * ones)).backward()
            judges.step()
            makes.zero_grad()
            loss(judge(fake), ones).backward()
            makes.step()
            if task.share() >= 1:
                break
    return make


def main():
    task = Task(__doc__)
    torch.manual_seed(task.args.seed)
    run = as_run(task.args.run)
    inspection, preparation = own_data(run), build_preparation(run.plan)
    cases = {case.id: case for case in inspection.cases}
    store = build_store(lambda name: inspection.load(cases[name]), task.train, preparation)
    images = torch.from_numpy(seen_images(run.plan, store))
    task.restart()
    network = OnTheGrid(trained(task, images).eval(), tuple(images.shape[2:]))
    found = measure(
        run.plan, network, inspection, task.test, units=task.units, unit="case", name="test",
        folder=run.folder,
    )  # fmt: skip
    task.tell({name: entry["value"] for name, entry in found.document["metrics"].items()}, [])


if __name__ == "__main__":
    main()
