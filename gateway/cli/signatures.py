"""Commands whose flags are made from parts, so that what many commands take is written once."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def parameters_of(flags: Mapping[str, Any]) -> list[inspect.Parameter]:
    """Parameters that are None where they are not given, of *flags*: name → annotation."""
    return [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=flag)
        for name, flag in flags.items()
    ]


def with_parameters(run: Callable[..., None], parameters: Iterable[inspect.Parameter]) -> Callable[..., None]:
    """*run*, which takes anything by name, as the command line sees it: with *parameters* and no others."""
    visible = inspect.Signature(list(parameters))
    run.__signature__ = visible  # type: ignore[attr-defined]
    run.__annotations__ = {name: each.annotation for name, each in visible.parameters.items()}
    return run
