"""A log is the same whatever its file is called, and whatever format it is read in."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.importers.histories import Site, line

COMMON = '%h %l %u %t "%r" %>s %b'
COMBINED = COMMON + ' "%{Referer}i" "%{User-Agent}i"'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.services.close()


class TestOtherFormats:
    @pytest.mark.parametrize("first", [None, COMMON, COMBINED + ' %D "%{X}i"'])
    def test_a_log_that_is_read_again_in_another_format_counts_nothing_twice(
        self, site: Site, tmp_path: Path, first: str | None
    ) -> None:
        """As when the guessed format does not have a field that the log has."""
        log, organization = tmp_path / "access.log", site.organization()
        log.write_bytes(b"".join(line(second // 3)[:-1] + b' 31 "x"\n' for second in range(20)))

        assert site.run(organization, log, form=first).outcome.accepted == 20
        for form in (None, COMMON, COMBINED, COMBINED + " %D", COMBINED + ' %D "%{X}i"'):
            tally = site.run(organization, log, form=form)
            assert (tally.outcome.accepted, tally.outcome.duplicates) == (0, 20)

    def test_fields_behind_the_common_format_are_no_other_lines(self, site: Site, tmp_path: Path) -> None:
        log, organization = tmp_path / "access.log", site.organization()
        log.write_bytes(b"".join(line(second // 3).partition(b' "-"')[0] + b" 31\n" for second in range(20)))

        assert site.run(organization, log).outcome.accepted == 20
        assert site.run(organization, log, form=COMMON + " %D").outcome.accepted == 0

    def test_a_last_line_without_its_end_counts_only_if_its_id_can_not_change(
        self, site: Site, tmp_path: Path
    ) -> None:
        log, organization = tmp_path / "access.log", site.organization()
        form = '$remote_addr [$time_local] "$request"'
        whole = b'10.0.0.7 [01/Nov/2026:00:00:00 +0000] "GET /v2/poll HTTP/1.1" 200 31\n'
        accepted = []
        for end in (whole.index(b" 31"), len(whole) - 2, len(whole)):
            log.write_bytes(whole[:end])
            accepted.append(site.run(organization, log, form=form).outcome.accepted)

        assert accepted == [0, 0, 1]


def test_the_name_of_a_file_may_be_no_utf_8(site: Site, tmp_path: Path) -> None:
    organization = site.organization()
    log = Path(os.fsdecode(os.fsencode(tmp_path) + b"/acc\xe9s.log"))
    log.write_bytes(line(0) * 3)

    assert site.run(organization, log).outcome.accepted == 3
    log = log.rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/acc\xe9s.log.1")))
    assert site.run(organization, log).outcome.duplicates == 3


class TestPiecesOfANamedSource:
    def test_a_file_with_two_names_is_one_piece(self, site: Site, tmp_path: Path) -> None:
        log = tmp_path / "access-20261101.log"
        log.write_bytes(line(0) * 3)
        (tmp_path / "access.log").symlink_to(log)
        (tmp_path / "access-1.log").hardlink_to(log)
        again = tmp_path / ".." / tmp_path.name / log.name

        tally = site.run(site.organization(), log, again, f"{tmp_path}/*.log", source="web1")

        assert (tally.outcome.accepted, tally.outcome.duplicates) == (3, 0)

    @pytest.mark.parametrize("packed_first", [False, True])
    def test_a_file_beside_what_it_was_compressed_to_is_one_piece(
        self, site: Site, tmp_path: Path, packed_first: bool
    ) -> None:
        log, packed = tmp_path / "access.log.1", tmp_path / "access.log.1.gz"
        log.write_bytes(line(0) * 3)
        packed.write_bytes(gzip.compress(log.read_bytes()))
        files = [packed, log] if packed_first else [log, packed]

        assert site.run(site.organization(), *files, source="web1").outcome.accepted == 3

    def test_equal_pieces_are_pieces(self, site: Site, tmp_path: Path) -> None:
        pieces = [tmp_path / "piece-1", tmp_path / "piece-2"]
        for piece in pieces:
            piece.write_bytes(line(0) * 3)

        assert site.run(site.organization(), *pieces, source="web1").outcome.accepted == 6
