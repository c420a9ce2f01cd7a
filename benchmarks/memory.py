"""A job of SD 1.5's size against the bare diffusers call, each in a process of its own: processor seconds a picture
once loaded (which other programs do not stretch), and the highest memory, of the GPU where there is one, else of the
process.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _sd15
import torch

PROMPT = "a photo of a cat"
_OWN_USE = "used by the measurement itself"


def main() -> int:
    parser = _sd15.options(__doc__ or "")
    parser.add_argument("--size", type=int, default=1024 if torch.cuda.is_available() else 64)
    parser.add_argument("--steps", type=int, default=20 if torch.cuda.is_available() else 2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", choices=("ours", "diffusers"), help=_OWN_USE)
    parser.add_argument("--models", type=Path, help=_OWN_USE)
    given = parser.parse_args()
    if given.side:
        side = {"ours": ours, "diffusers": theirs}[given.side]
        seconds = side(given.models, given.size, given.steps, given.rounds)
        print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes()}))
        return 0
    with _sd15.models_folder() as models:
        told: dict[str, dict[str, Any]] = {}
        for name in ("diffusers", "ours"):
            told[name] = in_process(name, models, given.size, given.steps, given.rounds)
    times = {name: statistics.median(row["seconds"]) for name, row in told.items()}
    peaks = {name: row["peak_bytes"] for name, row in told.items()}
    result = {
        "size_px": given.size,
        "steps": given.steps,
        **{f"{name}_processor_s": round(value, 3) for name, value in times.items()},
        "job_over_diffusers": round(times["ours"] / times["diffusers"], 4),
        **{f"{name}_peak_mib": round(value / 2**20) for name, value in peaks.items()},
        "peak_over_diffusers": round(peaks["ours"] / peaks["diffusers"], 4),
    }
    _sd15.tell("memory", result, given.out)
    return 0


def in_process(side: str, models: Path, size: int, steps: int, rounds: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--models", str(models)]
    command += ["--size", str(size), "--steps", str(steps), "--rounds", str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def clock() -> float:
    """Seconds of this process's processors; of the wall where a GPU computes."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def peak_bytes() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def ours(models: Path, size: int, steps: int, rounds: int) -> list[float]:
    """Processor seconds of each job after the first, in process, from its parameters to the file on disk."""
    from webui.core.jobs import Job
    from webui.engine.local import run_local
    from webui.testing import Outcome, make_studio

    with tempfile.TemporaryDirectory() as data:
        studio = make_studio(Path(data), models_dirs=[models], offline=True, cache_bytes=64 * 2**30)
        # One runner, as a worker keeps one: a new one would load the model anew for each job.
        runner, spec = studio.runner(), studio.host.pipelines["diffusion.txt2img"]
        taken = []
        for number in range(rounds + 1):
            asked = {"prompt": PROMPT, "model": "diffusers/sd15_0", "width": size, "height": size, "steps": steps,
                     "guidance_scale": 7.0, "seed": number}  # fmt: skip
            began = clock()
            job = Job(pipeline=spec.id, params=studio.freeze(spec, asked))
            outcome = Outcome(job, studio)
            run_local(runner, job, outcome.take)
            taken.append(clock() - began)
            if outcome.state != "done":
                raise SystemExit(f"the job {outcome.state}: {outcome.error}")
    return taken[1:]


def theirs(models: Path, size: int, steps: int, rounds: int) -> list[float]:
    from extensions.diffusion.models.libraries import find_class
    from webui.engine.memory import usable_cores

    torch.set_num_threads(usable_cores())  # as a job does: threads that wait in a loop cost processor time
    folder = str(models / "diffusers" / "sd15_0")
    cls = find_class("diffusers", "StableDiffusionPipeline")
    pipe = cls.from_pretrained(folder, dtype=_sd15.model_dtype(), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")
    taken = []
    for number in range(rounds + 1):
        generator = torch.Generator("cpu").manual_seed(number)
        began = clock()
        pipe(PROMPT, width=size, height=size, num_inference_steps=steps, guidance_scale=7.0, generator=generator)
        taken.append(clock() - began)
    return taken[1:]


if __name__ == "__main__":
    sys.exit(main())
