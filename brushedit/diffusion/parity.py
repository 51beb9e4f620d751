"""Parity: numbers of the published implementation, recomputed by this code and compared.

A folder holds small networks with the published keys (``unet.safetensors``, ``brushnet.safetensors``, their configs,
``brushnet_from_unet.safetensors``), one recorded forward pass (``forward.safetensors``) and, optionally, recorded
pipeline runs (``vae.safetensors``, ``image.png``, ``mask.png``, ``pipeline.safetensors``, ``pipeline_cases.json``).
A folder may also hold full-size key lists (``brushnet_NAME_keys.json`` beside ``brushnet_NAME_config.json``).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn

from brushedit.diffusion import conditioning as conditions
from brushedit.diffusion.brushnet import BrushNetModel, SizeConditions, feature_scales
from brushedit.diffusion.checkpoint import refuse_differences
from brushedit.diffusion.sampling import TextConditions, denoise, schedule, start
from brushedit.diffusion.sites import features_added
from brushedit.errors import InvalidWeights
from brushedit.options import PaintOptions
from brushedit.types import Image, Mask

FORWARD_TOLERANCE = 1e-5
PIPELINE_TOLERANCE = 1e-3
FORWARD_SCALE = 0.8
"""The conditioning scale at which the forward passes were recorded."""

_OPTIONS = {
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "brushnet_conditioning_scale": "preservation_scale",
    "control_guidance_start": "control_start",
    "control_guidance_end": "control_end",
    "guess_mode": "guess_mode",
}

# diffusers 0.27, with which the runs were recorded, had no such field for UniPC and ended at the smallest sigma;
# today's default ends at 0. The other schedulers step as they did.
_RECORDED_DEFAULTS = {"UniPCMultistepScheduler": {"final_sigmas_type": "sigma_min"}}


@dataclass(frozen=True)
class Comparison:
    """One group of tensors, ours against the recorded ones.

    Attributes
    ----------
    max_abs : float
        Largest absolute difference.
    max_rel : float
        That difference over the largest recorded magnitude (forward passes) or over the recorded spread, maximum
        minus minimum (pipelines): the largest over the group's tensors.
    tolerance : float
        What `max_rel` may be; 0 means equal bit for bit.
    note : str
        What could not be compared, and why.
    """

    group: str
    max_abs: float
    max_rel: float
    tolerance: float
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the difference is within tolerance; a NaN is not."""
        return self.max_rel <= self.tolerance


@torch.inference_mode()
def compare(folder: Path, read_image: Any, read_mask: Any) -> Iterator[Comparison]:
    """Yield a comparison per group of tensors.

    Parameters
    ----------
    folder : Path
    read_image : callable
        Path -> Image.
    read_mask : callable
        (Path, height, width) -> Mask, white = hole.

    Raises
    ------
    InvalidWeights
        The folder is not of this format, or a checkpoint's keys or shapes differ.
    """
    lists = sorted(folder.glob("brushnet_*_keys.json"))
    if not lists and not (folder / "forward.safetensors").is_file():
        raise InvalidWeights(f"{folder} holds neither forward.safetensors nor brushnet_*_keys.json")
    for keys in lists:
        yield _full_size(keys)
    if not (folder / "forward.safetensors").is_file():
        return
    unet = _network(folder, "unet", UNet2DConditionModel)
    brushnet = _network(folder, "brushnet", BrushNetModel)
    yield from _forward(unet, brushnet, _tensors(folder / "forward.safetensors"))
    yield _from_unet(unet, brushnet, _tensors(folder / "brushnet_from_unet.safetensors"))
    if (folder / "pipeline_cases.json").is_file():
        vae = _network(folder, "vae", AutoencoderKL)
        image: Image = read_image(folder / "image.png")
        mask: Mask = read_mask(folder / "mask.png", *image.shape[:2])
        recorded = _tensors(folder / "pipeline.safetensors")
        for case, run in _json(folder / "pipeline_cases.json").items():
            yield from _pipeline(unet, brushnet, vae, image, mask, recorded, case, run)


def _full_size(keys: Path) -> Comparison:
    config = keys.with_name(keys.name.replace("_keys.json", "_config.json"))
    with torch.device("meta"):
        brushnet: nn.Module = BrushNetModel(**_json(config))
    ours = {key: list(tensor.shape) for key, tensor in brushnet.state_dict().items()}
    published = _json(keys)
    wrong = sorted(key for key in {*ours, *published} if ours.get(key) != published.get(key))
    group = keys.name.removesuffix("_keys.json") + " keys"
    return Comparison(
        group, float(len(wrong)), float(len(wrong)), 0, f"differ: {', '.join(wrong)}" if wrong else ""
    )


def _forward(
    unet: UNet2DConditionModel, brushnet: BrushNetModel, recorded: Mapping[str, Tensor]
) -> Iterator[Comparison]:
    sample, t, states = recorded["sample"], recorded["timestep"], recorded["encoder_hidden_states"]
    added = {key.removeprefix("added."): value for key, value in recorded.items() if key.startswith("added.")}
    sizes = SizeConditions(added["text_embeds"], added["time_ids"]) if added else None
    features = brushnet(sample, t, recorded["conditioning"], sizes=sizes)
    features = features.scaled(feature_scales(brushnet.site_count, FORWARD_SCALE, guess_mode=False))
    for group, ours in (("down", features.down), ("up", features.up)):
        count = sum(key.startswith(f"{group}.") for key in recorded)
        if count != len(ours):
            raise InvalidWeights(f"{count} recorded {group} features, BrushNet gives {len(ours)}")
        yield _compare(group, [(ours[i], recorded[f"{group}.{i}"]) for i in range(count)])
    yield _compare("mid", [(features.mid, recorded["mid"])])

    def predict() -> Tensor:
        return unet(sample, t, states, added_cond_kwargs=added or None, return_dict=False)[0]

    with features_added(unet, features):
        yield _compare("unet_with_brushnet", [(predict(), recorded["unet_with_brushnet"])])
    yield _compare("unet_plain", [(predict(), recorded["unet_plain"])])


def _from_unet(
    unet: UNet2DConditionModel, brushnet: BrushNetModel, recorded: Mapping[str, Tensor]
) -> Comparison:
    ours = BrushNetModel.from_unet(unet).state_dict()
    # The published code leaves this one at a random draw, which nothing can reproduce; ours is the UNet's.
    unknown = {key for key in recorded if key.startswith("add_embedding.")}
    # It also makes the stem's bias and the UNet's one and the same parameter, so a folder whose networks were given
    # new weights afterwards changed both: their equality shows it, and the recorded draw is of neither.
    bias = "conv_in_condition.bias"
    if torch.equal(brushnet.state_dict()[bias], unet.state_dict()["conv_in.bias"]):
        unknown.add(bias)
    refuse_differences(
        Path("brushnet_from_unet"), missing=ours.keys() - recorded, unexpected=recorded.keys() - ours
    )
    differences = [float((ours[key] - recorded[key]).abs().max()) for key in recorded if key not in unknown]
    worst = max(differences)
    note = f"not reproducible, left out: {', '.join(sorted(unknown))}" if unknown else ""
    return Comparison("from_unet", worst, worst, 0, note)


def _pipeline(
    unet: UNet2DConditionModel,
    brushnet: BrushNetModel,
    vae: AutoencoderKL,
    image: Image,
    mask: Mask,
    recorded: Mapping[str, Tensor],
    case: str,
    run: Mapping[str, Any],
) -> Iterator[Comparison]:
    call = run["call"]
    if unknown := call.keys() - _OPTIONS.keys():
        raise InvalidWeights(f"pipeline case {case}: unknown {', '.join(sorted(unknown))}")
    options = PaintOptions(**{_OPTIONS[key]: value for key, value in call.items()})
    name = run["scheduler"]
    scheduler = getattr(diffusers, name).from_config(
        _RECORDED_DEFAULTS.get(name, {}) | run["scheduler_config"]
    )
    generator = torch.Generator().manual_seed(0)
    hole = conditions.posterior(conditions.black_hole(image, mask), vae)
    latent = conditions.latent(hole, vae, "mode", generator)
    keep = conditions.keep_mask(mask, (latent.shape[-2], latent.shape[-1]), "nearest")
    timesteps = schedule(scheduler, options, torch.device("cpu"))
    latents = recorded["latents"]
    for step in denoise(
        unet,
        brushnet,
        scheduler,
        timesteps,
        start(scheduler, timesteps, latents, None),
        torch.cat([latent, keep], dim=1),
        TextConditions(recorded["prompt_embeds"], recorded["negative_prompt_embeds"]),
        image.shape[:2],
        options,
        generator,
    ):
        latents = step.latents
    pixels = conditions.decode(latents, vae)
    for name, ours in (("latents", latents), ("image", pixels)):
        theirs = recorded[f"{case}.{name}"]
        spread = float(theirs.max() - theirs.min())
        worst = float((ours - theirs).abs().max())
        yield Comparison(f"{case}.{name}", worst, worst / spread, PIPELINE_TOLERANCE)


def _compare(group: str, pairs: list[tuple[Tensor, Tensor]]) -> Comparison:
    for ours, theirs in pairs:
        if ours.shape != theirs.shape:
            raise InvalidWeights(f"{group}: recorded {tuple(theirs.shape)}, ours {tuple(ours.shape)}")
    absolute = [float((ours - theirs).abs().max()) for ours, theirs in pairs]
    relative = [worst / float(theirs.abs().max()) for worst, (_, theirs) in zip(absolute, pairs, strict=True)]
    return Comparison(group, max(absolute), max(relative), FORWARD_TOLERANCE)


def _network(folder: Path, name: str, kind: Any) -> Any:
    network: nn.Module = kind.from_config(_json(folder / f"{name}_config.json"))
    weights = _tensors(folder / f"{name}.safetensors")
    own = network.state_dict()
    refuse_differences(
        folder / name,
        missing=own.keys() - weights.keys(),
        unexpected=weights.keys() - own.keys(),
        mismatched=[key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape],
    )
    network.load_state_dict(weights)
    return network.eval()


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises a type of its own for a broken file, and OSError for none
        raise InvalidWeights(f"{path}: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidWeights(f"{path}: {error}") from error
