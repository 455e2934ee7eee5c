"""What is installed at run time is what the source imports, within bounds, and fits together."""

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = {canonicalize_name(each.name): each for each in map(Requirement, PROJECT["dependencies"])}
SHARED = {
    "backports": "backports-zstd",
    "compression": "backports-zstd",  # which it is of the standard library from Python 3.14
    "google.protobuf": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "opentelemetry.proto": "opentelemetry-proto",
}
"""Packages of namespaces that several distributions share."""
UNSEEN = {"tzdata", "uvloop"}
"""tzdata is read by zoneinfo; uvloop is imported by its name, where it exists."""
FRAMEWORKS = {"asgiref", "django"}
"""Imported by the middleware of applications that have them."""


def imported() -> set[str]:
    """The distributions of the modules that the source imports."""
    modules: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module)
            elif isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
    distributions = importlib.metadata.packages_distributions()
    found: set[str] = set()
    for module in modules:
        top = module.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {"meterboard", *FRAMEWORKS}:
            shared = [name for prefix, name in SHARED.items() if module.startswith(prefix)]
            found |= set(shared or distributions[top])
    return {canonicalize_name(name) for name in found}


def test_the_dependencies_are_what_the_source_imports() -> None:
    assert imported() == DECLARED.keys() - UNSEEN


def test_every_dependency_has_an_upper_bound_but_the_time_zones() -> None:
    unbounded = {
        name for name, each in DECLARED.items() if not any(s.operator == "<" for s in each.specifier)
    }

    assert unbounded == {"tzdata"}


def test_the_installed_versions_are_within_the_bounds() -> None:
    outside = {
        name: installed
        for name, each in DECLARED.items()
        if (each.marker is None or each.marker.evaluate())
        and (installed := importlib.metadata.version(name)) not in each.specifier
    }

    assert outside == {}


def test_the_installed_packages_fit_together() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=120
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
