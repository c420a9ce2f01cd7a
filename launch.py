#!/usr/bin/env python3
"""The way in, above every room: makes .venv, installs what is missing into it, and hands over to webui.cli.

Standard library only, and written so that an old Python still reads it far enough to say that it is too old (hence the
quoted annotations). A start that finds all in place reads three small files and replaces itself; heavier modules are
imported only where there is something to install.
"""

import json
import os
import sys

WINDOWS = os.name == "nt"
MIN_PYTHON = (3, 11)
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "Scripts", "python.exe") if WINDOWS else os.path.join(VENV, "bin", "python")
# What was installed last, and whether that install came to its end. Absent or unreadable means: nothing is certain.
RECORD = os.path.join(VENV, "lifelike.json")
LOG = os.path.join(VENV, "install.log")
LOCK = os.path.join(ROOT, ".launch.lock")

CONSTRAINTS = "constraints.txt"
PARTS = {"app": "requirements.txt", "tests": "requirements-dev.txt"}
TORCH_PACKAGES = ("torch", "torchvision")
TORCH_WHEELS = "https://download.pytorch.org/whl/"
PYPI = "pypi"
NETWORK_SIGNS = (
    "NewConnectionError",
    "NameResolutionError",
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "RemoteDisconnected",
    "Max retries exceeded",
)

USAGE = """\
python launch.py [options of serve]   install what is missing, start the page and open it (the same as: serve)
python launch.py setup                only install
python launch.py test [pytest args]   install what the tests need; without arguments run ruff, mypy and all tests
python launch.py COMMAND ...          serve, run, ext, models, doctor, reproduce, bench, library, user; COMMAND --help

  --torch-index INDEX   where PyTorch comes from: pypi (the default), cpu, cu130, rocm7.1, xpu ... or an index's URL.
                        Remembered by later starts. The variable LIFELIKE_TORCH_INDEX says the same.
"""

# Runs inside .venv, where pip (and so its reader of requirement lines) is at hand.
LIST_MISSING = """
import sys
from importlib.metadata import PackageNotFoundError, version
from pip._vendor.packaging.requirements import Requirement
for line in open(sys.argv[1], encoding="utf-8"):
    line = line.split("#")[0].strip()
    if not line or line.startswith("-"):
        continue
    wanted = Requirement(line)
    if wanted.marker and not wanted.marker.evaluate():
        continue
    try:
        if not wanted.specifier.contains(version(wanted.name), prereleases=True):
            print(line.split(";")[0].strip())
    except PackageNotFoundError:
        print(wanted.name)
"""


class LaunchError(Exception):
    """The set-up cannot go on. The message says what failed and what to do; it is all that the person sees."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def say(message: str) -> None:
    """To stderr: stdout belongs to the command that is handed over to (`run --json` prints JSON lines there)."""
    print(message, file=sys.stderr, flush=True)


def main(argv: "list[str]") -> int:
    try:
        check_python()
        torch_index, args = take_torch_index(argv)
        word = args[0] if args else "serve"
        if word == "setup":
            return setup(torch_index)
        if word == "test":
            install("app", torch_index)
            install("tests", None)
            return hand_over([os.path.join(ROOT, "tests", "run.py"), *args[1:]])
        if word in ("-h", "--help"):
            print(USAGE)
            if not is_installed("app", torch_index):
                return 0
        elif word.startswith("-"):
            args = ["serve", *args]
        install("app", torch_index)
        return hand_over(["-P", "-m", "webui.cli", *(args or ["serve"])])
    except LaunchError as error:
        say(f"launch.py: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("launch.py: interrupted. The next start goes on from here.")
        return 130


def check_python() -> None:
    if sys.version_info >= MIN_PYTHON:
        return
    import shutil

    wanted = ".".join(map(str, MIN_PYTHON))
    met = ".".join(map(str, sys.version_info[:3]))
    found = shutil.which(f"python{wanted}")
    todo = f"Run it with {found} instead." if found else f"Install Python {wanted} and run it with that one."
    raise LaunchError(f"Python {wanted} or newer is needed, and this is {met} ({sys.executable}). {todo}")


def take_torch_index(argv: "list[str]") -> "tuple[str | None, list[str]]":
    """Take --torch-index out of the words. Answers the index's URL, "" for PyPI, None where nothing is asked."""
    value = os.environ.get("LIFELIKE_TORCH_INDEX") or None
    rest = list(argv)
    for position, word in enumerate(argv):
        if word == "--":
            break
        if word == "--torch-index":
            if position + 1 == len(argv):
                raise LaunchError("--torch-index needs a value: pypi, cpu, cu130, rocm7.1, xpu or a URL.", exit_code=2)
            value, rest = argv[position + 1], argv[:position] + argv[position + 2 :]
            break
        if word.startswith("--torch-index="):
            value, rest = word.split("=", 1)[1], argv[:position] + argv[position + 1 :]
            break
    return (None if value is None else torch_index_url(value)), rest


def torch_index_url(name: str) -> str:
    """cpu, xpu, cu130, rocm7.1 ... -> PyTorch's own wheel index of that name; a URL stays; pypi -> ""."""
    import re

    if name == PYPI:
        return ""
    if "://" in name:
        return name
    if re.fullmatch(r"cpu|xpu|cu\d+|rocm\d+(\.\d+)+", name):
        return TORCH_WHEELS + name
    raise LaunchError(
        f"no PyTorch build is called {name!r}. Expected pypi, cpu, xpu, a CUDA one such as cu130, a ROCm one such as "
        f"rocm7.1, or the URL of an index. docs/installing.md has the list.",
        exit_code=2,
    )


def setup(torch_index: "str | None") -> int:
    done = install("app", torch_index)
    say("Lifelike is installed. Start it with: python launch.py" if done else "Lifelike is installed already.")
    return 0


# Installing -----------------------------------------------------------------------------------------------------------


def install(part: str, torch_index: "str | None") -> bool:
    """Install a part unless the record says that it is there. Answers whether there was something to do."""
    if is_installed(part, torch_index):
        return False
    with open(LOCK, "w") as lock:
        wait_for(lock)
        if is_installed(part, torch_index):  # by another start, while this one waited
            return False
        install_under_lock(part, torch_index)
    return True


def is_installed(part: str, torch_index: "str | None") -> bool:
    record = read_record()
    python = real_python()
    return (
        python != ""
        and record["python"] == python
        and torch_index in (None, record["torch_index"])
        and record["parts"].get(part) == digest(part)
    )


def install_under_lock(part: str, torch_index: "str | None") -> None:
    record = read_record()
    if not venv_works():
        make_venv()
        record.update(python="", torch_done=not record["torch_index"], parts={})
    remove_log()
    drop_half_installed()
    record["parts"].pop(part, None)
    if torch_index not in (None, record["torch_index"]):
        # Noted before it is done, so that a start after an interruption needs no option to go on with it.
        record.update(torch_index=torch_index, torch_done=False, parts={})
    write_record(record)
    say(f"Installing {PARTS[part]} into {VENV} ...")
    index = record["torch_index"]
    if not record["torch_done"]:
        # By itself, forced: pip would keep a torch of the same version from another index.
        source = ["--index-url", index] if index else []
        pip_install(part, [*source, "--force-reinstall", "--no-deps", *TORCH_PACKAGES])
        record["torch_done"] = True
        write_record(record)
    # The index stays in sight: torch's own dependencies may be there alone (ROCm's Triton is).
    extra = ["--extra-index-url", index] if index else []
    pip_install(part, [*extra, "-r", os.path.join(ROOT, PARTS[part])])
    record["python"] = real_python()
    record["parts"][part] = digest(part)
    write_record(record)
    remove_log()  # tens of megabytes, of use only after a failure


def remove_log() -> None:
    if os.path.exists(LOG):
        os.remove(LOG)


def digest(part: str) -> str:
    """What the part asks for, in one word: changes with the requirements and with the pins."""
    from hashlib import sha256

    text = b""
    for name in (PARTS[part], CONSTRAINTS):
        try:
            with open(os.path.join(ROOT, name), "rb") as file:
                text += file.read() + b"\0"
        except OSError as error:
            raise LaunchError(f"{name} cannot be read ({error.strerror}). Get the project anew.") from error
    return sha256(text).hexdigest()


def empty_record() -> "dict":
    """python: what .venv stands on; torch_index: "" for PyPI; torch_done: torch came from there; parts: digests."""
    return {"python": "", "torch_index": "", "torch_done": True, "parts": {}}


def read_record() -> "dict":
    try:
        with open(RECORD, encoding="utf-8") as file:
            record = json.load(file)
        return {key: type(empty)(record[key]) for key, empty in empty_record().items()}
    except (OSError, ValueError, KeyError, TypeError):
        return empty_record()


def write_record(record: "dict") -> None:
    with open(RECORD + ".new", "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
    os.replace(RECORD + ".new", RECORD)


def wait_for(lock: "object") -> None:
    """Hold the lock file until it is closed. Children inherit it: a pip that outlives a killed start holds it."""
    os.set_inheritable(lock.fileno(), True)
    notice = "Another start is installing; waiting for it ..."
    if WINDOWS:
        import msvcrt
        import time

        while True:
            try:
                msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
                return
            except OSError:
                if notice:
                    say(notice)
                notice = ""
                time.sleep(1)
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(notice)
        fcntl.flock(lock, fcntl.LOCK_EX)


# The virtual environment ----------------------------------------------------------------------------------------------


def real_python() -> str:
    """The interpreter behind .venv; "" where there is none or its base is gone (a dangling link, a missing home)."""
    try:
        with open(os.path.join(VENV, "pyvenv.cfg"), encoding="utf-8") as file:
            home = next((line.split("=", 1)[1].strip() for line in file if line.startswith("home")), "")
    except OSError:
        return ""
    return os.path.realpath(PYTHON) if os.path.isdir(home) and os.path.exists(PYTHON) else ""


def venv_works() -> bool:
    import subprocess

    if not real_python():
        return False
    try:
        return subprocess.run([PYTHON, "-I", "-m", "pip", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    import subprocess

    say(f"Making {VENV} with Python {sys.version.split()[0]} ...")
    # --clear: whatever is left of a broken one goes.
    command = [sys.executable, "-I", "-m", "venv", "--clear", VENV]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        return
    said = done.stdout.strip()
    if "ensurepip" in said:
        version = ".".join(map(str, sys.version_info[:2]))
        raise LaunchError(
            f"this Python has no pip of its own to give to .venv. "
            f"On Debian and Ubuntu: apt install python{version}-venv. Then start again."
        )
    raise LaunchError(f"{VENV} could not be made by `{' '.join(command)}`:\n{said}\nFree or fix it, then start again.")


def drop_half_installed() -> None:
    """Remove what a killed pip left: a package whose RECORD (written last) is missing passes for installed."""
    import glob
    import shutil

    packages = os.path.join(VENV, "Lib" if WINDOWS else "lib/python*", "site-packages")
    halves = [d for d in glob.glob(os.path.join(packages, "*.dist-info")) if not os.path.exists(f"{d}/RECORD")]
    for folder in halves + glob.glob(os.path.join(packages, "~*")):
        shutil.rmtree(folder, ignore_errors=True)


def pip_install(part: str, args: "list[str]") -> None:
    import subprocess

    pins = ["-c", os.path.join(ROOT, CONSTRAINTS)]
    # -I and --no-user: a person's PYTHONPATH or pip configuration must not lead the files elsewhere.
    # close_fds=False hands the lock on, see wait_for.
    quiet = ["--disable-pip-version-check", "--no-input", "--log", LOG]
    command = [PYTHON, "-I", "-m", "pip", "install", "--no-user", *quiet, *pins, *args]
    if subprocess.run(command, stdout=sys.stderr.fileno(), close_fds=False).returncode != 0:
        raise LaunchError(explain_failure(part))


def explain_failure(part: str) -> str:
    import subprocess

    command = [PYTHON, "-I", "-c", LIST_MISSING, os.path.join(ROOT, PARTS[part])]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    missing = ", ".join(listed.stdout.splitlines()) if listed.returncode == 0 else ""
    still = f"Not installed: {missing}." if missing else f"Not complete: {PARTS[part]} under {CONSTRAINTS}."
    try:
        with open(LOG, encoding="utf-8", errors="replace") as file:
            log = file.read()
    except OSError:
        log = ""
    if any(sign in log for sign in NETWORK_SIGNS):
        return (
            f"the package index cannot be reached, so the installation is not complete. {still}\n"
            f"Connect and start again: what has been installed is kept. Behind a proxy set HTTPS_PROXY; to use a "
            f"mirror set PIP_INDEX_URL; without any network see 'Without a network' in docs/installing.md.\n"
            f"pip's log: {LOG}"
        )
    if "No space left on device" in log:
        return f"the disk is full. {still}\nFree some (docs/installing.md says how much it takes), then start again."
    return f"pip failed (its last lines are above). {still}\nStart again after mending what it names. pip's log: {LOG}"


# Handing over ---------------------------------------------------------------------------------------------------------


def environment() -> "dict[str, str]":
    """For the child: the project is importable from any working folder (-P keeps that folder itself off the path)."""
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": ROOT + (os.pathsep + others if others else "")}


def hand_over(args: "list[str]") -> int:
    """Become .venv's Python (POSIX), or run it and give back its exit status (Windows)."""
    sys.stdout.flush()
    if not WINDOWS:
        os.execve(PYTHON, [PYTHON, *args], environment())
    import subprocess

    child = subprocess.Popen([PYTHON, *args], env=environment())
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the console sends it to the child too, which ends when it is ready to
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
