"""Makes `.venv/` ready to run Segue: Debian packages, virtual environment, pinned Python packages, compiled callback.

Standard library only, since it runs before anything is installed. A stamp remembers what is done: a second run ends at once.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

try:  # Debian splits it off
    import ensurepip
except ImportError:
    ensurepip = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "segue-set-up.stamp"
INPUTS = ("pyproject.toml", "constraints.txt", "setup.py", "tools/set_up.py")
COMPILED = (
    *(f"audio/{name}" for name in ("core.c", "core.h", "build_core.py")),
    *(f"control/{name}" for name in ("jack_clock.c", "jack_clock.h", "build_jack_clock.py")),
)
EXTRAS = "midi,link,eval,dev"

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"

HEADER = Path(sysconfig.get_path("include")) / "Python.h"

RUN_PACKAGES = {  # Debian package: the file that shows it is there already, or nothing where only dpkg knows
    f"{VERSION}-venv": ensurepip.__file__ if ensurepip else "",
    f"{VERSION}-dev": str(HEADER),
    "gcc": "/usr/bin/gcc",
    "libportaudio2": "",
    "jackd2": "/usr/bin/jackd",
    "liblo-tools": "/usr/bin/oscsend",
}
TEST_PACKAGES = {
    "libjack-jackd2-dev": "/usr/include/jack/jack.h",
    "puredata-core": "/usr/bin/pd",
    "supercollider-language": "/usr/bin/sclang",
    "supercollider-server": "/usr/bin/scsynth",
    "sox": "/usr/bin/sox",
    "chromium": "/usr/bin/chromium",
    "chromium-driver": "/usr/bin/chromedriver",
}


class SetUpError(Exception):
    """What stands in the way, in one sentence."""


def say(sentence: str) -> None:
    print(f"set-up: {sentence}", file=sys.stderr, flush=True)


def run(*command: str | Path, **environment: str) -> None:
    """One step; its output appears only if it fails."""
    done = subprocess.run(
        [str(c) for c in command], env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
        raise SetUpError(f"`{' '.join(str(c) for c in command[:6])} ...` ended with {done.returncode}; see its last lines above")


def fingerprint(extras: str) -> str:
    """A hash of everything that set-up depends on."""
    compiler = shutil.which("gcc") or shutil.which("cc"), HEADER.exists()
    digest = hashlib.sha256(f"{sys.version} {extras} {ROOT} {compiler}".encode())
    for path in [ROOT / name for name in INPUTS] + [ROOT / "server" / name for name in COMPILED]:
        digest.update(path.read_bytes() if path.exists() else b"absent")
    return digest.hexdigest()


def missing_packages(packages: dict[str, str]) -> list[str]:
    """Those Debian packages that are not installed."""

    def installed(name: str) -> bool:
        if packages[name] and Path(packages[name]).exists():
            return True
        status = subprocess.run(["dpkg-query", "-W", "-f=${Status}", name], capture_output=True, text=True)
        return status.stdout.endswith("ok installed")

    return [name for name in packages if not installed(name)]


def has_venv() -> bool:
    """Whether this Python can make a virtual environment with pip in it; asked anew, since apt may just have brought it."""
    return subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0


def debian(packages: dict[str, str]) -> None:
    """Installs what is missing where that is possible, or names it in one line; set-up goes on either way."""
    if shutil.which("dpkg-query") is None:
        say(f"not a Debian system; have these installed by its own means: {' '.join(packages)}")
        return
    missing = missing_packages(packages)
    if not missing:
        return
    if os.geteuid() != 0:
        say(f"not root; to have everything, run: sudo apt-get install {' '.join(missing)}")
        return
    say(f"installing {' '.join(missing)}")
    try:
        run("apt-get", "update", "-qq", DEBIAN_FRONTEND="noninteractive")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, DEBIAN_FRONTEND="noninteractive")
    except SetUpError as error:
        say(f"going on without {' '.join(missing)}: {error}")


def virtual_environment() -> None:
    """Creates `.venv/` unless it is there and runs."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return
    if not has_venv():
        raise SetUpError(f"{sys.executable} cannot make virtual environments; run: sudo apt-get install {VERSION}-venv")
    say(f"creating {VENV.name} with Python {sys.version.split()[0]}")
    run(sys.executable, "-m", "venv", "--clear", VENV)


def pinned(name: str) -> str:
    """The line of constraints.txt for one package."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{name}=="))


def pip(*arguments: str) -> None:
    run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def python_packages(extras: str) -> None:
    """PyTorch from its own index where one is named, then everything else, then Segue itself in place."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    pip("--upgrade", *build, "-c", str(ROOT / "constraints.txt"))
    index = os.environ.get("TORCH_INDEX_URL")
    say(f"installing {pinned('torch')}" + (f" from {index}" if index else ""))
    if index:  # its dependencies come from the ordinary index below: an index of one package is enough
        pip("--no-deps", "--index-url", index, pinned("torch"))
    else:
        pip(pinned("torch"))
    say(f"installing segue[{extras}]")
    pip("--no-build-isolation", "-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[{extras}]")


def report_callback() -> None:
    """One line where the callback could not be compiled: the server still plays, on its numpy twin."""
    found = subprocess.run([PYTHON, "-c", "import segue.server.audio._core"], capture_output=True, text=True)
    if found.returncode:
        say(f"no compiled audio callback: the numpy twin will play; install gcc and {VERSION}-dev, then `make setup`")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", action="store_true", help="also install the programs that only the tests talk to")
    parser.add_argument("--extras", default=EXTRAS, help=f"extras of the package (default {EXTRAS})")
    parser.add_argument("--force", action="store_true", help="do all of it again")
    args = parser.parse_args()
    try:
        debian(RUN_PACKAGES | (TEST_PACKAGES if args.tests else {}))
        wanted = fingerprint(args.extras)
        if args.force or not (STAMP.exists() and STAMP.read_text() == wanted and PYTHON.exists()):
            virtual_environment()
            python_packages(args.extras)
            report_callback()
            STAMP.write_text(wanted)
            say("done")
    except SetUpError as error:
        say(str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
