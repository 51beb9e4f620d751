"""Metrics with networks, on small random ones: what they do, not how well they judge."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BlipTextConfig,
    BlipVisionConfig,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTokenizer,
)

import brushedit.diffusion  # noqa: F401  installs torchvision's operators before torchvision is imported
from brushedit.errors import InvalidWeights
from brushedit.evaluation import image_reward, networks
from brushedit.evaluation.published import AESTHETIC, CLIP, HPS, IMAGE_REWARD, LPIPS
from tests.models import tiny

RNG = np.random.default_rng(0)
IMAGE, OTHER = (RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8) for _ in range(2))
KEPT = np.ones((64, 64), np.bool_)
KEPT[:32] = False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metrics")
    torch.manual_seed(0)
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1} | {c: i + 2 for i, c in enumerate("abcdefgh")}
    words |= {f"{c}</w>": len(words) + i for i, c in enumerate("abcdefgh")}
    tokenizer = CLIPTokenizer(vocab=words, merges=[])
    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = CLIPConfig(
        text_config=small | {"vocab_size": len(words), "eos_token_id": 1, "bos_token_id": 0},
        vision_config=small | {"image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    clip = folder / networks.CLIP_FOLDER
    CLIPModel(config).save_pretrained(clip)
    tokenizer.save_pretrained(clip)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        clip
    )
    torch.save(torch.nn.Linear(12, 1).state_dict(), folder / "sa_0_4_vit_l_14_linear.pth")
    return folder


def test_what_is_missing_is_named_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    metrics, reasons = networks.open_metrics(tmp_path)
    assert metrics == {}
    assert set(reasons) == set(networks.FILES)
    assert networks.SQUEEZENET in reasons[LPIPS]
    assert networks.CLIP_FOLDER in reasons[CLIP]
    assert "HPS_v2.1_compressed.pt" in reasons[HPS]
    assert "ImageReward.pt" in reasons[IMAGE_REWARD]
    with pytest.raises(InvalidWeights, match="no folder"):
        networks.open_metric(AESTHETIC, None)


def test_what_does_not_fit_is_a_typed_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / networks.CLIP_FOLDER).symlink_to(folder / networks.CLIP_FOLDER)
    torch.save(torch.nn.Linear(12, 2).state_dict(), tmp_path / "sa_0_4_vit_l_14_linear.pth")
    (tmp_path / "HPS_v2.1_compressed.pt").write_bytes(b"none")
    with pytest.raises(InvalidWeights, match=AESTHETIC):
        networks.open_metric(AESTHETIC, tmp_path)


def test_clip_score_is_a_cosine_of_result_and_prompt(folder: Path) -> None:
    metric = networks.open_metric(CLIP, folder)
    scores = [
        metric.score(IMAGE, result, KEPT, prompt) for result in (IMAGE, OTHER) for prompt in ("a b", "hg")
    ]
    assert all(0 <= score <= 100 for score in scores)
    assert len({round(score, 4) for score in scores}) > 1
    assert metric.score(OTHER, IMAGE, ~KEPT, "a b") == pytest.approx(scores[0])
    assert metric.score(IMAGE, IMAGE, KEPT, "a " * 500) >= 0


def test_aesthetic_score_is_the_linear_head_on_normalised_features(folder: Path) -> None:
    metric = networks.open_metric(AESTHETIC, folder)
    clip = networks.ClipScore(folder / networks.CLIP_FOLDER, device="cpu")
    head = torch.load(folder / "sa_0_4_vit_l_14_linear.pth", weights_only=True)
    features = clip.features(IMAGE)[0]
    expected = float(features / features.norm() @ head["weight"][0] + head["bias"][0])
    assert metric.score(OTHER, IMAGE, KEPT, "") == pytest.approx(expected, rel=1e-5)


def test_lpips_sees_only_what_was_to_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import squeezenet1_1

    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(0)
    torch.save(squeezenet1_1().state_dict(), tmp_path / "checkpoints" / networks.SQUEEZENET)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    metric = networks.open_metric(LPIPS, None)
    below = np.where(KEPT[..., None], IMAGE, OTHER)
    assert metric.score(IMAGE, below, KEPT, "") == 0
    assert metric.score(IMAGE, OTHER, KEPT, "") > 0.001
    assert metric.score(IMAGE, OTHER, KEPT, "") == pytest.approx(
        metric.score(OTHER, IMAGE, KEPT, ""), rel=1e-4
    )


def published_reward_keys() -> dict[str, tuple[int, ...]]:
    """Return names and some shapes of the published checkpoint, as the original BLIP code names them."""
    keys: dict[str, tuple[int, ...]] = {
        "blip.visual_encoder.cls_token": (1, 1, 1024),
        "blip.visual_encoder.pos_embed": (1, 197, 1024),
        "blip.visual_encoder.patch_embed.proj.weight": (1024, 3, 16, 16),
        "blip.visual_encoder.norm.weight": (1024,),
        "blip.text_encoder.embeddings.position_ids": (1, 512),
        "blip.text_encoder.embeddings.word_embeddings.weight": (30524, 768),
        "blip.vision_proj.weight": (256, 1024),
        "blip.text_proj.bias": (256,),
        "mlp.layers.0.weight": (1024, 768),
        "mlp.layers.7.bias": (1,),
    }
    for i in range(24):
        block = f"blip.visual_encoder.blocks.{i}"
        keys |= {f"{block}.norm1.weight": (1024,), f"{block}.norm2.bias": (1024,)}
        keys |= {f"{block}.attn.qkv.weight": (3072, 1024), f"{block}.attn.proj.weight": (1024, 1024)}
        keys |= {f"{block}.mlp.fc1.weight": (4096, 1024), f"{block}.mlp.fc2.bias": (1024,)}
    for i in range(12):
        layer = f"blip.text_encoder.encoder.layer.{i}"
        keys |= {f"{layer}.attention.self.query.weight": (768, 768)}
        keys |= {f"{layer}.crossattention.self.key.weight": (768, 1024)}
        keys |= {f"{layer}.crossattention.output.LayerNorm.bias": (768,)}
        keys |= {f"{layer}.intermediate.dense.weight": (3072, 768)}
    return keys


def test_image_reward_takes_the_published_names() -> None:
    with torch.device("meta"):
        ours = {name: value.shape for name, value in image_reward.published_network().state_dict().items()}
        theirs = {name: torch.empty(shape) for name, shape in published_reward_keys().items()}
    renamed = {name: value.shape for name, value in image_reward.renamed(theirs).items()}
    assert {name: ours.get(name) for name in renamed} == renamed
    # Both halves of a pair are named once above; 24 blocks of 12, 12 layers of 26, 7 + 4 beside them, 10 of the head.
    assert len(ours) == 24 * 12 + 12 * 26 + 6 + 4 + 10


def test_image_reward_reads_picture_and_prompt(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    network = image_reward.RewardNetwork(
        BlipVisionConfig(image_size=32, patch_size=8, **small),
        BlipTextConfig(vocab_size=200, encoder_hidden_size=16, is_decoder=True, **small),
    ).eval()
    for name, value in network.named_parameters():
        if "bias" not in name and value.dim() > 1:
            torch.nn.init.normal_(value, std=0.3)
    metric = image_reward.ImageReward(network, tiny.bert_tokenizer(tmp_path), "cpu")
    first = metric.score(OTHER, IMAGE, KEPT, "red ball")
    assert metric.score(IMAGE, IMAGE, ~KEPT, "red ball") == pytest.approx(first)
    assert metric.score(IMAGE, OTHER, KEPT, "red ball") != pytest.approx(first)
    assert metric.score(IMAGE, IMAGE, KEPT, "blue cube") != pytest.approx(first)


class TwoTowers(torch.nn.Module):
    """Stands where open_clip's CLIP does: first row of the picture, length of the text."""

    def encode_image(self, pixels: torch.Tensor, normalize: bool) -> torch.Tensor:
        return torch.nn.functional.normalize(pixels.mean(dim=(2, 3))[:, :2], dim=-1)

    def encode_text(self, tokens: torch.Tensor, normalize: bool) -> torch.Tensor:
        return torch.nn.functional.normalize(tokens.float(), dim=-1)


def test_hps_is_the_cosine_of_both_towers() -> None:
    metric = networks.HpsScore(
        TwoTowers(),
        lambda picture: torch.from_numpy(np.array(picture)).permute(2, 0, 1).float(),
        lambda texts: torch.tensor([[len(text), 0.0] for text in texts]),
        "cpu",
    )
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 0], picture[..., 1] = 30, 40
    assert metric.score(IMAGE, picture, KEPT, "some prompt") == pytest.approx(0.6)
