"""`brushedit batch`: many pictures, each by its own sentence or all by one; run again, it does what is left."""

import hashlib
import json
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.options import (
    DeviceOption,
    DtypeOption,
    GuidanceOption,
    InstructorOption,
    KeyOption,
    ProfileOption,
    SchedulerOption,
    ServerOption,
    StepsOption,
    TriesOption,
    WeightsOption,
    read_choice,
    read_sampling,
    require_own_networks,
    unsaid,
)
from brushedit.errors import Canceled, EditError, InvalidOption

if TYPE_CHECKING:
    from app.commands.manifest import Item
    from app.commands.results import Results
    from app.commands.tasks import Hand, Task
    from brushedit.events import Event
    from brushedit.options import PaintOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Terms:
    """What holds for every item of a batch; `networks` names those of this process, and is "" for a server's.

    `unsaid` is that of `Task`.
    """

    folder: Path
    options: "PaintOptions"
    recipe: bool
    networks: str
    unsaid: tuple[str, ...]


def batch(
    source: Annotated[
        Path, typer.Argument(help="A folder of pictures, or a manifest: .jsonl, or .csv with a header.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the results.")],
    instruction: Annotated[
        str, typer.Option(help="For every picture without one (manifest, or NAME.txt beside it).")
    ] = "",
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    scheduler: SchedulerOption = None,
    tries: TriesOption = None,
    negative: Annotated[str, typer.Option(help="What must not appear.")] = "",
    strength: Annotated[float, typer.Option(help="Below 1: start from the noised original.")] = 1.0,
    seed: Annotated[
        int | None, typer.Option(help="One for all; otherwise made of picture and instruction.")
    ] = None,
    samples: Annotated[int, typer.Option(help="How many of each; seeds count up.")] = 1,
    file_format: Annotated[
        str, typer.Option("--format", help="png, jpeg or webp; otherwise each picture's own.")
    ] = "",
    profile: ProfileOption = "toybox",
    weights: WeightsOption = None,
    instructor: InstructorOption = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    metadata: Annotated[bool, typer.Option(help="--no-metadata leaves the recipe out of PNGs.")] = True,
    server: ServerOption = "",
    key_env: KeyOption = "BRUSHEDIT_KEY",
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Edits a server has in hand at once.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Edit many pictures; what was done before is skipped, what failed is tried again; exit 1 if some failed."""
    from app.commands.manifest import read_items
    from app.commands.results import NAME, Results
    from app.pictures.writing import format_named
    from brushedit.options import PaintOptions
    from models.catalog import find_profile

    require_own_networks(server, profile, weights, instructor, device, dtype)
    sampling = read_sampling(find_profile(profile).sampling, steps, guidance, scheduler, tries)
    own = "" if server else " ".join([profile, *map(str, weights or ()), instructor])
    terms = Terms(
        folder=output,
        options=PaintOptions(
            **asdict(sampling),
            negative=negative,
            strength=strength,
            seed=seed or 0,
            samples=samples,
        ),
        recipe=metadata,
        networks=own,
        unsaid=unsaid(steps=steps, guidance=guidance, scheduler=scheduler, tries=tries),
    )
    suffix = f".{format_named(file_format).lower()}" if file_format else ""
    items = [
        replace(item, seed=seed) if item.seed is None else item
        for item in read_items(source, instruction, suffix)
    ]
    _require_apart(items, output)
    with Results(output) as results:
        keyed = [(item, _key(item, terms)) for item in items]
        left = [(item, key) for item, key in keyed if not results.finished(key)]
        told: list[dict[str, Any]] = []
        if left:
            opened: AbstractContextManager[Hand] = (
                _there(server, key_env)
                if server
                else nullcontext(_here(profile, weights, instructor, device, dtype))
            )
            with opened as hand:
                told = _carry_out(hand, left, terms, results, jobs if server else 1)
    failed = [line for line in told if line["status"] == "failed"]
    summary = {
        "succeeded": len(told) - len(failed),
        "skipped": len(items) - len(left),
        "failed": len(failed),
        "results": str(output / NAME),
    }
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        typer.echo(
            "{succeeded} done, {skipped} done before, {failed} failed; see {results}".format_map(summary)
        )
    if failed:
        raise typer.Exit(1)


def _there(server: str, key_env: str) -> "AbstractContextManager[Hand]":
    from app.commands.remote import Server, key_from

    return Server(server, key_from(key_env))


def _here(profile: str, weights: list[Path] | None, instructor: str, device: str, dtype: str) -> "Hand":
    from app.bootstrap import load_editor
    from app.commands.tasks import Here

    return Here(load_editor(read_choice(profile, weights, instructor, device, dtype)), profile)


def _require_apart(items: "Sequence[Item]", folder: Path) -> None:
    """Refuse to write a result over one of the pictures."""
    pictures = {path.resolve() for item in items for path in (item.image, item.mask) if path}
    for item in items:
        if (folder / item.output).resolve() in pictures:
            raise InvalidOption(
                f"{folder / item.output} is one of the pictures: name another output folder", param="output"
            )


def _key(item: "Item", terms: Terms) -> str:
    """Return a digest of everything that is asked about an item; a file that cannot be read is told of later."""
    files = [_digest(path) for path in (item.image, item.mask) if path]
    asked = [str(item.output), item.instruction, item.seed, terms.networks, terms.recipe]
    parts = [*files, *asked, asdict(terms.options)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _carry_out(
    hand: "Hand", left: "Sequence[tuple[Item, str]]", terms: Terms, results: "Results", jobs: int
) -> list[dict[str, Any]]:
    """Carry out the items under a progress bar on stderr; return their lines."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    stop = threading.Event()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    told: list[dict[str, Any]] = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=len(left))

        def one(item: "Item", key: str) -> None:
            if stop.is_set():
                return
            progress.update(bar, description=str(item.output))
            try:
                line = _line(hand, item, key, terms, results.failures(key), stop)
            except Canceled:
                return
            results.add(line)
            told.append(line)
            if line["error"]:
                progress.console.print(
                    f"{item.output}: {line['error']['code']}: {line['error']['message']}", markup=False
                )
            progress.advance(bar)

        with ThreadPoolExecutor(jobs) as pool:
            try:
                for done in [pool.submit(one, item, key) for item, key in left]:
                    done.result()
            except BaseException:
                # Interrupted, or a disk that is full: what is in hand stops at its next step.
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
    return told


def _line(
    hand: "Hand", item: "Item", key: str, terms: Terms, failures: int, stop: threading.Event
) -> dict[str, Any]:
    """Carry out one item and return its line; whatever goes wrong with it ends this item alone."""
    from app.commands.tasks import write_made
    from app.generators import run
    from app.problems import error_body
    from app.refusals import Ended, RepeatMismatch

    def tell(_event: "Event") -> None:
        if stop.is_set():
            raise Canceled("interrupted")

    line: dict[str, Any] = {"item": str(item.output), "key": key}
    try:
        output = terms.folder / item.output
        output.parent.mkdir(parents=True, exist_ok=True)
        task = _task(item, terms, output, f"{key[:48]}-{failures}")
        written = write_made(run(hand.edit(task), tell), output)
    except Canceled:
        raise
    except EditError as error:
        fault = error_body(error.code, error.message, error.param)["error"]
        # Asked for under the same key, an edit that ended so would end so again; any other may be finished by then.
        ended = isinstance(error, Ended) or error.code == RepeatMismatch.code
        return {**line, "status": "failed", "ended": ended, "outputs": [], "error": fault}
    except Exception as error:
        # A night's work outlives any one picture: what a network or a codec throws ends this item alone.
        logger.exception("%s failed", item.output)
        fault = error_body("internal_error", f"{type(error).__name__}: {error}")["error"]
        return {**line, "status": "failed", "ended": False, "outputs": [], "error": fault}
    outputs = [str(Path(one["output"]).relative_to(terms.folder)) for one in written["results"]]
    return {**line, "status": "succeeded", "outputs": outputs, "error": None, **written}


def _task(item: "Item", terms: Terms, output: Path, key: str) -> "Task":
    from app.commands.tasks import Task, result_format
    from app.pictures import check_writable, read, read_bytes, read_mask
    from brushedit.types import EditRequest

    picture = read(item.image)
    check_writable(output, picture)
    seed = int(key[:7], 16) if item.seed is None else item.seed
    return Task(
        data=read_bytes(item.image),
        picture=picture,
        request=EditRequest(
            picture.pixels,
            item.instruction,
            mask=read_mask(item.mask, picture.pixels.shape[:2]) if item.mask else None,
            options=replace(terms.options, seed=seed),
        ),
        format=result_format(output, picture),
        recipe=terms.recipe,
        key=key,
        unsaid=terms.unsaid,
    )
