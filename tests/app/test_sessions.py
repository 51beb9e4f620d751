import io
import itertools
import json
import zipfile

import numpy as np
import pytest

from tests.server import pixels, png, wait_ended


@pytest.fixture
def session(client):
    made = client.post(
        "/v1/sessions", files={"image": ("a.png", png(seed=5), "image/png")}, data={"title": "a car"}
    )
    assert made.status_code == 201, made.text
    return made.json()


def turn(client, session, instruction, **fields):
    response = client.post(
        f"/v1/sessions/{session['id']}/turns",
        json={"instruction": instruction, **fields},
        headers={"Prefer": "wait=20"},
    )
    assert response.status_code == 200, response.text
    return response.json()


def test_turns_build_on_each_other_and_know_the_earlier_ones(client, session):
    first = turn(client, session, "make it red", options={"seed": 1})
    second = turn(client, session, "bigger", options={"seed": 2})
    assert second["parent_id"] == first["id"]
    assert second["plan"]["steps"][0]["caption"] == "bigger after 1"
    one, two = (pixels(client.get(edit["images"][0]["url"]).content) for edit in (first, second))
    assert np.array_equal(two[10, 16], (255 - one[10, 16]) ^ 2)
    assert client.get(second["urls"]["input"]).content == client.get(first["images"][0]["url"]).content


def test_a_session_stands_for_the_picture_it_began_with(client, session):
    asked = {"image": session["id"], "instruction": "this"}
    planned = client.post("/v1/plan", json=asked, headers={"Prefer": "wait=20"}).raise_for_status().json()
    assert client.get(planned["urls"]["input"]).content == png(seed=5)
    assert client.get(f"/v1/sessions/{session['id']}").json()["turns"] == []
    unknown = client.post("/v1/plan", json={**asked, "image": "session_" + "0" * 32})
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "image")


def test_a_turn_waits_for_the_one_before(client, session):
    turns = [
        client.post(f"/v1/sessions/{session['id']}/turns", json={"instruction": f"slow paint {n}"}).json()
        for n in range(3)
    ]
    ended = [wait_ended(client, edit["id"]) for edit in turns]
    assert [edit["status"] for edit in ended] == ["succeeded"] * 3
    assert [edit["parent_id"] for edit in ended] == [None, ended[0]["id"], ended[1]["id"]]
    for before, after in itertools.pairwise(ended):
        assert after["started_at"] >= before["completed_at"]


def test_history_is_a_tree(client, session):
    path = f"/v1/sessions/{session['id']}"
    first, second = turn(client, session, "a"), turn(client, session, "b")
    assert client.post(f"{path}/undo").json()["head"] == first["id"]
    branch = turn(client, session, "c")
    assert branch["parent_id"] == first["id"]
    assert client.post(f"{path}/redo").status_code == 409
    assert client.post(f"{path}/undo").json()["head"] == first["id"]
    assert client.post(f"{path}/undo").json()["head"] is None
    assert client.post(f"{path}/undo").status_code == 409
    assert client.post(f"{path}/redo").json()["head"] == first["id"]
    assert client.put(f"{path}/head", json={"head": second["id"]}).json()["head"] == second["id"]
    beside = turn(client, session, "d", parent_id=branch["id"])
    tree = {edit["id"]: edit["parent_id"] for edit in client.get(path).json()["turns"]}
    assert tree == {
        first["id"]: None,
        second["id"]: first["id"],
        branch["id"]: first["id"],
        beside["id"]: branch["id"],
    }


def test_a_failed_turn_leaves_the_head_where_it_is(client, session):
    first = turn(client, session, "a")
    assert turn(client, session, "missing")["error"]["code"] == "target_not_found"
    assert client.get(f"/v1/sessions/{session['id']}").json()["head"] == first["id"]
    assert turn(client, session, "b")["parent_id"] == first["id"]


def test_sessions_are_listed_page_by_page_the_latest_changed_first(client):
    image = {"image": ("a.png", png(), "image/png")}
    made = [client.post("/v1/sessions", files=image).json()["id"] for _ in range(3)]
    client.patch(f"/v1/sessions/{made[0]}", json={"title": "changed"}).raise_for_status()
    listed, page = [], {"has_more": True}
    while page["has_more"] and len(set(listed)) == len(listed):
        after = {"after": listed[-1]} if listed else {}
        page = client.get("/v1/sessions", params={"limit": 2, **after}).raise_for_status().json()
        listed += [session["id"] for session in page["data"]]
    assert listed[:3] == [made[0], made[2], made[1]]
    assert len(set(listed)) == len(listed)
    assert client.get("/v1/sessions", params={"after": "session_" + "0" * 32}).status_code == 404


def test_compare_two_nodes(client, session):
    path = f"/v1/sessions/{session['id']}"
    first = turn(client, session, "a", options={"seed": 1})
    told = client.get(f"{path}/compare", params={"b": first["id"]}).json()
    assert told["box"] == [8, 6, 24, 18]
    assert told["changed_fraction"] == pytest.approx(0.25, abs=0.02)
    same = client.get(f"{path}/compare", params={"a": first["id"], "b": first["id"]}).json()
    assert (same["changed_fraction"], same["box"]) == (0.0, None)


def test_rename_export_delete(client, session, service):
    path = f"/v1/sessions/{session['id']}"
    first = turn(client, session, "a")
    assert client.patch(path, json={"title": "another"}).json()["title"] == "another"
    exported = client.get(f"{path}/export")
    assert exported.status_code == 200, exported.text
    archive = zipfile.ZipFile(io.BytesIO(exported.content))
    assert json.loads(archive.read("session.json"))["turns"][0]["id"] == first["id"]
    assert archive.read("input.png") == png(seed=5)
    assert archive.read(f"{first['id']}-0.png") == client.get(first["images"][0]["url"]).content
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get(f"/v1/edits/{first['id']}").status_code == 404


def test_foreign_nodes_are_not_found(client, session):
    other = client.post("/v1/sessions", files={"image": ("a.png", png(), "image/png")}).json()
    foreign = turn(client, other, "a")
    path = f"/v1/sessions/{session['id']}"
    assert client.put(f"{path}/head", json={"head": foreign["id"]}).status_code == 404
    assert (
        client.post(f"{path}/turns", json={"instruction": "x", "parent_id": foreign["id"]}).status_code == 404
    )
    assert client.get(f"{path}/compare", params={"a": foreign["id"]}).status_code == 404
