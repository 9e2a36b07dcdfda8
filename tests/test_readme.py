"""The README is held to its word: its code prints what it says, and its files have the lines it counts."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```\n+(?:```sh\n.*?```\n)?(?:```text\n(.*?)```)?", README, re.DOTALL)
COUNTS = re.findall(r"\| \[([\w/.]+)\]\([\w/.]+\) \| (\d+) \|", README)


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_code_prints_what_the_readme_says(block):
    code, expected = BLOCKS[block]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, f"README block {block}", "exec"), {"__name__": "readme"})
    assert expected and printed.getvalue() == expected


def test_the_lesson_prints_the_same_letters_on_minigrad(tmp_path):
    (lesson, expected) = next((code, text) for code, text in BLOCKS if "import torch" in code)
    (tmp_path / "lesson.py").write_text(lesson)
    command = [sys.executable, "-m", "minigrad", "run", str(tmp_path / "lesson.py")]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == expected


def test_a_name_that_is_not_there_is_answered_as_the_readme_says():
    said = re.findall(r"`(torch\.(\w+): .*?did you mean.*?)`", README)
    assert said
    for words, name in said:
        with pytest.raises(AttributeError) as refused:
            getattr(minigrad, name)
        assert str(refused.value).replace("minigrad.", "torch.") == words


@pytest.mark.parametrize(("file", "lines"), COUNTS)
def test_line_counts_are_right_to_a_twentieth(file, lines):
    assert abs(len((ROOT / file).read_text().splitlines()) - int(lines)) <= max(5, int(lines) / 20)


def test_the_readme_names_files_that_exist():
    links = re.findall(r"\]\(([\w/.]+)\)", README)
    assert len(links) > 15 and len(BLOCKS) >= 2 and len(COUNTS) >= 15
    assert [link for link in links if not (ROOT / link).exists()] == []
