"""Running a generator of events to its return value."""

from collections.abc import Callable, Generator
from typing import TypeVar

Event = TypeVar("Event")
Result = TypeVar("Result")


def run(events: Generator[Event, None, Result], on_event: Callable[[Event], None] = lambda _: None) -> Result:
    """Exhaust the generator, handing each event on, and return what it returns."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            return end.value
        on_event(event)
