"""gan.convert: any model that is read here -> safetensors that state what they are, beside it."""

from __future__ import annotations

from collections.abc import Iterator

from extensions.gan.formats.loading import load
from extensions.gan.formats.own import write_own
from extensions.gan.params import ConvertParams
from extensions.gan.recognise import declared
from webui.api import Artifact, Context, JobFailed

from .making import refuse, resolved


class Convert:
    """gan.convert: one file a job; the original stays."""

    def run(self, params: ConvertParams, context: Context) -> Iterator[Artifact]:
        """Yields a table of what was written. Raises ModelError, JobFailed."""
        if not context.pending(1):
            return
        model = resolved(context, params.model, "gan|vqgan")
        assert model.path is not None
        if declared(model.path) is not None:
            raise refuse("model", "this file is in our own format already")
        target = model.path.with_name(f"{model.path.stem}.gan.safetensors")
        if target.exists():
            raise JobFailed(f"{target.name} is there already.", hint="Delete it first, or keep it.")
        context.progress(0, 3, "reading")
        loaded = load(context.models, model.path, model.family)
        context.progress(1, 3, "writing")
        try:
            count = write_own(
                target, loaded.network, loaded.family, {**loaded.config, "title": model.path.stem}, half=params.half
            )
        except OSError as error:
            raise JobFailed(
                f"{target.name} cannot be written: {error.strerror or error}.",
                hint="Look at the rights of the models folder, and at the room that is left.",
            ) from error
        context.progress(3, 3, "written")
        row = {"file": target.name, "from": model.ref, "tensors": count, "bytes": target.stat().st_size}
        yield Artifact("table", [row], title=target.name)
