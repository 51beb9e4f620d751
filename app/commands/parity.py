"""`brushedit parity`: the published implementation's numbers, recomputed."""

import json
from pathlib import Path
from typing import Annotated

import typer


def parity(
    folder: Annotated[Path, typer.Argument(help="A folder of recorded numbers, or of such folders.")],
) -> None:
    """Recompute recorded numbers and print a JSON line per tensor group; exit 1 beyond tolerance."""
    from app.pictures import read, read_mask
    from brushedit.diffusion.parity import compare
    from brushedit.errors import InvalidWeights

    inner = sorted(path.parent for path in folder.glob("*/forward.safetensors"))
    folders = [folder] if not inner or any(folder.glob("brushnet_*_keys.json")) else []
    ok = True
    if not folder.is_dir():
        raise InvalidWeights(f"{folder} is no folder")
    for one in [*folders, *inner]:
        for result in compare(
            one, lambda path: read(path).pixels, lambda path, h, w: read_mask(path, (h, w), polarity="white")
        ):
            ok &= result.ok
            line = {
                "folder": one.name,
                "group": result.group,
                "max_abs": result.max_abs,
                "max_rel": result.max_rel,
                "tolerance": result.tolerance,
                "ok": result.ok,
            }
            typer.echo(json.dumps(line | ({"note": result.note} if result.note else {})))
    if not ok:
        raise typer.Exit(1)
