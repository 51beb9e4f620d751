"""`brushedit batch` and `brushedit edit --server`, on the stub agent here and on a server that has it."""

import json
import signal
import threading
import time

import httpx
import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

import app.bootstrap
import app.commands.remote
from app.cli import cli
from app.commands.manifest import read_items
from app.commands.remote import Refused, Server, ServerUnavailable
from app.refusals import Ended
from brushedit.errors import EditError, InvalidOption
from tests.server import cluster, pixels, png
from tests.stub_agent import StubAgent


class CountingAgent(StubAgent):
    def __init__(self):
        super().__init__(0)
        self.edits = []

    def edit(self, request, regions=None):
        self.edits.append(request)
        return super().edit(request, regions)


@pytest.fixture
def agent(monkeypatch):
    agent, loaded = CountingAgent(), []
    monkeypatch.setattr(app.bootstrap, "load_editor", lambda choice: loaded.append(choice) or agent)
    agent.loaded = loaded
    return agent


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        (made / name).write_bytes(png(seed=number))
    mask = np.zeros((24, 32), np.uint8)
    mask[:4, :4] = 255
    PIL.Image.fromarray(mask).save(made / "b.mask.png")
    (made / "c.txt").write_text("its own\n")
    return made


def run(*words, code=0):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def summary(result):
    return json.loads(result.stdout.splitlines()[-1])


def lines(out):
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def refused(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert isinstance(result.exception, EditError), (result.output, result.exception)
    return result.exception


def test_a_folder_with_one_instruction_its_masks_and_its_own_words(folder, tmp_path, agent):
    out = tmp_path / "out"
    told = summary(run("batch", folder, "-o", out, "--instruction", "all", "--json"))
    assert told == {"succeeded": 3, "skipped": 0, "failed": 0, "results": str(out / "results.jsonl")}
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "c.png", "results.jsonl"]
    assert [request.instruction for request in agent.edits] == ["all", "all", "its own"]
    assert len(agent.loaded) == 1
    changed = (pixels((out / "b.png").read_bytes()) != pixels((folder / "b.png").read_bytes())).any(axis=2)
    assert changed[:4, :4].any()
    assert not changed[4:].any()
    # Run again, nothing is loaded, and nothing is done.
    assert summary(run("batch", folder, "-o", out, "--instruction", "all", "--json"))["skipped"] == 3
    assert len(agent.loaded) == 1


def test_a_second_run_does_what_failed_what_changed_and_what_is_gone(folder, tmp_path, agent):
    out = tmp_path / "out"
    (folder / "c.txt").write_text("missing")
    result = run("batch", folder, "-o", out, "--instruction", "all", "--json", code=1)
    assert summary(result)["failed"] == 1
    assert "c.png: target_not_found" in result.stderr
    (line,) = [line for line in lines(out) if line["status"] == "failed"]
    assert (line["item"], line["outputs"], line["error"]["code"]) == ("c.png", [], "target_not_found")
    (folder / "a.png").write_bytes(png(seed=9))
    (out / "b.png").unlink()
    # As a crash leaves it, in the middle of a line.
    with (out / "results.jsonl").open("a") as file:
        file.write('{"item": "c.png", "key": "')
    agent.edits.clear()
    (folder / "c.txt").write_text("better")
    told = summary(run("batch", folder, "-o", out, "--instruction", "all", "--json"))
    assert (told["succeeded"], told["skipped"], told["failed"]) == (3, 0, 0)
    assert summary(run("batch", folder, "-o", out, "--instruction", "all", "--json"))["skipped"] == 3
    assert len(agent.edits) == 3


def test_a_picture_that_was_overwritten_is_made_again(folder, tmp_path, agent):
    out = tmp_path / "out"
    words = ("batch", folder, "-o", out, "--json", "--instruction")
    run(*words, "first")
    before = (out / "a.png").read_bytes()
    assert summary(run(*words, "second"))["succeeded"] == 2
    assert (out / "a.png").read_bytes() != before
    assert summary(run(*words, "first"))["succeeded"] == 2
    assert (out / "a.png").read_bytes() == before
    assert summary(run(*words, "first"))["skipped"] == 3


def test_pictures_beside_another_runs_are_still_done(folder, tmp_path, agent):
    rows = [{"image": "a.png", "instruction": "x", "output": f"{name}.png"} for name in ("one", "two")]
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("batch", folder / "m.jsonl", "-o", tmp_path / "out", "--json")
    run(*words)
    (folder / "m.jsonl").write_text(json.dumps({**rows[0], "instruction": "y"}))
    run(*words)
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = summary(run(*words))
    assert (told["succeeded"], told["skipped"]) == (1, 1)


def test_the_same_command_gives_the_same_bytes(folder, tmp_path, agent):
    for name in ("one", "two"):
        run("batch", folder, "-o", tmp_path / name, "--instruction", "all")
    for name in ("a.png", "b.png", "c.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert len({request.options.seed for request in agent.edits}) == 3


def test_manifests_as_json_lines_and_as_csv(folder, tmp_path, agent):
    rows = [
        {"image": "a.png", "instruction": "first", "seed": 3},
        {"image": "a.png", "instruction": "second"},
        {"image": "b.png", "mask": "b.mask.png", "output": "deep/er/b.webp", "instruction": "third, quoted"},
        {"image": "nowhere.png", "instruction": "fourth"},
    ]
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    (folder / "m.csv").write_text(
        "\ufeffimage,instruction,seed,mask,output\na.png,first,3,,\na.png,second,,,\n"
        'b.png,"third, quoted",,b.mask.png,deep/er/b.webp\nnowhere.png,fourth,,,\n'
    )
    assert read_items(folder / "m.jsonl", "") == read_items(folder / "m.csv", "")
    out = tmp_path / "out"
    told = summary(run("batch", folder / "m.csv", "-o", out, "--json", code=1))
    assert (told["succeeded"], told["failed"]) == (3, 1)
    assert {line["item"] for line in lines(out)} == {"a.png", "a-2.png", "deep/er/b.webp", "nowhere.png"}
    assert agent.edits[0].options.seed == 3
    assert (out / "deep" / "er" / "b.webp").read_bytes()[8:12] == b"WEBP"
    assert [line["error"]["code"] for line in lines(out) if line["error"]] == ["invalid_image"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\v", "\n"])
def test_a_line_of_words_may_hold_what_ends_lines_elsewhere(separator, folder, tmp_path, agent):
    said = f"first{separator}second"
    (folder / "m.jsonl").write_text(
        json.dumps({"image": "a.png", "instruction": said, "output": "a\x85.png"}, ensure_ascii=False)
    )
    (folder / "m.csv").write_text(f'image,instruction\na.png,"{said}"\n')
    assert [item.instruction for item in read_items(folder / "m.jsonl", "")] == [said]
    assert [item.instruction for item in read_items(folder / "m.csv", "")] == [said]
    words = ("batch", folder / "m.jsonl", "-o", tmp_path / "out", "--json")
    assert summary(run(*words))["succeeded"] == 1
    assert summary(run(*words))["skipped"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"image": "a.png"}', "no instruction"),
        ('{"image": "a.png", "instruction": "x", "maks": "b.png"}', "line 1: maks"),
        ('{"image": "a.png", "instruction": "x", "output": "../a.png"}', "does not lie"),
        ('{"image": "a.png", "instruction": "x", "output": "/a.png"}', "does not lie"),
        (
            '{"image": "a.png", "instruction": "x"}\n\n{"image"',
            "nothing was done: line 3, column 9: Expecting",
        ),
        ("\n[]", "line 2"),
        ("", "names no pictures"),
    ],
)
def test_manifests_that_cannot_be_meant(text, said, folder, tmp_path, agent):
    (folder / "m.jsonl").write_text(text)
    assert said in refused("batch", folder / "m.jsonl", "-o", tmp_path / "out").message
    assert not agent.loaded


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('image,instruction\na.png,x\n\na.png,"x', "nothing was done: line 4: unexpected end"),
        ("image,instruction\na.png,x\n\n,y", "line 4: image"),
    ],
)
def test_tables_that_cannot_be_meant(text, said, folder, tmp_path, agent):
    (folder / "m.csv").write_text(text)
    assert said in refused("batch", folder / "m.csv", "-o", tmp_path / "out").message
    assert not agent.loaded


def test_what_a_batch_does_not_begin_with(folder, tmp_path, agent):
    words = ("batch", folder, "--instruction", "x", "-o")
    assert "one of the pictures" in refused(*words, folder).message
    assert "no folder" in refused("batch", tmp_path / "nowhere", "-o", tmp_path / "out").message
    assert refused(*words, tmp_path / "out", "--steps", "0").param == "steps"
    assert refused(*words, tmp_path / "out", "--server", "http://x", "--profile", "sd15").param == "profile"
    assert refused(*words, tmp_path / "out", "--server", "nowhere").param == "server"
    assert not agent.loaded


def test_one_run_at_a_time_works_on_a_folder(folder, tmp_path, agent):
    out = tmp_path / "out"
    refusals = []
    edit = agent.edit

    def meanwhile(request, regions=None):
        refusals.append(refused("batch", folder, "-o", out, "--instruction", "x"))
        return edit(request, regions)

    agent.edit = meanwhile
    run("batch", folder, "-o", out, "--instruction", "x")
    assert {error.message for error in refusals} == {f"another run works on {out}"}


def test_a_bug_ends_one_item_alone(folder, tmp_path, agent):
    (folder / "a.txt").write_text("explode")
    told = summary(run("batch", folder, "-o", tmp_path / "out", "--instruction", "x", "--json", code=1))
    assert (told["succeeded"], told["failed"]) == (2, 1)
    assert lines(tmp_path / "out")[0]["error"]["code"] == "internal_error"


def test_an_interrupted_run_keeps_what_it_has(folder, tmp_path, agent):
    (folder / "b.txt").write_text("interrupt")
    edit, seen = agent.edit, threading.Event()

    def handle(*_):
        seen.set()
        raise KeyboardInterrupt

    def interrupted(request, regions=None):
        if request.instruction == "interrupt":
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            assert seen.wait(60)
            time.sleep(0.5)  # the main thread has to have told the others
        return edit(request, regions)

    agent.edit = interrupted
    before = signal.signal(signal.SIGINT, handle)
    try:
        result = CliRunner().invoke(
            cli, ["batch", str(folder), "-o", str(tmp_path / "out"), "--instruction", "x"]
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code != 0
    assert [line["item"] for line in lines(tmp_path / "out")] == ["a.png"]
    del agent.edit
    assert summary(run("batch", folder, "-o", tmp_path / "out", "--instruction", "x", "--json")) == {
        "succeeded": 2,
        "skipped": 1,
        "failed": 0,
        "results": str(tmp_path / "out" / "results.jsonl"),
    }


def test_all_results_in_one_format(folder, tmp_path, agent):
    run("batch", folder, "-o", tmp_path / "out", "--instruction", "x", "--format", "jpg")
    assert (tmp_path / "out" / "a.jpeg").read_bytes()[:2] == b"\xff\xd8"


def test_a_server_gives_what_this_process_gives(service, folder, tmp_path, agent, monkeypatch):
    there = ("--server", f"http://127.0.0.1:{service.port}")
    common = ("--instruction", "all", "--no-metadata", "--seed", "5", "--json")
    here = summary(run("batch", folder, "-o", tmp_path / "here", *common))
    monkeypatch.setattr(app.bootstrap, "load_editor", None)
    assert (
        summary(run("batch", folder, "-o", tmp_path / "there", *common, *there))
        | {"results": here["results"]}
        == here
    )
    for name in ("a.png", "b.png", "c.png"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()

    def told(out):
        return {
            line["item"]: (line["outputs"], line["plan"], line["results"][0]["seed"]) for line in lines(out)
        }

    assert told(tmp_path / "here") == told(tmp_path / "there")


def test_a_failed_item_is_painted_again_and_a_finished_one_is_not(service, folder, tmp_path):
    words = ("batch", folder, "-o", tmp_path / "out", "--instruction", "missing one", "--json")
    words += ("--server", f"http://127.0.0.1:{service.port}")
    told = summary(run(*words, code=1))
    # The mask says where; without one the thing is missing.
    assert (told["succeeded"], told["failed"]) == (2, 1)
    with service.client() as client:
        before = len(client.get("/v1/edits?limit=100").json()["data"])
        assert summary(run(*words, code=1))["failed"] == 1
        assert len(client.get("/v1/edits?limit=100").json()["data"]) == before + 1
        # The record is lost, the edits are not: the server knows the finished ones by their keys.
        (tmp_path / "out" / "results.jsonl").unlink()
        assert summary(run(*words, code=1))["succeeded"] == 2
        assert len(client.get("/v1/edits?limit=100").json()["data"]) == before + 1


def test_an_edit_that_may_be_finished_is_asked_for_again_and_not_anew(folder, tmp_path, monkeypatch):
    keys = []

    class Lost:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def edit(self, task):
            keys.append(task.key)
            raise faults.pop(0)

    taken = {"message": "", "param": None}
    faults = [
        ServerUnavailable("gone"),
        Refused({"code": "invalid_api_key", **taken}),
        OSError("the connection broke"),
        Ended({"code": "target_not_found", **taken}),
        Refused({"code": "idempotency_mismatch", **taken}),
        ServerUnavailable("gone"),
    ]
    monkeypatch.setattr(app.commands.remote, "Server", Lost)
    (folder / "m.jsonl").write_text(json.dumps({"image": "a.png", "instruction": "x"}))
    words = ("batch", folder / "m.jsonl", "-o", tmp_path / "out", "--server", "http://127.0.0.1:9")
    while faults:
        run(*words, code=1)
    assert len(set(keys[:4])) == 1
    assert len(set(keys[3:])) == 3


def test_edit_says_and_writes_the_same_here_and_there(service, folder, tmp_path, agent):
    words = (
        "edit",
        folder / "a.png",
        "make it red",
        "--seed",
        "3",
        "--samples",
        "2",
        "--mask",
        folder / "b.mask.png",
    )
    words += ("--no-metadata", "--json", "--show-mask")
    here = run(*words, tmp_path / "own-mask.png", "-o", tmp_path / "own.png")
    there = run(
        *words,
        tmp_path / "far-mask.png",
        "-o",
        tmp_path / "far.png",
        "--server",
        f"http://127.0.0.1:{service.port}/",
    )
    assert here.stdout.replace("own", "far") == there.stdout
    assert here.stderr == there.stderr
    for name in ("-3.png", "-4.png", "-mask.png"):
        assert (tmp_path / f"own{name}").read_bytes() == (tmp_path / f"far{name}").read_bytes()


def test_what_a_server_refuses_is_said_as_it_says_it(service, folder, tmp_path):
    there = ("--server", f"http://127.0.0.1:{service.port}", "-o", tmp_path / "out.png")
    error = refused("edit", folder / "a.png", "missing", *there)
    assert (error.code, error.message) == ("target_not_found", "there is no thing in this picture")
    assert not (tmp_path / "out.png").exists()


def test_a_server_is_asked_again_until_patience_ends_and_soon_at_first():
    waited = []
    server = Server("http://127.0.0.1:9", patience=10, sleep=waited.append)
    with pytest.raises(EditError) as refusal:
        server._call("GET", "/v1/edits")
    assert refusal.value.code == "server_unavailable"
    assert waited == [0.5, 1, 2, 4, 8]
    waited.clear()
    with pytest.raises(EditError):
        server.__enter__()
    assert waited == [0.5, 1, 2, 4]


def test_a_killed_server_delays_a_batch_and_doubles_nothing(tmp_path, folder):
    with cluster(tmp_path, "api", "worker", STUB_SECONDS="0.05") as made:
        result = []
        words = ["batch", folder, "-o", tmp_path / "out", "--instruction", "x", "--json"]
        words += ["--server", f"http://127.0.0.1:{made.port}"]
        thread = threading.Thread(target=lambda: result.append(run(*words)))
        thread.start()
        with made.client() as client:
            while not client.get("/v1/edits").json()["data"]:
                pass
        made.processes[0].send_signal(signal.SIGKILL)
        made.processes[0].wait()
        made.start("api")
        thread.join(60)
        assert summary(result[0])["succeeded"] == 3
        with made.client() as client:
            assert len(client.get("/v1/edits").json()["data"]) == 3


def test_the_key_comes_from_the_environment(tmp_path, folder, monkeypatch):
    from app.access import Keys
    from app.settings import Settings
    from app.store.records import Store

    with cluster(tmp_path, "api") as made:
        store = Store(Settings(data=tmp_path / "data"))
        key = Keys(store.database).create("someone")[1]
        store.database.close()
        address = f"http://127.0.0.1:{made.port}"
        words = ("edit", folder / "a.png", "x", "-o", tmp_path / "out.png", "--server", address)
        assert refused(*words).code == "invalid_api_key"
        monkeypatch.setenv("MY_KEY", key)
        with Server(address, key):
            pass
        # No worker runs: that the edit is there is all there is to see.
        monkeypatch.setattr(
            "app.commands.remote.Server._events", lambda *_: (_ for _ in ()).throw(InvalidOption(""))
        )
        refused(*words, "--key-env", "MY_KEY")
        answer = httpx.get(f"{address}/v1/edits", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
        assert len(answer.json()["data"]) == 1
