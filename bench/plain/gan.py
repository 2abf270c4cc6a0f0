"""PyTorch's DCGAN example on the training images of a run, judged as that run judges its own.

The example: 64 x 64 pixels, 64 features, a random vector of 100, batches of 64, normal weights of
0.02, binary cross-entropy, Adam with 2e-4 and 0.5. Its images are brought back to the run's grid
and measured by `convivo`: `fid` in that run's features, against its test part, as many of a kind.
Run: python bench/plain/gan.py runs/mnist_gan --seconds 600 --out mnist_gan_plain.json
"""

import numpy as np
import torch
from plain_parts import Task
from torch import nn
from torch.nn import functional as F

from convivo.data.store import build_store
from convivo.verbs.evaluate import own_data
from convivo.verbs.measure import measure
from convivo.verbs.run import as_run
from convivo.verbs.setup import build_preparation

SIDE, LATENT, WIDTH, BATCH, RATE = 64, 100, 64, 64, 2e-4


def generator(channels):
    layers, ins = [], LATENT
    for place, outs in enumerate((8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH)):
        sizes = (4, 1, 0) if place == 0 else (4, 2, 1)
        layers += [nn.ConvTranspose2d(ins, outs, *sizes, bias=False), nn.BatchNorm2d(outs)]
        layers += [nn.ReLU(True)]
        ins = outs
    return nn.Sequential(*layers, nn.ConvTranspose2d(ins, channels, 4, 2, 1, bias=False), nn.Tanh())


def discriminator(channels):
    layers = [nn.Conv2d(channels, WIDTH, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for ins in (WIDTH, 2 * WIDTH, 4 * WIDTH):
        layers += [nn.Conv2d(ins, 2 * ins, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * ins)]
        layers += [nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * WIDTH, 1, 4, 1, 0, bias=False), nn.Flatten(0))


def drawn_weights(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, float(isinstance(module, nn.BatchNorm2d)), 0.02)


class OnTheGrid(nn.Module):
    """What a measurement draws from: vectors (n, LATENT) -> images of the run's grid."""

    def __init__(self, network, grid):
        super().__init__()
        self.network, self.grid, self.latent = network, grid, LATENT

    def generator(self, vectors, labels=None):
        images = self.network(vectors[:, :, None, None])
        return F.interpolate(images, self.grid, mode="bilinear", antialias=True)


def trained(task, images):
    make, judge = generator(images.shape[1]), discriminator(images.shape[1])
    make.apply(drawn_weights), judge.apply(drawn_weights)
    makes, judges = (
        torch.optim.Adam(net.parameters(), RATE, betas=(0.5, 0.999)) for net in (make, judge)
    )
    loss = F.binary_cross_entropy_with_logits
    while task.share() < 1:
        for rows in torch.randperm(len(images)).split(BATCH):
            real = F.interpolate(images[rows], (SIDE, SIDE), mode="bilinear")
            fake, ones = make(torch.randn(len(rows), LATENT, 1, 1)), torch.ones(len(rows))
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
    images = torch.from_numpy(np.stack([np.asarray(one, np.float32) for one in store.images]))
    task.restart()
    network = OnTheGrid(trained(task, images).eval(), tuple(images.shape[2:]))
    found = measure(
        run.plan, network, inspection, task.test, units=task.units, unit="case", name="test",
        folder=run.folder,
    )  # fmt: skip
    task.tell({name: entry["value"] for name, entry in found.document["metrics"].items()}, [])


if __name__ == "__main__":
    main()
