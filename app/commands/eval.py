"""`brushedit eval`: quality, on the toy world, on scripted instructions, and on BrushBench."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.commands.options import (
    DeviceOption,
    DtypeOption,
    GuidanceOption,
    InstructorOption,
    ProfileOption,
    SchedulerOption,
    StepsOption,
    TriesOption,
    WeightsOption,
    read_choice,
    read_sampling,
)
from brushedit.errors import InvalidOption, OutputNotWritable

if TYPE_CHECKING:
    from agents.plan_scoring import Outcome
    from brushedit.evaluation.inpainting import Measured
    from brushedit.types import Image
    from models.toybox.scores import Scored

T = TypeVar("T")

cli = typer.Typer(
    help="Measure quality: tables on stdout, JSON and pictures in a folder.", no_args_is_help=True
)

FolderOption = Annotated[Path, typer.Option("-o", "--output", help="Folder for JSON and pictures.")]


@cli.command()
def toybox(
    count: Annotated[int, typer.Option("--n", min=1, help="How many fresh scenes and instructions.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the scenes, the instructions and the painting.")] = 0,
    output: FolderOption = Path("eval-toybox"),
    side: Annotated[int, typer.Option(min=32, help="Height of the pictures in pixels.")] = 128,
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    scheduler: SchedulerOption = None,
    tries: TriesOption = None,
    split: Annotated[str, typer.Option(help="Words of the instructions: held_out or train.")] = "held_out",
    stages: Annotated[
        bool, typer.Option(help="Run again with the true plan, and with true plan and masks, given.")
    ] = True,
    profile: ProfileOption = "toybox",
    weights: WeightsOption = None,
    instructor: InstructorOption = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Run the whole agent on fresh toy scenes and score it against the true pictures, stage by stage."""
    import numpy as np

    from app.bootstrap import load_editor, load_sight
    from brushedit.options import PaintOptions
    from models.catalog import find_profile
    from models.toybox.instructions import sample_dialogue
    from models.toybox.scorecard import contact_sheet, to_json, to_text
    from models.toybox.scores import Given
    from models.toybox.scoring import score

    if split not in ("held_out", "train"):
        raise InvalidOption(f"split must be held_out or train, not {split!r}", param="split")
    sampling = read_sampling(find_profile(profile).sampling, steps, guidance, scheduler, tries)
    options = PaintOptions(**asdict(sampling))
    _make(output)
    rng = np.random.default_rng(seed)
    examples = [sample_dialogue(rng, split) for _ in range(count)]
    choice = read_choice(profile, weights, instructor, device, dtype)
    editor, sight = load_editor(choice), load_sight(choice)
    runs: dict[Given, list[Scored]] = {}
    for given in Given if stages else (Given.NOTHING,):
        asked = [example for example in examples if given is Given.NOTHING or example.plan is not None]
        runs[given] = [
            score(
                example,
                editor.edit,
                side=side,
                options=replace(options, seed=seed + number),
                given=given,
                detecting=sight,
            )
            for number, example in enumerate(_progress(asked, f"given {given}"))
        ]
    scores = {given: [one.score for one in scored] for given, scored in runs.items()}
    typer.echo(to_text(scores))
    told = {
        "command": {
            "n": count,
            "seed": seed,
            "side": side,
            **asdict(sampling),
            "split": split,
        },
        "profile": find_profile(profile).name,
        **to_json(scores),
    }
    _write(output / "toybox.json", json.dumps(told, indent=1).encode())
    _write_picture(output / "toybox.png", contact_sheet(runs[Given.NOTHING]))
    typer.echo(f"\n{output / 'toybox.json'}, {output / 'toybox.png'} (the worst first)")


@cli.command()
def network(
    name: Annotated[str, typer.Argument(help="instructor, detector, segmenter, painters or vae.")],
    count: Annotated[
        int, typer.Option("--n", min=1, help="How many fresh instructions, pictures, or edits of each task.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    output: FolderOption = Path("eval-network"),
    profile: ProfileOption = "toybox",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Measure one of the toybox's networks alone, on what it never saw: the figures of its model card."""
    from app.commands import eval_network
    from brushedit.evaluation.report import markdown_table

    _make(output)
    rows, sheet = eval_network.measure(name, read_choice(profile, weights, "", device, dtype), seed, count)
    names = list(dict.fromkeys(column for row in rows for column in row))
    typer.echo(markdown_table(names, [[row.get(column, "") for column in names] for row in rows]))
    _writing(output, lambda: eval_network.write(output, name, rows, sheet))
    typer.echo(f"\n{output / name}.json, {output / name}.png")


@cli.command()
def ablation(
    out: Annotated[Path, typer.Argument(help="Where `brushedit train ablation` put what it trained.")],
    count: Annotated[int, typer.Option("--n", min=1, help="How many fresh additions, and removals.")] = 96,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    output: FolderOption = Path("eval-ablation"),
    device: DeviceOption = "auto",
) -> None:
    """Compare ways to show a masked picture to the same base model, the paper's ablation in small."""
    from brushedit.evaluation.report import markdown_table
    from models.placement import choose_device
    from models.toybox.ablation_scores import measure, ways
    from models.toybox.train_brushnet import open_painters

    _make(output)
    found = ways(out, open_painters(out, choose_device(device)))
    told = {name: measure(way, seed, count) for name, way in _progress(found.items(), "painting")}
    columns = list(next(iter(told.values())))
    typer.echo(markdown_table(["way", *columns], [[name, *row.values()] for name, row in told.items()]))
    _write(output / "ablation.json", json.dumps({"n": count, "seed": seed, "ways": told}, indent=1).encode())


@cli.command()
def plans(
    script: Annotated[Path, typer.Argument(help="JSON lines of instructions and what is expected.")] = Path(
        "tests/data/plans.jsonl"
    ),
    output: FolderOption = Path("eval-plans"),
    tag: Annotated[list[str] | None, typer.Option(help="Only cases with this tag; may be repeated.")] = None,
    profile: ProfileOption = "toybox",
    weights: WeightsOption = None,
    instructor: InstructorOption = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Put scripted instructions to the configured instructor and score kind, target, which and where."""
    import numpy as np

    from agents.plan_scoring import ask, read_cases
    from app.bootstrap import load_planner

    try:
        cases = read_cases(script)
    except OSError as error:
        raise InvalidOption(f"{script} cannot be read: {error.strerror}", param="script") from error
    except ValueError as error:
        raise InvalidOption(f"{script} is no script of instructions: {error}", param="script") from error
    cases = tuple(case for case in cases if set(tag or ()) <= set(case.tags))
    if not cases:
        raise InvalidOption(f"{script} has no case with these tags", param="tag")
    _make(output)
    planner = load_planner(read_choice(profile, weights, instructor, device, dtype))
    # The script's expectations follow from the words alone: what is in the picture plays no part.
    picture = np.full((128, 128, 3), 127, dtype=np.uint8)
    outcomes = [ask(planner.plan, case, picture) for case in _progress(cases, "planning")]
    typer.echo(_plan_table(outcomes))
    wrong = [one for one in outcomes if not one.right]
    for one in wrong[:20]:
        typer.echo(f"wrong: {one.case.instruction!r}: {_answer(one)}")
    told = [
        {
            "instruction": one.case.instruction,
            "tags": one.case.tags,
            "answer": _answer(one),
            "kind": one.kind,
            "target": one.target,
            "which": one.which,
            "where": one.where,
        }
        for one in outcomes
    ]
    _write(output / "plans.json", json.dumps(told, indent=1, ensure_ascii=False).encode())


@cli.command()
def brushbench(
    folder: Annotated[Path, typer.Argument(help="BrushBench: the folder of mapping_file.json.")],
    output: FolderOption = Path("eval-brushbench"),
    hole: Annotated[str, typer.Option(help="inside (the object) or outside (all the rest).")] = "inside",
    finish: Annotated[
        str, typer.Option(help="contract, raw, published or published-blended (JPEG, as published).")
    ] = "contract",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many pictures.")] = None,
    metric_weights: Annotated[
        Path | None, typer.Option(help="Folder of the weights of CLIP, HPS, ImageReward and aesthetic score.")
    ] = None,
    profile: ProfileOption = "sd15",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Repaint BrushBench by the published protocol (50 UniPC steps, guidance 7.5, seed 1234); resumable."""
    from app.bootstrap import load_painter
    from brushedit.evaluation import benchmarks, inpainting, networks, published, report
    from models.placement import choose_device

    if hole not in ("inside", "outside"):
        raise InvalidOption(f"hole must be inside or outside, not {hole!r}", param="hole")
    items = benchmarks.read_brushbench(folder, hole)[:limit]
    conductor = load_painter(read_choice(profile, weights, "", device, dtype))
    metrics, reasons = networks.open_metrics(metric_weights, str(choose_device(device)))
    done: list[Measured] = []
    for one in inpainting.run(items, conductor, output, finish=finish, networks=metrics):
        done.append(one)
        typer.echo(f"{len(done)}/{len(items)} {one.item.key} {one.error or 'measured'}", err=True)
    groups = {"all": done} | {
        group: [one for one in done if one.item.group == group]
        for group in sorted({one.item.group for one in done})
    }
    ours = {
        f"{name} ({sum(not one.error for one in some)})": report.means([one.scores for one in some])
        for name, some in groups.items()
    }
    typer.echo(report.comparison(ours, published.published(f"brushbench {hole}"), published.SCALE))
    for name, reason in reasons.items():
        typer.echo(f"not measured: {reason}" if name in reason else f"not measured: {name}: {reason}")
    failed = [one for one in done if one.error]
    for one in failed[:20]:
        typer.echo(f"failed: {one.item.key}: {one.error}")
    told = {
        "hole": hole,
        "finish": finish,
        "profile": profile,
        "means": ours,
        "not_measured": reasons,
        "items": [
            {"key": one.item.key, "group": one.item.group, "scores": one.scores, "error": one.error}
            for one in done
        ],
    }
    _write(output / "brushbench.json", json.dumps(report.finite(told), indent=1).encode())


def _plan_table(outcomes: "Sequence[Outcome]") -> str:
    from agents.plan_scoring import summarize
    from brushedit.evaluation.report import markdown_table

    tags = sorted({tag for one in outcomes for tag in one.case.tags})
    groups = {"all": list(outcomes)} | {
        tag: [one for one in outcomes if tag in one.case.tags] for tag in tags
    }
    rows: list[Sequence[object]] = []
    for name, some in groups.items():
        score = summarize(some)
        rows.append([name, score.cases, score.kind, score.target, score.which, score.where, score.right])
    return markdown_table(["instructions", "n", "kind", "target", "which", "where", "all right"], rows)


def _answer(outcome: "Outcome") -> str:
    if outcome.plan is None:
        return f"declined: {outcome.failure}"
    return "; ".join(f"{s.kind} {s.which} [{s.where}] {s.target}" for s in outcome.plan.steps)


def _progress(items: Iterable[T], title: str) -> Iterator[T]:
    """Yield the items under a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    yield from track(list(items), title, console=Console(stderr=True), transient=True)


def _make(folder: Path) -> None:
    _writing(folder, lambda: folder.mkdir(parents=True, exist_ok=True))


def _write(path: Path, data: bytes) -> None:
    _writing(path, lambda: path.write_bytes(data))


def _write_picture(path: Path, picture: "Image") -> None:
    import cv2
    import numpy as np

    _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    _write(path, data.tobytes())


def _writing(path: Path, act: Callable[[], Any]) -> None:
    try:
        act()
    except OSError as error:
        raise OutputNotWritable(f"{path} cannot be written: {error.strerror}", param="output") from error
