"""What forms say of a portrait that a person's own networks move; light, read by the web process."""

from __future__ import annotations

# The fields have the names of the functions that declare them.
import webui.api as declare

GROUP = "Own network"
_LICENCE_HELP = "What lies beside the file; choosing it says that you read it and keep to it"


def network(source: str, help_text: str) -> str:
    """The field of the file or folder."""
    return declare.dynamic_choice("", source, label="Own network", help=help_text, group=GROUP, advanced=True)


def licence(source: str) -> str:
    """The field of the acceptance."""
    return declare.dynamic_choice(
        "", source, label="Its licence, accepted", help=_LICENCE_HELP, group=GROUP, advanced=True
    )


class Driven(declare.Params):
    """How another face's motion is taken over, by a folder of LivePortrait's networks."""

    motion: str = declare.choice(
        "absolute",
        {"absolute": "As the other face has it", "relative": "Added to this face's own"},
        label="Motion",
        help="For LivePortrait: whether the other's state replaces this face's, or its change is added",
        group=GROUP,
        advanced=True,
    )
    pose: bool = declare.boolean(False, label="Turn the head too", help="For LivePortrait", group=GROUP, advanced=True)
    rest: str | None = declare.image(
        None,
        label="The other person at rest",
        help="For added motion: what it is measured from; empty: a face without expression that looks ahead",
        group=GROUP,
        advanced=True,
    )
