import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_qwen_space import events
from langchain_qwen_space.events import (
    NoticeEvent,
    ProgressEvent,
    QueueEvent,
    SpaceEvent,
    StartEvent,
)
from langchain_qwen_space.space.wire.server_messages import parse, space_events
from tests import replay


def events_of(**body):
    return space_events(parse(orjson.dumps(body)))


def test_a_message_is_read():
    message = parse(b'{"msg": "log", "event_id": "7", "log": "x"}')
    assert (message.msg, message.event_id, message.body["log"]) == ("log", "7", "x")


@pytest.mark.parametrize("event_id", [b"null", b"7", b"[]"])
def test_an_event_id_is_text_or_none(event_id):
    assert parse(b'{"msg": "heartbeat", "event_id": ' + event_id + b"}").event_id is None
    assert parse(b'{"msg": "heartbeat"}').event_id is None


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"7", b'"msg"', b"{}", b'{"msg": 7}', b'{"msg": "log"', b"\xff", b"NaN"],
)
def test_anything_else_is_refused(data):
    with pytest.raises(ValueError):
        parse(data)


@given(st.binary(max_size=40))
def test_noise_is_read_or_refused(data):
    try:
        space_events(parse(data))
    except ValueError:
        return


def test_a_message_does_not_show_its_body():
    assert "secret" not in repr(parse(b'{"msg": "log", "log": "secret"}'))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"msg": "estimation", "rank": 3, "queue_size": 5, "rank_eta": 2.5},
            [QueueEvent(rank=3, queue_size=5, eta=2.5)],
        ),
        ({"msg": "estimation", "rank": 0, "queue_size": 1, "rank_eta": None}, [QueueEvent(0, 1)]),
        ({"msg": "estimation", "rank": "x", "queue_size": None}, [QueueEvent(0, 0)]),
        ({"msg": "process_starts", "eta": 4}, [StartEvent(4.0)]),
        ({"msg": "process_starts"}, [StartEvent(None)]),
        (
            {"msg": "log", "log": "careful", "level": "warning", "title": "Warning"},
            [NoticeEvent("careful", "warning", "Warning")],
        ),
        ({"msg": "log", "log": "hello"}, [NoticeEvent("hello", "info", None)]),
        ({"msg": "log", "log": None, "level": 3, "title": []}, [NoticeEvent("", "info")]),
        (
            {
                "msg": "progress",
                "progress_data": [
                    {"index": 1, "length": 4, "unit": "steps", "progress": None, "desc": "thinks"},
                    {"progress": 0.5},
                    "x",
                ],
            },
            [ProgressEvent("thinks", 1.0, 4.0, "steps", None), ProgressEvent(progress=0.5)],
        ),
        ({"msg": "progress", "progress_data": None}, []),
        ({"msg": "progress", "progress_data": {}}, []),
        ({"msg": "progress"}, []),
        ({"msg": "heartbeat"}, []),
        ({"msg": "process_generating", "output": {}}, []),
        ({"msg": "something new"}, []),
    ],
)
def test_what_a_message_tells(body, expected):
    assert events_of(**body) == expected


@pytest.mark.parametrize("folder", replay.FOLDERS)
def test_a_recorded_queue_counts_down(folder):
    heard = [events_of(**event) for event in replay.load(folder, "queued").events()]
    places = [event for events in heard for event in events]
    ranks = [event.rank for event in places if isinstance(event, QueueEvent)]
    assert len(ranks) > 1
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[-1] == 0
    assert sum(isinstance(event, StartEvent) for event in places) == 1


@pytest.mark.parametrize("folder", replay.FOLDERS)
def test_a_recorded_notice_is_reported(folder):
    heard = [events_of(**event) for event in replay.load(folder, "info").events()]
    notices = [event for events in heard for event in events if isinstance(event, NoticeEvent)]
    assert {notice.level for notice in notices} == {"info", "warning"}
    assert all(notice.message for notice in notices)


def test_each_event_has_a_name_of_its_own():
    found = [kind for kind in vars(events).values() if isinstance(kind, type)]
    kinds = [kind for kind in found if issubclass(kind, SpaceEvent)]
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert all(kind.name.startswith("qwen_space_") for kind in kinds)
    assert events.QueueEvent.name == "qwen_space_queue"
    assert events.NoticeEvent.name == "qwen_space_notice"
