"""A flag that is waited for, as one waits for an asyncio.Event."""

from __future__ import annotations

import asyncio

from tailrace.http1.flow_control import Flag


def test_setting_it_wakes_all_who_wait_and_clearing_it_makes_the_next_wait() -> None:
    async def test() -> None:
        flag = Flag()
        waiting = [asyncio.ensure_future(flag.wait()) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        flag.set()
        await asyncio.wait_for(asyncio.gather(*waiting), 5)
        await flag.wait()
        flag.clear()
        later = asyncio.ensure_future(flag.wait())
        await asyncio.sleep(0)
        assert not later.done()
        flag.set()
        await asyncio.wait_for(later, 5)

    asyncio.run(test())


def test_one_who_gives_up_waiting_takes_nobody_along() -> None:
    async def test() -> None:
        flag = Flag()
        impatient, patient = (asyncio.ensure_future(flag.wait()) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait((impatient,))
        assert impatient.cancelled()
        assert not patient.done()
        flag.set()
        await asyncio.wait_for(patient, 5)

    asyncio.run(test())
