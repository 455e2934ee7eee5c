"""In which order the table stands: the links that change it, and its name in words."""

from collections.abc import Sequence

from msgspec import Struct

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import MEASURES, Order
from meterboard.web import formatting as words
from meterboard.web.page_state import Address


class Head(Struct, frozen=True):
    """
    A column's heading. `now` is how the table is sorted by it, in words, or empty; `place` is which of several keys that
    is, from 1.

    `url` sorts by it alone, `then_url` by what there is and then by it, both in the direction that `words` name.
    `first_url` makes it the default column.
    """

    label: str
    sorted: str
    now: str
    place: int
    words: str
    url: str
    then_url: str
    first_url: str


class Ordering:
    """
    The order of a table whose first column is the default column.

    When rows are grouped, another column stands in a group's row for how many values it has: so is it sorted, and said.
    """

    def __init__(
        self, columns: Sequence[str], order: Sequence[Order], dimensions: Dimensions, *, grouped: bool
    ) -> None:
        self._columns = columns
        self._order = order
        self._dimensions = dimensions
        self._labels = words.labels(dimensions)
        self._counted = {*columns[1:]} if grouped else set()

    def in_words(self) -> str:
        """Calls, most first, then user, A to Z."""
        return ", then ".join(
            f"{self._name(key.column)}, {self._direction(key.column, key.descending)}" for key in self._order
        )

    def heads(self, address: Address) -> dict[str, Head]:
        """The heading of every column and measure."""
        return {name: self._head(name, address) for name in (*self._columns, *MEASURES)}

    def further(self) -> list[tuple[str, str]]:
        """What may be sorted by next: the whole order as the address has it, and the further key in words."""
        keys = {key.column for key in self._order}
        return [
            (
                _text([*self._order, Order(name, falling)]),
                f"{self._name(name)}, {self._direction(name, falling)}",
            )
            for name in (*self._columns, *MEASURES)
            if name not in keys
            for falling in (self._falls_first(name), not self._falls_first(name))
        ]

    def _head(self, name: str, address: Address) -> Head:
        place = next((at for at, key in enumerate(self._order, 1) if key.column == name), 0)
        now = self._order[place - 1] if place else None
        following = Order(name, not now.descending if now else self._falls_first(name))
        then = [following if key.column == name else key for key in self._order]
        rest = [column for column in self._columns if column != name]
        return Head(
            label=self._labels[name],
            sorted="none" if place != 1 or now is None else "descending" if now.descending else "ascending",
            now=self._direction(name, now.descending) if now else "",
            place=place,
            words=self._direction(name, following.descending),
            url=address.change(sort=_text([following])),
            then_url=address.change(sort=_text(then if place else [*then, following])),
            first_url=address.change(columns=",".join([name, *rest]), open=None)
            if name in self._columns
            else "",
        )

    def _falls_first(self, name: str) -> bool:
        return name in MEASURES or name in self._counted

    def _name(self, name: str) -> str:
        return (
            self._dimensions[name].plural if name in self._counted else words.in_sentence(self._labels[name])
        )

    def _direction(self, name: str, descending: bool) -> str:
        if name in MEASURES or name in self._counted:
            return "most first" if descending else "fewest first"
        return "Z to A" if descending else "A to Z"


def _text(order: Sequence[Order]) -> str:
    return ",".join(f"{'-' * key.descending}{key.column}" for key in order)
