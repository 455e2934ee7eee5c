"""Plans: what an edition may use in any rolling 24 hours, by its licenses, since when."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct

from meterboard.domain.allowance import Allowance
from meterboard.domain.period import midnight
from meterboard.errors import InvalidParameter

START = datetime(1971, 1, 1, tzinfo=UTC)


class PlanRule(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A plan: min(base + licenses x per_license + add-on, max), but at least `min`; `max` None: no limit.

    `aliases` are other names of the same edition. `until` is its last day (UTC), None: in force.
    """

    name: str
    base: int = 0
    per_license: int = 0
    min: int = 0
    max: int | None = None
    aliases: list[str] = []
    until: date | None = None

    def credits(self, licenses: int, add_on: int) -> int:
        """Returns the credits in any rolling 24 hours."""
        wanted = self.base + licenses * self.per_license + add_on
        return max(self.min, wanted if self.max is None else min(wanted, self.max))


def allowances(rules: Sequence[PlanRule], name: str, *, licenses: int, add_on: int = 0) -> list[Allowance]:
    """
    Returns the allowances of an edition in order of their start, including past ones.

    Raises: InvalidParameter: there is no such edition, or a number is negative.
    """
    if licenses < 0 or add_on < 0:
        raise InvalidParameter(
            "licenses", f"licenses is {licenses}, add-on {add_on}: use whole numbers, 0 or more."
        )
    found = [rule for rule in rules if name in (rule.name, *rule.aliases)]
    if not found:
        known = ", ".join(dict.fromkeys(each for rule in rules for each in (rule.name, *rule.aliases)))
        raise InvalidParameter(
            "plan", f"There is no plan {name!r}. Use one of {known or 'none: the schedule has no plans'}."
        )
    history: list[Allowance] = []
    starts_at = START
    for rule in sorted(found, key=lambda rule: rule.until or date.max):
        history.append(Allowance(rule.credits(licenses, add_on), starts_at))
        if rule.until and rule.until < date.max:
            starts_at = midnight(rule.until + timedelta(days=1), UTC)
    return history
