"""The order of the table: its description, and the links that change it."""

from collections.abc import Sequence

from msgspec import Struct

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import MEASURES, Order
from meterboard.web import formatting
from meterboard.web.page_state import PageState


class Head(Struct, frozen=True):
    """
    A column's heading. `direction` is how the table is sorted by it, or empty; `rank` is the position of its sort
    key, from 1, or 0.

    `url` sorts by it alone, `then_url` by the present keys and then by it, both in the order that `next_direction`
    names. `first_url` groups by it.
    """

    label: str
    sorted: str
    direction: str
    rank: int
    next_direction: str
    url: str
    then_url: str
    first_url: str


class Ordering:
    """
    The order of a table that is grouped by its first column.

    A group has the number of values of each other column, so those columns are sorted by that number, and described so.
    """

    def __init__(
        self, columns: Sequence[str], order: Sequence[Order], dimensions: Dimensions, *, grouped: bool
    ) -> None:
        self._columns = columns
        self._order = order
        self._dimensions = dimensions
        self._labels = formatting.labels(dimensions)
        self._counted = {*columns[1:]} if grouped else set()

    def describe(self) -> str:
        """Returns "calls, most first, then user, A to Z"."""
        return ", then ".join(
            f"{self._name(key.column)}, {self._direction(key.column, key.descending)}" for key in self._order
        )

    def heads(self, state: PageState) -> dict[str, Head]:
        """Returns the heading of every column and measure."""
        return {name: self._head(name, state) for name in (*self._columns, *MEASURES)}

    def next_keys(self) -> list[tuple[str, str]]:
        """Returns the possible next sort keys: the whole order as in the URL, and the text of the key."""
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

    def _head(self, name: str, state: PageState) -> Head:
        rank = next((index for index, key in enumerate(self._order, 1) if key.column == name), 0)
        direction = self._order[rank - 1] if rank else None
        following = Order(name, not direction.descending if direction else self._falls_first(name))
        then = [following if key.column == name else key for key in self._order]
        rest = [column for column in self._columns if column != name]
        return Head(
            label=self._labels[name],
            sorted="none"
            if rank != 1 or direction is None
            else "descending"
            if direction.descending
            else "ascending",
            direction=self._direction(name, direction.descending) if direction else "",
            rank=rank,
            next_direction=self._direction(name, following.descending),
            url=state.change(sort=_text([following])),
            then_url=state.change(sort=_text(then if rank else [*then, following])),
            first_url=state.change(columns=",".join([name, *rest]), open=None)
            if name in self._columns
            else "",
        )

    def _falls_first(self, name: str) -> bool:
        return name in MEASURES or name in self._counted

    def _name(self, name: str) -> str:
        return (
            self._dimensions[name].plural
            if name in self._counted
            else formatting.in_sentence(self._labels[name])
        )

    def _direction(self, name: str, descending: bool) -> str:
        if name in MEASURES or name in self._counted:
            return "most first" if descending else "fewest first"
        return "Z to A" if descending else "A to Z"


def _text(order: Sequence[Order]) -> str:
    return ",".join(f"{'-' * key.descending}{key.column}" for key in order)
