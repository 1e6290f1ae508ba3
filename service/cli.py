"""`dualuse serve`: the service on this machine, and for this machine only.

There are no keys yet, so an address that others can reach is refused.
"""

import ipaddress
import logging
import socket
import sys
from contextlib import suppress

import click
import uvicorn
from pydantic import ValidationError

from classifier import NOTICE, load
from service.settings import ENV_PREFIX, Settings

GRACE_SECONDS = 30
"""How long a stopping service goes on with the requests it has."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
def serve(host: str, port: int) -> None:
    """Answer over HTTP on this machine: POST /v1/classify.

    Settings by environment: DUALUSE_MODEL, DUALUSE_MAX_BODY_BYTES, DUALUSE_MAX_DOCUMENTS,
    DUALUSE_MAX_CONCURRENT, DUALUSE_MAX_WAITING.
    """
    address = _loopback(host)
    settings = _settings()
    from service.app import create_app  # importing it reads the settings too, and would fail less politely

    model = load(settings.model)
    listener = _listen(address, port)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    config = uvicorn.Config(
        create_app(settings, model),
        log_config=None,
        log_level="warning",
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    shown = f"[{address}]" if ":" in address else address
    url = f"http://{shown}:{listener.getsockname()[1]}"
    click.echo(f"{model.id} answers on {url}; stop it with Ctrl-C.\n{NOTICE}", err=True)
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it is stopped, and by now it has stopped in good order
        uvicorn.Server(config).run(sockets=[listener])


def _loopback(host: str) -> str:
    address = "127.0.0.1" if host.lower() == "localhost" else host
    with suppress(ValueError):
        if ipaddress.ip_address(address).is_loopback:
            return address
    raise click.UsageError(
        f"--host {host}: the service has no keys yet, so it serves loopback addresses only (127.0.0.1, ::1, "
        "localhost). To let others in, put a proxy that authenticates them in front, on this machine."
    )


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"{ENV_PREFIX}{str(e['loc'][0]).upper()}={e['input']}: {e['msg']}." for e in error.errors()]
        raise click.UsageError(" ".join(wrong)) from None


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family)
    except OSError as error:
        message = f"Cannot listen on {address}, port {port}: {error.strerror}. Choose another with --port."
        raise click.ClickException(message) from None
