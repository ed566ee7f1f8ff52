"""When trainings that wait for each other will all be done."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from simformer.study.catalogue import Cell


def hours_until_end(hours: Mapping[Cell, float], teachers: Mapping[Cell, Cell], jobs: int) -> float:
    """Simulate some trainings, several at a time, each after its teacher, in the order of the list.

    Args:
        hours: time that each one still takes, in the order in which they are started.
        teachers: student -> teacher; teachers that are not in `hours` are done.
        jobs: trainings at a time, at least 1.
    Returns: hours until the last one ends; label making and evaluation are not counted.
    """
    waiting = list(hours)
    unfinished = set(hours)
    busy: list[tuple[float, Cell]] = []
    now = 0.0
    while waiting or busy:
        ready = next((cell for cell in waiting if teachers.get(cell) not in unfinished), None)
        if ready is not None and len(busy) < jobs:
            waiting.remove(ready)
            heapq.heappush(busy, (now + hours[ready], ready))
        else:
            now, cell = heapq.heappop(busy)
            unfinished.discard(cell)
    return now
