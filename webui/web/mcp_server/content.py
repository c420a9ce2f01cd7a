"""What was made as an assistant reads it: pictures, links to everything, and the same as JSON."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from mcp_types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent

from webui.core.errors import LifelikeError
from webui.core.jobs import ArtifactRecord, Job, JobState
from webui.library.pixels import Unreadable, decode, open_header
from webui.web.http_api.views import PREFIX
from webui.web.services import Services

MAX_BASE64_CHARS = 700_000
"""Of all pictures of one answer: clients read events of up to 1 MiB. A picture that takes more is sent smaller, as
JPEG; its link leads to the file itself.
"""
MAX_PICTURES = 8
SIDES_PX = (1024, 768, 512, 384, 256)
MAX_PIXELS = 400_000_000


def result_of(services: Services, job: Job, base_url: str) -> CallToolResult:
    """``base_url``: where the client reached this server, without a slash at its end."""
    if job.state is not JobState.DONE:
        told = f"{job.error.message} {job.error.hint}".strip() if job.error else f"the job is {job.state.value}"
        return failure(told, {"job_id": job.id, "state": job.state.value})
    records = sorted(job.artifacts, key=lambda record: record.index)
    pictures = [record for record in records if record.kind == "image"][:MAX_PICTURES]
    content: list[ContentBlock] = []
    for record in pictures:
        if picture := picture_of(services, record, MAX_BASE64_CHARS // len(pictures)):
            content.append(picture)
    rows = [artifact_row(record, base_url) for record in records]
    content += [link_of(record, row["url"]) for record, row in zip(records, rows, strict=True)]
    content.append(TextContent(text=_summary(job, records)))
    said = {"job_id": job.id, "artifacts": rows, "params": job.params, "warnings": list(job.warnings)}
    return CallToolResult(content=content, structured_content=said)


def failure(text: str, said: dict[str, Any] | None = None) -> CallToolResult:
    """Something that the assistant may mend, or should tell of."""
    return CallToolResult(content=[TextContent(text=text)], structured_content=said, is_error=True)


def link_of(record: ArtifactRecord, url: str) -> ResourceLink:
    return ResourceLink(
        name=record.path.rpartition("/")[2],
        uri=url,
        mime_type=record.media_type,
        size=record.size_bytes,
        description=f"{record.kind} {record.index}" + (f", seed {record.seed}" if record.seed is not None else ""),
    )


def artifact_row(record: ArtifactRecord, base_url: str) -> dict[str, Any]:
    """What an artifact is, and its whole address."""
    names = ("id", "kind", "media_type", "seed", "width", "height", "title")
    row = {name: value for name in names if (value := getattr(record, name)) not in (None, "")}
    return {**row, "url": f"{base_url}{PREFIX}/artifacts/{record.id}"}


def _summary(job: Job, records: Sequence[ArtifactRecord]) -> str:
    ids = ", ".join(f"artifact:{record.id}" for record in records[:50])
    text = f"Made {len(records)} artifacts: {ids}." if records else "Nothing was made."
    return " ".join([text, *job.warnings])


def picture_of(services: Services, record: ArtifactRecord, room: int) -> ImageContent | None:
    """The file itself where it fits into ``room`` letters of base64, else a smaller copy."""
    try:
        path = services.library.path(record.id)
        if path.stat().st_size * 4 // 3 <= room and record.media_type in ("image/png", "image/jpeg", "image/webp"):
            return _content(path.read_bytes(), record.media_type)
        with path.open("rb") as file:
            image = decode(open_header(file, MAX_PIXELS)).convert("RGB")
    except (LifelikeError, OSError, Unreadable):
        return None
    for side in SIDES_PX:
        image.thumbnail((side, side))
        target = io.BytesIO()
        image.save(target, "JPEG", quality=85)
        if target.tell() * 4 // 3 <= room:
            return _content(target.getvalue(), "image/jpeg")
    return None


def _content(data: bytes, media_type: str) -> ImageContent:
    return ImageContent(data=base64.b64encode(data).decode("ascii"), mime_type=media_type)
