"""Ends background tasks, also where a library swallows a cancellation."""

import asyncio
import logging

log = logging.getLogger("fairclaim.reconciler")

CANCEL_AGAIN_S = 0.1


async def end(task: "asyncio.Task[None]") -> None:
    """Cancel *task* until it has ended. What it failed with is logged."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
    if not task.cancelled() and task.exception() is not None:
        log.error("a background task failed", exc_info=task.exception())
