"""The database: SQLite or PostgreSQL, one for our rows and DBOS's, so that both change in one transaction."""

import fcntl
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, final

from sqlalchemy import Engine, PoolProxiedConnection, create_engine, event, text
from sqlalchemy.orm import Session

_MIGRATION_LOCK: Final = 0x6272757368
_LOCK_SECONDS: Final = 0.1


@final
class Database:
    """Connections to one database.

    Parameters
    ----------
    url : str
    waits_for_disk : bool
        Whether a change is on the disk once it is committed. Without, SQLite may forget the last changes when
        the power fails (never when a process does): what a worker writes it can do again, what an API process
        has accepted it cannot. PostgreSQL always waits.

    Attributes
    ----------
    engine : Engine
        Shared with DBOS, whose tables lie beside ours (on PostgreSQL in the schema "dbos").
    """

    def __init__(self, url: str, *, waits_for_disk: bool = True, pool_size: int = 20) -> None:
        self.url = url
        self._asked = 0
        self._watch: PoolProxiedConnection | None = None
        self.sqlite = url.startswith("sqlite")
        if self.sqlite:
            path = Path(url.removeprefix("sqlite:///"))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_file = path.with_name(path.name + ".lock")
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=not self.sqlite,
            # Errors are logged, and rows hold what people wrote.
            hide_parameters=True,
        )
        if self.sqlite:
            event.listen(
                self.engine, "connect", partial(_set_up_sqlite, "FULL" if waits_for_disk else "NORMAL")
            )

    @contextmanager
    def read(self) -> Generator[Session]:
        """Give a session for reading."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Generator[Session]:
        """Give a session whose changes are committed together at the end, or not at all."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            if self.sqlite:
                # sqlite3 would begin only at the first change: what was read before that could be stale.
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session

    def alone(self, rows: Session, what: str) -> None:
        """Wait for every other transaction that named the same before; SQLite has one writer at a time anyway."""
        if not self.sqlite:
            rows.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": what})

    def version(self) -> int:
        """Return a number that differs once anybody has changed anything; on PostgreSQL it always does.

        SQLite keeps such a number in memory that all processes share: to read it takes microseconds.
        """
        if not self.sqlite:
            self._asked += 1
            return self._asked
        if self._watch is None:
            self._watch = self.engine.raw_connection()
        return self._watch.cursor().execute("PRAGMA data_version").fetchone()[0]

    def migrate(self) -> None:
        """Bring both DBOS's tables and ours up to date; any number of processes may do so at once."""
        from alembic import command
        from alembic.config import Config
        from dbos import DBOS

        with self._migration_lock():
            # An exchange from rollback journal to WAL lasts; readers and the writer no longer wait for each other.
            if self.sqlite:
                with self.engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            DBOS.migrate(self.url)
            config = Config()
            config.set_main_option("script_location", str(files("app.store").joinpath("migrations")))
            config.attributes["engine"] = self.engine
            command.upgrade(config, "head")

    @contextmanager
    def _migration_lock(self) -> Generator[None]:
        if self.sqlite:
            with self._lock_file.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        else:
            # Asked again and again, and outside any transaction: DBOS builds indexes concurrently, which waits
            # for every transaction and statement that began before, also for one that waits for this lock.
            outside = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            with outside.connect() as connection:
                while not connection.scalar(
                    text("SELECT pg_try_advisory_lock(:key)"), {"key": _MIGRATION_LOCK}
                ):
                    time.sleep(_LOCK_SECONDS)
                try:
                    yield
                finally:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})

    def close(self) -> None:
        """Close all connections."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self.engine.dispose()


def _set_up_sqlite(synchronous: str, connection: Any, _record: Any) -> None:
    connection.isolation_level = "IMMEDIATE"
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")
