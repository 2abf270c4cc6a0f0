"""The command line: exit status, one message on stderr, one JSON document on stdout."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from jsonschema import Draft202012Validator

from convivo import console, schemas
from convivo.cli import app, main
from convivo.errors import Interrupted, PlanError

COMMANDS = ["inspect", "plan", "train", "evaluate", "predict", "nets", "demo", "verify"]
Captured = pytest.CaptureFixture[str]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "convivo", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def valid(name: str, text: str) -> dict:
    document = json.loads(text)
    Draft202012Validator(schemas.schema(name)).validate(document)
    return document


def complaint(capsys: Captured) -> str:
    """The only line on stderr; nothing on stdout."""
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("convivo: error: ")
    assert shown.err.count("\n") == 1
    return shown.err.removeprefix("convivo: error: ").rstrip("\n")


# --- help, version


def test_help_names_every_command(capsys: Captured) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr()
    assert all(f"\n  {name} " in shown.out for name in COMMANDS)
    assert shown.err == ""


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help_and_tells_of_json(name: str, flag: str, capsys: Captured) -> None:
    assert main([name, flag]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: convivo {name} ")
    assert "--json" in out


def test_every_option_is_explained() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    silent = [(n, p.name) for n, c in commands.items() for p in c.params if not p.help]
    assert silent == []


def test_no_command_shows_help(capsys: Captured) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Usage: convivo ")


def test_version(capsys: Captured) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"convivo \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_help_as_a_process_loads_nothing_heavy() -> None:
    code = (
        "import sys; from convivo.cli import main; status = main(['train', '--help'])\n"
        "heavy = ('torch', 'numpy', 'scipy', 'nibabel', 'PIL', 'skimage', 'zarr')\n"
        "print([name for name in heavy if name in sys.modules], status)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"


# --- a wrong command line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["trian", "x"],
            "convivo: there is no such command; got 'trian'. Did you mean 'train'? Known: ",
        ),
        (
            ["train", "x", "--out", "y", "--epoch", "3"],
            "convivo train: there is no such option; got --epoch. Did you mean '--epochs'? Known: ",
        ),
        (
            ["--versoin"],
            "convivo: there is no such option; got --versoin. Did you mean '--version'",
        ),
        (
            ["train", "--out", "y"],
            "convivo train: DATA must be given; got nothing. See 'convivo train --help'.",
        ),
        (["train", "x"], "convivo train: --out must be given; got nothing. "),
        (["predict", "x", "--out", "y"], "convivo predict: INPUT must be given; got nothing. "),
        (
            ["train", "x", "--out", "y", "--time", "soon"],
            "--time: takes a length of time; got 'soon'. For example 20m, 1h30m, 90s.",
        ),
        (
            ["train", "x", "--out", "y", "--ram", "-8G"],
            "--ram: takes a size; got '-8G'. For example 8G, 512M, 2GiB.",
        ),
        (["train", "x", "--out", "y", "--seed", "z"], "--seed: the value must be a valid int"),
        (["train", "x", "--out", "y", "--epochs", "0"], "--epochs: "),
        (["demo", "--dims", "4"], "--dims: "),
        (
            ["train", "x", "--out", "y", "--device", "gpu"],
            "--device: the value must be one of 'auto', 'cpu', 'cuda', 'mps'; got 'gpu'. ",
        ),
        (
            ["evaluate", "x", "--split", "train"],
            "--split: the value must be one of 'test', 'val'; ",
        ),
        (["train", "x", "--out"], "convivo train: option '--out' requires an argument; "),
        (["nets", "a", "b"], "convivo nets: got unexpected extra argument"),
    ],
)
def test_wrong_command_lines(words: list[str], message: str, capsys: Captured) -> None:
    assert main(words) == 2
    assert complaint(capsys).startswith(message)


def test_wrong_command_line_as_json(capsys: Captured) -> None:
    assert main(["train", "x", "--json", "--out", "y", "--epoch", "3"]) == 2
    shown = capsys.readouterr()
    assert valid("error", shown.out)["error"]["got"] == "--epoch"
    assert shown.err.count("\n") == 1


def test_unknown_network(capsys: Captured) -> None:
    assert main(["nets", "resnet81"]) == 2
    assert "got 'resnet81'. Did you mean 'resnet" in complaint(capsys)


@pytest.mark.parametrize("words", [["verify"], ["evaluate"], ["predict"]])
def test_no_run_there(words: list[str], tmp_path: Path, capsys: Captured) -> None:
    more = ["a.png", "--out", str(tmp_path / "out")] if words == ["predict"] else []
    assert main([*words, str(tmp_path / "none"), *more]) == 2
    assert complaint(capsys).startswith(str(tmp_path / "none"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["inspect"], ["plan"], ["train", "--epochs", "1"]])
def test_no_data_there(words: list[str], tmp_path: Path, capsys: Captured) -> None:
    more = ["--out", str(tmp_path / "run")] if words[0] == "train" else []
    assert main([*words, str(tmp_path / "none"), *more]) == 2
    assert str(tmp_path / "none") in complaint(capsys)
    assert not (tmp_path / "run").exists()


def test_plan_of_nothing(capsys: Captured) -> None:
    assert main(["plan"]) == 2
    assert complaint(capsys).startswith("plan: give DATA, or --net with --input; got ")


# --- answers


def test_nets_as_json(capsys: Captured) -> None:
    assert main(["nets", "--json"]) == 0
    names = [row["name"] for row in valid("nets", capsys.readouterr().out)["nets"]]
    assert {"lenet5", "resnet18", "unet"} <= set(names)


def test_one_network_as_json(capsys: Captured) -> None:
    assert main(["--json", "nets", "resnet18"]) == 0
    (row,) = valid("nets", capsys.readouterr().out)["nets"]
    assert row["parameters"]["2"] == 11_689_512


def test_nets_for_people(capsys: Captured) -> None:
    assert main(["nets"]) == 0
    assert re.search(r"^resnet18 +classify +11\.69 +2016", capsys.readouterr().out, re.MULTILINE)
    assert main(["nets", "lenet5"]) == 0
    assert capsys.readouterr().out.startswith("lenet5 (1998)")


def test_plan_as_json(capsys: Captured) -> None:
    words = ["plan", "--net", "lenet5", "--input", "1,28,28", "--classes", "10", "--layers"]
    assert main([*words, "--json"]) == 0
    document = valid("plan", capsys.readouterr().out)
    assert document["parameters"] == 61_706
    assert document["layers"]
    assert main(words) == 0
    assert "61,706" in capsys.readouterr().out


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m convivo --help | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


# --- the shell around any command

shell = typer.Typer(rich_markup_mode=None)


@shell.callback()
def entry(json: bool = False, quiet: bool = False, debug: bool = False) -> None:
    """A program of one command."""


@shell.command()
def act(what: str) -> console.Answer:
    """Do what is asked."""
    if what == "noise":
        print("a library talks")
    raised = {
        "bug": KeyError("missing\nline"),
        "end": EOFError("end of file"),
        "pipe": BrokenPipeError(),
        "keyboard": KeyboardInterrupt(),
        "signal": Interrupted("run", "runs to its end", "a signal", "Add --resume", 143),
        "budget": PlanError("plan", "must fit", "1 MB", "Give more"),
        "escape": PlanError("a\x1b[2J.png", "must be one\nline", "two", "Rename it"),
    }
    if what in raised:
        raise raised[what]
    return console.Answer({"schema": 1, "value": math.nan, "where": Path("a")}, lambda: "text", 1)


@pytest.mark.parametrize(
    ("what", "status", "message"),
    [
        ("bug", 3, "internal: this must not happen; got KeyError: 'missing\\nline'. Run again "),
        ("end", 3, "internal: this must not happen; got EOFError: end of file. "),
        ("keyboard", 130, "convivo: a command must run to its end; got an interrupt"),
        ("signal", 143, "run: runs to its end; got a signal. Add --resume."),
        ("budget", 1, "plan: must fit; got 1 MB. Give more."),
        ("escape", 1, "a\\x1b[2J.png: must be one\\nline; got two. Rename it."),
    ],
)
def test_what_goes_wrong_is_one_line(
    what: str, status: int, message: str, capsys: Captured
) -> None:
    assert console.run(shell, ["act", what]) == status
    assert complaint(capsys).startswith(message)
    assert console.run(shell, ["act", what, "--json"]) == status
    assert valid("error", capsys.readouterr().out)


def test_debug_shows_the_traceback(capsys: Captured) -> None:
    assert console.run(shell, ["act", "bug", "--debug"]) == 3
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("convivo: error: internal: ")


def test_a_reader_that_leaves_is_not_complained_about(capsys: Captured) -> None:
    assert console.run(shell, ["act", "pipe"]) == 141
    assert capsys.readouterr() == ("", "")


def test_json_is_plain_and_alone_on_stdout(capsys: Captured) -> None:
    assert console.run(shell, ["act", "noise", "--json"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"schema": 1, "value": None, "where": "a"}
    assert shown.err == "a library talks\n"


def test_text_without_json(capsys: Captured) -> None:
    assert console.run(shell, ["act", "well"]) == 1
    assert capsys.readouterr().out == "text\n"


def test_flags_after_two_dashes_are_words(capsys: Captured) -> None:
    assert console.run(shell, ["act", "--", "--json"]) == 1
    assert capsys.readouterr().out == "text\n"


def test_as_a_process() -> None:
    done = run("train", "x", "--out", "y", "--time", "soon", "--json")
    assert done.returncode == 2
    assert valid("error", done.stdout)["error"]["where"] == "--time"
    assert done.stderr.startswith("convivo: error: --time: ")
