"""Every error a user can meet, and the exit status it carries to the command line.

ConvivoError                 <where>: <rule>; got <what>. <remedy>.
├── UsageError (2)           the command line or the configuration is wrong
│   └── ConfigError          an unknown key or a value of the wrong kind
├── ReadError (2)            nothing can be read there
├── ShapeError (2)           a size the operation or network cannot take
├── DataError (1)            the data has errors; training on it is refused
├── PlanError (1)            nothing fits the budget
└── Interrupted (130/143)    stopped by a signal, state saved
"""


class ConvivoError(Exception):
    """A rule was broken by what the user gave.

    Args:
        where: the file, option or layer that speaks.
        rule: what must hold.
        got: what was received.
        remedy: what to do next.
    """

    exit_status = 2

    def __init__(self, where: object, rule: str, got: object, remedy: str) -> None:
        self.where, self.rule = str(where), rule
        self.got, self.remedy = str(got), remedy.rstrip(".")
        super().__init__(f"{self.where}: {self.rule}; got {self.got}. {self.remedy}.")

    def __reduce__(self) -> tuple:
        return type(self), (self.where, self.rule, self.got, self.remedy)

    def document(self) -> dict:
        """The error as the JSON document of the contract."""
        parts = {"where": self.where, "rule": self.rule, "got": self.got, "remedy": self.remedy}
        return {"schema": 1, "error": parts}


class UsageError(ConvivoError, ValueError):
    """The command line asks for something that does not exist or cannot be."""


class ConfigError(UsageError):
    """A configuration key is unknown or its value is of the wrong kind."""


class ReadError(ConvivoError, OSError):
    """A file or folder is missing, empty, damaged or of no known format."""

    def __str__(self) -> str:  # OSError would print its own two-argument form
        return f"{self.where}: {self.rule}; got {self.got}. {self.remedy}."


class ShapeError(ConvivoError, ValueError):
    """An array has a size that the operation or the network cannot take."""


class DataError(ConvivoError, ValueError):
    """The data can be read, but has errors that make training on it dishonest."""

    exit_status = 1


class PlanError(ConvivoError, RuntimeError):
    """Nothing fits the budget."""

    exit_status = 1


class Interrupted(ConvivoError):
    """A signal ended the run after its state was saved; `status` is 130 or 143."""

    def __init__(
        self, where: object, rule: str, got: object, remedy: str, status: int = 130
    ) -> None:
        super().__init__(where, rule, got, remedy)
        self.exit_status = status


def nearest_name(name: str, known: object) -> str:
    """The known name closest to a misspelt one, as the start of a remedy."""
    import difflib

    names = sorted(str(k) for k in known)  # type: ignore[attr-defined]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    return (
        f"Did you mean {close[0]!r}? Known: {', '.join(names)}"
        if close
        else "Nothing is known here"
    )
