"""How every command answers: data on stdout, errors on stderr, one table of exit codes."""

import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec

OK, FAILURE, USAGE, NOT_FOUND, CONFLICT, AUTH, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130

EXIT_CODES = {
    OK: "done",
    FAILURE: "failed, or a check failed",
    USAGE: "a flag, an argument or a setting is wrong",
    NOT_FOUND: "there is no such campaign, key, user or coupon",
    CONFLICT: "in the way: a busy port, a second `up`, a claim or change that was refused",
    AUTH: "no valid API key or token",
    UNAVAILABLE: "a server can't be reached or did not answer in time",
    INTERRUPTED: "stopped by Ctrl-C",
}
"""What each exit code means, for every command."""


class Fail(Exception):
    """
    A command can't do what was asked; main() prints it and exits.

    *exit_code* is from EXIT_CODES, *code* a word for programs, *message* one line, *hint* what to do about it, and
    *retry_after_s* what the gateway said, where it said that.
    """

    def __init__(
        self, exit_code: int, code: str, message: str, hint: str = "", *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.exit_code, self.code, self.message, self.hint = exit_code, code, message, hint
        self.retry_after_s = retry_after_s


def emit(data: Any, as_json: bool, human: Callable[[], str]) -> None:
    """Print *data* as JSON, or what *human* makes of it."""
    print(msgspec.json.format(msgspec.json.encode(data), indent=2).decode() if as_json else human(), flush=True)


def complain(fail: Fail, as_json: bool) -> None:
    """Print *fail* on stderr, for a program or for a person."""
    if as_json:
        error = {"code": fail.code, "message": fail.message, "hint": fail.hint}
        print(msgspec.json.encode({"error": error}).decode(), file=sys.stderr)
        return
    print(f"fairclaim: {fail.message}", file=sys.stderr)
    if fail.hint:
        print(f"  {fail.hint}", file=sys.stderr)


def wants_json(arguments: list[str]) -> bool:
    """Whether the caller asked for JSON, told before the arguments are parsed: they may be what is wrong."""
    return "--json" in arguments or os.environ.get("FAIRCLAIM_JSON", "").lower() in ("1", "true", "yes", "on")
