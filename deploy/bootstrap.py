"""
Make .venv with everything of requirements.lock and the project itself; at once when that is done already.

Runs under whatever `python3` is: the syntax is that of Python 3.0, so that an old one can say that it is too
old. Every way in which this fails ends in one line. Only the standard library is used.
"""

import hashlib
import os
import shutil
import subprocess
import sys

VERSION_MIN = (3, 11)
VERSION_LAST = 20
DISK_MIB_MIN = 700
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
LOCK = os.path.join(ROOT, "requirements.lock")
LOG = os.path.join(VENV, "install.log")

COMPILER = (
    "a package has no wheel for this Python and machine and could not be built: install a C compiler and Python's "
    "headers (Debian: apt-get install gcc python3-dev), or use a released CPython on Linux or macOS"
)
LACKING = "the package index lacks a package of requirements.lock for this Python and machine"
REASONS = (
    (
        ("No space left on device", "Errno 28", "Disk quota exceeded"),
        "the disk is full: " + ROOT + " needs " + str(DISK_MIB_MIN) + " MiB free",
    ),
    (
        (
            "unable to execute 'gcc'",
            "unable to execute 'cc'",
            "gcc' failed",  # also x86_64-linux-gnu-gcc, as Debian's Python calls it
            "cc' failed",
            "g++' failed",
            "clang' failed",
            "Python.h: No such file",
            "No such file or directory: 'gcc'",
            "No such file or directory: 'cc'",
            "no acceptable C compiler",
            "Unknown compiler",
            "can't find Rust compiler",
        ),
        COMPILER,
    ),
    (
        ("DO NOT MATCH THE HASHES",),
        "a download is not what requirements.lock says it is: check the package index (pip config list)",
    ),
    (
        (
            "NewConnectionError",
            "ConnectTimeoutError",
            "NameResolutionError",
            "name resolution",
            "Name or service not known",
            "Network is unreachable",
            "Connection refused",
            "Read timed out",
            "ReadTimeoutError",
            "ProxyError",
            "SSLError",
            "CERTIFICATE_VERIFY_FAILED",
            "Max retries exceeded",
        ),
        "can't download packages: no way to the package index; check the network, or set PIP_INDEX_URL or HTTPS_PROXY",
    ),
    (("Failed building wheel", "Failed to build"), COMPILER),
    (
        ("No matching distribution found", "Could not find a version"),
        LACKING,
    ),
)
"""What pip writes when it fails → what to tell; the first match wins."""


def fail(reason):
    """End with one line."""
    sys.stderr.write("fairclaim: " + reason + "\n")
    sys.exit(1)


def find_python():
    """This interpreter if it is new enough, else the newest one on the PATH that is; None if there is none."""
    if sys.version_info[:2] >= VERSION_MIN:
        return sys.executable
    for minor in range(VERSION_LAST, VERSION_MIN[1] - 1, -1):
        found = shutil.which("python3." + str(minor))
        if found and subprocess.call([found, "-c", "pass"], stderr=subprocess.DEVNULL) == 0:  # noqa: S603
            return found
    return None


def wanted_stamp():
    """What .venv was made of: the lock, the project's metadata, this interpreter, this place."""
    digest = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    digest.update((sys.version + ROOT).encode())
    return digest.hexdigest()


def is_made(stamp):
    """Whether .venv is what *stamp* stands for."""
    try:
        with open(os.path.join(VENV, "stamp")) as file:
            return file.read() == stamp
    except OSError:
        return False


def make(stamp):
    """Make .venv from nothing. Ends the process with one line if it can't."""
    try:
        import ensurepip
        import venv
    except ImportError as error:
        version = str(sys.version_info[0]) + "." + str(sys.version_info[1])
        fail(
            "Python " + version + " has no module " + str(error.name) + "; install it (Debian and Ubuntu: "
            "apt-get install python" + version + "-venv)"
        )
    assert ensurepip is not None
    if shutil.disk_usage(ROOT).free < DISK_MIB_MIN * 1024 * 1024:
        fail(REASONS[0][1])
    sys.stderr.write("Installing into .venv (the first time takes a minute) ...\n")
    try:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        fail(explain(str(error)) or "can't make " + VENV + ": " + str(error))
    pip(["--require-hashes", "--prefer-binary", "--no-compile", "-r", LOCK])
    compile_packages()
    pip(["--no-deps", "--no-build-isolation", "--no-index", "-e", ROOT])
    with open(os.path.join(VENV, "stamp"), "w") as file:
        file.write(stamp)


def pip(arguments):
    """One `pip install`, its output in the log. Ends the process with one line if it fails."""
    python = os.path.join(VENV, "bin", "python")
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--retries", "2"]
    environment = dict(os.environ)
    for name in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME"):
        environment.pop(name, None)
    result = subprocess.run(  # noqa: S603
        command + arguments, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    text = result.stdout.decode("utf-8", "replace")
    try:
        with open(LOG, "a") as file:
            file.write(text)
    except OSError as error:  # a full disk, most likely: the reason below says so
        text += str(error)
    if result.returncode != 0:
        lines = text.splitlines()
        said = [line for mark in ("ERROR", "error:") for line in lines if mark in line] or lines[-1:]
        fail((explain(text) or "pip failed: " + " ".join(said[:1]).strip()) + " (" + LOG + ")")


def compile_packages():
    """Compile what pip has installed, on every core; pip does it on one. What can't be compiled is never imported."""
    command = [os.path.join(VENV, "bin", "python"), "-m", "compileall", "-qq", "-j", "0", os.path.join(VENV, "lib")]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603


def explain(text):
    """The reason behind what pip wrote; None if it is none of those known."""
    for marks, reason in REASONS:
        if any(mark in text for mark in marks):
            return reason + lacking(text) if reason is LACKING else reason
    return None


def lacking(text):
    """The requirement that pip did not find, behind a colon."""
    for line in text.splitlines():
        _, found, requirement = line.partition("No matching distribution found for ")
        if found:
            return ": " + requirement.strip()
    return ""


def main():
    """Find a Python that is new enough, and make .venv with it unless it is made."""
    python = find_python()
    if python is None:
        version = ".".join(map(str, sys.version_info[:3]))
        fail("needs Python >= 3.11; python3 is " + version + ", and no newer one is on the PATH")
    if python != sys.executable:
        os.execv(python, [python, os.path.abspath(__file__)])  # noqa: S606
    stamp = wanted_stamp()
    if is_made(stamp):
        return
    import fcntl

    with open(LOCK) as lock:  # two at once would trample on each other
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_made(stamp):
            make(stamp)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.stderr.write("\nfairclaim: stopped; the next make begins the installation again\n")
        sys.exit(130)
