"""For `bench load`: jobs that keep a worker at work for a moment each, and need no model."""

from webui.api import Params, PipelineSpec, TabSpec, hookimpl, integer, prompt, seed


class Strokes(Params):
    """What one job paints."""

    prompt: str = prompt("", label="Prompt")
    batch_count: int = integer(1, minimum=1, maximum=8, label="Pictures")
    steps: int = integer(6, minimum=1, maximum=60, label="Steps")
    seed: int = seed()


@hookimpl
def register_tabs():
    return [TabSpec(id="brush", title="Brush", order=0)]


@hookimpl
def register_pipelines():
    return [PipelineSpec(id="brush.strokes", title="Strokes", params=Strokes, tab="brush", run=".work:Paint")]
