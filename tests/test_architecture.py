"""The house: who may import whom, and how large things may grow. See docs/architecture.md."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "meterboard"
ALONE = {"errors"}
MODEL = {"domain", *ALONE}
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "wording": set(),
    "clock": ALONE,
    "settings": MODEL,
    "data_folder": ALONE,
    "domain": ALONE,
    "schedule": {"wording", *MODEL},
    "formats": MODEL,
    "accounts": {"clock", *MODEL},
    "usage": MODEL,
    "service": {"accounts", "usage", "schedule", "formats", "clock", *MODEL},
    "http": ALONE,
    "client": set(),
    "network": MODEL,
    "api": {"service", "formats", "http", *MODEL},
    "web": {"service", "http", *MODEL},
    "importers": {"service", "schedule", "formats", *MODEL},
    "proxy": {"client", "network", "formats", "http", *MODEL},
    "services": {"settings", "data_folder", "service", "accounts", "usage", "clock", *MODEL},
    "app": {"services", "api", "web", *ALONE},
    "server": {"app", "services", "network", "service", *ALONE},
    "demo": {"server", "services", "settings", "network", "importers", *MODEL},
    "commands": {
        *("demo", "server", "services", "settings", "data_folder", "network"),
        *("web", "importers", "proxy", "client", "service", "schedule", "clock", "wording"),
        *MODEL,
    },
    "cli": {"commands", "data_folder"},
    "__main__": {"cli"},
    "__init__": set(),
}
"""What each folder, and each file beside the folders, may import, itself apart. No circle is possible: see the test."""
WITHIN = {"meterboard.usage.duckdb.store": {"services.py", "usage/duckdb"}}
"""Packages that only these files and folders may import."""
MAX_LINES, MAX_FUNCTION_LINES, MAX_FILES = 400, 40, 10
LONG_FUNCTIONS = {
    "accounts/migrations/versions/0001_first.py": "one statement for each of the first tables",
}
"""Files that may have longer functions, and why."""
VERSIONS = sorted((SOURCE / "accounts" / "migrations" / "versions").glob("[0-9]*.py"))
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
    part = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert not imported(file) - LAYERS[part] - {part, "__version__", "__init__"}


def test_no_layer_imports_itself_through_others() -> None:
    def reached(part: str) -> set[str]:
        return set[str]().union(LAYERS[part], *map(reached, LAYERS[part]))

    assert not [part for part in LAYERS if part in reached(part)]


@pytest.mark.parametrize("package", WITHIN)
def test_the_engine_is_named_where_stores_are_built(package: str) -> None:
    for file in FILES:
        name = str(file.relative_to(SOURCE))
        if not name.startswith(tuple(WITHIN[package])):
            assert package not in file.read_text(), name


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_and_its_functions_are_short(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    if str(file.relative_to(SOURCE)) in LONG_FUNCTIONS:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION_LINES, node.name


def test_a_folder_has_few_files() -> None:
    counts = Counter(file.parent for file in FILES if file.name != "__init__.py")
    assert {str(folder.relative_to(SOURCE)): n for folder, n in counts.items() if n > MAX_FILES} == {}


def test_the_documentation_has_the_import_table() -> None:
    """`docs/architecture.md` lists what `LAYERS` says, line by line."""
    lines = [
        f"    {part:<12} -> {', '.join(sorted(allowed)) or '-'}"
        for part, allowed in LAYERS.items()
        if not part.startswith("__")
    ]
    assert "\n".join(lines) in (ROOT / "docs" / "architecture.md").read_text()


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


@pytest.mark.parametrize("file", VERSIONS, ids=lambda file: file.stem)
def test_a_migration_is_named_by_its_revision(file: Path) -> None:
    assert f'revision = "{file.name[:4]}"' in file.read_text()
