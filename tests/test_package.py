"""A wheel of this checkout runs where there is no Node and no network."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.server import Server, command, sign_in

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(build, check=True, timeout=600)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_the_pages_and_none_of_their_sources(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for needed in ("static/main.js", "static/charts.js", "static/meterboard.css", "templates/dashboard.html"):
        assert f"meterboard/web/{needed}" in names
    assert "meterboard/schedule/data/one-per-call.toml" in names
    assert not [name for name in names if "/assets/" in name or "node_modules" in name]


def test_the_script_is_at_most_260_kb_compressed(wheel: Path) -> None:
    import gzip

    archive = zipfile.ZipFile(wheel)
    scripts = [archive.read(f"meterboard/web/static/{name}.js") for name in ("main", "charts")]

    assert sum(len(gzip.compress(script)) for script in scripts) <= 260_000


def test_an_installed_wheel_serves_its_pages_without_node_or_network(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    offline = os.environ | {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1"}
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, env=offline, timeout=300)
    packages = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    # The dependencies of this very environment, but not its checkout of meterboard.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    shadow = subprocess.check_output(
        [python, "-c", "import meterboard; print(meterboard.__file__)"], text=True, cwd=tmp_path
    )
    assert str(tmp_path) in shadow

    server = Server(tmp_path / "data")
    server.python = str(python)
    person = ["user", "create", "acme", "maria@acme.example", "--role", "owner"]
    command("org", "create", "acme", data=server.data, python=str(python))
    server.start()
    try:
        link = command(*person, data=server.data, python=str(python)).stdout.strip()
        with httpx.Client(follow_redirects=True) as browser:
            page = sign_in(browser, link)
            assert page.status_code == 200
            assert "No calls yet" in page.text
            for name in ("main.js", "charts.js", "meterboard.css"):
                assert browser.get(f"{server.url}/static/{name}").status_code == 200
    finally:
        server.stop()
