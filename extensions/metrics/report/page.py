"""Words, tables and pictures -> one HTML page that needs nothing else: no script, no font, no address.

Every text is escaped here; ``Html`` is what is already markup.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image


class Html(str):
    """Markup that needs no escaping."""


@dataclass(frozen=True)
class Section:
    """A heading, a sentence on what is shown and how it is read, and the content."""

    title: str
    lead: str
    body: Html


def text(value: object) -> Html:
    """Escaped, unless it is markup already; numbers with four digits."""
    if isinstance(value, Html):
        return value
    if isinstance(value, bool):
        return Html("yes" if value else "no")
    if isinstance(value, float):
        return Html(f"{value:.4g}")
    return Html("" if value is None else html.escape(str(value)))


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """Numbers stand to the right."""
    head = "".join(f"<th>{text(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    return Html(f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def _cell(value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f'<td class="number">{text(value)}</td>' if number else f"<td>{text(value)}</td>"


def picture(image: Image.Image, caption: object = "", side: int | None = 128) -> Html:
    """A figure; pictures larger than ``side`` are made smaller."""
    shown = image.convert("RGB")
    if side is not None:
        shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    held = io.BytesIO()
    shown.save(held, "WEBP", quality=88, method=4)
    data = base64.b64encode(held.getvalue()).decode("ascii")
    words = text(caption)
    alt = words if not isinstance(caption, Html) else "picture"
    below = f"<figcaption>{words}</figcaption>" if words else ""
    size = f'width="{shown.width}" height="{shown.height}"'
    image_ = f'<img src="data:image/webp;base64,{data}" alt="{alt}" {size}>'
    return Html(f'<figure style="width: {max(shown.width, 96)}px">{image_}{below}</figure>')


def grid(figures: Iterable[Html]) -> Html:
    """Figures side by side."""
    return Html(f'<div class="grid">{"".join(figures)}</div>')


def paragraph(words: object) -> Html:
    return Html(f"<p>{text(words)}</p>")


def listing(words: Iterable[object]) -> Html:
    return Html("<ul>" + "".join(f"<li>{text(one)}</li>" for one in words) + "</ul>")


def folded(title: str, content: str) -> Html:
    """Shown when it is asked for, and in print (where the browser knows how)."""
    return Html(f"<details><summary>{text(title)}</summary><pre>{text(content)}</pre></details>")


def page(title: str, summary: str, sections: Sequence[Section], language: str = "en") -> str:
    """The whole document, in ``language``."""
    parts = "".join(
        f"<section><h2>{text(one.title)}</h2><p class='lead'>{text(one.lead)}</p>{one.body}</section>"
        for one in sections
    )
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="{text(language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{text(title)}</h1><p class='summary'>{text(summary)}</p>{parts}</main></body></html>\n"
    )


_STYLE = """
:root { color-scheme: light dark; --page: #fbfbf9; --panel: #fff; --line: #e2e2dc; --text: #22231f; --quiet: #63635c;
  --accent: #147a65; --soft: #cfe6dd; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --page: #131413; --panel: #1b1c1b; --line: #30312f; --text: #e9e9e4;
  --quiet: #a5a59d; --accent: #7acfb6; --soft: #24463d; --bad: #ff9d94; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 30px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 0 0 4px; }
.summary, .lead { color: var(--quiet); margin: 0 0 14px; max-width: 76ch; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 14px; padding: 20px; }
section + section, p + section { margin-top: 20px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
th { color: var(--quiet); font-weight: 500; white-space: nowrap; }
td.number { text-align: right; }
.grid { display: flex; flex-wrap: wrap; gap: 10px; margin: 10px 0; }
figure { margin: 0; max-width: 100%; }
figure img { border-radius: 6px; display: block; max-width: 100%; height: auto; }
figcaption { font-size: 12px; color: var(--quiet); margin-top: 4px; overflow-wrap: anywhere; }
figcaption b, .bad { color: var(--bad); font-weight: 500; }
pre { overflow: auto; font-size: 12px; background: var(--page); border-radius: 8px; padding: 12px; }
pre { white-space: pre-wrap; }
summary { cursor: pointer; color: var(--accent); }
svg { display: block; } svg text { font-size: 11px; fill: var(--quiet); }
.rule { stroke: var(--line); } .mark { stroke: var(--quiet); stroke-width: 2; }
.ink { stroke: var(--text); stroke-width: 2; }
.wide { stroke: var(--accent); stroke-width: 4; stroke-opacity: 0.5; }
.dot, .fill { fill: var(--accent); } .ground { fill: var(--soft); }
@page { size: A4; margin: 14mm 12mm; }
@media print { :root { --page: #fff; --panel: #fff; --line: #ccc; --text: #000; --quiet: #444; --accent: #0b5d4c;
  --soft: #ddeee8; --bad: #a01812; color-scheme: light; }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; } h1 { font-size: 20pt; } h2 { font-size: 13pt; }
  section { border: 0; border-radius: 0; padding: 8px 0; } p + section, section + section { margin-top: 6px; }
  figure, tr, li, summary { break-inside: avoid; } h1, h2, .lead { break-after: avoid; }
  thead { display: table-header-group; } .scroll { overflow: visible; } table { font-size: 9pt; width: 100%; }
  td, th { padding: 3px 8px 3px 0; } td.number { white-space: nowrap; }
  section > p, ul:not(:last-child) { break-after: avoid; } .grid { display: block; }
  .grid figure { display: inline-block; vertical-align: top; margin: 0 6px 8px 0; }
  p, .lead, .summary { max-width: none; orphans: 3; widows: 3; } * { print-color-adjust: exact; }
  details::details-content { content-visibility: visible; display: block; } pre { font-size: 7.5pt; padding: 0; } }
"""
