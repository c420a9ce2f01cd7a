"""What each score told -> a section of the report, or nothing where it told nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from extensions.metrics.inputs.pictures import PictureSet

from .marks import bar, histogram, on_line
from .page import Html, Section, folded, grid, listing, paragraph, picture, table, text

if TYPE_CHECKING:
    from .making import Found

_SHOWN, _FAILURES, _GROUPS = 24, 12, 12
_WAYS = {"lower": "lower", "higher": "higher", "near real": "as real", "": ""}


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` numbers of 0..count-1, evenly spread: no picture is chosen for its looks."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, most))})


def samples(made: PictureSet, real: PictureSet | None, prompts: Sequence[str]) -> Section:
    """Generated pictures, and real ones below."""
    figures = [picture(made.picture(i), prompts[i] if prompts else made.name(i)) for i in evenly(len(made), _SHOWN)]
    body = grid(figures)
    if real is not None:
        beside = [picture(real.picture(i)) for i in evenly(len(real), _SHOWN // 2)]
        body = Html(body + paragraph("Real pictures:") + grid(beside))
    lead = "Taken at even distances from the whole set: none is chosen for its looks."
    return Section("Samples", lead, body)


def scores(compared: Found) -> Section:
    """Each with its interval and what real pictures score against other real ones."""
    if compared.error:
        return Section("Scores of the set", "", paragraph(f"None: {compared.error}"))
    rows = []
    told = compared.numbers["scores"]
    for name in compared.numbers.get("order", list(told)):
        one = told[name]
        interval = f"{one['low']:.4g} to {one['high']:.4g}" if one["low"] is not None else ""
        line = Html(on_line(one["value"], one["low"], one["high"], one["real_vs_real"]))
        real = one["real_vs_real"]
        rows.append([name, one["value"], interval, real if real is not None else "", line, _WAYS[one["better"]]])
    names = ("Score", "Value", "95% interval", "Real against real", "", "Better")
    lead = (
        "The tick on each line is the same score of real pictures against other real ones, as many: at it, generated "
        "pictures cannot be told from real ones by this score."
    )
    return Section("Scores of the set", lead, table(names, rows))


def attributes(judged: Found) -> Iterator[Section]:
    """By attribute, then by group."""
    if judged.error:
        yield Section("What was asked for", "", paragraph(f"Not measured: {judged.error}"))
        return
    rows = [
        [
            row["attribute"],
            f"{row['accuracy']:.1%}",
            Html(bar(row["accuracy"], row["low"], row["high"])),
            row["pictures"],
        ]
        for row in judged.tables.get("Attributes, the worst first", [])
    ]
    lead = (
        "How often a picture shows what its prompt asks for, by the judge, with Wilson's 95% interval; the worst first."
    )
    yield Section("What was asked for", lead, table(("Attribute", "Shown", "", "Pictures"), rows))
    yield _groups(judged.tables.get("Groups, who is drawn worse first", []))


def _groups(found: Sequence[Mapping[str, Any]]) -> Section:
    title = "Who is drawn worse, and how much"
    if not found:
        return Section(title, "", paragraph("No group has enough pictures to say so: eight, and eight beside it."))
    worse = [row for row in found if row["worse"]]
    span = (min(row["low"] for row in found), max(row["high"] for row in found))
    shown = [*worse, *[row for row in found if not row["worse"]][: max(0, _GROUPS - len(worse))]]
    rows = []
    for row in shown:
        name = f"{row['attribute']}: {row['asked']}"
        line = Html(on_line(row["difference"], row["low"], row["high"], 0.0, span))
        loss = f"{100 * row['difference']:+.1f} points ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
        label = Html(f'<span class="bad">{text(name)}</span>') if row["worse"] else name
        rows.append([label, f"{row['accuracy']:.1%}", f"{row['others']:.1%}", loss, line, row["pictures"]])
    words = (
        f"{len(worse)} of {len(found)} groups are drawn worse beyond chance."
        if worse
        else f"Of {len(found)} groups none is drawn worse beyond chance."
    )
    lead = (
        f"{words} A group is every picture that was asked to show one value; counted is what else was asked of it, "
        "beside pictures asked for other values. Intervals hold for all groups together."
    )
    names = ("Group", "Shown of the rest", "Others", "Difference", "", "Pictures")
    return Section(title, lead, table(names, rows))


def failures(judged: Found, made: PictureSet) -> Iterator[Section]:
    """The pictures that show the least of what was asked."""
    rows = judged.tables.get("Scores of pictures", [])
    bad = sorted(
        (row["accuracy"], place) for place, row in enumerate(rows) if row.get("accuracy") not in ("", None, 1.0)
    )
    if not bad:
        return
    figures = []
    for _, place in bad[:_FAILURES]:
        wrong = rows[place]["wrong"]
        wrong = json.loads(wrong) if isinstance(wrong, str) else wrong
        caption = Html(f"{text(rows[place]['prompt'])}<br><b>{'<br>'.join(text(one) for one in wrong)}</b>")
        figures.append(picture(made.picture(place), caption))
    lead = "The pictures that show the least of what their prompts ask for, and what is wrong as the judge sees it."
    yield Section("Failures", lead, grid(figures))


def neighbours(near: Found) -> Section | None:
    """Were pictures learnt by heart?"""
    told = near.numbers.get("neighbours")
    if near.error or told is None:
        return None
    words = [
        f"{told['copies']} generated pictures count as copies of a real one (nearer than {told['copy_ratio']:g} of the "
        "distance between real neighbours).",
        f"{told['nearer_than_real_ones_are']:.1%} are nearer to a real picture than that one's own neighbour is.",
    ]
    sheets = [picture(sheet, side=None) for sheet in near.images.values()]
    lead = "The generated pictures that are nearest to a real one, each beside it: was anything learnt by heart?"
    return Section("Nearest real pictures", lead, Html(listing(words) + grid(sheets)))


def quality(found: Found) -> Section:
    """Scores of single pictures."""
    if found.error:
        return Section("Single pictures", "", paragraph(f"Not measured: {found.error}"))
    rows = []
    for name, one in found.numbers["scores"].items():
        interval = f"{one['low']:.4g} to {one['high']:.4g}" if one["low"] is not None else ""
        rows.append([name, one["value"], interval, one["median"], one["least"], one["most"], one["n"]])
    plots = [
        Html(f"<figure>{histogram(plot['series'][0]['points'])}<figcaption>{text(name)}</figcaption></figure>")
        for name, plot in found.plots.items()
    ]
    names = ("Score", "Mean", "95% interval", "Median", "Least", "Most", "Pictures")
    lead = "Without a reference. NIQE compares only with numbers of the same pristine model."
    return Section("Single pictures", lead, Html(table(names, rows) + grid(plots)))


def protocol(found: Mapping[str, Found], named: Mapping[str, str]) -> Section:
    """All that decides the numbers. ``named``: folder of this job -> what the set in it is called."""
    parts = []
    for name, one in found.items():
        if "protocol" in one.numbers:
            words = json.dumps(one.numbers["protocol"], indent=1, ensure_ascii=False, sort_keys=True)
            for folder, title in named.items():
                words = words.replace(json.dumps(folder, ensure_ascii=False), json.dumps(title, ensure_ascii=False))
            parts.append(folded(name, words))
    lead = "What decides the numbers: networks, hashes of weights, resizing, formats, counts, seeds, versions."
    return Section("Protocol", lead, Html("".join(parts)))
