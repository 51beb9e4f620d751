"""A worker: the process that owns the models and carries out edits, one at a time."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Collection
from functools import partial
from importlib import import_module
from typing import Any, TypeVar, final

from dbos import DBOS, StepOptions
from dbos._serialization import DBOSPortableJSON
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from app.compatible import prepare_line
from app.jobs.batches import Batches
from app.jobs.queue import BATCHES, CHORES, QUEUE, VERSION, now
from app.jobs.stages import Agent, Stages
from app.jobs.webhooks import NOT_DELIVERED, Letter, Webhooks
from app.refusals import InternalFault, WorkerLost
from app.services import Services, build_services
from app.settings import Settings
from app.store.database import Database
from app.store.records import Store, new_id
from app.store.retention import sweep
from app.store.tables import UNFINISHED, Batch, Edit, Worker

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SWEEP_SECONDS = 600.0
_CHECK_SECONDS = 30.0
_CHECKED_AT_ONCE = 500
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_BATCHES_AT_ONCE = 2
_CHORES_AT_ONCE = 4


def load_agent(settings: Settings) -> Agent:
    """Build the agent that the settings name; this is where the models are loaded."""
    module, _, name = settings.agent.partition(":")
    build: Callable[[Settings], Agent] = getattr(import_module(module), name)
    return build(settings)


@final
class WorkerProcess:
    """Takes edits from the queue until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._id = new_id("worker")
        self._began = now()
        self._state = "loading"
        self._telling = threading.Lock()
        self._stop = threading.Event()
        self._gone = threading.Event()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; then finish what is in hand, within `drain_seconds`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        services = build_services(self._settings, waits_for_disk=False)
        store, queue = services.store, services.queue
        store.database.migrate()
        self._announce(store, "loading")
        heart = threading.Thread(target=self._beat, args=(store,), daemon=True)
        heart.start()
        agent = load_agent(self._settings)
        configure(self._settings, store.database, self._id)
        register(
            Stages(self._settings, store, services.ledger, agent),
            Batches(
                store,
                queue,
                services.ledger,
                services.desk,
                partial(prepare_line, services),
                self._settings.batch_items,
            ),
            Webhooks(self._settings, store, queue, services.secret),
        )
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=1, polling_interval_sec=self._settings.queue_poll)
        DBOS.register_queue(BATCHES, worker_concurrency=_BATCHES_AT_ONCE, polling_interval_sec=0.25)
        DBOS.register_queue(CHORES, worker_concurrency=_CHORES_AT_ONCE, polling_interval_sec=0.25)
        self._announce(store, "ready")
        logger.info("worker %s is ready", self._id)
        self._keep_house(services)
        self._announce(store, "draining")
        # What does not end in time stays checkpointed: another worker takes it over once this one is not listed.
        DBOS.destroy(workflow_completion_timeout_sec=round(self._settings.drain_seconds))
        self._gone.set()
        heart.join()
        with store.database.write() as rows:
            rows.execute(delete(Worker).where(Worker.id == self._id))
        queue.close()
        store.database.close()

    def _keep_house(self, services: Services) -> None:
        """Take over from dead workers and remove what is old, until told to stop."""
        store, queue = services.store, services.queue
        swept = checked = 0.0
        while not self._stop.wait(self._settings.heartbeat):
            try:
                self._take_over(store)
                if now() - checked > _CHECK_SECONDS:
                    checked = now()
                    settle_ended(services)
                    settle_batches(services)
                if now() - swept > _SWEEP_SECONDS:
                    swept = now()
                    queue.erase(sweep(self._settings, store))
            except Exception:
                # A database that cannot be reached for a while must not end the worker.
                logger.exception("housekeeping failed; it is tried again")

    def _take_over(self, store: Store) -> None:
        """Put back into the queue what workers began that are no longer there, however they went."""
        # Asked for first: whoever has begun something by now is listed by the time the list is read.
        pending = DBOS.list_workflows(
            status="PENDING", app_version=VERSION, load_input=False, load_output=False
        )
        with store.database.read() as rows:
            others = rows.scalars(select(Worker).where(Worker.id != self._id)).all()
        living = {self._id}
        for other in others:
            if now() - other.seen_at > self._settings.worker_timeout or _died_here(other):
                logger.warning("worker %s is dead", other.id)
                with store.database.write() as rows:
                    rows.execute(delete(Worker).where(Worker.id == other.id))
            else:
                living.add(other.id)
        for gone in {workflow.executor_id for workflow in pending if workflow.executor_id} - living:
            logger.warning("what worker %s began is taken over", gone)
            # Idempotent: only what still belongs to that worker goes back into the queue.
            DBOS._recover_pending_workflows([gone])  # pyright: ignore[reportPrivateUsage] - DBOS's admin server calls the same

    def _announce(self, store: Store, state: str) -> None:
        self._state = state
        self._tell(store)

    def _tell(self, store: Store) -> None:
        """Write a sign of life, also where another worker has struck this one off the list."""
        facts: dict[str, Any] = {"profile": self._settings.profile, "device": self._settings.device}
        with self._telling, store.database.write() as rows:
            rows.merge(
                Worker(
                    id=self._id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    state=self._state,
                    facts=facts,
                    started_at=self._began,
                    seen_at=now(),
                )
            )

    def _beat(self, store: Store) -> None:
        while not self._gone.wait(self._settings.heartbeat):
            try:
                self._tell(store)
            except Exception:
                logger.exception("no sign of life could be written; it is tried again")


def settle_ended(services: Services) -> int:
    """Fail the edits whose workflow has ended without saying how, and return how many there were.

    That is how a fault of the service itself looks; nobody is left waiting for such an edit.
    """
    with services.store.database.read() as rows:
        found = rows.execute(
            select(Edit.id, Edit.attempt)
            .where(Edit.status.in_(UNFINISHED), Edit.queued)
            .limit(_CHECKED_AT_ONCE)
        ).all()
    attempts = {row.id: row.attempt for row in found}
    fault = WorkerLost("the service failed on this edit; its log says more under the edit's id")
    return sum(
        services.ledger.settle(edit_id, attempts[edit_id], "failed", error=fault)
        for edit_id in _ended(attempts)
    )


def settle_batches(services: Services) -> None:
    """Fail the batches whose expansion has ended without saying how, and go on with ends that were begun."""
    with services.store.database.read() as rows:
        open_ended = select(Batch.id, Batch.status).where(Batch.status.in_(("validating", "cancelling")))
        found = rows.execute(open_ended.limit(_CHECKED_AT_ONCE)).all()
    expansions = {f"expand_{row.id}": row.id for row in found if row.status == "validating"}
    fault = InternalFault("the service failed on this batch; its log says more under the batch's id")
    for expansion in _ended(expansions):
        services.ledger.fail_batch(expansions[expansion], fault)
    for row in found:
        if row.status == "cancelling":
            services.ledger.settle_batch(row.id)


def _ended(workflows: Collection[str]) -> list[str]:
    """Return those workflows that have ended, in whatever way."""
    if not workflows:
        return []  # DBOS would list all there are
    ended = DBOS.list_workflows(
        workflow_ids=list(workflows), status=_ENDED, load_input=False, load_output=False
    )
    return [workflow.workflow_id for workflow in ended]


def configure(settings: Settings, database: Database, worker_id: str) -> None:
    """Set DBOS up to carry out what is queued in a database, as the worker of this id."""
    DBOS(
        config={
            "name": "brushedit",
            "system_database_url": settings.sql_url,
            "system_database_engine": database.engine,
            "serializer": DBOSPortableJSON,
            "executor_id": worker_id,
            "application_version": VERSION,
            "log_level": "WARNING",
            "enable_otlp": False,
        }
    )


def register(stages: Stages, batches: Batches, webhooks: Webhooks) -> None:
    """Tell DBOS the workflows and their steps."""

    def edit(edit_id: str) -> str:
        # Not a step: each go at the edit, also one after a crash, has to have a number of its own.
        attempt = _until_answered(lambda: stages.begin(edit_id))
        if attempt is None:
            return "over"
        for name, stage in (("plan", stages.plan), ("locate", stages.locate), ("paint", stages.paint)):
            if not DBOS.run_step(_step(name), stages.guarded, stage, attempt):
                return "settled"
            if attempt.until == name:
                break
        DBOS.run_step(_step("finish"), stages.guarded, stages.finish, attempt)
        return "finished"

    def batch(batch_id: str) -> str:
        return DBOS.run_step(_step("expand", Exception), batches.expand, batch_id)

    def webhook(told: str) -> str:
        thing, _, event = told.partition(" ")
        letter = _until_answered(lambda: webhooks.letter(thing, event))
        return "removed" if letter is None else tell(letter, 1)

    def webhook_again(letter: dict[str, Any], number: int) -> str:
        return tell(Letter(**letter), number)

    def tell(letter: Letter, number: int) -> str:
        outcome = DBOS.run_step({"name": "send"}, webhooks.deliver, letter)
        if outcome != NOT_DELIVERED:
            return outcome
        return _until_answered(lambda: webhooks.go_on(letter, number))

    # The attempts are counted in the edit's own row, which ends it with a reason.
    DBOS.workflow(name="edit", max_recovery_attempts=None)(edit)
    DBOS.workflow(name="batch", max_recovery_attempts=None)(batch)
    DBOS.workflow(name="webhook", max_recovery_attempts=None)(webhook)
    DBOS.workflow(name="webhook_again", max_recovery_attempts=None)(webhook_again)


def _step(name: str, passing: type[Exception] = DBAPIError) -> StepOptions:
    """Return how a stage is run: again and again while what fails may pass, for some minutes."""
    return {
        "name": name,
        "retries_allowed": True,
        "max_attempts": 10,
        "interval_seconds": 0.5,
        "backoff_rate": 2.0,
        "should_retry": lambda error: isinstance(error, passing),
    }


def _until_answered(ask: Callable[[], T]) -> T:
    """Ask the database until it can be reached."""
    pause = 0.5
    while True:
        try:
            return ask()
        except DBAPIError:
            logger.warning("the database does not answer; it is asked again in %.1f s", pause)
            threading.Event().wait(pause)
            pause = min(30.0, 2 * pause)


def _died_here(worker: Worker) -> bool:
    """Tell whether a worker of this machine has ended without saying so."""
    if worker.host != socket.gethostname():
        return False
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
