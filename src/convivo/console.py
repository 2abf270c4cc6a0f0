"""How a command's answer, or what went wrong, reaches the terminal: text, JSON, exit status."""

import json
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

import typer
from typer.main import get_command

from convivo.errors import ConvivoError, Interrupted, UsageError, nearest_name
from convivo.files import plain

EVERYWHERE = ("--json", "--quiet", "-q", "--debug")
SIDES = "//"  # stands for the "--" between runs; no run is called so
INTERNAL, BROKEN_PIPE = 3, 141
CommandLineError = typer.BadParameter.__bases__[0]  # click's UsageError, wherever typer keeps it


@dataclass(frozen=True)
class Answer:
    """What a command has to say: `document` with --json, else `text`."""

    document: Any
    text: Callable[[], str]
    status: int = 0


def run(app: typer.Typer, words: Sequence[str] | None = None) -> int:
    """Carry out one command line and print its answer.

    Args:
        app: the commands; each returns an `Answer`.
        words: the command line without the program's name; None for this process's own.
    Returns:
        The exit status.
    """
    flags, rest = _split(sys.argv[1:] if words is None else words)
    if words is None:
        _prepare_process("--debug" in flags)
    try:
        return _run(app, flags, rest)
    except BrokenPipeError:  # nobody reads our answer any more
        _leave_stdout()
        return BROKEN_PIPE


def _run(app: typer.Typer, flags: Sequence[str], words: Sequence[str]) -> int:
    as_json = "--json" in flags
    try:
        # With --json nothing but the document may stand on stdout, whatever a library prints.
        with redirect_stdout(sys.stderr) if as_json and not _asks_help(words) else nullcontext():
            shown, status = _answer(app, flags, words)
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as problem:
        error, status = _explained(problem)
        if "--debug" in flags:
            traceback.print_exc()
        print(f"convivo: error: {_one_line(error)}", file=sys.stderr)
        shown = _json(error.document()) if as_json else ""
    if shown:
        print(shown, flush=True)
    return status


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The flags that may stand anywhere before `--`, and the other words."""
    end = words.index("--") if "--" in words else len(words)
    flags = [word for word in words[:end] if word in EVERYWHERE]
    rest = [word for word in words[:end] if word not in EVERYWHERE]
    return flags, [*rest, *words[end:]]


def _asks_help(words: Sequence[str]) -> bool:
    return not words or bool({"-h", "--help", "--version"} & set(words))


def _prepare_process(debug: bool) -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a letter is no error
            stream.reconfigure(errors="backslashreplace")
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries' advice to programmers


def _answer(app: typer.Typer, flags: Sequence[str], words: Sequence[str]) -> tuple[str, int]:
    """Parse, call the command, and put its answer into words."""
    command = get_command(app)
    if words[:1] == ["compare"]:  # the parser would swallow what parts the two sides
        words = [SIDES if word == "--" else word for word in words]
    names = list(getattr(command, "commands", ()))
    if words and not words[0].startswith("-") and words[0] not in names:
        rule = "there is no such command"
        raise UsageError("convivo", rule, repr(words[0]), nearest_name(words[0], names))
    try:
        with command.make_context("convivo", [*flags, *words]) as context:
            answer: Answer = command.invoke(context)
    except typer.Exit as done:  # help and version have printed themselves
        return "", done.exit_code
    except CommandLineError as error:
        raise _usage(error, words) from None
    return (_json(answer.document) if "--json" in flags else answer.text()), answer.status


def _json(document: Any) -> str:
    return json.dumps(plain(document), indent=1, allow_nan=False)


def _usage(error: Any, words: Sequence[str]) -> UsageError:
    """What typer says of a command line, in our own form."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context else " ".join(["convivo", *words[:1]])
    remedy = f"See '{where} --help'"
    if context and hasattr(error, "possibilities"):
        options = [name for p in context.command.params for name in p.opts if name[0] == "-"]
        remedy = nearest_name(error.option_name, {*options, *EVERYWHERE, "--help"})
        return UsageError(where, "there is no such option", error.option_name, remedy)
    parameter = getattr(error, "param", None)
    if parameter is None:
        message = str(error.message).rstrip(".")
        return UsageError(where, message[:1].lower() + message[1:], repr(" ".join(words)), remedy)
    option = parameter.opts[0].startswith("-")
    name = parameter.opts[0] if option else parameter.metavar or parameter.name.upper()
    if hasattr(error, "param_type"):  # only the error of a missing one has it
        return UsageError(where, f"{name} must be given", "nothing", remedy)
    return UsageError(name, *_wrong_value(error, words), remedy)


def _wrong_value(error: Any, words: Sequence[str]) -> tuple[str, str]:
    """Rule and offender from a message such as "'x' is not a valid int" or "Input should be 1"."""
    message = str(error.message).removeprefix("Value error, ").rstrip(".")
    if quoted := re.fullmatch(r"('.*') is not (.*)", message, re.DOTALL):
        return f"the value must be {quoted[2]}", quoted[1]
    rule = re.sub(r"^Input should be ", "the value must be ", message).partition(", unable")[0]
    details = getattr(error.__cause__, "errors", list)()
    return rule, repr(details[0]["input"]) if details else repr(" ".join(words))


def _explained(problem: BaseException) -> tuple[ConvivoError, int]:
    """Any exception as one of ours, with its exit status."""
    if isinstance(problem, KeyboardInterrupt):
        rule, remedy = "a command must run to its end", "Run it again"
        problem = Interrupted("convivo", rule, "an interrupt from the keyboard", remedy)
    if isinstance(problem, ConvivoError):
        return problem, problem.exit_status
    got = f"{type(problem).__name__}: {problem}"
    remedy = "Run again with --debug and report it"
    return ConvivoError("internal", "this must not happen", got, remedy), INTERNAL


def _one_line(error: ConvivoError) -> str:
    """The message with line ends and control characters of foreign names made harmless."""
    letters = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(error))
    return "".join(letters)


def _leave_stdout() -> None:
    """What is still buffered must not complain at exit, when Python flushes it."""
    with suppress(OSError, ValueError):  # a stdout that is no file
        descriptor = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
