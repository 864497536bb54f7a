"""A reverse proxy that serves the app under a path: which part of the app's `root` counts."""

import json

import pytest

from tests.reverse_proxy import stripping_proxy
from tests.unit_tests.faults.calls import ask, model_for
from tests.unit_tests.faults.server import ANSWER, CONFIG, reply

REPLICA = "/--replicas/abc12"


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("root", "under"),
    [
        ("", "/app"),  # the app names none
        ("{origin}", "/app"),  # by the Host header, without the path that the proxy took off
        ("{origin}/", "/app"),
        ("{origin}/other", "/app"),  # of the app's own settings, for another proxy
        ("{origin}/apples", "/app"),  # not under the path, though its name begins so
        ("{origin}/app", "/app"),  # of an app that knows its path
        ("{origin}/app" + REPLICA, "/app" + REPLICA),
        ("http://backend.internal:7860", "/app"),
    ],
)
async def test_the_path_of_the_given_url_stays(space, root, under, slash):
    async with stripping_proxy(space.url) as (origin, asked):
        config = {**CONFIG, "root": root.format(origin=origin)}
        space.on("config", reply(json.dumps(config)))
        outcome = await ask(model_for(f"{origin}/app{slash}"))
    assert (outcome.text, outcome.error) == (ANSWER, None)
    api = f"{under}{CONFIG['api_prefix']}/queue"
    assert asked == ["/app/config", f"{api}/join", f"{api}/data"]
