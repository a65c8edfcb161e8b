"""The shell's completion of the installed commands, asked of bash itself."""

import shutil
import subprocess
import sys

import pytest

from h2q.cli.main import chat_main, train_main

pytest.importorskip("shtab")


def completed(script: str, function: str, *words: str) -> list[str]:
    """What bash offers for the last of ``words``."""
    line = " ".join(words)
    code = f"""{script}
COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}
{function} {words[0]} "{words[-1]}" "{words[-2]}"; echo "${{COMPREPLY[@]}}"
"""
    run = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_bash_completes_flags_and_choices(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["h2q-train"])
    with pytest.raises(SystemExit) as left:
        train_main(["--completion", "bash"])
    assert not left.value.code
    script = capsys.readouterr().out
    assert completed(script, "_shtab_h2q_train", "h2q-train", "--pre") == ["--preset"]
    offered = completed(script, "_shtab_h2q_train", "h2q-train", "--preset", "t")
    assert offered == ["tiny"]


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--completion", "fish"], "bash, zsh"), (["--completion"], "--help")]
)
def test_wrong_use(arguments, said, capsys):
    assert chat_main(arguments) == 2
    assert said in capsys.readouterr().err


def test_without_shtab_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert chat_main(["--completion", "zsh"]) == 2
    assert "pip install shtab" in capsys.readouterr().err
