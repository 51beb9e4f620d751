"""Metrics that need trained networks, measured where their weights are on this machine and never fetched.

The files are those of the published evaluator. LPIPS' backbone is looked for where torchvision keeps its weights
(``$TORCH_HOME/hub/checkpoints``), the others in one folder, under the names in `FILES`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from brushedit.errors import InvalidWeights
from brushedit.evaluation.published import AESTHETIC, CLIP, HPS, IMAGE_REWARD, LPIPS
from brushedit.types import Image, Mask

if TYPE_CHECKING:
    import torch

    from brushedit.evaluation.inpainting import Metric

SQUEEZENET: Final = "squeezenet1_1-b8a52dc0.pth"
CLIP_FOLDER: Final = "clip-vit-large-patch14"
BERT_FOLDER: Final = "bert-base-uncased"

FILES: Final[Mapping[str, tuple[str, ...]]] = {
    LPIPS: (),
    CLIP: (CLIP_FOLDER,),
    AESTHETIC: (CLIP_FOLDER, "sa_0_4_vit_l_14_linear.pth"),
    HPS: ("HPS_v2.1_compressed.pt",),
    IMAGE_REWARD: ("ImageReward.pt", BERT_FOLDER),
}
"""What each metric reads from the folder: files, and folders in the Hub's layout."""


def open_metrics(folder: Path | None, device: str = "cpu") -> tuple[dict[str, "Metric"], dict[str, str]]:
    """Return the metrics whose weights are here, by name, and for each of the others the reason it is not measured."""
    metrics: dict[str, Metric] = {}
    reasons: dict[str, str] = {}
    for name in FILES:
        try:
            metrics[name] = open_metric(name, folder, device)
        except InvalidWeights as missing:
            reasons[name] = missing.message
    return metrics, reasons


def open_metric(name: str, folder: Path | None, device: str = "cpu") -> "Metric":
    """Load one metric.

    Parameters
    ----------
    name : str
        A key of `FILES`.
    folder : Path or None
        Where its files are.
    device : str

    Raises
    ------
    InvalidWeights
        A file or a package is missing, or does not fit; the message names it.
    """
    from brushedit import torchvision_ops

    torchvision_ops.install()
    wanted = FILES[name]
    if wanted and folder is None:
        raise InvalidWeights(f"{name} needs {' and '.join(wanted)}: no folder of metric weights was named")
    paths = [folder / file for file in wanted] if folder is not None else []
    for path in paths:
        if not path.exists():
            raise InvalidWeights(f"{name} needs {path}, which is not there")
    opening: Mapping[str, Callable[..., Metric]] = {
        LPIPS: _open_lpips,
        CLIP: ClipScore,
        AESTHETIC: AestheticScore,
        HPS: _open_hps,
        IMAGE_REWARD: _open_image_reward,
    }
    try:
        return opening[name](*paths, device=device)
    except ModuleNotFoundError as missing:
        raise InvalidWeights(
            f"{name} needs the package {missing.name}: pip install 'brushedit-service[evaluation]'"
        ) from missing
    except (OSError, RuntimeError, KeyError, ValueError) as fault:
        reason = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise InvalidWeights(f"the weights of {name} cannot be loaded: {reason}") from fault


def _open_lpips(*, device: str) -> "Metric":
    import torch

    backbone = Path(torch.hub.get_dir()) / "checkpoints" / SQUEEZENET
    if not backbone.exists():
        raise InvalidWeights(f"{LPIPS} needs {backbone}, which is not there")
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    return Lpips(LearnedPerceptualImagePatchSimilarity(net_type="squeeze").eval().to(device))


@final
class Lpips:
    """LPIPS with SqueezeNet, both pictures black in the hole; 0 = equal."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def score(self, image: Image, result: Image, kept: Mask, prompt: str) -> float:
        """Return the distance of what was to stay."""
        del prompt
        import torch

        def tensor(picture: Image) -> torch.Tensor:
            blacked = np.where(kept[..., None], picture, 0).astype(np.float32)
            return torch.from_numpy(blacked / 127.5 - 1).permute(2, 0, 1)[None].to(self._network.device)

        with torch.inference_mode():
            distance = float(self._network(tensor(result), tensor(image)))
        self._network.reset()
        return distance


@final
class ClipScore:
    """100 x the cosine of the whole result and its prompt in CLIP ViT-L/14, not below 0."""

    def __init__(self, folder: Path, *, device: str) -> None:
        from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

        model: Any = CLIPModel.from_pretrained(folder, local_files_only=True)
        self._model = model.eval().to(device)
        self._processor = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def score(self, image: Image, result: Image, kept: Mask, prompt: str) -> float:
        """Return how well the result shows the prompt."""
        del image, kept
        import torch

        tokens = self._tokenizer(prompt, truncation=True, max_length=77, return_tensors="pt")
        with torch.inference_mode():
            text = self._model.get_text_features(
                input_ids=tokens["input_ids"].to(self._model.device),
                attention_mask=tokens["attention_mask"].to(self._model.device),
            ).pooler_output
        cosine = torch.cosine_similarity(self.features(result), text).item()
        return max(0.0, 100 * cosine)

    def features(self, picture: Image) -> "torch.Tensor":
        """Return the picture's projected features, (1, C)."""
        import torch

        pixels = self._processor(images=_pil(picture), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            return self._model.get_image_features(pixels.to(self._model.device)).pooler_output


@final
class AestheticScore:
    """LAION's linear aesthetic predictor on normalised CLIP ViT-L/14 features, about 1..10."""

    def __init__(self, folder: Path, head: Path, *, device: str) -> None:
        import torch

        self._clip = ClipScore(folder, device=device)
        state = torch.load(head, map_location=device, weights_only=True)
        self._head = torch.nn.Linear(state["weight"].shape[1], 1).to(device).eval()
        self._head.load_state_dict(state)

    def score(self, image: Image, result: Image, kept: Mask, prompt: str) -> float:
        """Return how pleasing the result is."""
        del image, kept, prompt
        import torch

        with torch.inference_mode():
            features = self._clip.features(result)
            return self._head(features / features.norm(dim=-1, keepdim=True)).item()


def _open_hps(weights: Path, *, device: str) -> "Metric":
    import open_clip
    import torch

    name = "ViT-H-14"
    transform: Any = open_clip.image_transform(224, is_train=False)
    model = open_clip.create_model(name, device=device)
    model.load_state_dict(torch.load(weights, map_location=device, weights_only=True)["state_dict"])
    return HpsScore(model.eval(), transform, open_clip.get_tokenizer(name), device)


@final
class HpsScore:
    """Human Preference Score v2.1: the cosine of result and prompt in a fine-tuned CLIP ViT-H/14."""

    def __init__(
        self, model: Any, transform: Callable[..., Any], tokenize: Callable[..., Any], device: str
    ) -> None:
        self._model = model
        self._transform = transform
        self._tokenize = tokenize
        self._device = device

    def score(self, image: Image, result: Image, kept: Mask, prompt: str) -> float:
        """Return how well people would like the result for the prompt."""
        del image, kept
        import torch

        pixels = self._transform(_pil(result))[None].to(self._device)
        with torch.inference_mode():
            picture = self._model.encode_image(pixels, normalize=True)
            text = self._model.encode_text(self._tokenize([prompt]).to(self._device), normalize=True)
        return (picture @ text.T).item()


def _open_image_reward(weights: Path, tokenizer: Path, *, device: str) -> "Metric":
    import torch
    from transformers import AutoTokenizer

    from brushedit.evaluation import image_reward

    state = torch.load(weights, map_location="cpu", weights_only=True)
    return image_reward.ImageReward(
        image_reward.load(state).eval().to(device),
        AutoTokenizer.from_pretrained(tokenizer, local_files_only=True),
        device,
    )


def _pil(picture: Image) -> Any:
    import PIL.Image

    return PIL.Image.fromarray(picture)
