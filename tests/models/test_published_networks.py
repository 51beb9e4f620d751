"""The published configurations, built without memory, against the packages' own builders."""

from pathlib import Path
from types import SimpleNamespace

import groundingdino.config
import pytest
import segment_anything
import torch
from groundingdino.models.GroundingDINO import groundingdino as package
from groundingdino.util.slconfig import SLConfig
from torch import nn
from transformers import AutoModelForImageTextToText, BertConfig, BertModel, Qwen2VLConfig

from models import grounding_dino, sam
from models.checkpoint import build_empty
from tests.models import tiny


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def test_grounding_dino_is_the_packages_swin_t_ogc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tiny.bert_tokenizer(tmp_path)
    # The package's own builder and configuration file; only BERT, which it would download and cannot wrap any
    # more, is given: the published one's layers, under the names its wrapper gives them.
    monkeypatch.setattr(
        package,
        "get_tokenlizer",
        SimpleNamespace(
            get_tokenlizer=lambda _: tokenizer,
            get_pretrained_language_model=lambda _: BertModel(BertConfig()),
        ),
    )
    monkeypatch.setattr(package, "BertModelWarper", grounding_dino.TextEncoder)
    arguments = SLConfig.fromfile(
        str(Path(next(iter(groundingdino.config.__path__))) / "GroundingDINO_SwinT_OGC.py")
    )
    theirs = shapes(build_empty(lambda: package.build_groundingdino(arguments)))
    monkeypatch.undo()

    network = build_empty(lambda: grounding_dino.build(grounding_dino.GroundingDinoConfig(), tokenizer))
    ours = shapes(network)
    assert ours == theirs
    assert ours["bert.encoder.layer.11.output.dense.weight"] == (768, 3072)
    assert ours["backbone.0.layers.2.blocks.5.attn.qkv.weight"] == (1152, 384)
    assert ours["transformer.tgt_embed.weight"] == (900, 256)
    assert sum(parameter.numel() for parameter in network.parameters()) == 172_839_682
    assert all(parameter.is_meta for parameter in network.parameters())
    # What was replaced in the package while building is itself again.
    assert package.BertModelWarper is not grounding_dino.TextEncoder


@pytest.mark.parametrize("size", ["vit_h", "vit_l", "vit_b"])
def test_sam_is_the_packages_own(size: str) -> None:
    theirs = shapes(build_empty(lambda: segment_anything.sam_model_registry[size]()))
    assert shapes(build_empty(lambda: sam.build(sam.PUBLISHED[size]))) == theirs


def test_qwen2_vl_7b_has_the_published_size_and_names(tmp_path: Path) -> None:
    published = Qwen2VLConfig(
        hidden_size=3584,
        intermediate_size=18944,
        num_attention_heads=28,
        num_hidden_layers=28,
        num_key_value_heads=4,
        vocab_size=152064,
        rope_theta=1000000.0,
        rope_scaling={"type": "mrope", "mrope_section": [16, 24, 24]},
        vision_config={"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16, "in_chans": 3},
    )
    with torch.device("meta"):
        network = AutoModelForImageTextToText.from_config(published)
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_291_375_616
    # transformers files a network under the published names, whatever it calls its parts in memory.
    tiny.write_qwen2_vl(tmp_path)
    names = set(tiny.names_in(tmp_path / "model.safetensors"))
    assert {"model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.bias", "lm_head.weight"} <= names
    assert {"visual.blocks.0.attn.qkv.weight", "visual.merger.mlp.0.weight"} <= names
