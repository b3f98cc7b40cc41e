"""Flags that every command spells alike: settings as flags, --json, and the environment behind both."""

import os
from typing import Annotated, Any

import typer

from gateway.cli.output import USAGE, Fail
from gateway.settings import PREFIX, SettingError, Settings, load_settings

JsonFlag = Annotated[
    bool, typer.Option("--json", envvar=PREFIX + "JSON", help="Answer in JSON, for programs.", show_envvar=True)
]


def setting_flag(name: str, *spellings: str) -> Any:
    """The typer option of setting *name*; its value is None where the flag is not given."""
    meta = Settings.__annotations__[name].__metadata__[0]
    default = getattr(Settings(), name)
    shown = f", default {default}" if default != "" else ""
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
        return load_settings(environment, **flags)
    except SettingError as error:
        raise Fail(USAGE, "bad_setting", str(error), "docs/settings.md lists every setting and its bounds") from None


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
