"""The profiles: which five networks work together, and where their weights come from, as data.

Hub ids, file names and sizes are those of the published repositories. A revision or SHA-256 is stated only
where several independent sources agree on it, and is None otherwise: what is not pinned is not verified.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from brushedit.errors import InvalidOption


class Role(StrEnum):
    """What a network does in an edit."""

    INSTRUCTOR = "instructor"
    DETECTOR = "detector"
    SEGMENTER = "segmenter"
    BASE_MODEL = "base_model"
    BRUSHNET = "brushnet"


@dataclass(frozen=True)
class Licence:
    """Terms of use. Where `limits` is not empty they must be accepted before anything is downloaded."""

    name: str
    address: str
    limits: str = ""


@dataclass(frozen=True)
class Source:
    """Files of one repository on the Hugging Face hub.

    Attributes
    ----------
    repo : str
        Hub id, "owner/name"; empty for what this repository carries itself.
    files : tuple of str
        Paths in the repository, shell patterns allowed.
    size : int
        Bytes of all files, roughly.
    licence : Licence
    folder : str
        Folder of these files in the published layout (``base_model/… brushnetX/ grounding_dino/ …``).
    prefix : str
        Folder of these files in the repository.
    revision : str or None
    sha256 : mapping of str to str
        By file name.
    """

    repo: str
    files: tuple[str, ...]
    size: int
    licence: Licence
    folder: str
    prefix: str = ""
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Network:
    """One network of a profile.

    Attributes
    ----------
    architecture : str
        What to build: "qwen2_vl", "groundingdino_swint_ogc", "vit_h" …; "config" reads the ``config.json``
        beside the weights.
    weights : Source
    checkpoint : str
        The one weights file where the network is not a folder with a config of its own.
    tokenizer : Source or None
        Where a checkpoint lacks its tokenizer.
    """

    architecture: str
    weights: Source
    checkpoint: str = ""
    tokenizer: Source | None = None


@dataclass(frozen=True)
class Sampling:
    """How a profile's networks paint best, where a request does not say; see `brushedit.options.PaintOptions`."""

    steps: int = 20
    guidance: float = 7.5
    scheduler: str = "unipc"
    tries: int = 1


@dataclass(frozen=True)
class Profile:
    """Five networks that work together.

    Attributes
    ----------
    floor : float
        Score from which a detection counts.
    prompt : str
        Prompt of the instructor: "plan", or "plan_short" for one that was trained on the reply's form.
    closeup : float or None
        Context of steps in which something new appears; None = as in all other steps.
    global_strength : float or None
        Strength of a change of the whole picture; None where the networks cannot do one.
    sampling : Sampling
    """

    name: str
    description: str
    networks: Mapping[Role, Network]
    floor: float = 0.3
    prompt: str = "plan"
    closeup: float | None = None
    global_strength: float | None = 0.6
    sampling: Sampling = Sampling()


_APACHE: Final = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")
_BRUSHEDIT: Final = Licence(
    "BrushEdit",
    "https://huggingface.co/TencentARC/BrushEdit/blob/main/LICENSE",
    "not for use in the European Union; the Stable Diffusion part is under CreativeML OpenRAIL restrictions",
)
_OPENRAIL_XL: Final = Licence(
    "CreativeML Open RAIL++-M",
    "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
    "restricts what the model may be used for (its attachment A)",
)

_DIFFUSERS_FOLDER: Final = (
    "model_index.json",
    "scheduler/*",
    "text_encoder/*",
    "tokenizer/*",
    "unet/*",
    "vae/*",
)

_DINO: Final = Network(
    architecture="groundingdino_swint_ogc",
    checkpoint="groundingdino_swint_ogc.pth",
    weights=Source(
        repo="ShilongLiu/GroundingDINO",
        revision="a94c9b567a2a374598f05c584e96798a170c56fb",
        files=("groundingdino_swint_ogc.pth",),
        size=693_997_677,
        licence=_APACHE,
        folder="grounding_dino",
        sha256={
            "groundingdino_swint_ogc.pth": "3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799"
        },
    ),
    tokenizer=Source(
        repo="google-bert/bert-base-uncased",
        revision="86b5e0934494bd15c9632b12f734a8a67f723594",
        files=("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
        size=700_000,
        licence=_APACHE,
        folder="bert-base-uncased",
    ),
)

_SAM: Final = Network(
    architecture="vit_h",
    checkpoint="sam_vit_h_4b8939.pth",
    weights=Source(
        repo="TencentARC/BrushEdit",
        prefix="sam",
        files=("sam_vit_h_4b8939.pth",),
        size=2_564_550_879,
        # The file is Meta's own, and so are its terms.
        licence=_APACHE,
        folder="sam",
        sha256={"sam_vit_h_4b8939.pth": "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"},
    ),
)

_QWEN: Final = Network(
    architecture="qwen2_vl",
    weights=Source(
        repo="Qwen/Qwen2-VL-7B-Instruct",
        revision="eed13092ef92e448dd6875b2a00151bd3f7db0ac",
        files=("*.json", "*.safetensors", "merges.txt"),
        size=16_600_000_000,
        licence=_APACHE,
        folder="vlms/Qwen2-VL-7B-Instruct",
    ),
)

_SD15: Final = Profile(
    name="sd15",
    description="BrushEdit as published: Qwen2-VL 7B, GroundingDINO, SAM, BrushNet-X on Stable Diffusion 1.5",
    networks={
        Role.INSTRUCTOR: _QWEN,
        Role.DETECTOR: _DINO,
        Role.SEGMENTER: _SAM,
        Role.BASE_MODEL: Network(
            architecture="stable_diffusion",
            weights=Source(
                repo="TencentARC/BrushEdit",
                prefix="base_model/realisticVisionV60B1_v51VAE",
                files=_DIFFUSERS_FOLDER,
                size=4_270_000_000,
                licence=_BRUSHEDIT,
                folder="base_model/realisticVisionV60B1_v51VAE",
            ),
        ),
        Role.BRUSHNET: Network(
            architecture="brushnet",
            weights=Source(
                repo="TencentARC/BrushEdit",
                prefix="brushnetX",
                files=("config.json", "diffusion_pytorch_model.safetensors"),
                size=2_480_000_000,
                licence=_BRUSHEDIT,
                folder="brushnetX",
            ),
        ),
    },
)

_SDXL: Final = Profile(
    name="sdxl",
    description="the same agent before BrushNet's SDXL branch (random masks, v0) on Stable Diffusion XL",
    networks={
        Role.INSTRUCTOR: _QWEN,
        Role.DETECTOR: _DINO,
        Role.SEGMENTER: _SAM,
        Role.BASE_MODEL: Network(
            architecture="stable_diffusion_xl",
            weights=Source(
                repo="stabilityai/stable-diffusion-xl-base-1.0",
                revision="462165984030d82259a11f4367a4eed129e94a7b",
                files=(
                    "model_index.json",
                    "scheduler/*",
                    "tokenizer/*",
                    "tokenizer_2/*",
                    *(
                        f"{part}/{name}"
                        for part, name in (
                            ("text_encoder", "model.safetensors"),
                            ("text_encoder_2", "model.safetensors"),
                            ("unet", "diffusion_pytorch_model.safetensors"),
                            ("vae", "diffusion_pytorch_model.safetensors"),
                        )
                    ),
                    *(f"{part}/config.json" for part in ("text_encoder", "text_encoder_2", "unet", "vae")),
                ),
                size=13_900_000_000,
                licence=_OPENRAIL_XL,
                folder="base_model/stable-diffusion-xl-base-1.0",
            ),
        ),
        Role.BRUSHNET: Network(
            architecture="brushnet",
            weights=Source(
                # The authors publish this one on a drive without a hub id; this is a copy on the hub.
                repo="hngan/brushnet_random_mask_brushnet_ckpt_sdxl_v0",
                prefix="random_mask_brushnet_ckpt_sdxl_v0",
                files=("config.json", "diffusion_pytorch_model.safetensors"),
                size=1_490_000_000,
                licence=_APACHE,
                folder="random_mask_brushnet_ckpt_sdxl_v0",
            ),
        ),
    },
)


def _own(folder: str, size: int) -> Source:
    return Source(repo="", files=(), size=size, licence=_APACHE, folder=folder)


_TOYBOX: Final = Profile(
    name="toybox",
    description="small networks trained by this repository on pictures it draws; know that small world alone",
    networks={
        Role.INSTRUCTOR: Network("qwen2_vl", _own("vlms/instructor", 2_880_000)),
        Role.DETECTOR: Network("config", _own("grounding_dino", 9_340_000), checkpoint="model.safetensors"),
        Role.SEGMENTER: Network("config", _own("sam", 1_520_000), checkpoint="model.safetensors"),
        Role.BASE_MODEL: Network("stable_diffusion", _own("base_model", 13_680_000)),
        Role.BRUSHNET: Network("brushnet", _own("brushnetX", 9_120_000)),
    },
    floor=0.45,
    prompt="plan_short",
    global_strength=None,
    # Measured on these weights: few steps without history, and little guidance, come nearest to the true pictures.
    sampling=Sampling(steps=4, guidance=2.0, scheduler="ddim", tries=4),
    # In crops of 64 pixels a thing keeps its shape best when it fills half the crop, as in training.
    closeup=0.25,
)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {profile.name: profile for profile in (_TOYBOX, _SD15, _SDXL)}
)


def find_profile(name: str) -> Profile:
    """Return a profile by name, or raise `InvalidOption` that lists them."""
    if name not in PROFILES:
        raise InvalidOption(f"there is no profile {name!r}; there are {', '.join(PROFILES)}", param="profile")
    return PROFILES[name]
