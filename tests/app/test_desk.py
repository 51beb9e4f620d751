"""What the desk accepts, joins and removes; no worker runs, and an edit ends when the test says so."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from app.access import Caller
from app.jobs.desk import Order
from app.refusals import NotFound
from app.routes.sessions import redo, undo
from app.store.tables import Edit, Repeat, Session
from tests.server import png

ONE = Caller("one", None, frozenset())


def settle(services, edit_id):
    with services.store.database.read() as rows:
        attempt = rows.get_one(Edit, edit_id).attempt
    assert services.ledger.settle(edit_id, attempt, "succeeded")


def let_pass(services, seconds):
    with services.store.database.write() as rows:
        rows.execute(update(Repeat).values(created_at=Repeat.created_at - seconds))


def test_a_library_joins_an_edit_however_long_it_takes(services):
    order = Order(request={"instruction": "x"}, image=png())
    edit_id = services.desk.accept("one", order).edit.id

    def again():
        return services.desk.accept("one", order, retried=True)

    let_pass(services, 3600)
    assert again().edit.id == edit_id
    let_pass(services, 600)
    settle(services, edit_id)
    # It ended while the library was about to ask once more.
    assert again().edit.id == edit_id
    let_pass(services, 600)
    assert again().edit.id == edit_id
    let_pass(services, 1000)
    assert not again().repeated


@pytest.fixture
def turns(services):
    """Two turns of a session, made one on the other."""
    image = Order(request={"instruction": "a"}, image=png(), session_title="a")
    first = services.desk.accept("one", image).edit
    settle(services, first.id)
    turn = Order(request={"instruction": "b"}, image=None, session_id=first.session_id)
    second = services.desk.accept("one", turn).edit
    settle(services, second.id)
    return first, second, turn


def session_of(services, edit):
    with services.store.database.read() as rows:
        return rows.get_one(Session, edit.session_id)


def test_a_session_goes_back_when_its_latest_turn_is_removed(services, turns):
    first, second, turn = turns
    services.desk.remove("one", second.id)
    assert session_of(services, first).head == first.id
    assert services.desk.accept("one", turn).edit.parent_id == first.id


def test_a_session_without_turns_begins_anew(services, turns):
    first, second, turn = turns
    for edit in (second, first):
        services.desk.remove("one", edit.id)
    assert session_of(services, first).head is None
    assert services.desk.accept("one", turn).edit.image == first.image


def test_a_removed_turn_is_not_done_again(services, turns):
    first, second, _ = turns
    with services.store.database.write() as rows:
        session = rows.get_one(Session, first.session_id)
        session.head, session.redo = first.id, [second.id]
    services.desk.remove("one", second.id)
    assert (session_of(services, first).head, session_of(services, first).redo) == (first.id, [])


def test_nothing_is_built_on_a_turn_that_is_removed_meanwhile(services, turns):
    _, second, turn = turns
    services.desk.remove("one", second.id)
    with pytest.raises(NotFound, match="there is no turn"):
        services.desk.accept("one", replace(turn, parent_id=second.id))


def test_a_turn_that_ends_after_an_undo_leaves_the_head_where_it_was_moved(services, turns):
    first, second, turn = turns
    pending = services.desk.accept("one", turn).edit
    assert undo(services, ONE, first.session_id)["head"] == first.id
    settle(services, pending.id)
    session = session_of(services, first)
    assert (session.head, session.redo) == (first.id, [second.id])
    assert redo(services, ONE, first.session_id)["head"] == second.id
    later = services.desk.accept("one", turn).edit
    settle(services, later.id)
    assert (later.parent_id, session_of(services, first).head) == (second.id, later.id)


def test_what_is_said_after_an_undo_builds_on_the_head_also_while_another_turn_is_pending(services, turns):
    first, _, turn = turns
    pending = services.desk.accept("one", turn).edit
    undo(services, ONE, first.session_id)
    branch, leaf = (services.desk.accept("one", turn).edit for _ in range(2))
    assert (branch.parent_id, leaf.parent_id) == (first.id, branch.id)
    for edit in (pending, branch, leaf):
        settle(services, edit.id)
    assert session_of(services, first).head == leaf.id
