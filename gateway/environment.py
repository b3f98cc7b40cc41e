"""
Settings as the environment and the flags of a command give them.

Nothing else reads the variables of settings.py.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Meta

from gateway.cores import usable_cores
from gateway.settings import PREFIX, SettingError, Settings, variable_of

OTHER_VARIABLES = {
    PREFIX + "API_KEY": "the API key the command line presents",
    PREFIX + "GATEWAY_URL": "the gateway the command line talks to",
    PREFIX + "TEST_REDIS": "a redis-server the tests run on besides Valkey",
    PREFIX + "TEST_SOFFICE": "a LibreOffice the tests open spreadsheets with besides openpyxl",
}
"""Variables of the command line and the tests, which no server process reads."""

OTHER_PREFIXES = {PREFIX + "LOADTEST_": "the arguments of a load test"}
"""Beginnings of more of them."""

AUTO: dict[str, Callable[[], int]] = {"workers": usable_cores}
"""Settings that may be `auto`, and how many that is here; load_settings() puts the number in its place."""


def allowed(name: str) -> str:
    """What the setting *name* may be, in words."""
    kind = Settings.__annotations__[name]
    meta: Meta = kind.__metadata__[0]
    if kind.__origin__ is int:
        return f"{'auto or ' if name in AUTO else ''}a whole number from {meta.ge} to {meta.le}"
    return "true or false" if kind.__origin__ is bool else "text"


def _shown(kind: Any, value: Any) -> str:
    return "not valid" if kind.__metadata__[0].extra["secret"] else repr(value)


def load_settings(environment: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """
    Settings from the environment, overridden by *flags* that are not None.

    Errors: SettingError naming the variable and what is allowed; also for a FAIRCLAIM_ variable that is not a
    setting, because a misspelt limit is no limit.
    """
    source = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for variable, text in source.items():
        if is_of_settings(variable):
            name = variable[len(PREFIX) :].lower()
            if name not in Settings.__struct_fields__:
                raise SettingError(f"{variable} is not a setting; docs/settings.md lists them")
            values[name] = text
    values.update({name: value for name, value in flags.items() if value is not None})
    known = Settings()
    converted = {}
    for name, value in values.items():
        kind = Settings.__annotations__[name]
        given = min(AUTO[name](), kind.__metadata__[0].le) if value == "auto" and name in AUTO else value
        try:
            converted[name] = msgspec.convert(given, kind, strict=False)
        except msgspec.ValidationError:
            raise SettingError(f"{variable_of(name)} is {_shown(kind, value)}; allowed: {allowed(name)}") from None
    return msgspec.structs.replace(known, **converted).checked()


def is_of_settings(variable: str) -> bool:
    """Whether *variable* is one that has to be a setting."""
    return (
        variable.startswith(PREFIX)
        and variable not in OTHER_VARIABLES
        and not variable.startswith(tuple(OTHER_PREFIXES))
    )
