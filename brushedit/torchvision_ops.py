"""torchvision beside a torch it was not built for: its Python parts work, two operators are given in Python.

The package index serves one torchvision wheel per platform, built for CUDA. Beside a CPU build of torch its compiled
library cannot load, and then not even ``import torchvision`` works, although nothing here needs more of it than
transforms and box arithmetic. `install` mends that for the process: when torchvision is first imported and its own
library does not load, the operators ``nms`` and ``qnms`` are declared and ``nms`` gets a kernel in Python. With a
matching pair of builds it does nothing. Image decoding, deformable convolution and PS-RoI operators stay missing.
"""

import ctypes
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any


def install() -> None:
    """Watch for the first import of torchvision; imports nothing itself. Calling it again changes nothing."""
    if "torchvision" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname != "torchvision":
            return None
        # The path finder is asked, not importlib.util: libraries look torchvision up, more than once, without
        # importing it, and each of those look-ups comes through here.
        spec = PathFinder.find_spec(fullname, path)
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads torchvision between declaring the operators it registers for and telling it that they exist."""

    def __init__(self, own: Loader) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__file__ is not None
        native = _library_loads(Path(module.__file__).parent)
        if not native:
            _declare_operators()
        self._own.exec_module(module)
        if not native:
            sys.modules["torchvision.extension"]._has_ops = lambda: True  # pyright: ignore[reportAttributeAccessIssue]


def _library_loads(package: Path) -> bool:
    importlib.import_module("torch")  # its libraries must be in the process before torchvision's is tried

    try:
        for library in package.glob("_C*"):
            ctypes.CDLL(str(library))
    except OSError:
        return False
    return True


# The declarations last as long as this object.
_operators: list[Any] = []


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CompositeExplicitAutograd")
    _operators.append(library)


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Greedy non-maximum suppression: boxes (N, 4) XYXY, scores (N,) -> indices kept, best first."""
    import torch

    order = scores.argsort(descending=True, stable=True)
    ordered = boxes[order]
    areas = (ordered[:, 2] - ordered[:, 0]) * (ordered[:, 3] - ordered[:, 1])
    alive = torch.ones(len(ordered), dtype=torch.bool, device=boxes.device)
    for i in range(len(ordered)):
        if not alive[i]:
            continue
        later = ordered[i + 1 :]
        width = (torch.minimum(ordered[i, 2], later[:, 2]) - torch.maximum(ordered[i, 0], later[:, 0])).clamp(
            min=0
        )
        height = (
            torch.minimum(ordered[i, 3], later[:, 3]) - torch.maximum(ordered[i, 1], later[:, 1])
        ).clamp(min=0)
        shared = width * height
        alive[i + 1 :] &= shared / (areas[i] + areas[i + 1 :] - shared) <= iou_threshold
    return order[alive]
