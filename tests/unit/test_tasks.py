"""A background task is ended, whatever swallows its cancellation."""

import asyncio

from reconciler.tasks import end


async def test_a_task_that_loses_a_cancellation_is_ended() -> None:
    """The first cancellation is swallowed, as by a library that closes a connection; the task ends all the same."""
    began, swallowed = asyncio.Event(), 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed += 1

    task = asyncio.create_task(stubborn())
    await began.wait()

    await end(task)

    assert task.cancelled()
    assert swallowed == 1
