"""Where the command line has a new password from: a prompt, standard input, or a draw. Never an argument."""

import sys
from typing import NamedTuple

import typer

from gateway.cli.output import USAGE, Fail

KEEP_IT = "Keep the password: it is not shown again."


class NewPassword(NamedTuple):
    """A password that is good; *shown* is it again where nobody but us knows it, else None."""

    text: str
    shown: str | None


def new_password(name: str, display: str, *, from_stdin: bool, generate: bool) -> NewPassword:
    """
    The password for *name*, called *display*.

    Errors: Fail(USAGE) where it is not a good one, or there is nowhere to have it from; typer.Abort on Ctrl-C.
    """
    from gateway.people.passwords import check_password, generate_password
    from gateway.people.person import InvalidUser

    if from_stdin and generate:
        raise Fail(USAGE, "usage", "--password-stdin and --generate are both given; give one")
    if generate:
        made = generate_password()
        return NewPassword(made, made)
    if from_stdin:
        text = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin is not None and sys.stdin.isatty():
        text = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        hint = "give --generate, or --password-stdin and the password as a line of standard input"
        raise Fail(USAGE, "usage", "there is no terminal to ask for the password", hint)
    try:
        return NewPassword(check_password(text, name, display), None)
    except InvalidUser as error:
        raise Fail(USAGE, "bad_user", str(error)) from None
