"""Every example of docs/client.md, as it is written there."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.apis import served_as
from tests.client.conftest import counted
from tests.server import Server
from tests.waiting import eventually

DOCS = (Path(__file__).parent.parent.parent / "docs" / "client.md").read_text()


def examples() -> list[str]:
    """The indented blocks of Python in the page."""
    blocks: list[str] = []
    for line in DOCS.splitlines():
        if line.startswith("    "):
            blocks[-1] += line[4:] + "\n"
        elif line.strip():
            blocks.append("")
        elif blocks and blocks[-1]:
            blocks[-1] += "\n"
    return [block for block in blocks if block.strip() and not block.startswith(("X-API", "pip "))]


Run = Callable[[str], dict[str, Any]]


def example(*parts: str) -> str:
    (found,) = [block for block in examples() if all(part in block for part in parts)]
    return found


@pytest.fixture
def filled(meterboard: Server, spool: Path) -> Callable[[str], str]:
    """The names of the page replaced by those that exist here."""

    def fill(text: str) -> str:
        text = text.replace("https://usage.example.com", meterboard.url).replace(
            '"KEY"', f'"{meterboard.key}"'
        )
        return text.replace("/var/lib/my-api/meterboard", str(spool))

    return fill


@pytest.fixture
def run(filled: Callable[[str], str]) -> Run:
    def execute(text: str) -> dict[str, Any]:
        space: dict[str, Any] = {"__name__": __name__}
        exec(filled(text), space)
        return space

    return execute


def test_there_is_no_example_that_is_not_tried() -> None:
    assert len(examples()) == 10


def test_recording(run: Run) -> None:
    space = run(example("meter.record(", "records=3") + example("stats.recorded"))

    assert space["meter"].flush()
    assert space["meter"].stats.sent == 1
    space["meter"].close()


def test_asynchronously(run: Run, meterboard: Server) -> None:
    before = counted(meterboard, "Sales desk")

    with ThreadPoolExecutor(1) as pool:  # this thread may have the browser's loop running
        pool.submit(asyncio.run, run(example("AsyncMeter"))["main"]()).result()

    assert counted(meterboard, "Sales desk") == before + 1


@pytest.mark.parametrize(
    ("parts", "kind", "path"),
    [
        (("FastAPI", "skip_paths="), "asgi", "/crm/v8/Leads/5"),
        (("Litestar",), "asgi", "/crm/v8/Leads"),
        (("Flask",), "wsgi", "/crm/v8/Leads/5"),
        (("AllowanceGuard",), "asgi", "/crm/v8/Leads"),
    ],
)
def test_middleware(run: Run, parts: tuple[str, ...], kind: str, path: str) -> None:
    space = run(example(*parts))
    meter = space["meter"]
    with served_as(kind, space["app"]) as url:
        assert httpx.get(f"{url}{path}").status_code == 200
        eventually(lambda: meter.stats.recorded == 1)

    assert meter.flush()
    assert meter.stats.sent == 1
    meter.close()
    if "guard" in space:
        space["guard"].close()


def test_names_of_ones_own(run: Run) -> None:
    by_team = run(example("by_team"))["by_team"]

    assert by_team("GET", "/internal/{id}") is None
    assert by_team("GET", "/leads/{id}") == (None, "leads", "get")


def test_django(filled: Callable[[str], str], meterboard: Server, tmp_path: Path) -> None:
    project = tmp_path / "project" / "my_api"
    project.mkdir(parents=True)
    (project / "__init__.py").touch()
    (project / "metering.py").write_text(filled(example("meter_middleware")))
    (project / "settings.py").write_text(
        example("MIDDLEWARE =") + "ROOT_URLCONF = 'my_api.urls'\nALLOWED_HOSTS = ['testserver']\n"
    )
    (project / "urls.py").write_text(
        "from django.http import HttpResponse\nfrom django.urls import path\n"
        "urlpatterns = [path('crm/v8/Leads', lambda request: HttpResponse('[]'))]\n"
    )
    call = (
        "import django; django.setup()\nfrom django.test import Client\n"
        "print(Client().get('/crm/v8/Leads', HTTP_X_APPLICATION='django docs').status_code)"
    )
    environment = {"PYTHONPATH": str(project.parent), "DJANGO_SETTINGS_MODULE": "my_api.settings"}
    done = subprocess.run(
        [sys.executable, "-c", call], env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == "200", done.stderr
    assert counted(meterboard, "django docs") == 1
