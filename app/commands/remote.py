"""Edits by a server, over its HTTP API, asked so that nothing is painted twice."""

import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import fields
from types import TracebackType
from typing import Any, Final, Self, final

import httpx

from app.commands.tasks import Made, Sample, Task
from app.jobs import wire
from app.pictures import decode_mask, encode_mask
from app.refusals import Ended
from brushedit.errors import EditError
from brushedit.events import Blended, Denoised, Event, Located, Planned
from brushedit.types import BlendReport, EditRequest, Mask, Region

_SILENCE: Final = 60.0
"""Seconds without a byte after which a connection counts as broken; the server's heartbeats are closer."""
_PATIENCE: Final = 60.0
_FIRST_PATIENCE: Final = 5.0
"""Patience with a server that has not answered yet: most likely there is none at this address."""
_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0
_TROUBLE: Final = frozenset({502, 503, 504})
_ENDS: Final = frozenset({"succeeded", "failed", "canceled"})
_REPORT: Final = tuple(field.name for field in fields(BlendReport))


class ServerUnavailable(EditError):
    """The server cannot be reached, or answers what it should not."""

    code = "server_unavailable"


class Refused(EditError):
    """A request the server refused, with the code it gave; of an edit it says nothing."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["message"], param=error["param"])
        self.code = error["code"]  # pyright: ignore[reportAttributeAccessIssue] - the code is the server's own


@final
class Server:
    """A server that edits, safe to use from several threads.

    What is sent is sent again where the connection breaks or the server is busy: every edit goes with a key of its
    own, and the events of an edit are followed on from the last one that came.

    Parameters
    ----------
    address : str
        Such as ``http://127.0.0.1:8008``.
    key : str
        An API key, or "" where the server asks for none.
    patience : float
        Seconds of trouble in a row after which a call is given up.
    sleep : callable
        Waits some seconds.
    """

    def __init__(
        self,
        address: str,
        key: str = "",
        *,
        patience: float = _PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not address.startswith(("http://", "https://")):
            raise ServerUnavailable(
                f"{address!r} is no address such as http://127.0.0.1:8008", param="server"
            )
        self._patience = patience
        self._sleep = sleep
        self._ids: dict[str, str] = {}
        self._client = httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(_SILENCE, connect=10.0),
        )

    def __enter__(self) -> Self:
        """Check that the server is there and takes the key."""
        try:
            self._call("GET", "/v1/models", patience=min(self._patience, _FIRST_PATIENCE))
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the connections."""
        self._client.close()

    def edit(self, task: Task) -> Generator[Event, None, Made]:
        """Have a task carried out."""
        edit_id: str = self._call(
            "POST",
            "/v1/edits",
            headers={"Idempotency-Key": task.key},
            files=_files(task),
            data=_form(task),
        ).json()["id"]
        self._ids[task.key] = edit_id
        masks: list[Mask] = []
        for kind, data in self._events(edit_id):
            match kind:
                case "planned":
                    yield Planned(wire.plan_from_json(data["plan"]))
                case "located":
                    region = self._region(edit_id, data, task)
                    masks[data["step"] :] = [region.mask]
                    yield Located(data["step"], region)
                case "denoised":
                    yield Denoised(data["step"], data["steps"])
                case "blended":
                    yield Blended(data["sample"], BlendReport(**data["report"]))
                case _:
                    pass
        del self._ids[task.key]
        edit = self._call("GET", f"/v1/edits/{edit_id}").json()
        if edit["status"] != "succeeded":
            raise Ended(edit["error"])
        samples = tuple(
            Sample(
                self._call("GET", image["url"]).content,
                image["seed"],
                BlendReport(**{name: image[name] for name in _REPORT}),
            )
            for image in edit["images"]
        )
        return Made(samples, edit["plan"], tuple(masks), edit["timings"], edit["peak_memory"])

    def cancel(self) -> None:
        """Cancel what was begun and is not over: the device is free for others within a step."""
        for edit_id in self._ids.values():
            self._call("POST", f"/v1/edits/{edit_id}/cancel")

    def _region(self, edit_id: str, data: Mapping[str, Any], task: Task) -> Region:
        file = self._call("GET", f"/v1/edits/{edit_id}/masks/{data['step']}").content
        return Region(
            decode_mask(file, task.picture.pixels.shape[:2], polarity="white"),
            wire.candidates_from_json(data["candidates"]),
            tuple(data["chosen"]),
            tuple(data["scores"]),
        )

    def _events(self, edit_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield an edit's events until its last one, over as many connections as that takes."""
        after, trouble = 0, _Trouble(self._patience, self._sleep)
        while True:
            try:
                with self._client.stream(
                    "GET", f"/v1/edits/{edit_id}/events", headers={"Last-Event-ID": str(after)}
                ) as response:
                    if response.status_code != 200:
                        response.read()
                        trouble.weigh(response)
                        continue
                    for number, kind, data in _parse(response.iter_lines()):
                        trouble.over()
                        after = number or after
                        yield kind, data
                        if kind in _ENDS:
                            return
                # The server was stopped, or somebody between: its successor goes on from there.
                trouble.wait(ServerUnavailable("the server ended the stream before the edit"))
            except httpx.TransportError as error:
                trouble.wait(_unreachable(error))

    def _call(
        self, method: str, path: str, *, patience: float | None = None, **arguments: Any
    ) -> httpx.Response:
        trouble = _Trouble(self._patience if patience is None else patience, self._sleep)
        while True:
            try:
                response = self._client.request(method, path, **arguments)
            except httpx.TransportError as error:
                trouble.wait(_unreachable(error))
                continue
            if response.status_code < 400:
                return response
            trouble.weigh(response)


@final
class _Trouble:
    """Waits longer and longer, and gives up once its patience is at its end."""

    def __init__(self, patience: float, sleep: Callable[[float], None]) -> None:
        self._patience = patience
        self._sleep = sleep
        self.over()

    def over(self) -> None:
        """Forget the trouble there was."""
        self._waited, self._pause = 0.0, _PAUSE

    def wait(self, error: EditError) -> None:
        """Wait before the next try, or raise the error."""
        if self._waited >= self._patience:
            raise error
        self._sleep(self._pause)
        self._waited += self._pause
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause)

    def weigh(self, response: httpx.Response) -> None:
        """Wait where another try is worth it, or raise what the server says."""
        if response.status_code == 429:
            # A full queue is no trouble: the server says when there is room.
            self._sleep(float(response.headers.get("retry-after", "1")))
        elif response.status_code in _TROUBLE:
            self.wait(_refusal(response))
        else:
            raise _refusal(response)


def key_from(variable: str) -> str:
    """Return the API key that an environment variable holds, "" where there is none."""
    return os.environ.get(variable, "")


def _unreachable(error: httpx.TransportError) -> ServerUnavailable:
    return ServerUnavailable(f"the server cannot be reached: {error or type(error).__name__}", param="server")


def _refusal(response: httpx.Response) -> EditError:
    try:
        return Refused(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return ServerUnavailable(f"the server answered {response.status_code}", param="server")


def _files(task: Task) -> dict[str, tuple[str, bytes]]:
    # The names mean nothing: what a picture is called at home is nobody else's concern.
    files = {"image": ("image", task.data)}
    if task.request.mask is not None:
        files["mask"] = ("mask", encode_mask(task.request.mask))
    return files


def _form(task: Task) -> dict[str, str]:
    request: EditRequest = task.request
    options = wire.options_to_json(request.options)
    form = {
        "instruction": request.instruction,
        "mask_mode": request.mask_mode,
        "mask_polarity": "white",
        "options": json.dumps({name: value for name, value in options.items() if name not in task.unsaid}),
        "output_format": task.format,
        "recipe": str(task.recipe).lower(),
    }
    if request.box is not None:
        box = request.box
        form["box"] = json.dumps([box.x0, box.y0, box.x1, box.y1])
    if request.points:
        form["points"] = json.dumps(
            [{"x": point.x, "y": point.y, "positive": point.positive} for point in request.points]
        )
    if request.plan is not None:
        form["plan"] = json.dumps(wire.plan_to_json(request.plan))
    if request.which is not None:
        form["which"] = request.which.value
    return form


def _parse(lines: Iterator[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield (number or 0, kind, data) of server-sent events."""
    number, kind = 0, ""
    for line in lines:
        name, _, value = line.partition(": ")
        match name:
            case "id":
                number = int(value)
            case "event":
                kind = value
            case "data":
                yield number, kind, json.loads(value)
                number, kind = 0, ""
            case _:
                pass
