"""What the contract kit found of one extension: plain data between the process that checks and whoever reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

CheckState = Literal["passed", "failed", "skipped"]

CHECKS: Mapping[str, str] = {
    "manifest": "its manifest is whole, and fits this host's API and packages",
    "import": "its package is imported, in a moment and without an error",
    "declarations": "its hooks are known, and what they declare is right",
    "light": "loading it imports neither torch nor gradio, nor libraries of models",
    "parameters": "parameters are the same after a way through JSON",
    "translations": "its locale files can be read",
    "tabs": "its own tabs are built, away from the page",
    "repeatable": "the same seed gives the same bytes",
    "cancel": "a job that is cancelled ends within a step",
    "leases": "no lease on a model outlives its job",
    "network": "nothing reaches beyond this machine",
}
"""Every check by name, in the order they are made; all of those before ``tabs`` run without torch and gradio."""


@dataclass(frozen=True)
class Check:
    """One check: how it ended, and what was met."""

    name: str
    state: CheckState
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class CheckReport:
    """All of them. ``facts`` is the extension's record; its id alone where its process ended before more was known."""

    checks: tuple[Check, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and anything was checked at all."""
        return bool(self.checks) and not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """What failed, in words."""
        return tuple(f"{check.name}: {check.detail}" for check in self.checks if check.state == "failed")

    def as_json(self) -> str:
        """For programs."""
        body = {"ok": self.ok, "problems": self.problems, "checks": [asdict(check) for check in self.checks]}
        return json.dumps({**body, "facts": self.facts}, indent=2)

    def as_text(self) -> str:
        """For people: a line a check, what failed at the end."""
        title = f"{self.facts.get('id', '?')} {self.facts.get('version', '')}".strip()
        marks = {"passed": "ok  ", "failed": "FAIL", "skipped": "-   "}
        lines = [f"{title}"]
        for check in self.checks:
            lines.append(
                f"  {marks[check.state]} {check.name:<13} {CHECKS.get(check.name, '')} ({check.seconds:.2f} s)"
            )
            if check.detail and check.state != "passed":
                lines += [f"         {line}" for line in check.detail.splitlines()]
        lines.append("no problem found" if self.ok else f"{len(self.problems)} of {len(self.checks)} checks failed")
        return "\n".join(lines)
