"""`brushedit eval` on fakes: what is asked of the agent, what is printed and what is written."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import app.bootstrap
from app.bootstrap import AgentChoice
from app.cli import cli
from app.commands import eval_network
from brushedit import blending
from brushedit.errors import EditError, InvalidOption, PlanFailed
from brushedit.evaluation.run_length import encode_brushbench
from brushedit.events import Blended, Denoised, Event, Planned
from brushedit.options import PaintOptions
from brushedit.types import Candidate, EditPlan, EditRequest, Image, Mask, Painting, Region, Turn

ROOT = Path(__file__).parents[2]


class Declining:
    """An agent, and an instructor, that declines everything."""

    def edit(self, request: EditRequest, regions: Mapping[int, Region]) -> Iterator[Event]:
        yield Planned(request.plan or EditPlan(()))
        raise PlanFailed("no")

    def plan(self, image: Image, instruction: str, history: Sequence[Turn]) -> EditPlan:
        raise PlanFailed("no")


class Painter:
    """Paints grey."""

    def paint(
        self, image: Image, mask: Mask, caption: str, options: PaintOptions
    ) -> Generator[Denoised | Blended, None, Painting]:
        yield Denoised(1, 1)
        painted = blending.blend(image, np.full_like(image, 128), blending.weights(mask, 10, 10))
        region = blending.region(mask, 10)
        return Painting((painted,), (1,), region, (blending.report(image, painted, region),))


def blind(image: Image, phrase: str) -> Sequence[Candidate]:
    return ()


def test_toybox_writes_a_table_json_and_a_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.bootstrap, "load_editor", lambda choice: Declining())
    monkeypatch.setattr(app.bootstrap, "load_sight", lambda choice: blind)
    arguments = ["eval", "toybox", "--n", "6", "--seed", "3", "--side", "48", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "whole agent right" in done.stdout
    told = json.loads((tmp_path / "out" / "toybox.json").read_text())
    assert told["examples"] == 6
    assert set(told["by_stage"]) == {"nothing", "plan", "plan and regions"}
    declined = [score for score in told["scores"]["nothing"] if score["expected"] == "declined"]
    assert sum(score["success"] for score in told["scores"]["nothing"]) == len(declined)
    assert cv2.imread(str(tmp_path / "out" / "toybox.png")) is not None


def test_plans_scores_every_case_of_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.bootstrap, "load_planner", lambda choice: Declining())
    script = ROOT / "tests" / "data" / "plans.jsonl"
    done = CliRunner().invoke(
        cli, ["eval", "plans", str(script), "-o", str(tmp_path)], catch_exceptions=False
    )
    assert done.exit_code == 0
    told = json.loads((tmp_path / "plans.json").read_text())
    assert len(told) == len(script.read_text().splitlines())
    assert "| all " in done.stdout
    assert {one["answer"] for one in told} == {"declined: no"}


@pytest.mark.parametrize(
    "arguments", [["nowhere.jsonl"], [__file__], [str(ROOT / "tests/data/plans.jsonl"), "--tag", "klingon"]]
)
def test_a_script_that_is_none_is_refused(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(EditError):
        CliRunner().invoke(cli, ["eval", "plans", *arguments, "-o", str(tmp_path)], catch_exceptions=False)


def test_brushbench_compares_with_the_papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.bootstrap, "load_painter", lambda choice: Painter())
    bench = tmp_path / "BrushBench"
    (bench / "natural").mkdir(parents=True)
    image = np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    cv2.imwrite(str(bench / "natural" / "1.png"), image)
    hole = np.zeros((512, 512), np.bool_)
    hole[100:200, 50:300] = True
    entry = {"image": "natural/1.png", "caption": "a dog", "inpainting_mask": encode_brushbench(hole)}
    (bench / "mapping_file.json").write_text(json.dumps({"1": entry}))
    arguments = ["eval", "brushbench", str(bench), "-o", str(tmp_path / "out"), "--device", "cpu"]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "BrushEdit*" in done.stdout
    assert "not measured: CLIP needs clip-vit-large-patch14" in done.stdout
    told = json.loads((tmp_path / "out" / "brushbench.json").read_text())
    assert told["items"][0]["error"] == ""
    assert told["means"]["natural (1)"]["SSIM"] > 0.9
    assert set(told["not_measured"]) >= {"CLIP", "ImageReward"}


def test_missing_weights_and_data_are_said(tmp_path: Path) -> None:
    empty = tmp_path / "weights"
    empty.mkdir()
    for arguments in (
        ["toybox", "--n", "1", "--profile", "sd15", "--weights", str(empty)],
        ["brushbench", str(empty)],
    ):
        with pytest.raises(EditError) as caught:
            CliRunner().invoke(cli, ["eval", *arguments, "-o", str(tmp_path / "out")], catch_exceptions=False)
        assert caught.value.code in ("invalid_weights", "invalid_benchmark")


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("segmenter", {"boxes", "clicks"}),
        ("vae", {"PSNR, dB", "PSNR inside toys, dB"}),
        ("instructor", {"exactly right", "out of world declined"}),
        ("painters", {"task", "psnr", "kind"}),
    ],
)
def test_a_network_is_measured_alone(name: str, columns: set[str], tmp_path: Path) -> None:
    """The shipped weights do better than chance on a handful of fresh examples."""
    rows, sheet = eval_network.measure(name, AgentChoice(), seed=4, count=6 if name == "instructor" else 2)
    assert columns <= {column for row in rows for column in row}
    assert sheet is not None or name == "instructor"
    eval_network.write(tmp_path, name, rows, sheet)
    assert len(json.loads((tmp_path / f"{name}.json").read_text())) == len(rows)
    if name == "segmenter":
        assert rows[0]["boxes"] > 0.6
    if name == "vae":
        assert rows[0]["PSNR, dB"] > 25
    if name == "instructor":
        assert rows[0]["exactly right"] > 0.5


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(InvalidOption, match="known: instructor"):
        eval_network.measure("brain", AgentChoice(), 0, 1)
