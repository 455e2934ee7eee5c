"""The credit schedules that organisations name: built-in ones, and their own."""

from collections.abc import Callable
from functools import lru_cache

from meterboard.accounts.organizations import OWN
from meterboard.schedule.builtin import builtin_schedule
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule

CACHE_SIZE = 1_000
"""Compiled own schedules that are cached. Others are compiled again when they are used, which takes milliseconds."""


class Schedules:
    """Credit schedules by reference. Each is compiled once while it is in use."""

    def __init__(self, text: Callable[[str], str]) -> None:
        """`text` returns the text of an organisation's own schedule. Raises: NotFound: there is none."""
        self._text = text
        # An own schedule never changes: a new version has a new number.
        self._own = lru_cache(maxsize=CACHE_SIZE)(self._read)

    def of(self, reference: str) -> CreditSchedule:
        """Returns the schedule that an organisation names. Raises: ScheduleError, NotFound."""
        if OWN not in reference:
            return builtin_schedule(reference)
        return self._own(reference)

    def _read(self, reference: str) -> CreditSchedule:
        return read_schedule(self._text(reference), stored=True)
