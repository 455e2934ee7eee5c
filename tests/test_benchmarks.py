"""The benchmarks can be run; their types are checked with those of the product."""

from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import hostile
from benchmarks.attacks import ATTACKS

MODULES = sorted(file.stem for file in Path(hostile.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_can_be_loaded(name: str) -> None:
    import_module(f"benchmarks.{name}")


def test_every_attack_says_what_it_does() -> None:
    assert all(attack.__doc__ for attack in ATTACKS)
    assert len({attack.__name__ for attack in ATTACKS}) == len(ATTACKS)
