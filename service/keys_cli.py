"""`dualuse keys`: add, list and revoke the keys of the service. Works beside a running service."""

from datetime import UTC, datetime

import click

from service.cli import database, read_settings
from service.keys import REFRESH_SECONDS, Role, add_key, list_keys, revoke_key


@click.group()
def keys() -> None:
    """Add, list and revoke the keys that callers of the service show as X-API-Key."""


@keys.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What the key may do.")
def add(name: str, role: str) -> None:
    """Make a key and print it, alone, on standard output: it is stored hashed and cannot be shown again.

    A key with the role submit may hand in texts, one with read may read results, one with admin may do all.
    """
    with database(read_settings()) as engine:
        click.echo(add_key(engine, name, Role(role)))
    click.echo(f"{name} may {role}. Keep the key now: it is not shown again.", err=True)


@keys.command("list")
def list_() -> None:
    """Show the keys' ids, names, roles and dates."""
    with database(read_settings()) as engine:
        listed = list_keys(engine)
    for key in listed:
        revoked = f"revoked {_day(key.revoked)}" if key.revoked else "in force"
        click.echo(f"{key.id}  {key.role:6}  {_day(key.created)}  {revoked:18}  {key.name}")


@keys.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Put the key of this NAME or id out of force."""
    with database(read_settings()) as engine:
        revoke_key(engine, name)
    click.echo(f"{name} is revoked; a running service knows within {REFRESH_SECONDS:g} seconds.", err=True)


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"
