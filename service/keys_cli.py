"""`dualuse keys`: add, list and revoke the keys of the service. Works beside a running service."""

from datetime import UTC, datetime

import click
from sqlalchemy.exc import SQLAlchemyError

from service.cli import read_settings
from service.database import open_database
from service.keys import REFRESH_SECONDS, Role, add_key, list_keys, revoke_key


class _Keys(click.Group):
    """Tells what the database objects to without a traceback, which would show the URL."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            raise click.ClickException(
                f"The database does not answer as it should ({type(error).__name__}). Check DUALUSE_DATABASE_URL, and "
                "that it runs."
            ) from None


@click.group(cls=_Keys)
def keys() -> None:
    """Add, list and revoke the keys that callers of the service show as X-API-Key."""


@keys.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What the key may do.")
def add(name: str, role: str) -> None:
    """Make a key and print it, alone, on standard output: it is stored hashed and cannot be shown again.

    A key with the role submit may hand in texts, one with read may read results, one with admin may do all.
    """
    click.echo(add_key(open_database(read_settings()), name, Role(role)))
    click.echo(f"{name} may {role}. Keep the key now: it is not shown again.", err=True)


@keys.command("list")
def list_() -> None:
    """Show the keys' ids, names, roles and dates."""
    for key in list_keys(open_database(read_settings())):
        revoked = f"revoked {_day(key.revoked)}" if key.revoked else "in force"
        click.echo(f"{key.id}  {key.role:6}  {_day(key.created)}  {revoked:18}  {key.name}")


@keys.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Put the key of this NAME or id out of force."""
    revoke_key(open_database(read_settings()), name)
    click.echo(f"{name} is revoked; a running service knows within {REFRESH_SECONDS:g} seconds.", err=True)


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"
