"""What several commands read from their options: boxes, points, and the choice of networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brushedit.errors import InvalidMask, InvalidOption, InvalidWeights
from brushedit.types import Box, Point
from models.catalog import Sampling

if TYPE_CHECKING:
    from app.bootstrap import AgentChoice

ProfileOption = Annotated[str, typer.Option(help="toybox, sd15 or sdxl.")]
WeightsOption = Annotated[
    list[Path] | None, typer.Option("--weights", help="A folder of weights in the published layout.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
DtypeOption = Annotated[str, typer.Option(help="auto, float32, float16, bfloat16.")]
InstructorOption = Annotated[
    str, typer.Option(help="MODEL@URL of an OpenAI-compatible server that plans; its key is OPENAI_API_KEY.")
]
StepsOption = Annotated[
    int | None, typer.Option(help="Denoising steps, 1..1000; as suits the weights if not given.")
]
GuidanceOption = Annotated[
    float | None, typer.Option(help="Classifier-free guidance scale, 0..50; likewise.")
]
SchedulerOption = Annotated[
    str | None, typer.Option(help="unipc, ddim, euler, euler a, dpm++ 2m karras, ...; likewise.")
]
TriesOption = Annotated[
    int | None,
    typer.Option(
        help="How often a step is painted at most, until the detector sees what was asked for; likewise."
    ),
]
BoxOption = Annotated[
    str, typer.Option("--box", help="X0,Y0,X1,Y1 in pixels: the target, or an added thing's place.")
]
PointOption = Annotated[
    list[str] | None, typer.Option("--point", help="X,Y on the target, or X,Y,- beside it; may be repeated.")
]
ServerOption = Annotated[
    str, typer.Option("--server", help="Address of a server that edits, such as http://127.0.0.1:8008.")
]
KeyOption = Annotated[
    str, typer.Option("--key-env", help="Environment variable that holds the server's API key.")
]


def require_own_networks(
    server: str, profile: str, weights: list[Path] | None, instructor: str, device: str, dtype: str
) -> None:
    """Raise `InvalidOption` where networks are chosen for a server, which has its own."""
    chosen = {
        "profile": profile != "toybox",
        "weights": bool(weights),
        "instructor": bool(instructor),
        "device": device != "auto",
        "dtype": dtype != "auto",
    }
    for name, is_chosen in chosen.items():
        if server and is_chosen:
            raise InvalidOption(f"a server chooses its own networks: leave --{name} out", param=name)


def read_choice(
    profile: str, weights: list[Path] | None, instructor: str, device: str, dtype: str
) -> "AgentChoice":
    """Return the choice of networks that these options name."""
    from app.bootstrap import AgentChoice
    from models.loading import Places
    from models.openai_vlm import Endpoint

    model, separator, address = instructor.rpartition("@")
    if instructor and not (separator and model and address.startswith(("http://", "https://"))):
        raise typer.BadParameter(
            "expected MODEL@URL, such as qwen@http://localhost:8000/v1", param_hint="instructor"
        )
    for folder in weights or ():
        if not folder.is_dir():
            raise InvalidWeights(f"there is no folder {folder}", param="weights")
    endpoint = Endpoint(base_url=address, model=model) if instructor else None
    return AgentChoice(profile, Places(tuple(weights or ())), endpoint=endpoint, device=device, dtype=dtype)


def read_sampling(
    usual: Sampling,
    steps: int | None,
    guidance: float | None,
    scheduler: str | None,
    tries: int | None = None,
) -> Sampling:
    """Return what these options name, and the usual where they name nothing."""
    return Sampling(
        usual.steps if steps is None else steps,
        usual.guidance if guidance is None else guidance,
        usual.scheduler if scheduler is None else scheduler,
        usual.tries if tries is None else tries,
    )


def one_of(name: str, value: str, known: tuple[str, ...]) -> Any:
    """Return one of the known words, or raise `InvalidOption`."""
    if value not in known:
        raise InvalidOption(f"{name} must be one of {', '.join(known)}, not {value!r}", param=name)
    return value


def unsaid(**options: object) -> tuple[str, ...]:
    """Return the names of options that were not given."""
    return tuple(name for name, value in options.items() if value is None)


def read_box(text: str) -> Box | None:
    """Return the box "X0,Y0,X1,Y1", or None where there is none."""
    if not text:
        return None
    try:
        x0, y0, x1, y1 = (int(part) for part in text.split(","))
    except ValueError:
        raise InvalidMask(f"a box is X0,Y0,X1,Y1 in whole pixels, not {text!r}", param="box") from None
    return Box(x0, y0, x1, y1)


def read_points(texts: list[str] | None) -> tuple[Point, ...]:
    """Return the points "X,Y" and "X,Y,-"."""
    return tuple(_point(text) for text in texts or ())


def _point(text: str) -> Point:
    x, _, rest = text.partition(",")
    y, _, sign = rest.partition(",")
    if sign not in ("", "+", "-"):
        raise InvalidMask(f"a point is X,Y or X,Y,-, not {text!r}", param="points")
    try:
        return Point(int(x), int(y), positive=sign != "-")
    except ValueError:
        raise InvalidMask(f"a point is X,Y or X,Y,- in whole pixels, not {text!r}", param="points") from None
