"""`pacs users` and `pacs tokens`."""

from __future__ import annotations

import secrets
import sys
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.options import AsJson, DataDir, audit, say, transaction
from pacs.cli.output import print_json, print_table
from pacs.people.permissions import Permission, Role

if TYPE_CHECKING:
    from pacs.people.tokens import Token
    from pacs.people.users import User

users = typer.Typer(help="Accounts of people.", no_args_is_help=True)
tokens = typer.Typer(help="Bearer tokens of machines.", no_args_is_help=True)

Username = Annotated[str, typer.Argument(help="Name to sign in with.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
Generate = Annotated[
    bool, typer.Option("--generate", help="Make a random password and print it, once.")
]
Institutions = Annotated[
    list[str] | None,
    typer.Option(
        "--institution",
        help="Only studies of this Institution Name; may be repeated. All unless given.",
    ),
]
_GENERATED_BYTES = 12


class PersonRole(StrEnum):
    """The roles that a person may have."""

    ADMIN = Role.ADMIN.value
    RADIOLOGIST = Role.RADIOLOGIST.value
    TECHNICIAN = Role.TECHNICIAN.value
    CLINICIAN = Role.CLINICIAN.value


def _password(from_stdin: bool, generate: bool) -> str:
    if from_stdin and generate:
        raise typer.BadParameter("--password-stdin and --generate exclude each other")
    if generate:
        return secrets.token_urlsafe(_GENERATED_BYTES)
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise typer.BadParameter("give --password-stdin or --generate where nobody can be asked")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _print_users(found: list[User], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_table(
        ["username", "full name", "role", "institutions", "disabled", "last sign-in"],
        [
            (u.username, u.full_name, u.role, u.institutions, u.disabled, u.last_sign_in_at)
            for u in found
        ],
    )


@users.command("add")
def add_user(
    username: Username,
    *,
    role: Annotated[PersonRole, typer.Option(help="What this person is here.")],
    full_name: Annotated[str, typer.Option(help="Name as others see it.")] = "",
    institution: Institutions = None,
    password_stdin: PasswordStdin = False,
    generate: Generate = False,
    data_dir: DataDir = None,
) -> None:
    """Make an account."""
    password = _password(password_stdin, generate)
    from pacs.people.users import create_user

    with transaction(data_dir) as connection:
        user = create_user(
            connection,
            username,
            password,
            Role(role.value),
            full_name,
            institutions=institution or None,
        )
        audit(connection, "user.create", username=user.username, role=user.role.value)
    say(f"{user.username} may sign in as {user.role.value}")
    if generate:
        typer.echo(password)


@users.command("list")
def list_all_users(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show all accounts."""
    from pacs.people.users import list_users

    with transaction(data_dir) as connection:
        found = list_users(connection)
    _print_users(found, as_json)


@users.command("passwd")
def change_password(
    username: Username,
    password_stdin: PasswordStdin = False,
    generate: Generate = False,
    data_dir: DataDir = None,
) -> None:
    """Set a new password; ends the account's sessions and lifts its lock."""
    password = _password(password_stdin, generate)
    from pacs.people.users import set_password

    with transaction(data_dir) as connection:
        user = set_password(connection, username, password)
        audit(connection, "user.password", username=user.username)
    say(f"{user.username} has a new password")
    if generate:
        typer.echo(password)


@users.command("disable")
def disable(username: Username, data_dir: DataDir = None) -> None:
    """Let an account sign in no more; its sessions end."""
    from pacs.people.users import disable_user

    with transaction(data_dir) as connection:
        user = disable_user(connection, username)
        audit(connection, "user.disable", username=user.username)
    say(f"{user.username} can no longer sign in")


@users.command("enable")
def enable(username: Username, data_dir: DataDir = None) -> None:
    """Let a disabled account sign in again."""
    from pacs.people.users import enable_user

    with transaction(data_dir) as connection:
        user = enable_user(connection, username)
        audit(connection, "user.enable", username=user.username)
    say(f"{user.username} can sign in again")


@users.command("restrict")
def restrict(
    username: Username, institution: Institutions = None, data_dir: DataDir = None
) -> None:
    """Show somebody the studies of some institutions alone; of all where none is given."""
    from pacs.people.users import restrict_user

    with transaction(data_dir) as connection:
        user = restrict_user(connection, username, institution or None)
        seen = ", ".join(user.institutions) if user.institutions else "all institutions"
        audit(connection, "user.restrict", username=user.username, institutions=seen)
    say(f"{user.username} sees the studies of {seen}")


def _state(token: Token) -> str:
    from datetime import UTC, datetime

    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= datetime.now(UTC):
        return "expired"
    return "valid"


@tokens.command("create")
def create(
    *,
    role: Annotated[Role, typer.Option(help="What the machine may do.")],
    name: Annotated[str, typer.Option(help="What the token is for.")] = "",
    scope: Annotated[
        list[Permission] | None,
        typer.Option(help="Only this; may be repeated. All that the role permits unless given."),
    ] = None,
    institution: Institutions = None,
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days of validity; no end unless given.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a token and print its secret, which cannot be shown again."""
    from pacs.people.tokens import create_token

    expires = None if expires_in_days is None else timedelta(days=expires_in_days)
    with transaction(data_dir) as connection:
        token, secret = create_token(
            connection,
            role,
            name or role.value,
            expires,
            scope or None,
            institutions=institution or None,
        )
        audit(connection, "token.create", token=token.id, name=token.name, role=role.value)
    if as_json:
        print_json({"token": token, "secret": secret})
        return
    say(f"token {token.id} ({token.name}) is for {role.value}; send it as Authorization: Bearer")
    typer.echo(secret)


@tokens.command("list")
def list_all_tokens(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show all tokens, without their secrets."""
    from pacs.people.tokens import list_tokens

    with transaction(data_dir) as connection:
        found = list_tokens(connection)
    if as_json:
        print_json(found)
        return
    print_table(
        ["id", "name", "role", "scopes", "institutions", "state", "expires", "last used"],
        [
            (
                t.id,
                t.name,
                t.role,
                t.scopes,
                t.institutions,
                _state(t),
                t.expires_at,
                t.last_used_at,
            )
            for t in found
        ],
    )


@tokens.command("revoke")
def revoke(
    token_id: Annotated[int, typer.Argument(help="Number of the token, as `list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Make a token worthless at once."""
    from pacs.people.tokens import revoke_token

    with transaction(data_dir) as connection:
        token = revoke_token(connection, token_id)
        audit(connection, "token.revoke", token=token.id, name=token.name)
    say(f"token {token.id} ({token.name}) is revoked")
