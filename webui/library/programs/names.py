"""Samplers and schedules under the names that k-diffusion's descendants give them in code, as people know them."""

from __future__ import annotations

from collections.abc import Mapping

_SAMPLERS: Mapping[str, str] = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "euler_a": "Euler a",
    "heun": "Heun",
    "dpm_2": "DPM2",
    "dpm2": "DPM2",
    "kdpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "dpm_2_a": "DPM2 a",
    "dpm2_a": "DPM2 a",
    "kdpm_2_a": "DPM2 a",
    "lms": "LMS",
    "plms": "PNDM",
    "pndm": "PNDM",
    "dpmpp_2": "DPM++ 2M",
    "dpmpp_2_a": "DPM++ 2S a",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_2s": "DPM++ 2S",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "dpmpp_3m": "DPM++ 3M",
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "deis": "DEIS",
    "lcm": "LCM",
    "tcd": "TCD",
    "uni_pc": "UniPC",
    "unipc": "UniPC",
    "uni_pc_bh2": "UniPC",
}

_SCHEDULES: Mapping[str, str] = {
    "normal": "Normal",
    "karras": "Karras",
    "exponential": "Exponential",
    "polyexponential": "Polyexponential",
    "sgm_uniform": "SGM Uniform",
    "simple": "Simple",
    "ddim_uniform": "DDIM",
    "beta": "Beta",
    "native": "Automatic",
    "default": "Automatic",
    "automatic": "Automatic",
}


def sampler(name: str) -> tuple[str, str]:
    """(sampler, schedule) of a name in code; the schedule is empty where the name does not carry one. A name that is
    not known stays as it is.
    """
    code = name.strip().lower()
    for suffix in ("_gpu", "_cfg_pp"):
        code = code.removesuffix(suffix)
    code = code.removeprefix("k_") if not code.startswith("k_diffusion") else code
    if code.endswith("_k") and code.removesuffix("_k") in _SAMPLERS:
        return _SAMPLERS[code.removesuffix("_k")], "Karras"
    return _SAMPLERS.get(code, name), ""


def codes(name: str) -> list[str]:
    """The names in code of a sampler that people know as ``name``."""
    return [code for code, known in _SAMPLERS.items() if known == name]


def schedule(name: str) -> str:
    """A schedule's name as people know it; one that is not known stays as it is."""
    return _SCHEDULES.get(name.strip().lower(), name)
