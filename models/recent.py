"""What was computed for the last few pictures, so that a second turn on one of them costs no encoder pass."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar, final

from brushedit.types import Image

Value = TypeVar("Value")


def picture_key(image: Image) -> str:
    """Return a name for a picture's content, equal for equal pictures alone."""
    height, width = image.shape[:2]
    return f"{height}x{width}:{hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()}"


@final
class Recent(Generic[Value]):
    """The `capacity` values asked for last, by key."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[str, Value] = OrderedDict()

    def get(self, key: str, compute: Callable[[], Value]) -> Value:
        """Return the value of a key, computed only where it is not known."""
        if key not in self._values:
            self._values[key] = compute()
            if len(self._values) > self._capacity:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]
