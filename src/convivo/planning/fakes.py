"""Tensors that have a shape, a device and a place on the autograd tape, but no bytes.

The only file that imports torch's private `FakeTensorMode`. Torch derives what an operation makes
of such tensors in Python, which for a deep network takes seconds; what has been asked before is
therefore answered from memory, and what is known beforehand by `shortcuts`.
"""

from collections.abc import Callable, Sequence
from functools import cache
from types import NoneType
from typing import Any

import torch
from torch import Tensor

from convivo.planning.shadow import tensors
from convivo.planning.uncompiled import PlainMode, recall

try:
    from torch._functorch import config
    from torch._subclasses import fake_tensor
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    UNTRACEABLE: tuple[type[Exception], ...] = (
        fake_tensor.DataDependentOutputException,
        fake_tensor.DynamicOutputShapeException,
        fake_tensor.UnsupportedOperatorException,
        fake_tensor.UnsupportedFakeTensorException,
    )
    LOG = fake_tensor.__name__
    _aside, _guard = torch._C._DisableTorchDispatch, torch._C._PreserveDispatchKeyGuard
except (ImportError, AttributeError):  # moved in a torch that we do not know
    FakeTensorMode, UNTRACEABLE, LOG = None, (), ""

TORCH = "torch >=2.11,<2.14"
META = torch.device("meta")
PLAIN = (int, float, bool, str, NoneType, torch.dtype, torch.device, torch.layout)
PLAIN_SET = frozenset((*PLAIN, torch.memory_format))


class _Mode(FakeTensorMode or object):  # pyrefly: ignore[invalid-inheritance]
    """Made ready when it is first entered: torch imports its compiler for it, for a second."""

    def __init__(self) -> None:
        self.ready = False
        self._allow_unsafe_data_ptr_access = config.fake_tensor_allow_unsafe_data_ptr_access
        self.allow_meta = False

    def __enter__(self) -> Any:
        if not self.ready:
            self.ready = True
            recall()
            super().__init__(allow_non_fake_inputs=True)
        return super().__enter__()


def is_fake(value: Any) -> bool:
    """Whether it is a tensor without bytes."""
    return type(value) is FakeTensor


def view(func: Callable[..., Tensor], args: tuple) -> Tensor:
    """A view or copy of the first argument, a fake tensor, without torch's detour for such."""
    first, traits = args[0], args[0].__dict__
    with _aside():
        bare = traits.get("bare")
        if bare is None or bare.shape != first.shape or bare.stride() != first.stride():
            bare = torch.empty(0, dtype=first.dtype, device=META)
            place = first.storage_offset()
            bare.set_(first.untyped_storage(), place, first.shape, first.stride())
            traits["bare"] = bare
        return _faked(func(bare, *args[1:]), traits)


def _faked(bare: Tensor, traits: dict[str, Any]) -> Tensor:
    """As the constructor of FakeTensor does, but for its questions; `traits` of another one."""
    device = traits["_fake_device"]
    fake = Tensor._make_subclass(
        FakeTensor, bare, False, dispatch_device=True, device_for_backend_keys=device
    )
    torch._C._set_throw_on_mutable_data_ptr(fake)
    fake.__dict__.update(traits)
    fake.__dict__["bare"] = bare
    return fake


class Fakes:
    """Makes fake tensors of one device, and says what operations make of them."""

    def __init__(self, device: str) -> None:
        self.device, self.mode = torch.device(device), _Mode()
        self._known: dict[tuple, tuple] = {}
        with _aside():
            first = FakeTensor(self.mode, torch.empty(0, device=META), self.device)
        self.device = first.fake_device
        self._traits = dict(first.__dict__)

    def blank(
        self, shape: Sequence[int], dtype: torch.dtype, stride: Sequence[int] | None = None
    ) -> Tensor:
        """A new tensor, in the usual order of axes without `stride`."""
        with _aside():
            if stride is None:
                return self._faked(torch.empty(shape, dtype=dtype, device=META))
            return self._faked(torch.empty_strided(shape, stride, dtype=dtype, device=META))

    def call(self, func: Callable[..., Tensor], args: tuple) -> Any:
        """A view or copy of the first argument; NotImplemented if that is a real tensor."""
        first = args[0]
        ours = is_fake(first) and first.__dict__["_fake_device"] == self.device
        return view(func, args) if ours else NotImplemented

    def _faked(self, bare: Tensor) -> Tensor:
        return _faked(bare, self._traits)

    def run(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """What any operation makes of these arguments."""
        if _returns_nothing(func):
            return None
        if func.namespace == "profiler":  # notes that the optimizer begins and ends
            with _aside():
                return func(*args, **kwargs)
        given: list[Tensor] = []
        key = self._key(func, args, kwargs, given)
        if key is not None and (made := self._known.get(key)) is not None:
            return self._again(made, given)
        with self.mode:
            out = func(*args, **kwargs)
        if key is not None and self._key(func, args, kwargs, []) == key:
            recipe = self._recipe(out, given)
            if recipe is not None and not _entangled(out):
                self._known[key] = recipe
        return out

    def _key(self, func: Any, args: tuple, kwargs: dict, given: list[Tensor]) -> tuple | None:
        """All that the form of the results depends on; None where it may depend on more."""
        if "out" in kwargs:
            return None
        parts: list[object] = [func]
        known = all(self._describe(arg, parts, given) for arg in args)
        for name, arg in kwargs.items():
            parts.append(name)
            known = known and self._describe(arg, parts, given)
        return tuple(parts) if known else None

    def _describe(self, arg: Any, parts: list[object], given: list[Tensor]) -> bool:
        kind = type(arg)
        parts.append(kind)
        if kind is FakeTensor:
            traits = arg.__dict__
            if traits["constant"] is not None or traits["_fake_device"] != self.device:
                return False
            given.append(arg)
            parts += (arg.shape, arg.stride(), arg.dtype)
            return arg.layout is torch.strided
        if kind in PLAIN_SET:
            parts.append(arg)
            return True
        if kind in (list, tuple):
            parts.append(len(arg))
            return all(self._describe(item, parts, given) for item in arg)
        return False

    def _recipe(self, out: Any, given: list[Tensor]) -> tuple | None:
        """How to make such results again: from nothing, or by handing an argument back."""
        if isinstance(out, list | tuple) and type(out) in (list, tuple):
            parts = [self._recipe(item, given) for item in out]
            return None if None in parts else (type(out), parts)
        if out is None:
            return (None,)
        if type(out) is not FakeTensor or out.layout is not torch.strided:
            return None
        for place, tensor in enumerate(given):
            if tensor is out:
                return (place,)
        new = out.untyped_storage()
        if out.constant is not None or out.fake_device != self.device or out.storage_offset():
            return None
        if any(t.untyped_storage()._cdata == new._cdata for t in given):
            return None
        with _aside():
            twin = torch.empty_strided(out.shape, out.stride(), dtype=out.dtype, device=META)
        if twin.untyped_storage().nbytes() != new.nbytes():
            return None
        return Tensor, out.shape, out.dtype, out.stride()

    def _again(self, recipe: tuple, given: list[Tensor]) -> Any:
        kind = recipe[0]
        if kind is Tensor:
            return self.blank(*recipe[1:])
        if kind is None:
            return None
        if type(kind) is int:
            return given[kind]
        return kind(self._again(part, given) for part in recipe[1])


@cache
def _returns_nothing(func: Any) -> bool:
    """All that such an operation does is write over what it is given."""
    return func.namespace == "aten" and not func._schema.returns


def _entangled(out: Any) -> bool:
    """Whether two of several results share a storage."""
    storages = [t.untyped_storage()._cdata for t in tensors(out)]
    return len(set(storages)) < len(storages)


class Unseen(PlainMode):
    """Runs operations on fake tensors, watched by nobody."""

    def __init__(self, fakes: Fakes) -> None:
        super().__init__()
        self.fakes = fakes

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func is torch.ops.aten.detach.default:
            return self.fakes.call(func, args)
        return self.fakes.run(func, args, kwargs or {})
