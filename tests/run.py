"""The whole check, run inside .venv by `python launch.py test`: finds a Chromium, then ruff, mypy, pip-audit, pytest.

With arguments it runs pytest alone, and hands them to it. Each part of the check runs even if one before it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "pip-audit": ["tests.audit"],
    "pytest": ["pytest"],
}
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)
INSTALL_IT = "Install Chromium (Debian: apt install chromium), or name one in the variable CHROMIUM."


def main(args: list[str]) -> int:
    names_browser = any("browser" in word for word in args)
    env = {**os.environ, **browser_environment(may_install=names_browser or not args)}
    if args:
        return subprocess.call([sys.executable, "-m", "pytest", *args], cwd=ROOT, env=env)
    failed = []
    for name, command in CHECKS.items():
        say(f"== {name}")
        if subprocess.call([sys.executable, "-m", *command], cwd=ROOT, env=env) != 0:
            failed.append(name)
    say("== passed: " + (", ".join(name for name in CHECKS if name not in failed) or "nothing"))
    if failed:
        say("== FAILED: " + ", ".join(failed))
    return 1 if failed else 0


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def browser_environment(may_install: bool) -> dict[str, str]:
    """CHROMIUM, or LIFELIKE_NO_CHROMIUM_REASON, with which the browser tests are skipped."""
    asked = os.environ.get("CHROMIUM")
    path, reason = find_chromium(asked)
    if not path and may_install and not asked:
        problem = apt_install_chromium()
        path, reason = find_chromium(None)
        reason = problem or reason
    if path:
        return {"CHROMIUM": path}
    say(f"Browser tests will be skipped: {reason}")
    return {"LIFELIKE_NO_CHROMIUM_REASON": reason}


def find_chromium(asked: str | None) -> tuple[str, str]:
    """(path, "") of a Chromium that starts, or ("", why there is none)."""
    reason = f"no Chromium was found. {INSTALL_IT}"
    if asked:
        reason = f"CHROMIUM is {asked!r}, which is no program. {INSTALL_IT}"
    for path in filter(None, map(shutil.which, [asked] if asked else [*CHROMIUM_NAMES, *CHROMIUM_PLACES])):
        # Ubuntu's `chromium` may be a script that only asks for a snap. On Windows --version opens a window.
        if os.name == "nt" or subprocess.run([path, "--version"], capture_output=True).returncode == 0:
            return path, ""
        reason = f"{path} was found, but `{path} --version` fails. {INSTALL_IT}"
    return "", reason


def apt_install_chromium() -> str:
    """Install the system's package where we may. Answers "" or why not."""
    if not shutil.which("apt-get"):
        return f"no Chromium was found, and this system has no apt-get to install it. {INSTALL_IT}"
    as_root: list[str] = []
    if os.geteuid() != 0:
        as_root = ["sudo", "-n"]
        if not shutil.which("sudo") or subprocess.run([*as_root, "true"], capture_output=True).returncode != 0:
            return f"no Chromium was found, and installing it needs root. {INSTALL_IT}"
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    get = [*apt, "install", "-y", "--no-install-recommends", "chromium"]
    say("Installing the system's Chromium for the browser tests ...")
    if subprocess.call(get) == 0:
        return ""
    say("That failed; once more with fresh package lists ...")
    subprocess.call([*apt, "update"])
    if subprocess.call(get) == 0:
        return ""
    return f"no Chromium was found, and apt-get could not install it. {INSTALL_IT}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
