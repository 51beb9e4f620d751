"""`brushedit demo`: pictures and sentences to the running service by plain HTTP; before and after are kept."""

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from brushedit.errors import EditError

if TYPE_CHECKING:
    import httpx

    from brushedit.types import Image
    from models.toybox.showcase import Talk

_READY_SECONDS: Final = 300.0
_EDIT_SECONDS: Final = 600
_STOP_SECONDS: Final = 30.0
_DATED: Final = re.compile(r"\d{4}-\d\d-\d\d |\{")
"""How a line of the service's log begins, as text and as JSON."""


class DemoFailed(EditError):
    """The service did not start, or did not do what it was asked for."""

    code = "demo_failed"


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")],
    server: Annotated[
        str, typer.Option(help="Address of a running server; without it one is started, and stopped again.")
    ] = "",
    key: Annotated[str | None, typer.Option(help="A key of that server, where it wants one.")] = None,
) -> None:
    """Have the service edit pictures of the toy world, each change asked for by a sentence."""
    folder.mkdir(parents=True, exist_ok=True)
    if server:
        _show(folder, server, key, lambda: None)
        return
    data = _fresh(folder)
    with _serving(data) as (address, require_alive):
        _show(folder, address, None, require_alive)
    command = Path(sys.executable).with_name("brushedit")
    typer.echo(f"Go on with `{os.path.relpath(command)} serve --data {data}` and open http://127.0.0.1:8008")


def _show(folder: Path, server: str, key: str | None, require_alive: Callable[[], None]) -> None:
    """Have all talks with a server, and keep their pictures and the sheet of all turns."""
    import httpx

    from app.pictures import Picture, write
    from models.toybox.showcase import TALKS, turn_sheet

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    turns: list[tuple[str, Image, Image]] = []
    try:
        with httpx.Client(
            base_url=server, headers=headers, timeout=_EDIT_SECONDS + 30, trust_env=False
        ) as client:
            _wait_ready(client, require_alive)
            for talk in TALKS:
                turns += _hold(talk, client, folder)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DemoFailed(f"{server} does not answer: {error}") from error
    sheet = turn_sheet(turns)
    write(folder / "sheet.png", sheet, Picture(sheet))
    typer.echo(f"All of them side by side: {folder / 'sheet.png'}")


def _wait_ready(client: "httpx.Client", require_alive: Callable[[], None]) -> None:
    import httpx

    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        require_alive()
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.ConnectError:
            pass
        time.sleep(0.2)
    raise DemoFailed(f"{client.base_url} did not get ready within {_READY_SECONDS:.0f} seconds")


def _hold(talk: "Talk", client: "httpx.Client", folder: Path) -> "list[tuple[str, Image, Image]]":
    """Send a picture and its sentences as turns of one session; return the words, before and after of each."""
    from app.pictures import Picture, encode, read

    path = folder / f"{talk.name}-before.png"
    path.write_bytes(encode(talk.picture, Picture(talk.picture)))
    upload = {"image": (path.name, path.read_bytes())}
    session = _answer(client.post("/v1/sessions", files=upload, data={"title": talk.sentences[0]}))
    turns: list[tuple[str, Image, Image]] = []
    for number, sentence in enumerate(talk.sentences, 1):
        turn = _answer(
            client.post(
                f"/v1/sessions/{session['id']}/turns",
                json={"instruction": sentence, "options": {"seed": number}},
                headers={"Prefer": f"wait={_EDIT_SECONDS}"},
            )
        )
        if turn["status"] != "succeeded":
            fault = turn["error"] or {"code": turn["status"], "message": "it has not ended"}
            raise DemoFailed(f'"{sentence}": {fault["code"]}: {fault["message"]}')
        (made,) = turn["images"]
        before = read(path).pixels
        path = folder / f"{talk.name}-after{f'-{number}' if number > 1 else ''}.png"
        path.write_bytes(client.get(made["url"]).raise_for_status().content)
        turns.append((sentence, before, read(path).pixels))
        typer.echo(
            f'"{sentence}": {path}, {made["changed_fraction"]:.1%} of the pixels changed, '
            f"{made['outside_changed']} samples outside the region, {turn['completed_at'] - turn['started_at']:.1f} s"
        )
    return turns


def _answer(response: "httpx.Response") -> dict[str, Any]:
    if response.status_code >= 400:
        raise DemoFailed(f"the server answered {response.status_code}: {response.text[:500]}")
    return response.json()


@contextmanager
def _serving(data: Path) -> Generator[tuple[str, Callable[[], None]]]:
    """Run `brushedit serve` on a free port of this machine; yield its address and what raises once it died."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    log = data / "server.log"
    words = ["serve", "--host", "127.0.0.1", "--port", str(port), "--data", str(data), "--profile", "toybox"]
    # Whatever else this machine's settings say, the demo touches no database and no store but its own.
    env = {"BRUSHEDIT_DATABASE_URL": "", "BRUSHEDIT_BLOBS_URL": "", "BRUSHEDIT_DRAIN_SECONDS": "5"}
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda told, _: sys.exit(128 + told)) for number in numbers]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "app", *words], env=os.environ | env, stdout=out, stderr=out
        )
        try:
            yield f"http://127.0.0.1:{port}", lambda: _require_alive(process, log)
        finally:
            _stop(process)
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def _require_alive(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Raise the reason where the server ended, or a process it keeps died: that would start and die for ever."""
    told = log.read_text(errors="replace")
    before, died, _ = told.partition(" died with exit code ")
    if not died and process.poll() is None:
        return
    lines = before.splitlines()[: -1 if died else None]
    # A request that is logged meanwhile is no reason: what a process dies of bears no date.
    reasons = [line for line in lines if not _DATED.match(line)] or lines
    raise DemoFailed(
        f"the server does not start: {reasons[-1] if reasons else 'it said nothing'} (see {log})"
    )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Let the server stop its own processes; killed, it takes them with it."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _fresh(folder: Path) -> Path:
    """Make a folder that was not there before; an earlier one may be in use."""
    path = next(path for n in itertools.count(1) if not (path := folder / f"data-{n}").exists())
    path.mkdir()
    return path
