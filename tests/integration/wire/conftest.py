"""Workers on sockets run on the loop they are shipped with."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of every test of this folder."""
    return {"uvloop": uvloop.new_event_loop}
