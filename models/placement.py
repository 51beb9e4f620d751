"""Where networks live: device, precision, and which of them wait in main memory while another one runs."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, final

import torch
from torch import nn

from brushedit.errors import InvalidOption

_HEADROOM: Final = 0.2
"""Share of the device's memory kept for activations when deciding whether a network still fits."""


def choose_device(wish: str = "auto") -> torch.device:
    """Return the device for a wish such as "auto", "cpu", "cuda" or "cuda:1".

    Raises
    ------
    InvalidOption
        This machine has no such device.
    """
    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wish)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidOption(f"there is no device {wish!r} here: {reason}", param="device") from error
    return device


def choose_dtype(device: torch.device, wish: str = "auto") -> torch.dtype:
    """Return the precision for a wish: "auto", "float32", "float16" or "bfloat16".

    "auto" is float32 on a CPU, where half precision is slower, and else half precision.
    """
    known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if wish in known:
        return known[wish]
    if wish != "auto":
        raise InvalidOption(f"precision must be auto, {', '.join(known)}, not {wish!r}", param="dtype")
    if device.type == "cpu":
        return torch.float32
    if device.type != "cuda":
        return torch.float16
    with torch.cuda.device(device):
        # Cards before Ampere can hold bfloat16 and compute it by emulation, slower than float32.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16


@final
class Placement:
    """Brings networks to the device when they are used, and sends others away only when memory is short.

    Parameters
    ----------
    device : torch.device
    capacity : int or None
        Bytes the networks may take on the device together; None = what is free now, less a share for
        activations, and no limit on a CPU, where there is nowhere to go.
    """

    def __init__(self, device: torch.device, capacity: int | None = None) -> None:
        self.device = device
        self._capacity = _free_memory(device) if capacity is None else capacity
        # Least recently used first.
        self._resident: dict[int, nn.Module] = {}
        self._pinned: set[int] = set()

    def pin(self, network: nn.Module) -> None:
        """Leave a network where it was loaded; a quantised one cannot be moved."""
        self._pinned.add(id(network))

    @contextmanager
    def on_device(self, network: nn.Module) -> Generator[None]:
        """Have a network on the device; where it does not fit beside the others, the longest unused leave."""
        if id(network) in self._pinned:
            yield
            return
        self._resident.pop(id(network), None)
        if self._capacity is not None:
            need = size_of(network)
            while self._resident and need + sum(map(size_of, self._resident.values())) > self._capacity:
                self._resident.pop(next(iter(self._resident))).to("cpu")
        network.to(self.device)
        self._resident[id(network)] = network
        yield

    def make_room(self, need: int) -> None:
        """Send networks away, the longest unused first, until the device has `need` bytes free."""
        while (
            self.device.type == "cuda" and self._resident and torch.cuda.mem_get_info(self.device)[0] < need
        ):
            self._resident.pop(next(iter(self._resident))).to("cpu")
            torch.cuda.empty_cache()

    @property
    def resident(self) -> tuple[nn.Module, ...]:
        """The networks on the device, the longest unused first."""
        return tuple(self._resident.values())

    def read_peak(self) -> int:
        """Return the device's peak memory in bytes since the last call; 0 where the device keeps no count."""
        if self.device.type != "cuda":
            return 0
        peak = torch.cuda.max_memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        return peak


def size_of(network: nn.Module) -> int:
    """Return the bytes of a network's parameters and buffers."""
    tensors = [*network.parameters(), *network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _free_memory(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free * (1 - _HEADROOM))
