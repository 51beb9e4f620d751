"""What a denoiser is asked: a noisy latent, its timestep, and the answer that the noise schedule's convention wants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor


@dataclass(frozen=True)
class Question:
    """Noisy latents (B, C, h, w), timesteps (B,), and the right answer (B, C, h, w)."""

    noisy: Tensor
    timesteps: Tensor
    answer: Tensor


@final
class NoiseSchedule:
    """The forward process q(x_t | x_0) of a scheduler config (Ho et al., arXiv 2006.11239, equation 4).

    Parameters
    ----------
    config : mapping
    exponent : float
        Timesteps are drawn as T u**exponent, u uniform in 0..1: 1 makes all equally likely, less than 1 the noisy
        ones, in which what a thing is gets decided, more likely.
    """

    def __init__(self, config: Mapping[str, Any], exponent: float = 1.0) -> None:
        self._scheduler: Any = DDPMScheduler.from_config(dict(config))
        self._exponent = exponent

    def ask(self, latents: Tensor, generator: torch.Generator) -> Question:
        """Draw timesteps and noise by the generator, which is on the latents' device.

        The answer is the noise, or v = sqrt(a_t) noise - sqrt(1 - a_t) x_0 (Salimans and Ho, arXiv 2202.00512,
        appendix D), as the config's ``prediction_type`` says.
        """
        steps = self._scheduler.config.num_train_timesteps
        shares = torch.rand(len(latents), generator=generator, device=latents.device) ** self._exponent
        timesteps = (steps * shares).long().clamp(max=steps - 1)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        noisy = self._scheduler.add_noise(latents, noise, timesteps)
        match self._scheduler.config.prediction_type:
            case "epsilon":
                answer = noise
            case "v_prediction":
                answer = self._scheduler.get_velocity(latents, noise, timesteps)
            case other:
                raise ValueError(f"nothing is trained to predict {other!r}")
        return Question(noisy, timesteps, answer)
