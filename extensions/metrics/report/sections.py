"""What each score told -> a section of the report, or nothing where it told nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from extensions.metrics.inputs.pictures import PictureSet

from .found import Found
from .marks import bar, histogram, on_line
from .page import Html, Section, folded, grid, listing, paragraph, picture, table, text
from .words import Words

_SHOWN, _FAILURES, _GROUPS = 24, 12, 12
_WRONG = re.compile(r"(.+?): (.+) asked, (.+) seen")
_WAYS = {"lower": "lower", "higher": "higher", "near real": "as real", "": ""}


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` numbers of 0..count-1, evenly spread: no picture is chosen for its looks."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, most))})


def samples(made: PictureSet, real: PictureSet | None, prompts: Sequence[str], t: Words) -> Section:
    """Generated pictures, and real ones below."""
    figures = [picture(made.picture(i), prompts[i] if prompts else made.name(i)) for i in evenly(len(made), _SHOWN)]
    body = grid(figures)
    if real is not None:
        beside = [picture(real.picture(i)) for i in evenly(len(real), _SHOWN // 2)]
        body = Html(body + paragraph(t("Real pictures:")) + grid(beside))
    lead = t("Taken at even distances from the whole set: none is chosen for its looks.")
    return Section(t("Samples"), lead, body)


def scores(compared: Found, t: Words) -> Section:
    """Each with its interval and what real pictures score against other real ones."""
    if compared.error:
        return Section(t("Scores of the set"), "", paragraph(t("None: {reason}", reason=t.told(compared.error))))
    rows = []
    told = compared.numbers["scores"]
    for name in compared.numbers.get("order", list(told)):
        one = told[name]
        interval = _span(one, t)
        line = Html(on_line(one["value"], one["low"], one["high"], one["real_vs_real"]))
        real = one["real_vs_real"]
        rows.append([name, one["value"], interval, real if real is not None else "", line, t(_WAYS[one["better"]])])
    names = _names(t, "Score", "Value", "95% interval", "Real against real", "", "Better")
    lead = t(
        "The tick on each line is the same score of real pictures against other real ones, as many: at it, generated "
        "pictures cannot be told from real ones by this score."
    )
    warned = [t.told(words) for words in compared.numbers.get("warnings", ())]
    warnings = [Html(f'<span class="bad">{text(words)}</span>') for words in warned]
    return Section(t("Scores of the set"), lead, Html(table(names, rows) + (listing(warnings) if warnings else "")))


def _names(t: Words, *names: str) -> list[str]:
    return [t(name) if name else "" for name in names]


def _span(one: Mapping[str, Any], t: Words) -> str:
    """The interval in words; nothing where there is none."""
    if one["low"] is None:
        return ""
    return t("{low} to {high}", low=f"{one['low']:.4g}", high=f"{one['high']:.4g}")


def attributes(judged: Found, t: Words) -> Iterator[Section]:
    """By attribute, then by group."""
    if judged.error:
        yield Section(t("What was asked for"), "", paragraph(t("Not measured: {reason}", reason=t.told(judged.error))))
        return
    rows = [
        [
            t(row["attribute"]),
            f"{row['accuracy']:.1%}",
            Html(bar(row["accuracy"], row["low"], row["high"])),
            row["pictures"],
        ]
        for row in judged.tables.get("Attributes, the worst first", [])
    ]
    lead = t(
        "How often a picture shows what its prompt asks for, by the judge, with Wilson's 95% interval; the worst first."
    )
    yield Section(t("What was asked for"), lead, table(_names(t, "Attribute", "Shown", "", "Pictures"), rows))
    yield _groups(judged.tables.get("Groups, who is drawn worse first", []), t)


def _groups(found: Sequence[Mapping[str, Any]], t: Words) -> Section:
    title = t("Who is drawn worse, and how much")
    if not found:
        return Section(title, "", paragraph(t("No group has enough pictures to say so: eight, and eight beside it.")))
    worse = [row for row in found if row["worse"]]
    span = (min(row["low"] for row in found), max(row["high"] for row in found))
    shown = [*worse, *[row for row in found if not row["worse"]][: max(0, _GROUPS - len(worse))]]
    rows = []
    for row in shown:
        name = f"{t(row['attribute'])}: {t.value(row['attribute'], row['asked'])}"
        line = Html(on_line(row["difference"], row["low"], row["high"], 0.0, span))
        points = {key: f"{100 * row[key]:+.1f}" for key in ("difference", "low", "high")}
        loss = t("{difference} points ({low} to {high})", **points)
        label = Html(f'<span class="bad">{text(name)}</span>') if row["worse"] else name
        rows.append([label, f"{row['accuracy']:.1%}", f"{row['others']:.1%}", loss, line, row["pictures"]])
    counts = {"worse": len(worse), "all": len(found)}
    words = (
        t("{worse} of {all} groups are drawn worse beyond chance.", **counts)
        if worse
        else t("Of {all} groups none is drawn worse beyond chance.", all=len(found))
    )
    meant = t(
        "A group is every picture that was asked to show one value; counted is what else was asked of it, beside "
        "pictures asked for other values. Intervals hold for all groups together."
    )
    names = _names(t, "Group", "Shown of the rest", "Others", "Difference", "", "Pictures")
    return Section(title, f"{words} {meant}", table(names, rows))


def failures(judged: Found, made: PictureSet, t: Words) -> Iterator[Section]:
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
        said = "<br>".join(text(_wrong(one, t)) for one in wrong)
        caption = Html(f"{text(rows[place]['prompt'])}<br><b>{said}</b>")
        figures.append(picture(made.picture(place), caption))
    lead = t("The pictures that show the least of what their prompts ask for, and what is wrong as the judge sees it.")
    yield Section(t("Failures"), lead, grid(figures))


def _wrong(words: str, t: Words) -> str:
    """``avatar.hat: crown asked, none seen`` in the report's language."""
    found = _WRONG.fullmatch(words)
    if found is None:
        return words
    name, asked, seen = found.groups()
    slots = {"attribute": t(name), "asked": t.value(name, asked), "seen": t.value(name, seen)}
    return t("{attribute}: {asked} asked, {seen} seen", **slots)


def neighbours(near: Found, t: Words) -> Section | None:
    """Were pictures learnt by heart?"""
    told = near.numbers.get("neighbours")
    if near.error or told is None:
        return None
    words = [
        t(
            "{copies} generated pictures count as copies of a real one (nearer than {ratio} of the distance between "
            "real neighbours).",
            copies=told["copies"],
            ratio=f"{told['copy_ratio']:g}",
        ),
        t(
            "{share} are nearer to a real picture than that one's own neighbour is.",
            share=f"{told['nearer_than_real_ones_are']:.1%}",
        ),
    ]
    sheets = [picture(sheet, side=None) for sheet in near.images.values()]
    lead = t("The generated pictures that are nearest to a real one, each beside it: was anything learnt by heart?")
    return Section(t("Nearest real pictures"), lead, Html(listing(words) + grid(sheets)))


def quality(found: Found, t: Words) -> Section:
    """Scores of single pictures."""
    if found.error:
        return Section(t("Single pictures"), "", paragraph(t("Not measured: {reason}", reason=t.told(found.error))))
    rows = []
    for name, one in found.numbers["scores"].items():
        interval = _span(one, t)
        rows.append([name, one["value"], interval, one["median"], one["least"], one["most"], one["n"]])
    plots = [
        Html(f"<figure>{histogram(plot['series'][0]['points'])}<figcaption>{text(name)}</figcaption></figure>")
        for name, plot in found.plots.items()
    ]
    names = _names(t, "Score", "Mean", "95% interval", "Median", "Least", "Most", "Pictures")
    lead = t("Without a reference. NIQE compares only with numbers of the same pristine model.")
    return Section(t("Single pictures"), lead, Html(table(names, rows) + grid(plots)))


def protocol(found: Mapping[str, Found], named: Mapping[str, str], t: Words) -> Section:
    """All that decides the numbers. ``named``: folder of this job -> what the set in it is called."""
    parts = []
    for name, one in found.items():
        if "protocol" in one.numbers:
            words = json.dumps(one.numbers["protocol"], indent=1, ensure_ascii=False, sort_keys=True)
            for folder, title in named.items():
                words = words.replace(json.dumps(folder, ensure_ascii=False), json.dumps(title, ensure_ascii=False))
            parts.append(folded(t(name), words))
    lead = t("What decides the numbers: networks, hashes of weights, resizing, formats, counts, seeds, versions.")
    return Section(t("Protocol"), lead, Html("".join(parts)))
