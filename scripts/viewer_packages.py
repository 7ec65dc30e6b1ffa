"""Install what a viewer without a screen needs on Linux: Xvfb, OpenGL and Qt's libraries.

On Debian and Ubuntu missing packages are installed if that needs no password; otherwise the command
to install them is printed. On other Linux systems the missing libraries are listed.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

# The libraries of Qt 6's xcb plugin and its OpenGL integrations (from ldd), and a virtual screen.
# The second name of a pair is that since Ubuntu 24.04 and Debian 13, where apt knows both.
PACKAGES = (
    ("xvfb",),
    ("xauth",),
    ("libgl1",),
    ("libegl1",),
    ("libgl1-mesa-dri",),
    ("libglib2.0-0", "libglib2.0-0t64"),
    ("libdbus-1-3",),
    ("libfontconfig1",),
    ("libfreetype6",),
    ("libx11-xcb1",),
    ("libxcb-cursor0",),
    ("libxcb-glx0",),
    ("libxcb-icccm4",),
    ("libxcb-image0",),
    ("libxcb-keysyms1",),
    ("libxcb-randr0",),
    ("libxcb-render-util0",),
    ("libxcb-shape0",),
    ("libxcb-shm0",),
    ("libxcb-sync1",),
    ("libxcb-xfixes0",),
    ("libxcb-xkb1",),
    ("libxkbcommon-x11-0",),
)


def main() -> None:
    """Install or list what is missing; exit with 1 if something is still missing."""
    if sys.platform != "linux":
        print("No virtual screen on this system: the tests open windows on your screen.")
        return
    if shutil.which("dpkg-query"):
        missing = missing_packages()
        if missing:
            install(missing)
    problems = missing_libraries()
    if not shutil.which("xvfb-run"):
        problems.append("xvfb-run")
    if problems:
        sys.exit(f"The viewer's tests need {', '.join(problems)}. Install packages that have them.")


def missing_packages() -> list[tuple[str, ...]]:
    """Return the entries of PACKAGES of which no name is installed."""
    names = [name for entry in PACKAGES for name in entry]
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *names]
    output = subprocess.run(query, capture_output=True, text=True).stdout
    installed = {line.split()[0] for line in output.splitlines() if line.endswith(" installed")}
    return [entry for entry in PACKAGES if installed.isdisjoint(entry)]


def install(missing: list[tuple[str, ...]]) -> None:
    """Install packages with apt, or exit with the command that does it."""
    names = [entry[0] for entry in missing]
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and subprocess.run(["sh", "-c", "sudo -n true"], capture_output=True).returncode:
        sys.exit(f"Missing system packages. Run: sudo apt-get install -y {' '.join(names)}")
    print("Installing system packages for the viewer's tests ...", flush=True)
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    update = subprocess.run([*apt, "update"], capture_output=True, text=True)
    result = subprocess.run(
        [*apt, "install", "-y", "--no-install-recommends", *names], capture_output=True, text=True
    )
    if result.returncode:
        errors = [*update.stderr.splitlines(), *result.stderr.splitlines()]
        reasons = "\n".join(line for line in errors if line.startswith("E:"))
        sys.exit(f"apt-get could not install {' '.join(names)}:\n{reasons}")


def missing_libraries() -> list[str]:
    """Return the libraries that Qt's xcb plugin lacks, from `ldd`."""
    qt = find_spec("PyQt6")
    if qt is None or qt.origin is None or not shutil.which("ldd"):
        return []
    plugins = Path(qt.origin).parent / "Qt6" / "plugins"
    files = [*plugins.glob("platforms/libqxcb.so"), *plugins.glob("xcbglintegrations/*.so")]
    output = subprocess.run(["ldd", *files], capture_output=True, text=True).stdout
    return sorted({line.split()[0] for line in output.splitlines() if "not found" in line})


if __name__ == "__main__":
    main()
