"""`dualuse serve`: the service, on this machine alone unless there are keys.

While no key is defined, an address that others can reach is refused.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from classifier import NOTICE, load
from service import log
from service.access import check_quarantine
from service.database import open_database
from service.datafolder import DataFolder
from service.keys import list_keys
from service.settings import CONFIG, ENV_PREFIX, Settings

GRACE_SECONDS = 30
"""How long a stopping service goes on with the requests it has."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
def serve(host: str, port: int) -> None:
    """Answer over HTTP: POST /v1/classify for documents, /v1/jobs for files.

    Without a key (`dualuse keys add`) it serves this machine alone. Settings come from the environment (DUALUSE_...),
    or from the TOML file that DUALUSE_CONFIG names; docs/service.md lists them.
    """
    address = "127.0.0.1" if host.lower() == "localhost" else host
    settings = read_settings()
    DataFolder(settings.data_dir).close()  # said here in a line, were it taken; at the start of the server in thirty
    with database(settings) as engine:
        is_open = not list_keys(engine)
    check_quarantine(settings, is_open)
    if is_open and not _is_loopback(address):
        raise click.UsageError(
            f"--host {host}: no key is defined yet, so only loopback addresses are served (127.0.0.1, ::1, localhost). "
            "Make a key first: dualuse keys add NAME --role submit|read|admin."
        )
    from service.app import create_app  # importing it reads the settings too, and would fail less politely

    model = load(settings.model)
    listener = _listen(address, port)
    log.set_up()
    app = create_app(settings, model)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        ws="none",
        lifespan="on",
        proxy_headers=False,  # else whoever sends X-Forwarded-For chooses what address he is taken to have
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    shown = f"[{address}]" if ":" in address else address
    url = f"http://{shown}:{listener.getsockname()[1]}"
    click.echo(f"{model.id} answers on {url}; stop it with Ctrl-C.\n{NOTICE}", err=True)
    if is_open:
        click.echo("No key is defined: whoever is on this machine may ask, and nobody else.", err=True)
    server = _Server(config, app, settings.drain_seconds)
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it is stopped, and by now it has stopped in good order
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that, once told to stop, is not ready any more but still takes requests for a while."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._app, self._drain_seconds = app, drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so, wait until that has been seen, then close."""
        self._app.state.draining = True
        left = self._drain_seconds
        while left > 0 and not self.force_exit:
            await asyncio.sleep(min(left, 0.1))
            left -= 0.1
        await super().shutdown(sockets)


def read_settings() -> Settings:
    """Return the settings.

    Raises click.UsageError where one of them is wrong; it never tells a value, which may be a password.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise click.UsageError(" ".join(map(_wrong, error.errors(include_input=False)))) from None


def _wrong(error: ErrorDetails) -> str:
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return f"{name} in the file that {CONFIG} names is no setting: docs/service.md lists them."
    return f"{ENV_PREFIX}{name.upper()}: {error['msg']}."


@contextmanager
def database(settings: Settings) -> Iterator[Engine]:
    """Open the service's database for a command, and close it.

    Raises click.ClickException where it does not answer, without the URL, which holds a password.
    """
    try:
        engine = open_database(settings)
        try:
            yield engine
        finally:
            engine.dispose()
    except SQLAlchemyError as error:
        raise click.ClickException(
            f"The database does not answer as it should ({type(error).__name__}). Check DUALUSE_DATABASE_URL, and "
            "that it runs."
        ) from None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family)
    except OSError as error:
        message = f"Cannot listen on {address}, port {port}: {error.strerror}. Choose another with --port."
        raise click.ClickException(message) from None
    # An answer goes out in two pieces. asyncio sees that the second does not wait until the first is acknowledged,
    # 40 ms on Linux, but not on a listener that it was handed; what is accepted inherits this.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
