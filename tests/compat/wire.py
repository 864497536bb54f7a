"""A call on a Space as bare HTTP, whole values only: enough to tell whether a server works.

It knows nothing of the package, so that what it shows holds without it.
"""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True)
class Space:
    """One layout of a running server."""

    http: aiohttp.ClientSession
    url: str
    config: dict[str, Any]

    @property
    def api(self) -> str:
        """What the queue's paths come after."""
        return self.url + str(self.config.get("api_prefix", ""))

    def dependency(self, api_name: str) -> dict[str, Any]:
        """The function of that name."""
        return next(each for each in self.config["dependencies"] if each["api_name"] == api_name)

    def components(self, ids: list[int]) -> list[dict[str, Any]]:
        """The components with these ids, in their order."""
        by_id = {each["id"]: each for each in self.config["components"]}
        return [by_id[each] for each in ids]

    async def join(self, api_name: str, data: list[Any], session_hash: str) -> tuple[int, Any]:
        """Joins the queue: the answer's status, and its body, which is JSON or text."""
        fn_index = self.dependency(api_name)["id"]
        body = {"data": data, "fn_index": fn_index, "session_hash": session_hash}
        async with self.http.post(f"{self.api}/queue/join", json=body) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await (answer.json() if is_json else answer.text())

    async def call(
        self, api_name: str, data: list[Any], session_hash: str = ""
    ) -> list[dict[str, Any]]:
        """Joins the queue and reads its events to the end of the stream."""
        session_hash = session_hash or uuid.uuid4().hex
        status, answer = await self.join(api_name, data, session_hash)
        assert status == 200, answer
        return await self.events(session_hash)

    async def call_unqueued(self, api_name: str, data: list[Any], session_hash: str) -> list[Any]:
        """Calls a function that does not queue, in one request, and gives its values."""
        fn_index = self.dependency(api_name)["id"]
        body = {"data": data, "fn_index": fn_index, "session_hash": session_hash}
        async with self.http.post(f"{self.api}/run/predict", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return list((await answer.json())["data"])

    async def events(self, session_hash: str) -> list[dict[str, Any]]:
        """The events of a session that joined, up to the end of the stream."""
        query = {"session_hash": session_hash}
        async with self.http.get(f"{self.api}/queue/data", params=query) as stream:
            body = await stream.read()
        lines = body.decode().split("\n")
        return [json.loads(line[len("data:") :]) for line in lines if line.startswith("data:")]


async def space(http: aiohttp.ClientSession, url: str) -> Space:
    """The layout at an address, its `/config` read."""
    async with http.get(f"{url}/config") as answer:
        assert answer.status == 200, await answer.text()
        return Space(http, url, await answer.json())


def completed(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The event that ends a call."""
    return next(event for event in events if event["msg"] == "process_completed")


def outputs(events: list[dict[str, Any]]) -> list[Any]:
    """The values that a call ended with."""
    event = completed(events)
    assert event["success"], event
    return list(event["output"]["data"])
