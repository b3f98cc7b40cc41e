"""Flags that every command spells alike: settings as flags, --json, and the environment behind both."""

import os
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from gateway.cli.output import USAGE, Fail
from gateway.environment import OTHER_VARIABLES, is_of_settings, load_settings
from gateway.settings import PREFIX, SettingError, Settings
from gateway.tokens import parse_keys

SETTINGS_HINT = "docs/settings.md lists every setting and its bounds"

JsonFlag = Annotated[
    bool, typer.Option("--json", envvar=PREFIX + "JSON", help="Answer in JSON, for programs.", show_envvar=True)
]


def setting_flag(name: str, *spellings: str) -> Any:
    """The typer option of setting *name*; its value is None where the flag is not given."""
    meta = Settings.__annotations__[name].__metadata__[0]
    default = getattr(Settings(), name)
    shown = f", default {str(default).lower()}" if default != "" else ""
    text = f"{meta.description} ({meta.extra['unit']}{shown}; or {PREFIX}{name.upper()})"
    return typer.Option(*(spellings or (f"--{name.replace('_', '-')}",)), help=text, show_default=False)


def settings_from(**flags: Any) -> Settings:
    """
    The settings of this command: defaults, then the environment, then *flags* that are not None.

    Errors: Fail(USAGE) naming the variable and what is allowed.
    """
    of_flags = _flag_variables()
    environment = {name: value for name, value in os.environ.items() if name not in of_flags}
    try:
        settings = load_settings(environment, **flags)
    except SettingError as error:
        message, _, _ = str(error).partition("; docs/settings.md")  # the hint says it
        raise Fail(USAGE, "bad_setting", message, _hint(environment, of_flags)) from None
    try:
        parse_keys(settings.jwt_keys)
    except ValueError as error:
        raise Fail(USAGE, "bad_setting", f"{PREFIX}JWT_KEYS: {error}", _hint(environment, of_flags)) from None
    return settings


def keys_from(settings: Settings) -> dict[str, bytes]:
    """The keys of tokens and tickets, if *settings* give any. Errors: Fail(USAGE) naming the variable, no secret."""
    from gateway.key_file import signing_keys

    try:
        return signing_keys(settings)
    except SettingError as error:
        raise Fail(USAGE, "bad_setting", str(error), SETTINGS_HINT) from None


def _hint(environment: dict[str, str], of_flags: set[str]) -> str:
    """Where settings are described, and what a misspelt one may have meant to be."""
    known = {PREFIX + name.upper() for name in Settings.__struct_fields__} | OTHER_VARIABLES.keys() | of_flags
    for variable in sorted(environment):
        if is_of_settings(variable) and variable not in known and (close := get_close_matches(variable, known, 1)):
            return f"did you mean {close[0]}? {SETTINGS_HINT}"
    return SETTINGS_HINT


def _flag_variables() -> set[str]:
    """Variables of flags that are no setting, such as FAIRCLAIM_JSON."""
    from gateway.cli import app

    found: set[str] = set()
    waiting: list[Any] = [typer.main.get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting.extend(getattr(command, "commands", {}).values())
        for parameter in command.params:
            variables = parameter.envvar or ()
            found.update([variables] if isinstance(variables, str) else variables)
    return found - {PREFIX + name.upper() for name in Settings.__struct_fields__}
