"""`serve`, `api` and `worker`: the processes of the service; each imports what it needs, and no more."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from socket import socket
from types import FrameType
from typing import Final

from app import logs, traces
from app.settings import Settings

logger = logging.getLogger(__name__)

_SPAWN: Final = multiprocessing.get_context("spawn")
_LOOK_SECONDS: Final = 0.2
_SWITCH_SECONDS: Final = 0.001
_LONGEST_BACK_OFF: Final = 30.0
_STEADY_SECONDS: Final = 60.0


def api(settings: Settings) -> None:
    """Run the API process until it is told to stop."""
    import uvicorn

    from app.main import create_app

    logs.configure(settings)
    require_bindable(settings)
    # The event loop waits this long for each thread that is computing; with the usual 5 ms, /healthz is late.
    sys.setswitchinterval(_SWITCH_SECONDS)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=round(settings.drain_seconds) or None,
        h11_max_incomplete_event_size=64 * 1024,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets)
            for listening in self.servers:
                host, port = listening.sockets[0].getsockname()[:2]
                address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
                logger.info("%s is the page, %s/docs the API", address, address)

    server = Server(config)
    stop = server.handle_exit

    def drain(sig: int, frame: FrameType | None) -> None:
        # Those who wait and those who follow are let go first; uvicorn would wait for them.
        app.state.services.news.close()
        stop(sig, frame)

    server.handle_exit = drain
    # Uvicorn raises the signal again once it has stopped: to stop as told is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with traces.sent("api"):
        server.run()


def worker(settings: Settings) -> None:
    """Run one worker until it is told to stop."""
    from app.worker import WorkerProcess

    logs.configure(settings)
    with traces.sent("worker"):
        WorkerProcess(settings).run()


def serve(settings: Settings) -> None:
    """Run the API and `settings.workers` workers on this machine; one that dies is started again."""
    logs.configure(settings)
    require_bindable(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    children = [Child("api", _child_api, settings)]
    children += [Child(f"worker {n}", _child_worker, settings) for n in range(settings.workers)]
    while not stop.wait(_LOOK_SECONDS):
        for child in children:
            child.keep()
    # Workers first: what they finish, clients who wait can still be told.
    for child in reversed(children):
        child.end(settings.drain_seconds + 5)


def require_bindable(settings: Settings) -> None:
    """Exit with a sentence where the server would be open to the network without any key."""
    if settings.loopback:
        return
    from app.access import Keys
    from app.store.records import Store

    store = Store(settings)
    store.database.migrate()
    known = Keys(store.database).any()
    store.database.close()
    if not known:
        raise SystemExit(
            f"{settings.host} can be reached by others, and there is no API key yet: "
            "make one with `brushedit keys create`, or bind 127.0.0.1"
        )


@dataclass
class Child:
    """A process that is kept running, started again after 1, 2, 4 … 30 seconds where it keeps dying."""

    name: str
    target: Callable[[Settings, int], None]
    settings: Settings
    process: BaseProcess | None = None
    started: float = 0.0
    back_off: float = 0.0

    def keep(self) -> None:
        """Start the process where it does not run and its time has come."""
        if self.process is not None and self.process.is_alive():
            return
        at = time.monotonic()
        if self.process is not None:
            if at - self.started > _STEADY_SECONDS:
                self.back_off = 0.0
            if self.back_off == 0.0:
                logger.error("the %s died with exit code %s", self.name, self.process.exitcode)
            elif at < self.started + self.back_off:
                return
            self.back_off = min(_LONGEST_BACK_OFF, max(1.0, 2 * self.back_off))
        self.process = _SPAWN.Process(target=self.target, args=(self.settings, os.getpid()), name=self.name)
        self.process.start()
        self.started = at

    def end(self, seconds: float) -> None:
        """Tell the process to stop; kill it where it does not within some seconds."""
        if self.process is None:
            return
        self.process.terminate()
        self.process.join(seconds)
        if self.process.is_alive():
            logger.error("the %s did not stop in time and is killed", self.name)
            self.process.kill()
            self.process.join()


def _child_api(settings: Settings, parent: int) -> None:
    _follow(parent)
    api(settings)


def _child_worker(settings: Settings, parent: int) -> None:
    _follow(parent)
    worker(settings)


def _follow(parent: int) -> None:
    """Stop with the parent, also where it was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
