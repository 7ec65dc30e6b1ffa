"""Make `.venv` complete for a goal: `demo` (the package) or `test` (napari and the tools too).

Started by set_up.sh, which finds a Python; needs nothing but the standard library. Returns at once
when nothing has changed, repairs what an interrupted set-up left, and waits for another one that
runs in the same checkout.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / "set-up"
EXTRAS = {"demo": "", "test": "[dev]"}
NEEDED_SPACE = 9e9  # bytes: torch with its CUDA libraries on Linux, unpacked, and the download

HINTS = {
    "No space left on device": "The disk is full: about 9 GB are needed.",
    "Permission denied": "A file or folder cannot be written.",
    "Read-only file system": "A file or folder cannot be written.",
    "ProxyError": "The proxy refuses: check HTTPS_PROXY.",
    "SSLError": "The index's certificate is not accepted: check PIP_CERT and the clock.",
    "NewConnectionError": "The package index cannot be reached: check the network or HTTPS_PROXY.",
    "NameResolutionError": "The package index cannot be reached: check the network or HTTPS_PROXY.",
    "ConnectTimeoutError": "The package index cannot be reached: check the network or HTTPS_PROXY.",
    "ReadTimeoutError": "The package index is too slow: run the same command again.",
    "No matching distribution found for torch": "There is no torch for this Python: name another "
    "with PYTHON=/path/to/python and delete .venv.",
}


class SetUpError(Exception):
    """The set-up failed; the message gives the reason and the remedy."""


def main() -> None:
    """Set up for the goal named on the command line."""
    if sys.argv[1:] not in [["demo"], ["test"]]:
        sys.exit("usage: set_up.sh demo|test")
    goal = sys.argv[1]
    try:
        if not is_complete(goal):
            with one_at_a_time():
                if not is_complete(goal):
                    set_up(goal)
    except (SetUpError, OSError) as error:
        sys.exit(f"set-up: {error}")
    except KeyboardInterrupt:
        sys.exit("\nset-up: interrupted; the same command continues where it stopped.")


def is_complete(goal: str) -> bool:
    """Check whether an earlier set-up for the same requirements is enough for `goal`."""
    stamps = [STATE / goal, STATE / "test"]  # a set-up for the tests is enough for the demo
    done = any(stamp.is_file() and stamp.read_text() == fingerprint() for stamp in stamps)
    site = site_packages()
    return done and all(
        any(site.glob(f"{name}-*.dist-info"))
        for name in ("torch", "torchvision", "sam2", "napari_sam2lora")
    )


def fingerprint() -> str:
    """Digest everything that decides what is installed, and where."""
    project = read_project()
    parts = {key: project.get(key) for key in ("build-system", "project")}
    parts["hatch"] = project["tool"]["hatch"]
    parts["root"] = str(ROOT)
    parts["script"] = Path(__file__).read_text(encoding="utf-8")
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def set_up(goal: str) -> None:
    """Create or repair `.venv`, then install in the order that downloads torch only once."""
    start = time.monotonic()
    project = read_project()
    requirements = {distribution_name(line): line for line in project["project"]["dependencies"]}
    tools = [*project["build-system"]["requires"], "editables", "setuptools", "wheel"]
    print(f"Setting up {VENV} for `make {goal}`; the first time takes some minutes.", flush=True)
    make_venv()
    remove_half_installed()
    if not any(site_packages().glob("torch-*.dist-info")):
        warn_of_little_space()
    # torch and torchvision must be of one build, so one command chooses both.
    install(
        "torch and torchvision (some GB on Linux)",
        [requirements["torch"], requirements["torchvision"]],
    )
    install("build tools", tools)
    # sam2 is built against the torch installed above; an isolated build would fetch a second one.
    install("sam2", ["--no-build-isolation", requirements["sam2"]])
    package = f"{ROOT}{EXTRAS[goal]}"
    install("napari-sam2lora" + EXTRAS[goal], ["--no-build-isolation", "--editable", package])
    run("check", [PYTHON, "-I", "-c", "import napari_sam2lora, sam2, sam2lora, torch, torchvision"])
    (STATE / goal).write_text(fingerprint())
    print(f"Set up in {time.monotonic() - start:.0f} s.", flush=True)


def read_project() -> dict:
    """Read pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        return tomllib.load(stream)


def distribution_name(requirement: str) -> str:
    """Return the distribution name of a requirement such as `torch>=2.6`."""
    return requirement.split(">")[0].strip()


def site_packages() -> Path:
    """Return the site-packages folder of `.venv`, which may not exist."""
    return next(VENV.glob("lib/python3*/site-packages"), VENV / "lib")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold a lock on the checkout; the operating system drops it if this process dies."""
    with (ROOT / ".venv.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up runs in this folder; waiting for it.", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def make_venv() -> None:
    """Create `.venv`, or recreate it if it was moved or its Python does not work."""
    home = STATE / "home"
    moved = home.is_file() and home.read_text() != str(ROOT)
    if moved or not works("import sys; sys.exit(sys.version_info < (3, 11))"):
        if VENV.exists():
            print("  .venv does not work here (moved, incomplete or too old): recreating it.")
        run("virtual environment", [sys.executable, "-I", "-m", "venv", "--clear", VENV])
    elif not works("import pip"):
        run("pip", [PYTHON, "-I", "-m", "ensurepip", "--upgrade"])
    STATE.mkdir(exist_ok=True)
    home.write_text(str(ROOT))


def works(code: str) -> bool:
    """Check whether the Python of `.venv` runs `code` without error."""
    if not PYTHON.exists():
        return False
    return subprocess.run([PYTHON, "-I", "-c", code], capture_output=True).returncode == 0


def remove_half_installed() -> None:
    """Remove packages whose installation was interrupted, so that pip installs them again.

    pip writes INSTALLER after all files of a package, and names what it is about to delete `~…`.
    """
    for info in site_packages().glob("*.dist-info"):
        if not (info / "INSTALLER").is_file():
            shutil.rmtree(info)
    for leftover in site_packages().glob("~*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)


def warn_of_little_space() -> None:
    """Print a warning if torch's CUDA libraries are likely to fill the disk."""
    free = shutil.disk_usage(VENV).free
    if sys.platform == "linux" and free < NEEDED_SPACE:
        print(f"  note: {free / 1e9:.1f} GB are free here and about 9 GB are needed.", flush=True)


def install(label: str, arguments: Sequence[str]) -> None:
    """Run pip in `.venv`."""
    pip = [PYTHON, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    run(label, [*pip, "install", "--progress-bar", "off", *arguments])


def run(label: str, command: Sequence[str | Path]) -> None:
    """Run `command` with its output in a log, and one line with the time it took.

    Raises
    ------
    SetUpError
        If it fails; the message has the errors and the path of the log.
    """
    start = time.monotonic()
    log = ROOT / ".venv.log"
    print(f"  {label} ...", end="", flush=True)
    environment = {**os.environ, "SAM2_BUILD_CUDA": "0", "PIP_USER": "0"}
    with log.open("w", encoding="utf-8") as output:
        code = subprocess.run(command, stdout=output, stderr=output, env=environment).returncode
    print(f" {time.monotonic() - start:.0f} s", flush=True)
    if code < 0:
        raise SetUpError(f"{label} was killed (signal {-code}); 9 is often too little memory.")
    if code:
        text = log.read_text(encoding="utf-8", errors="replace")
        raise SetUpError(f"{explain(label, text)}\nThe whole output is in {log}.")


def explain(label: str, text: str) -> str:
    """Return the errors in the output of a failed command, with a hint."""
    lines = [line.strip()[:300] for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:]
    hint = next((hint for pattern, hint in HINTS.items() if pattern in text), "")
    return "\n".join([f"{label} failed.", *errors[-3:], hint]).strip()


if __name__ == "__main__":
    main()
