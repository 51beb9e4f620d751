"""The record of a batch: one line for each time an item ended, so that a second run knows what is left."""

import fcntl
import json
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

from brushedit.errors import InvalidOption, OutputNotWritable

NAME: Final = "results.jsonl"


@final
class Results:
    """``results.jsonl`` in a batch's folder; one process at a time holds it.

    Each line has `item`, `key` (what exactly was asked), `status` ("succeeded" or "failed"), `outputs`, `error` and
    whatever was measured; one that failed has `ended`, which is false where a server's edit may have gone on. A line
    that a crash cut short does not count. A picture belongs to the last line that has it among its outputs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._outputs: dict[str, list[str]] = {}
        self._owners: dict[str, str] = {}
        self._failures: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Read what is there, and keep other processes out."""
        path = self._folder / NAME
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise OutputNotWritable(f"{path} cannot be written: {error.strerror}", param="output") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise InvalidOption(f"another run works on {self._folder}", param="output") from None
        self._file.seek(0)
        text = self._file.read()
        for line in map(_parsed, text.split("\n")):
            if line is not None:
                self._count(line)
        if text and not text.endswith("\n"):
            self._file.write("\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others in."""
        self._file.close()

    def finished(self, key: str) -> bool:
        """Tell whether exactly this was done and its pictures are still there, not overwritten by another's."""
        outputs = self._outputs.get(key)
        return outputs is not None and all(
            self._owners[output] == key and (self._folder / output).is_file() for output in outputs
        )

    def failures(self, key: str) -> int:
        """Return how many edits of exactly this have ended without a picture."""
        return self._failures[key]

    def add(self, line: Mapping[str, Any]) -> None:
        """Write a line; it is there once this returns, also if the process is killed then."""
        with self._lock:
            self._count(line)
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()

    def _count(self, line: Mapping[str, Any]) -> None:
        if line["status"] == "succeeded":
            self._outputs[line["key"]] = line["outputs"]
            self._owners |= dict.fromkeys(line["outputs"], line["key"])
        elif line.get("ended", True):
            self._failures[line["key"]] += 1


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    known = isinstance(line, dict) and {"key", "status", "outputs"} <= line.keys()
    return line if known else None
