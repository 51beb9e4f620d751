"""A PostgreSQL server for tests, where its programs are installed; started in a folder of its own."""

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.server import free_port


def find_programs() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`, or None where there is no server."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(found).parent] if found else []
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Give the address of a fresh database."""
    programs = find_programs()
    assert programs is not None
    # The server refuses to run as root.
    user = "postgres" if os.getuid() == 0 else None
    if user:
        for parent in (folder, *folder.parents[:2]):
            parent.chmod(0o755)
        folder.chmod(0o777)
        pwd.getpwnam(user)
    port, data = free_port(), folder / "pg"

    def run(*command: str) -> None:
        subprocess.run(command, user=user, check=True, capture_output=True, cwd=folder)

    run(str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run(str(programs / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "pg.log"), "-w", "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
