"""The routes that list what there is: models, samplers, schedules, networks. Clients take names out of them and send
them back, so each name here is one that a request may use.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from webui.catalog.entry import ModelEntry
from webui.core.parameters import describe
from webui.library.programs import names
from webui.web.services import Services

from .options import KIND, title_of
from .sampling import code_of
from .translate import TXT2IMG
from .upscalers import INTERPOLATIONS, networks, stem_of


def _offered(services: Services, name: str) -> list[str]:
    spec = services.host.pipelines.get(TXT2IMG)
    rows = describe(spec.params) if spec is not None else ()
    return [value for row in rows if row.name == name for value, _ in row.options]


def _styles(services: Services) -> list[dict[str, str | None]]:
    spec = services.host.pipelines.get(TXT2IMG)
    sources = [row.source for row in describe(spec.params) if row.name == "styles"] if spec is not None else []
    rows: list[dict[str, str | None]] = []
    for source in (services.host.choices[one] for one in sources if one in services.host.choices):
        folders = services.settings.folders
        texts = source.texts(folders) if source.texts is not None else {}
        for name in source.choices(folders):
            text = texts.get(name, {})
            rows.append({"name": name, **{field: text.get(field) for field in ("prompt", "negative_prompt")}})
    return rows


def _model(entry: ModelEntry) -> dict[str, Any]:
    return {
        "title": title_of(entry),
        "model_name": stem_of(entry),
        "hash": entry.sha256[:10] or None,
        "sha256": entry.sha256 or None,
        "filename": entry.ref,
        "config": None,
    }


def router(services: Services) -> APIRouter:
    routes = APIRouter()
    catalog = services.catalog

    def usable(kind: str) -> list[ModelEntry]:
        return [entry for entry in catalog.entries(kind) if entry.usable]

    def schedule(name: str) -> dict[str, Any]:
        rho = 7.0 if name == "Karras" else -1
        return {
            "name": code_of(name),
            "label": name,
            "aliases": None,
            "default_rho": rho,
            "need_inner_model": False,
        }

    @routes.get("/sd-models")
    def sd_models() -> Response:
        return JSONResponse([_model(entry) for entry in usable(KIND)])

    @routes.get("/sd-vae")
    def sd_vae() -> Response:
        return JSONResponse([{"model_name": stem_of(entry), "filename": entry.ref} for entry in usable("vae")])

    @routes.get("/loras")
    def loras() -> Response:
        rows = [
            {"name": stem_of(entry), "alias": entry.title, "path": entry.ref, "metadata": {}}
            for entry in usable("lora")
        ]
        return JSONResponse(rows)

    @routes.get("/embeddings")
    def embeddings() -> Response:
        blank = {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 0, "vectors": 0}
        return JSONResponse({"loaded": {stem_of(entry): blank for entry in usable("embedding")}, "skipped": {}})

    @routes.get("/samplers")
    def samplers() -> Response:
        rows = [{"name": name, "aliases": names.codes(name), "options": {}} for name in _offered(services, "sampler")]
        return JSONResponse(rows)

    @routes.get("/schedulers")
    def schedulers() -> Response:
        return JSONResponse([schedule(name) for name in _offered(services, "schedule")])

    @routes.get("/upscalers")
    def upscalers() -> Response:
        found = networks(services)
        rows = [
            {"name": name, "model_name": found.get(name), "model_path": found.get(name), "model_url": None, "scale": 4}
            for name in (*INTERPOLATIONS, *found)
        ]
        return JSONResponse(rows)

    @routes.get("/latent-upscale-modes")
    def latent_upscale_modes() -> Response:
        modes = [name for name in _offered(services, "hires_mode") if name.startswith("latent")]
        return JSONResponse([{"name": name.capitalize()} for name in modes])

    @routes.get("/prompt-styles")
    def prompt_styles() -> Response:
        """What a style holds, the extension that has it tells; None where it does not."""
        return JSONResponse(_styles(services))

    @routes.get("/scripts")
    def scripts() -> Response:
        return JSONResponse({"txt2img": [], "img2img": []})

    for empty in ("hypernetworks", "face-restorers", "realesrgan-models"):
        routes.add_api_route(f"/{empty}", lambda: JSONResponse([]), methods=["GET"], name=empty)
    routes.add_api_route("/script-info", lambda: JSONResponse([]), methods=["GET"], name="script-info")
    routes.add_api_route("/cmd-flags", lambda: JSONResponse({}), methods=["GET"], name="cmd-flags")

    @routes.post("/refresh-checkpoints")
    @routes.post("/refresh-vae")
    @routes.post("/refresh-loras")
    def refresh() -> Response:
        catalog.refresh()
        return JSONResponse(None)

    return routes
