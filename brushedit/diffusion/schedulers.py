"""Noise schedulers, by the names users of other tools know them under."""

from collections.abc import Mapping
from typing import Any

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_dpmsolver_singlestep import DPMSolverSinglestepScheduler
from diffusers.schedulers.scheduling_euler_ancestral_discrete import EulerAncestralDiscreteScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_heun_discrete import HeunDiscreteScheduler
from diffusers.schedulers.scheduling_lcm import LCMScheduler
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

from brushedit.options import scheduler_key

_PLAIN: Mapping[str, Any] = {"use_karras_sigmas": False}
_KARRAS: Mapping[str, Any] = {"use_karras_sigmas": True}
_MULTISTEP: Mapping[str, Any] = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_SDE: Mapping[str, Any] = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}

SCHEDULERS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    # All that a name says is said here: a base's config may come from a pipeline that ran another variant.
    "unipc": (UniPCMultistepScheduler, _PLAIN),
    # Latents are not bounded by 1: where the base's config says nothing, these classes would clip them.
    "ddim": (DDIMScheduler, {"clip_sample": False}),
    "ddpm": (DDPMScheduler, {"clip_sample": False}),
    "pndm": (PNDMScheduler, {}),
    "euler": (EulerDiscreteScheduler, _PLAIN),
    "euler karras": (EulerDiscreteScheduler, _KARRAS),
    "euler a": (EulerAncestralDiscreteScheduler, {}),
    "euler ancestral": (EulerAncestralDiscreteScheduler, {}),
    "heun": (HeunDiscreteScheduler, _PLAIN),
    "dpm++ 2m": (DPMSolverMultistepScheduler, {**_MULTISTEP, **_PLAIN}),
    "dpm++ 2m karras": (DPMSolverMultistepScheduler, {**_MULTISTEP, **_KARRAS}),
    "dpm++ 2m sde": (DPMSolverMultistepScheduler, {**_SDE, **_PLAIN}),
    "dpm++ 2m sde karras": (DPMSolverMultistepScheduler, {**_SDE, **_KARRAS}),
    "dpm++ 2s": (DPMSolverSinglestepScheduler, {**_MULTISTEP, **_PLAIN, "lower_order_final": True}),
    "lcm": (LCMScheduler, {"clip_sample": False}),
}


def make_scheduler(name: str, config: Mapping[str, Any]) -> Any:
    """Return a fresh scheduler of that name on a base model's noise schedule.

    Parameters
    ----------
    name : str
        A key of `SCHEDULERS`, in any case, with spaces, underscores or hyphens.
    config : mapping
        The base model's scheduler config: betas, prediction type, spacing.

    Raises
    ------
    InvalidOption
        The name is not known; the message lists those that are.
    """
    kind, overrides = SCHEDULERS[scheduler_key(name)]
    return kind.from_config(dict(config), **overrides)
