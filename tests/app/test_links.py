"""The secret that links are signed with: whole or not there, and never empty."""

import secrets

import pytest

from app.links import read_secret
from app.refusals import InternalFault
from app.settings import Settings


def test_the_secret_is_made_once_for_its_owner_alone(tmp_path):
    settings = Settings(data=tmp_path / "data")
    made = read_secret(settings)
    assert len(made) == 64
    assert read_secret(settings) == made
    assert [path.name for path in settings.data.iterdir()] == ["secret"]
    assert (settings.data / "secret").stat().st_mode & 0o777 == 0o600


def test_nobody_reads_a_secret_that_another_is_making(tmp_path, monkeypatch):
    settings, made, token = Settings(data=tmp_path), [], secrets.token_hex

    def interrupted(size):
        monkeypatch.setattr(secrets, "token_hex", token)
        made.append(read_secret(settings))
        return token(size)

    monkeypatch.setattr(secrets, "token_hex", interrupted)
    made.append(read_secret(settings))
    assert len(made[0]) == 64
    assert made[0] == made[1] == read_secret(settings)


def test_an_empty_secret_is_refused(tmp_path):
    (tmp_path / "secret").touch()
    with pytest.raises(InternalFault, match="is empty"):
        read_secret(Settings(data=tmp_path))
