"""The credit schedule that an organisation names: one that comes with Meterboard, or one of its own."""

from collections.abc import Callable
from functools import lru_cache

from meterboard.accounts.organizations import OWN
from meterboard.schedule.builtin import builtin_schedule
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule

MOST_KEPT = 1_000
"""Own schedules that are kept compiled; of more, those in use are read again, which takes milliseconds."""


class Schedules:
    """Schedules by reference, each read once while it is in use."""

    def __init__(self, text: Callable[[str], str]) -> None:
        """`text` returns the text of an organisation's own schedule. Raises: NotFound: there is none."""
        self._text = text
        # An own schedule never changes: a new one gets a new number.
        self._own = lru_cache(maxsize=MOST_KEPT)(self._read)

    def of(self, reference: str) -> CreditSchedule:
        """Returns the schedule that an organisation names. Raises: ScheduleError, NotFound."""
        if OWN not in reference:
            return builtin_schedule(reference)
        return self._own(reference)

    def _read(self, reference: str) -> CreditSchedule:
        return read_schedule(self._text(reference), stored=True)
