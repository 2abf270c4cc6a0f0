"""Convolutional networks for biomedical signals, images and volumes.

Light to import: each name below loads its part of the package, torch with it, when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from convivo.errors import (
    ConfigError,
    ConvivoError,
    DataError,
    Interrupted,
    PlanError,
    ReadError,
    ShapeError,
    UsageError,
)

if TYPE_CHECKING:
    from convivo import layers
    from convivo.architectures.create import create
    from convivo.verbs.compare import compare
    from convivo.verbs.evaluate import evaluate
    from convivo.verbs.export import export
    from convivo.verbs.generate import generate
    from convivo.verbs.inspect import inspect
    from convivo.verbs.load import load
    from convivo.verbs.nets import networks
    from convivo.verbs.plan import plan
    from convivo.verbs.predict import predict
    from convivo.verbs.train import train
    from convivo.verbs.verify import verify

__version__ = "0.1.0"

_HOMES = {
    "compare": "verbs.compare",
    "create": "architectures.create",
    "evaluate": "verbs.evaluate",
    "export": "verbs.export",
    "generate": "verbs.generate",
    "inspect": "verbs.inspect",
    "load": "verbs.load",
    "networks": "verbs.nets",
    "plan": "verbs.plan",
    "predict": "verbs.predict",
    "train": "verbs.train",
    "verify": "verbs.verify",
}

__all__ = [
    "ConfigError",
    "ConvivoError",
    "DataError",
    "Interrupted",
    "PlanError",
    "ReadError",
    "ShapeError",
    "UsageError",
    "__version__",
    "compare",
    "create",
    "evaluate",
    "export",
    "generate",
    "inspect",
    "layers",
    "load",
    "networks",
    "plan",
    "predict",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "layers":
        return import_module("convivo.layers")
    if name not in _HOMES:
        raise AttributeError(f"module 'convivo' has no attribute {name!r}")
    function = getattr(import_module(f"convivo.{_HOMES[name]}"), name)
    globals()[name] = function  # the next look-up is a plain one
    return function


def __dir__() -> list[str]:
    return sorted(__all__)
