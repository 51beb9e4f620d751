"""`brushedit serve`, `api`, `worker` and `keys`: flags set what BRUSHEDIT_ variables set, for one run."""

import time
from collections.abc import Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from app.settings import Settings
from brushedit.errors import InvalidOption

DataOption = Annotated[Path | None, typer.Option(help="Folder of the database and the pictures.")]

_NO_FLAGS: Final = frozenset({"secret"})
"""Settings that everybody on the machine could read off a command line."""

keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


def serve(**flags: Any) -> None:
    """Run the API and its workers on this machine; one that dies is started again."""
    from app.commands.serve import serve as run

    run(_settings(flags))


def api(**flags: Any) -> None:
    """Run the API process alone."""
    from app.commands.serve import api as run

    run(_settings(flags))


def worker(**flags: Any) -> None:
    """Run one worker alone, on this machine or another with the same database and picture store."""
    from app.commands.serve import worker as run

    run(_settings(flags))


def _flags() -> Signature:
    """Return a parameter for every setting: the flags are the settings' own names and descriptions."""
    return Signature(
        [
            Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=_flag(name, field))
            for name, field in Settings.model_fields.items()
            if name not in _NO_FLAGS
        ]
    )


def _flag(name: str, field: FieldInfo) -> Any:
    shown = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    usual = f" Default: {shown}." if shown not in ("", None) else ""
    option = typer.Option(f"--{name.replace('_', '-')}", help=f"{field.description}{usual}", metavar="VALUE")
    return Annotated[str | None, option]


for _command in (serve, api, worker):
    _command.__signature__ = _flags()  # pyright: ignore[reportFunctionMemberAccess] - what Typer reads options from


@keys.command("create")
def create(
    tenant: Annotated[str, typer.Argument(help="Whose key it is; tenants see only what is their own.")],
    name: Annotated[str, typer.Option(help="A note on what it is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="read, edit ...; may be repeated.")] = None,
    rate: Annotated[int | None, typer.Option(min=1, help="Requests per minute.")] = None,
    queue: Annotated[int | None, typer.Option(min=1, help="Unfinished edits.")] = None,
    data: DataOption = None,
) -> None:
    """Make a key and print it, this once."""
    from app.commands.keys import create_key

    scopes = tuple(scope) if scope else ("read", "edit")
    key_id, key = create_key(_settings({"data": data}), tenant, name, scopes, rate, queue)
    typer.echo(f"{key_id}\n{key}")


@keys.command("list")
def list_all(data: DataOption = None) -> None:
    """List all keys, revoked ones included."""
    from app.commands.keys import list_keys

    for key in list_keys(_settings({"data": data})):
        made = time.strftime("%Y-%m-%d", time.gmtime(key.created_at))
        state = "revoked" if key.revoked_at else "valid"
        typer.echo(f"{key.id}  {key.tenant}  {state}  {made}  {key.name}".rstrip())


@keys.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id, not the key.")], data: DataOption = None
) -> None:
    """Make a key useless at once, also for streams that are open."""
    from app.commands.keys import revoke_key

    revoke_key(_settings({"data": data}), key_id)


def _settings(flags: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        raise InvalidOption(f"{name}: {fault['msg']}", param=name) from error
