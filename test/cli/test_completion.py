"""Completion in a real shell: the printed script is read by it, and answers as a tab would."""

import shutil
import subprocess
import sys

import pytest

ASK = """
eval "$(liquid-control completion bash)"
complete -p liquid-control >&2
ask() {
  COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9
  read -ra COMP_WORDS <<< "$1"
  [[ "$1" == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
  _python_argcomplete liquid-control
  echo "${COMPREPLY[@]}"
}
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs a script of bash with ``liquid-control`` on the PATH, and what it printed as lines."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "liquid-control"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m liquid_control.cli "$@"\n')
    program.chmod(0o755)

    def run(script: str) -> list[str]:
        path = f'PATH="{folder}:$PATH"\n'
        command = ["bash", "--norc", "-c", path + script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert "-F _python_argcomplete liquid-control" in done.stderr
        return done.stdout.splitlines()

    return run


def test_bash_completes_commands_flags_and_names(shell):
    asked = {
        "": {"fly", "train", "evaluate", "bench", "policy", "worlds", "completion", "--version"},
        "ev": {"evaluate"},
        "fly --dur": {"--duration"},
        "fly --world hover_g": {"hover_gusts"},
        "fly --world ": {"demo", "hover_calm", "figure8_wind"},
        "fly --policy ": {"geometric", "hover_liquid", "hover_19"},
        "evaluate ": {"storm", "comparison"},
        "train hover_l": {"hover_liquid"},
        "worlds ": {"list", "check", "schema"},
        "worlds check tilt": {"tilt_recovery"},
        "bench ": {"networks", "sequences", "sim", "latency"},
        "bench networks --q": {"--quick"},
        "bench latency geo": {"geometric"},
        "completion ": {"bash", "zsh"},
    }
    lines = shell(ASK + "\n".join(f'ask "liquid-control {words}"' for words in asked))
    for (words, expected), line in zip(asked.items(), lines, strict=True):
        assert expected <= set(line.split()), words
    assert set(lines[3].split()) == {"hover_gusts"}


def test_a_path_is_completed_where_no_name_begins_so(shell, tmp_path):
    (tmp_path / "my_world.yaml").touch()
    (line,) = shell(ASK + f'ask "liquid-control fly --world {tmp_path}/my"')
    assert line.split() == [f"{tmp_path}/my_world.yaml"]


def test_zsh_is_given_its_own(capsys):
    from liquid_control.cli.program import main

    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef liquid-control")
