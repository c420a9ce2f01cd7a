"""The pipeline ``model_files.convert``: from a pickled model of the list to safetensors beside it."""

from __future__ import annotations

from collections.abc import Iterator

from webui.api import Artifact, Context, JobFailed, ModelError

from .params import ConvertParams


class ConvertPipeline:
    """One file a job. The original stays; a job that is cancelled or fails leaves nothing."""

    def run(self, params: ConvertParams, context: Context) -> Iterator[Artifact]:
        """Yields a table of what was written. Raises ModelError, NotFound, JobFailed, Cancelled."""
        if not context.pending(1):
            return
        model = context.models.resolve(params.model, "pickled")
        if model.path is None or not model.path.is_file():
            raise ModelError(f"Model {model.ref!r} is no single file.", hint="Only single files are converted.")
        target = model.path.with_suffix(".safetensors")
        try:
            count = context.models.to_safetensors(
                model.path,
                target,
                half=params.half,
                progress=lambda done, total: context.progress(done, total, f"Converting {model.path.name}"),
            )
        except OSError as error:
            raise JobFailed(
                f"{target.name} cannot be written: {error.strerror or error}.",
                hint="Look at the rights of the models folder, and at the room that is left.",
            ) from error
        row = {"file": target.name, "from": model.ref, "tensors": count, "bytes": target.stat().st_size}
        yield Artifact("table", [row], title=target.name)
