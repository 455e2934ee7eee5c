"""Exports are written page by page, say what the whole answer says, and leave nothing behind."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from meterboard.api.statistics.responses import respond
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import MAX_TEXT, Combination
from meterboard.domain.organization import Organization
from meterboard.domain.query import parse_order
from meterboard.errors import AnswerTooLong, Overloaded
from meterboard.service import export
from meterboard.service.export import FOLDER, MAX_FILES_PER_ORGANIZATION, Exports, FileFormat, write_in_full
from meterboard.service.statistics.answers import TableAnswer
from meterboard.service.statistics.events import MOST_EVENTS
from meterboard.service.table_data import Paged
from meterboard.services import Services
from tests.batches import batch, joined
from tests.conftest import NOW
from tests.service.test_reads import client, run

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")
COLUMNS = ("user", "module", "function")
JSON_ROWS = 10_000
FILTERS: dict[str, tuple[str, ...]] = {}


def store(services: Services, organization: Organization, combinations: list[Combination]) -> None:
    """An event of each combination, every third of them with an estimated price."""
    events = [
        batch(
            NOW - timedelta(hours=number % 7, microseconds=1),
            combination=combination,
            organization=organization.id,
            credits=number % 5,
            estimated=number % 3 == 0,
        )
        for number, combination in enumerate(combinations)
    ]
    services.meter.submit(joined(*events)).result()
    services.refresh.now()


@pytest.fixture
def filled(services: Services, acme: Organization) -> Services:
    combinations = [
        Combination(
            1,
            f"app{n % 3}",
            f"task{n % 4}" if n % 4 else "",
            f"m{n % 5}",
            "get",
            "v8",
            "",
            f"u{n % 11}",
            "200",
        )
        for n in range(120)
    ]
    store(services, acme, combinations)
    return services


@pytest.mark.parametrize("name", ["table", "grouped", "by user", "by caller", "tasks"])
def test_pages_of_an_export_add_up_to_the_whole_answer(
    filled: Services, acme: Organization, name: str
) -> None:
    order = parse_order("calls,user", allowed=("calls", "user"))
    with filled.statistics.read(acme) as reading:
        day = reading.period("today")

        def breakdown(by: Any, limit: int | None, offset: int, in_full: bool) -> Paged:
            found = reading.breakdown(day, FILTERS, by, limit=limit, offset=offset, in_full=in_full)
            return reading.compared(found, day, FILTERS)

        def table(ask: Any, limit: int | None, offset: int, in_full: bool) -> Paged:
            page = offset // (limit or 1) + 1
            answer: Paged = ask(
                day, FILTERS, columns=COLUMNS, order=order, page=page, page_size=limit, in_full=in_full
            )
            return answer

        def tasks(limit: int | None, offset: int, in_full: bool) -> Paged:
            return reading.integration_tasks(day, FILTERS, limit=limit, offset=offset, in_full=in_full)

        questions: dict[str, Callable[..., Paged]] = {
            "table": partial(table, reading.table),
            "grouped": partial(table, reading.grouped),
            "by user": partial(breakdown, "user"),
            "by caller": partial(breakdown, "caller"),
            "tasks": tasks,
        }
        ask = questions[name]
        whole = ask(limit=None, offset=0, in_full=False)
        assert len(whole.rows) > 3
        forms: tuple[FileFormat, ...] = ("csv", "parquet")
        for form in forms:
            file = filled.exports.open(acme.id)
            write_in_full(
                partial(_called, ask),
                file,
                format=form,
                with_estimates=reading.has_estimates(day, FILTERS),
                page_rows=3,
            )
            written = file.content.read()
            expected = respond(whole, format=form, name="x").content
            filled.exports.close(file)
            if form == "csv":
                assert written == expected
            else:
                assert pyarrow.parquet.read_table(io.BytesIO(written)).equals(
                    pyarrow.parquet.read_table(io.BytesIO(expected))
                )


def _called(ask: Callable[..., Paged], limit: int, offset: int) -> Paged:
    return ask(limit=limit, offset=offset, in_full=True)


def test_json_has_a_limit_of_rows_and_files_have_none(services: Services, acme: Organization) -> None:
    count = JSON_ROWS + 50
    who = [Combination(1, "", f"f{n}", "m", "get", "v8", "", f"u{n}", "200") for n in range(count)]
    store(services, acme, who)
    key = services.accounts.keys.create(acme, name="test", scope="read")

    async def main() -> None:
        async with client(services) as web:
            web.headers["Authorization"] = f"Bearer {key}"
            answer = (await web.get("/v1/statistics/breakdown?by=user")).json()
            assert (len(answer["rows"]), answer["others"]["names"]) == (JSON_ROWS, 50)
            assert answer["total"]["calls"] == count
            tasks = (await web.get("/v1/statistics/integration-tasks")).json()
            assert (len(tasks["rows"]), tasks["total"]["tasks"]) == (JSON_ROWS, count)
            for question in ("breakdown?by=user", "integration-tasks?"):
                file = await web.get(f"/v1/statistics/{question}&format=csv")
                assert len(list(csv.reader(io.StringIO(file.text)))) == count + 1
                assert int(file.headers["content-length"]) == len(file.content)

    run(main())


def test_an_export_that_fails_makes_room_for_the_next(filled: Services, acme: Organization) -> None:
    key = filled.accounts.keys.create(acme, name="test", scope="read")

    async def main() -> None:
        async with client(filled) as web:
            web.headers["Authorization"] = f"Bearer {key}"
            held = [filled.exports.open(acme.id) for _ in range(MAX_FILES_PER_ORGANIZATION)]
            refused = await web.get("/v1/statistics/table?format=csv")
            assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
            filled.exports.close(held[0])
            for _ in range(MAX_FILES_PER_ORGANIZATION + 1):
                wrong = await web.get("/v1/statistics/table?format=csv&period=nonsense")
                right = await web.get("/v1/statistics/table?format=csv")
                assert (wrong.status_code, right.status_code) == (400, 200)
            filled.exports.close(held[1])

    run(main())


def test_a_file_that_is_dropped_counts_no_longer(tmp_path: Path) -> None:
    exports = Exports(tmp_path)
    for _ in range(MAX_FILES_PER_ORGANIZATION + 1):
        exports.open(1)  # and its sender is gone
    held = [exports.open(1) for _ in range(MAX_FILES_PER_ORGANIZATION)]
    with pytest.raises(Overloaded):
        exports.open(1)
    exports.open(2)
    assert len(held) == MAX_FILES_PER_ORGANIZATION


def long_names(count: int, length: int) -> list[Combination]:
    """Combinations of four names that have so many characters each."""
    texts = [f"{number:0{length}}" for number in range(count)]
    return [Combination(1, text, "", text, text, "", "", text, "200") for text in texts]


def test_long_names_fit_in_a_file(services: Services, acme: Organization) -> None:
    store(services, acme, long_names(2_100, 2_000))
    with services.statistics.read(acme) as reading:
        day = reading.period("last_30_days")
        columns = Dimensions().parse_columns("application,module,method,user")
        forms: tuple[FileFormat, ...] = ("csv", "parquet")

        def ask(limit: int, offset: int) -> TableAnswer:
            page = offset // limit + 1
            return reading.table(day, FILTERS, columns=columns, page=page, page_size=limit, in_full=True)

        for form in forms:
            file = services.exports.open(acme.id)
            write_in_full(ask, file, format=form, with_estimates=False)
            if form == "parquet":
                table = pyarrow.parquet.read_table(io.BytesIO(file.content.read()), columns=["user"])
                names = [row["user"] for row in ask(JSON_ROWS, 0).rows]
                assert table["user"].to_pylist() == names
            services.exports.close(file)


def test_names_that_are_too_long_for_a_parquet_file_are_refused(tmp_path: Path) -> None:
    rows = [[f"{number:0{MAX_TEXT}}"] * 4 for number in range(2_100)]
    columns = dict.fromkeys(("user", "module", "method", "application"), str)
    with (tmp_path / "file").open("w+b") as file, pytest.raises(AnswerTooLong, match="CSV"):
        export.write_parquet(file, columns, rows, tmp_path)


def test_an_answer_in_memory_has_a_limit_of_text(services: Services, acme: Organization) -> None:
    store(services, acme, long_names(600, 9_900))
    with services.statistics.read(acme) as reading:
        month = reading.period("last_30_days")
        columns = Dimensions().parse_columns("application,module,method,user")
        questions: list[Callable[[], object]] = [
            lambda: reading.table(month, FILTERS, columns=columns, page_size=JSON_ROWS),
            lambda: reading.events(month, FILTERS, limit=MOST_EVENTS),
            lambda: reading.flows(month, FILTERS, columns[:3], limit=600),
            lambda: reading.series(month, FILTERS, "user", limit=600),
        ]
        for question in questions:
            with pytest.raises(AnswerTooLong):
                question()
        assert len(reading.table(month, FILTERS, columns=columns, page_size=300).rows) == 300
        assert len(reading.breakdown(month, FILTERS, "user", limit=JSON_ROWS).rows) == 600


def test_nothing_is_left_of_exports(filled: Services, acme: Organization, tmp_path: Path) -> None:
    folder = tmp_path / "data" / FOLDER
    with filled.statistics.read(acme) as reading:
        file = filled.exports.open(acme.id)
        day = reading.period("today")
        write_in_full(
            lambda limit, offset: reading.breakdown(day, FILTERS, "user", limit=limit, offset=offset),
            file,
            format="parquet",
            with_estimates=False,
        )
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [*folder.iterdir()] == []  # it has no name while it is sent
    filled.exports.close(file)
    (folder / "left").mkdir()  # as after a crash in the middle of a Parquet file
    Exports(tmp_path / "data")
    assert not folder.exists()
