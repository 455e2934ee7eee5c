"""
Whatever happens to logs between imports, every line counts once: random histories of servers that rotate their logs,
against the number of lines that they wrote.
"""

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.importers.histories import History, Rotate, Scripted, Site, Write, line, steps


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("identity"))
    yield site
    site.services.close()


@given(steps, st.tuples(st.booleans(), st.booleans()), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=12, deadline=None)
def test_every_line_of_two_servers_counts_once(
    site: Site, steps: list[object], truncates: tuple[bool, bool], order: Random, one_by_one: bool
) -> None:
    history = History(site, truncates, chunk=250)
    for step in steps:
        history.happen(step)

    files = history.files()
    order.shuffle(files)
    for group in [[file] for file in files] if one_by_one else [files]:
        history.run(*group)
    assert history.counted == history.written

    history.run(*files)
    assert history.counted == history.written


follows = st.lists(
    st.one_of(
        st.builds(Write, st.just(0), st.integers(1, 6), st.integers(0, 1), st.integers(0, 1)),
        st.builds(Rotate, st.just(0)),
        st.none(),
    ),
    min_size=1,
    max_size=12,
)
"""None: nothing happens between two looks, so what came before was read."""


@given(st.booleans(), st.lists(follows, min_size=1, max_size=3), st.none() | st.integers(0, 4))
@settings(max_examples=12, deadline=None)
def test_what_is_followed_and_its_rotated_logs_count_once(
    site: Site, truncates: bool, runs: list[list[object]], batches: int | None
) -> None:
    history = History(site, [truncates])
    (server,) = history.servers
    for run in runs:
        happen = [partial(history.happen, step) for step in run]
        history.run(server.log, following=Scripted(server.log, happen), batches=batches)

    history.run(f"{server.log}*")
    assert history.counted == history.written


class TestFollowing:
    @pytest.mark.parametrize("truncates", [False, True])
    def test_a_rotation_within_a_second_counts_the_lines_on_both_sides(
        self, site: Site, truncates: bool
    ) -> None:
        history = History(site, [truncates])
        (server,) = history.servers
        server.write([line(0)] * 300, 0)
        rotated = [
            lambda: None,
            lambda: server.rotate(1),
            lambda: server.write([line(0)] * 300, 2),
            lambda: None,
        ]
        history.run(server.log, following=Scripted(server.log, rotated))
        # Nothing in a file shows that it was truncated and got the same lines again: the copy does.
        assert history.counted == (300 if truncates else 600)

        history.run(f"{server.log}*")
        assert history.counted == 600

    def test_a_file_that_was_truncated_and_grew_beyond_its_old_length_is_read_from_its_beginning(
        self, site: Site
    ) -> None:
        history = History(site, [True])
        (server,) = history.servers
        server.write([line(0)] * 100, 0)

        def burst() -> None:
            for second in range(1, 4):
                server.rotate(second)
                server.write([line(second)] * 100 * (second + 1), second)

        history.run(server.log, following=Scripted(server.log, [burst]))
        assert history.counted == 100 + 400

        history.run(f"{server.log}*")
        assert history.counted == history.written == 1_000

    def test_started_again_it_counts_what_is_new(self, site: Site) -> None:
        history = History(site, [False])
        (server,) = history.servers
        for second in range(3):
            server.write([line(second)] * 10, second)
            history.run(server.log, following=Scripted(server.log, []))
            assert history.counted == history.written


class TestNamedSources:
    def test_equal_lines_of_two_sources_are_two_calls(self, site: Site) -> None:
        history = History(site, [False, False])
        one, two = history.servers
        one.write([line(0)] * 5, 0)
        two.write([line(0)] * 5, 0)

        history.run(one.log, source="web1")
        history.run(one.log, source="web1")
        assert history.counted == 5
        history.run(two.log, source="web2")
        assert history.counted == 10

    @given(st.lists(st.integers(0, 30), max_size=4), st.randoms(use_true_random=False))
    @settings(max_examples=4, deadline=None)
    def test_pieces_of_one_command_are_numbered_on(self, site: Site, cuts: list[int], order: Random) -> None:
        history = History(site, [])
        lines = [line(number // 7) for number in range(30)]
        edges = [0, *sorted(cuts), 30]
        pieces = [history.folder / f"piece-{number}" for number in range(len(edges) - 1)]
        for piece, start, end in zip(pieces, edges, edges[1:], strict=False):
            piece.write_bytes(b"".join(lines[start:end]))
        everything = history.folder / "all"
        everything.write_bytes(b"".join(lines))

        order.shuffle(pieces)
        assert history.site.run(history.organization, *pieces, source="web1").outcome.accepted == 30
        assert history.site.run(history.organization, everything, source="web1").outcome.accepted == 0


def test_a_file_that_is_replaced_by_a_newer_copy_of_itself_is_the_same(site: Site) -> None:
    history = History(site, [False])
    (server,) = history.servers
    server.write([line(second) for second in range(2_000)], 0)  # longer than what is compared at first
    history.run(server.log)
    server.write([line(second) for second in range(2_000, 2_100)], 1)
    copy = history.folder / ".copy"
    copy.write_bytes(server.log.read_bytes())
    copy.replace(server.log)

    history.run(server.log)
    assert history.counted == 2_100


def test_two_logs_with_a_long_equal_beginning_are_distinguished_when_compressed(site: Site) -> None:
    history = History(site, [False, False])
    for number, server in enumerate(history.servers):
        server.write([line(second) for second in range(1_000)] + [line(1_000, number)], 0)
        history.run(server.log)
    for server in history.servers:
        packed = server.log.with_name(f"{server.log.name}.gz")
        packed.write_bytes(gzip.compress(server.log.read_bytes()))
        server.log.unlink()

    history.run(f"{history.folder}/*")
    assert history.counted == history.written == 2_002


def test_imports_at_once_recognise_a_new_file_as_one(site: Site) -> None:
    history = History(site, [False])
    (server,) = history.servers
    server.write([line(0)] * 20, 0)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(
            pool.map(lambda _: site.run(history.organization, server.log).outcome.accepted, range(4))
        )

    assert sum(outcomes) == 20
