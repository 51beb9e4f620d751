"""Pictures in an S3-compatible store: a whole edit, and what is left when all is deleted."""

from app.settings import Settings
from app.store.records import Store
from tests.e2e.crash_draw import orphans
from tests.server import cluster, pixels, png, wait_ended


def test_an_edit_with_its_pictures_elsewhere(tmp_path, bucket):
    root = f"{bucket}/some/where"
    with (
        cluster(tmp_path, "api", "worker", BRUSHEDIT_BLOBS_URL=root) as made,
        made.client() as client,
    ):
        sent = client.post(
            "/v1/edits",
            files={"image": ("a.png", png(), "image/png")},
            data={"instruction": "x", "seed": "3", "preview_every": "2"},
        )
        edit = wait_ended(client, sent.json()["id"], 60)
        assert edit["status"] == "succeeded", made.logs()
        before, after = pixels(png()), pixels(client.get(edit["images"][0]["url"]).content)
        assert ((255 - before[12, 16]) ^ 3 == after[12, 16]).all()
        assert (before[0] == after[0]).all()
        store = Store(Settings(data=tmp_path / "data", blobs_url=root))
        assert len(list(store.blobs.ages())) >= 3
        assert orphans(tmp_path / "data", blobs_url=root) == 0
        assert client.delete(f"/v1/edits/{edit['id']}").status_code == 204
        assert list(store.blobs.ages()) == []
        store.database.close()
    assert not (tmp_path / "data" / "blobs").exists()
