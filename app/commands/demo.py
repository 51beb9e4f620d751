"""A first edit over plain HTTP, and a second turn in the same session; the pictures before and after are kept."""

import json
import time
from pathlib import Path
from typing import Any, Final

import httpx

from brushedit.errors import InstructorUnavailable

_READY_SECONDS: Final = 300.0
_EDIT_SECONDS: Final = 600


def demo(
    server: str, image: Path, instructions: tuple[str, ...], folder: Path, key: str | None = None
) -> list[Path]:
    """Send a picture and the first instruction, then the others as turns of the same session.

    Parameters
    ----------
    server : str
        Address of a running server, such as ``http://127.0.0.1:8008``.
    folder : Path
        Where ``before`` and ``after-1``, ``after-2`` … are written.

    Returns
    -------
    list of Path
        The files, in order.

    Raises
    ------
    InstructorUnavailable
        The server does not get ready, or an edit fails; the message says what it answered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(
        base_url=server, headers=headers, timeout=_EDIT_SECONDS + 30, trust_env=False
    ) as client:
        _wait_ready(client)
        data = image.read_bytes()
        written = [folder / f"before{image.suffix}"]
        written[0].write_bytes(data)
        session = _answer(client.post("/v1/sessions", files={"image": (image.name, data)}))
        for number, instruction in enumerate(instructions, 1):
            turn = _answer(
                client.post(
                    f"/v1/sessions/{session['id']}/turns",
                    json={"instruction": instruction},
                    headers={"Prefer": f"wait={_EDIT_SECONDS}"},
                )
            )
            if turn["status"] != "succeeded":
                raise InstructorUnavailable(f"{instruction!r}: {json.dumps(turn['error'] or turn['status'])}")
            made = turn["images"][0]
            path = folder / f"after-{number}.{made['media_type'].rpartition('/')[2]}"
            path.write_bytes(client.get(made["url"]).raise_for_status().content)
            written.append(path)
    return written


def _wait_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise InstructorUnavailable(f"the server did not get ready within {_READY_SECONDS:.0f} seconds")


def _answer(response: httpx.Response) -> dict[str, Any]:
    if response.status_code >= 400:
        raise InstructorUnavailable(f"the server answered {response.status_code}: {response.text[:500]}")
    return response.json()
