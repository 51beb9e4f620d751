"""An edit as the command line sees it: what is asked, who carries it out, what came of it."""

import json
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np

from agents.plan_schema import plan_to_json
from app import __version__
from app.pictures import Picture, encode, encode_mask, replace_file
from app.pictures.writing import format_named
from brushedit.events import Event, Finished
from brushedit.types import BlendReport, EditRequest, EditResult, Mask


@dataclass(frozen=True)
class Task:
    """An edit that is asked for.

    Attributes
    ----------
    data : bytes
        The picture's file.
    picture : Picture
        The same, decoded.
    request : EditRequest
        With its seed.
    format : str
        "png", "jpeg" or "webp": of the result's file.
    recipe : bool
        Whether a PNG holds how it was made.
    key : str
        Two tasks of one key are one edit, also on a server that is asked twice.
    unsaid : tuple of str
        Options that nobody named: a server takes those that suit its own networks.
    """

    data: bytes
    picture: Picture
    request: EditRequest
    format: str
    recipe: bool
    key: str
    unsaid: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One painted picture: its file, the seed that makes it alone, and what was measured."""

    file: bytes
    seed: int
    report: BlendReport


@dataclass(frozen=True)
class Made:
    """What came of a task; `masks` has one per step of the plan."""

    samples: tuple[Sample, ...]
    plan: Mapping[str, Any]
    masks: tuple[Mask, ...]
    timings: Mapping[str, float]
    peak_memory: int | None


class Hand(Protocol):
    """Who carries out edits: the networks of this process, or a server."""

    def edit(self, task: Task) -> Generator[Event, None, Made]:
        """Yield what happens, and return what came of it; raise `EditError` where it cannot be done."""
        ...


class Agent(Protocol):
    """What edits in this process; `agents.editor.Editor` is one."""

    def edit(self, request: EditRequest) -> Generator[Event]:
        """Yield what happens; the last event is `Finished`."""
        ...


@final
class Here:
    """Edits with the networks of this process.

    Parameters
    ----------
    agent : Agent
    profile : str
        Its name, for the recipe.
    """

    def __init__(self, agent: Agent, profile: str) -> None:
        self._agent = agent
        self._profile = profile

    def edit(self, task: Task) -> Generator[Event, None, Made]:
        """Carry out a task."""
        for event in self._agent.edit(task.request):
            yield event
            if isinstance(event, Finished):
                return self._made(task, event.result)
        raise AssertionError("an edit ends with its result")

    def _made(self, task: Task, result: EditResult) -> Made:
        plan = json.loads(plan_to_json(result.plan))
        samples: list[Sample] = []
        for pixels, seed, report in zip(result.images, result.seeds, result.reports, strict=True):
            recipe = {
                "version": __version__,
                "instruction": task.request.instruction,
                "plan": plan,
                "seed": seed,
                "weights": self._profile,
                "options": asdict(task.request.options) | {"seed": seed, "samples": 1},
            }
            file = encode(pixels, task.picture, format=task.format, recipe=recipe if task.recipe else None)
            samples.append(Sample(file, seed, report))
        masks = tuple(region.mask for region in result.regions)
        return Made(tuple(samples), plan, masks, dict(result.timings), result.peak_memory)


def result_format(output: Path, picture: Picture) -> str:
    """Return the format of a result: the one its suffix names, or (without a suffix) that of its picture."""
    return (format_named(output.suffix) if output.suffix else picture.source.format).lower()


def write_made(made: Made, output: Path) -> dict[str, Any]:
    """Write the pictures and return what is told of them; several get their seeds into their names."""
    results: list[dict[str, Any]] = []
    for sample in made.samples:
        path = output if len(made.samples) == 1 else output.with_stem(f"{output.stem}-{sample.seed}")
        replace_file(path, sample.file)
        results.append({"output": str(path), "seed": sample.seed, **asdict(sample.report)})
    return {
        "results": results,
        "plan": made.plan,
        "timings": dict(made.timings),
        "peak_memory": made.peak_memory,
    }


def write_region(made: Made, path: Path) -> None:
    """Write the union of all steps' masks as a PNG, white = could change."""
    replace_file(path, encode_mask(np.logical_or.reduce(made.masks)))
