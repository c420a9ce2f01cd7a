"""What a batch over a folder takes; light, read by the web process."""

from __future__ import annotations

# The fields have the names of the functions that declare them.
import webui.api as declare

THERE_ALREADY = {"keep": "Keep it, leave the picture out", "replace": "Replace it"}


class FolderParams(declare.Params):
    """Parameters of batch.folder."""

    folder: str = declare.folder(..., label="Folder", help="Its pictures are taken in the order of their names")
    pipeline: str = declare.dynamic_choice("diffusion.img2img", "pipelines:image:image", label="Pipeline")
    params: declare.ParameterValues = declare.parameters(
        "pipeline", label="Its parameters", help="What is the same for all pictures, as JSON; each picture is its image"
    )
    target: str = declare.folder(
        label="Results also go to",
        help="A folder, made where it is missing, for copies named after their sources; empty: the gallery alone",
    )
    there_already: str = declare.choice(
        "keep", THERE_ALREADY, label="A result that is there already", help="In that folder, under the same name"
    )
    subfolders: bool = declare.boolean(False, label="Folders in it too")
    vary_seed: bool = declare.boolean(False, label="Another seed for each", help="Else all have one")
