"""A connection to a queue server leaves nothing open, and who operates is not guessed."""

import gc
import logging

import pytest

from bluesky_stm.facility import QueueClient, manager, operator

zmq = pytest.importorskip("zmq")
pytest.importorskip("bluesky_queueserver_api", reason="pip install 'bluesky-stm[queueserver]'")


def contexts():
    return {id(thing): thing for thing in gc.get_objects() if issubclass(type(thing), zmq.Context)}


@pytest.mark.parametrize("connect", [manager, QueueClient])
def test_a_client_of_the_queue_server_leaves_no_context_open(connect):
    before = contexts()
    client = connect("tcp://127.0.0.1:9")  # nobody listens; a 0MQ client does not mind
    if connect is manager:
        with client:
            its_own = [context for number, context in contexts().items() if number not in before]
    else:
        its_own = [context for number, context in contexts().items() if number not in before]
        client.close()
    assert its_own and all(context.closed for context in its_own)


@pytest.mark.parametrize("user", ["root", "Queue Server API User", "qserver-cli"])
def test_a_user_who_is_no_person_is_no_operator(user, caplog):
    with caplog.at_level(logging.WARNING):
        assert operator(user) == "unknown"
    assert repr(user) in caplog.text and "submit --user" in caplog.text


def test_a_user_who_is_a_person_operates():
    assert operator("Ada") == "Ada"
