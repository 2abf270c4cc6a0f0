"""Where a public data set lies, under which licence, and how to know that it arrived whole."""

from dataclasses import dataclass
from typing import Literal

from convivo.errors import UsageError

LICENCES = {
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC BY-NC 4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "CC BY-SA 4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "ODC-By 1.0": "https://opendatacommons.org/licenses/by/1-0/",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """One data set as its makers publish it.

    folder, file: its address is the one after the other. kind: one "file", a "tar" to be unpacked,
    or "listed" files, named with their SHA-256 in `file`. md5: of the file, where it is published.
    bytes: about how many, where its makers say so.
    """

    name: str
    title: str
    licence: str
    home: str
    folder: str
    file: str
    kind: Literal["file", "tar", "listed"] = "file"
    md5: str | None = None
    bytes: int | None = None

    @property
    def url(self) -> str:
        return self.folder + self.file

    @property
    def checksum(self) -> str:
        """What the content is held against, in words."""
        if self.kind == "listed":
            return "SHA-256 of each file, published"
        return "MD5, published" if self.md5 else "none published; the SHA-256 is recorded"

    def at(self, mirror: str) -> "Source":
        """The same files in another folder of the web.

        Raises:
            UsageError: not an address of http or https.
        """
        if not mirror.startswith(("http://", "https://")):
            remedy = "For example http://localhost:8000/"
            raise UsageError("--mirror", "an address of http or https", repr(mirror), remedy)
        values = {key: getattr(self, key) for key in self.__dataclass_fields__}
        return Source(**values | {"folder": mirror.rstrip("/") + "/"})
