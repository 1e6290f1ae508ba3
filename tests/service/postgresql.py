"""A PostgreSQL server for tests: Debian's package, in a temporary folder, on loopback, as a user who is not root."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PLACES = "/usr/lib/postgresql"


def find_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, or None."""
    versions = sorted(Path(_PLACES).glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@contextmanager
def postgresql(binaries: Path, folder: Path) -> Iterator[str]:
    """Run a server in an empty folder; give the URL of its database."""
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        entry = pwd.getpwnam("postgres")
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        log = folder / "output"
        with log.open("ab") as output:
            done = subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False, **user)
        assert done.returncode == 0, log.read_text(errors="replace")

    data, secret = folder / "data", folder / "secret"
    secret.write_text("only-here")
    secret.chmod(0o644)
    run(
        str(binaries / "initdb"), "-D", str(data), "-U", "dualuse", "-A", "scram-sha-256", "--pwfile", str(secret),
        "-E", "UTF8", "--no-sync",
    )  # fmt: skip
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-o", options, "-l", str(folder / "log"), "start")
    try:
        yield f"postgresql://dualuse:only-here@127.0.0.1:{port}/postgres"
    finally:
        run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
