"""What goes wrong with files of measures; pipelines turn it into words for their user."""

from __future__ import annotations


class WrongFile(Exception):
    """A file of parameters or weights is not what it is used as; the text names the file, what it is and what was
    expected.
    """
