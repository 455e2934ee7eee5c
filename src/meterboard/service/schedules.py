"""The credit schedule that an organisation names: one that comes with Meterboard, or one of its own."""

from collections.abc import Callable

from meterboard.accounts.organizations import OWN
from meterboard.schedule.builtin import builtin_schedule
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule


class Schedules:
    """Schedules by reference, each read once."""

    def __init__(self, text: Callable[[str], str]) -> None:
        """`text` returns the text of an organisation's own schedule. Raises: NotFound: there is none."""
        self._text = text
        self._own: dict[str, CreditSchedule] = {}

    def of(self, reference: str) -> CreditSchedule:
        """Returns the schedule that an organisation names. Raises: ScheduleError, NotFound."""
        if OWN not in reference:
            return builtin_schedule(reference)
        if reference not in self._own:  # an own schedule never changes: a new one gets a new number
            self._own[reference] = read_schedule(self._text(reference), stored=True)
        return self._own[reference]
