"""The command line as somebody uses it: files in, files out, one line per mistake."""

import io
import json
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from app.cli import main
from app.pictures import encode_mask, read_recipe

ROOT = Path(__file__).parents[2]


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a picture and a mask."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png", dpi=(300, 300))
    mask = np.zeros((60, 80), np.bool_)
    mask[20:40, 30:50] = True
    (tmp_path / "mask.png").write_bytes(encode_mask(mask))
    return tmp_path


@pytest.fixture
def brushedit(folder, weights, monkeypatch, capsys):
    """Return a function that runs a command in this process: (exit code, stdout, stderr)."""
    monkeypatch.chdir(folder)

    def run(*words: str, named_weights: bool = True) -> tuple[int, str, str]:
        paint = ["--base", str(weights / "base_model"), "--brushnet", str(weights / "brushnetX")]
        arguments = [*words, *(paint if named_weights and words[0] == "paint" else [])]
        monkeypatch.setattr(sys, "argv", ["brushedit", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


PAINT = ("paint", "in.png", "--mask", "mask.png", "--caption", "a red ball", "--steps", "2")


def test_paint(brushedit, folder):
    code, out, _ = brushedit(*PAINT, "-o", "out.png", "--seed", "5", "--json")
    assert code == 0
    (result,) = json.loads(out)["results"]
    assert result["seed"] == 5
    assert result["outside_changed"] == 0
    before, after = opened(folder / "in.png"), opened(folder / "out.png")
    assert (after.size, after.mode, after.format) == (before.size, before.mode, "PNG")
    assert after.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    different = (np.asarray(before) != np.asarray(after)).any(axis=2)
    assert different[20:40, 30:50].mean() > 0.9
    assert not different[:15].any()


def test_the_recipe_says_how(brushedit, folder):
    brushedit(*PAINT, "-o", "out.png", "--seed", "5", "--negative", "text")
    recipe = read_recipe((folder / "out.png").read_bytes())
    assert recipe is not None
    assert (recipe["caption"], recipe["seed"]) == ("a red ball", 5)
    assert recipe["options"]["negative"] == "text"
    assert recipe["weights"]["brushnet"] == "brushnetX"
    assert len(recipe["mask_sha256"]) == 64
    brushedit(*PAINT, "-o", "bare.png", "--seed", "5", "--negative", "text", "--no-metadata")
    assert read_recipe((folder / "bare.png").read_bytes()) is None
    assert np.array_equal(opened(folder / "out.png"), opened(folder / "bare.png"))


def test_two_processes_write_the_same_bytes(folder, weights):
    def run(name: str) -> bytes:
        words = [*PAINT, "--seed", "9", "-o", name, "--scheduler", "euler a", "--samples", "2"]
        words += ["--base", str(weights / "base_model"), "--brushnet", str(weights / "brushnetX")]
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from app.cli import main; main()"
        subprocess.run([sys.executable, "-c", code, *words], cwd=folder, check=True, capture_output=True)
        return b"".join((folder / f"{Path(name).stem}-{seed}.png").read_bytes() for seed in (9, 10))

    assert run("one.png") == run("two.png")


def test_a_drawn_seed_is_printed_and_repeats(brushedit, folder):
    code, out, _ = brushedit(*PAINT, "-o", "one.png", "--json")
    seed = json.loads(out)["results"][0]["seed"]
    brushedit(*PAINT, "-o", "two.png", "--seed", str(seed))
    assert np.array_equal(opened(folder / "one.png"), opened(folder / "two.png"))
    assert code == 0


def test_without_weights_it_says_what_paints(brushedit):
    code, _, err = brushedit(*PAINT, "-o", "out.png", named_weights=False)
    assert code == 0
    assert "the toybox paints" in err


def test_alpha_orientation_and_profile_are_kept(brushedit, folder):
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(pixels).save(folder / "in.png", exif=exif)
    mask = np.zeros((80, 60), np.bool_)  # upright: the stored picture is turned
    mask[10:30, 10:30] = True
    (folder / "mask.png").write_bytes(encode_mask(mask))
    assert brushedit(*PAINT, "-o", "out.png")[0] == 0
    after = opened(folder / "out.png")
    assert (after.size, after.mode, after.getexif()[0x112]) == ((80, 60), "RGBA", 6)
    assert np.array_equal(np.asarray(after)[..., 3], pixels[..., 3])


def test_a_jpeg_result_says_that_it_is_not_exact(brushedit, folder):
    code, out, err = brushedit(*PAINT, "-o", "out.jpg", "--json")
    assert code == 0
    assert json.loads(out)["results"][0]["outside_changed"] > 0  # of the file that was written
    assert "re-encodes" in err
    assert opened(folder / "out.jpg").format == "JPEG"


def test_measure(brushedit, folder):
    brushedit(*PAINT, "-o", "out.png")
    code, out, _ = brushedit("measure", "in.png", "out.png", "--mask", "mask.png")
    assert code == 0
    assert json.loads(out) == {"size_kept": True, "psnr": None, "exact_fraction": 1.0}


def test_measure_wants_a_mask_that_fits(brushedit, folder):
    assert brushedit("measure", "in.png", "in.png", "--mask", "mask.png")[0] == 0
    (folder / "mask.png").write_bytes(encode_mask(np.ones((30, 40), np.bool_)))
    assert brushedit("measure", "in.png", "in.png", "--mask", "mask.png")[0] == 1
    (folder / "mask.png").write_bytes(encode_mask(np.zeros((60, 80), np.bool_)))
    assert brushedit("measure", "in.png", "in.png", "--mask", "mask.png")[0] == 1


def test_a_mask_whose_white_and_alpha_disagree_is_warned_about(brushedit, folder):
    strokes = np.zeros((60, 80, 4), np.uint8)
    strokes[20:40, 30:50] = 255  # white strokes on a transparent layer
    Image.fromarray(strokes).save(folder / "mask.png")
    assert "transparency was read" in brushedit(*PAINT, "-o", "out.png")[2]
    assert "transparency" not in brushedit(*PAINT, "-o", "out.png", "--mask-polarity", "white")[2]


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def truncated(folder: Path) -> None:
    data = (folder / "in.png").read_bytes()
    (folder / "in.png").write_bytes(data[: len(data) // 2])


def other_size(folder: Path) -> None:
    (folder / "mask.png").write_bytes(encode_mask(np.ones((30, 40), np.bool_)))


def as_text(folder: Path) -> None:
    (folder / "in.png").write_text("hello")


BAD = {
    "missing file": (lambda f: (f / "in.png").unlink(), (), "in.png"),
    "not an image": (as_text, (), "not a picture"),
    "truncated": (truncated, (), "in.png"),
    "bomb": (lambda f: (f / "in.png").write_bytes(png(50_000, 50_000)), (), "50000"),
    "missing mask": (lambda f: (f / "mask.png").unlink(), (), "mask.png"),
    "mask of another size": (other_size, (), "--mask-resize nearest"),
    "empty mask": (
        lambda f: (f / "mask.png").write_bytes(encode_mask(np.zeros((60, 80), np.bool_))),
        (),
        "empty",
    ),
    "no folder to write to": (None, ("-o", "nowhere/out.png"), "nowhere"),
    "output is a folder": (lambda f: (f / "dir").mkdir(), ("-o", "dir"), "dir"),
    "unknown format": (None, ("-o", "out.bmp"), "bmp"),
    "unknown scheduler": (None, ("--scheduler", "magic"), "unknown scheduler 'magic'"),
    "NaN": (None, ("--guidance", "nan"), "guidance"),
    "infinite": (None, ("--context", "inf"), "context"),
    "no steps": (None, ("--steps", "0"), "steps"),
    "unknown posterior": (None, ("--posterior", "best"), "posterior"),
    "unknown polarity": (None, ("--mask-polarity", "grey"), "mask_polarity"),
    "unknown device": (None, ("--device", "abacus"), "abacus"),
    "unknown dtype": (None, ("--dtype", "int3"), "int3"),
    "no such base": (None, ("--base", "nowhere"), "nowhere"),
    "no such LoRA": (None, ("--lora", "nowhere.safetensors"), "nowhere.safetensors"),
    "LoRA of nonsense": (None, ("--lora", "x.safetensors:much"), "much"),
    "LoRA of NaN": (
        lambda f: save_file({"x": torch.zeros(1)}, f / "x.safetensors"),
        ("--lora", "x.safetensors:nan"),
        "nan",
    ),
    "blur past grow": (None, ("--blur", "20", "--grow", "5"), "grow (5)"),
    "blur past the default grow": (None, ("--blur", "500"), "grow"),
    "seed past 32 bits": (None, ("--seed", str(2**32)), "seed"),
    "clip_skip past the encoder": (None, ("--clip-skip", "9"), "clip_skip"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_input_is_one_line_and_writes_nothing(name, brushedit, folder):
    spoil, words, said = BAD[name]
    if spoil:
        spoil(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    output = () if "-o" in words else ("-o", "out.png")
    alone = ("--brushnet", "nowhere") if "--base" in words else ()
    code, _, err = brushedit(*PAINT, *output, *words, *alone, named_weights=not alone)
    assert code == 1
    assert said in err
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("change", "said"), [("missing", "missing brushnet_mid"), ("extra", "unexpected surplus")]
)
def test_a_checkpoint_that_does_not_fit_names_its_keys(change, said, brushedit, weights, tmp_path):
    shutil.copytree(weights / "brushnetX", tmp_path / "brushnet")
    path = tmp_path / "brushnet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    if change == "missing":
        tensors.pop("brushnet_mid_block.weight")
    else:
        tensors["surplus"] = torch.zeros(1)
    save_file(tensors, path)
    words = ("--base", str(weights / "base_model"), "--brushnet", str(tmp_path / "brushnet"))
    code, _, err = brushedit(*PAINT, "-o", "out.png", *words, named_weights=False)
    assert code == 1
    assert said in err
    assert not Path("out.png").exists()


def test_a_mask_of_another_size_fits_when_asked(brushedit, folder):
    mask = np.zeros((30, 40), np.bool_)
    mask[10:20, 15:25] = True
    (folder / "mask.png").write_bytes(encode_mask(mask))
    assert brushedit(*PAINT, "-o", "out.png", "--mask-resize", "nearest")[0] == 0


def test_parity_and_bench_exit_codes(brushedit, tmp_path):
    data = ROOT / "tests" / "data" / "parity" / "sd2"
    code, out, _ = brushedit("parity", str(data))
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(lines) == 14
    assert all(line["ok"] for line in lines)
    for path in data.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(tmp_path / "forward.safetensors")
    tensors["mid"] = tensors["mid"] + 1
    save_file(tensors, tmp_path / "forward.safetensors")
    assert brushedit("parity", str(tmp_path))[0] == 1
    assert brushedit("parity", str(tmp_path / "nowhere"))[0] == 1


def test_a_guided_step_costs_what_sharing_one_evaluation_saves(brushedit):
    code, out, _ = brushedit("bench", "flops")
    assert code == 0
    ratios = {line["size"]: line["ratio"] for line in map(json.loads, out.splitlines())}
    assert ratios[512] <= 0.823
    assert ratios[1024] <= 0.863


def test_version_and_usage(brushedit):
    code, out, _ = brushedit("--version")
    assert code == 0
    assert out.startswith("brushedit 0.")
    assert brushedit("paint")[0] == 2


def test_another_format_is_named(brushedit):
    buffer = io.BytesIO()
    Image.new("RGB", (3, 3)).save(buffer, "GIF")
    Path("in.png").write_bytes(buffer.getvalue())
    code, _, err = brushedit(*PAINT, "-o", "out.png")
    assert code == 1
    assert "GIF" in err


def test_train_goes_on_from_its_checkpoint(brushedit, folder):
    code, out, _ = brushedit("train", "segmenter", "--out", "runs", "--steps", "1", "--device", "cpu")
    assert code == 0
    assert out.startswith("segmenter: 1 steps")
    code, out, _ = brushedit("train", "segmenter", "--out", "runs", "--steps", "2", "--device", "cpu")
    assert code == 0
    assert out.startswith("segmenter: 2 steps")
    assert (folder / "runs" / "sam" / "model.safetensors").is_file()
    assert brushedit("train", "nonsense", "--out", "runs", "--steps", "1")[0] == 1
    assert brushedit("train", "segmenter", "--out", "runs")[0] == 1


def test_train_all_shares_the_time(brushedit, monkeypatch):
    begun = []

    def progress(name, out, budget, device, sheet_every):
        begun.append((name, budget.seconds, budget.steps))
        yield from ()

    monkeypatch.setattr("app.commands.train._progress", progress)
    assert brushedit("train", "all", "--out", "runs", "--seconds", "1000", "--device", "cpu")[0] == 0
    assert [name for name, _, _ in begun][:4] == ["vae", "text", "base", "brushnet"]
    assert sum(seconds for _, seconds, _ in begun) == pytest.approx(1000)
    begun.clear()
    assert brushedit("train", "all", "--out", "runs", "--steps", "3", "--device", "cpu")[0] == 0
    assert {(seconds, steps) for _, seconds, steps in begun} == {(None, 3)}
    assert len(begun) == 7
