"""The house: who may import whom, and how large things may grow. See docs/architecture.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "meterboard"
LAYERS = {
    "domain": {"errors"},
    "accounts": {"domain", "clock", "errors"},
    "usage": {"domain", "errors"},
    "service": {"usage", "domain", "clock", "errors"},
    "api": {"service", "domain", "errors"},
    "web": {"service", "domain", "errors", "__init__"},
    "importers": {"service", "domain", "errors"},
    "client": set(),
    "proxy": {"client", "listener", "domain", "errors"},
    "commands": {
        "services",
        "address",
        "data_folder",
        "server",
        "showcase",
        "settings",
        "clock",
        "api",
        "web",
        "importers",
        "proxy",
        "client",
        "service",
        "domain",
        "errors",
    },
}
"""What each folder may import, itself apart. The files beside the folders put everything together."""
FILES = sorted(SOURCE.rglob("*.py"))


def imported(file: Path) -> set[str]:
    """The parts of meterboard that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "meterboard":
            rest = node.module.split(".")[1:]
            names |= {rest[0]} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith("meterboard.")
            }
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_point_one_way(file: Path) -> None:
    folder = file.relative_to(SOURCE).parts[0]
    if folder in LAYERS:
        allowed = LAYERS[folder] | {folder, "__version__"}
        assert not imported(file) - allowed


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_fits_in_400_lines_and_a_function_on_a_screen(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 400
    if "migrations" in file.parts:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name


def test_nothing_committed_names_a_registry_or_a_machine() -> None:
    hosts = (
        "registry." + "npmjs",
        "files.python" + "hosted",
        "pypi" + ".org",
        "deb.deb" + "ian",
        "/ro" + "ot/",
        "/wo" + "rk/",
    )
    for name in (
        "package-lock.json",
        "package.json",
        "pyproject.toml",
        "Makefile",
        "hatch_build.py",
        ".npmrc",
        "README.md",
    ):
        text = (ROOT / name).read_text()
        assert not [host for host in hosts if host in text], name
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()


def test_the_migrations_end_where_the_code_expects() -> None:
    from meterboard.accounts.database import MIGRATIONS, NEWEST

    last = sorted((MIGRATIONS / "versions").glob("*.py"))[-1]
    assert f'revision = "{NEWEST}"' in last.read_text()
