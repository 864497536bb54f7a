"""The server of one form, run by that release's own Python: every layout under a path of its own.

`python -m compat.app FORM [PORT [pictures | public | studio]]`, from `tests/`, prints one line of JSON, `{"port": …}`, when it
answers, and ends when its standard input does. Besides the layouts it has

- `GET /runs?key=KEY`: what became of the calls that said `hold:KEY`;
- `POST /redeploy?layout=NAME`: puts a new app with that layout at `/redeployed`.

With `pictures` it has nothing but the apps that take files, with `public` nothing but those of
`public_apps` and `public_pages`, with `studio` those of `studio`, and starts much sooner.
"""

import json
import os
import socket
import sys
import threading
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.routing import Mount

from .forms import FORMS, REDEPLOYED, REDEPLOYMENTS, Form
from .layouts import BUILDERS, SERVED
from .misleading_pages import MISLEADING_PAGES
from .pictures import PICTURES
from .public_apps import PUBLIC_APPS
from .public_pages import PUBLIC_PAGES
from .script import RUNS
from .shapes import SHAPES

HOST = "127.0.0.1"
MOST = {"narrow": 2**20}  # bytes of a file that the apps for pictures take


class Redeployed:
    """One path at which one app can take another's place."""

    def __init__(self, apps: dict[str, Any], layout: str) -> None:
        self.apps = apps
        self.layout = layout

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.apps[self.layout](scope, receive, send)


def make_app(form: Form, only: str | None = None) -> FastAPI:
    """All layouts of a form and the two routes beside them, as one app."""
    app = FastAPI()
    if only == "public":
        for name, build in {**PUBLIC_APPS, **PUBLIC_PAGES, **MISLEADING_PAGES}.items():
            gr.mount_gradio_app(app, build(form), f"/{name}")
        return app
    if only == "studio":
        _mount_studio(app)
        return app
    for name, build in PICTURES.items():
        gr.mount_gradio_app(app, build(form), f"/pictures-{name}", max_file_size=MOST.get(name))
    if only == "pictures":
        return app

    @app.get("/runs")
    def runs(key: str) -> dict[str, int]:
        return RUNS.of(key)

    @app.post("/redeploy")
    def redeploy(layout: str) -> None:
        redeployed.layout = layout

    for name in form.layouts:
        gr.mount_gradio_app(app, BUILDERS[name](form), f"/{name}", **SERVED.get(name, {}))
    for name, build in SHAPES.items():
        if form.carries(f"shape-{name}"):
            gr.mount_gradio_app(app, build(form), f"/shape-{name}")
    if form.carries("studio-demo"):
        _mount_studio(app)
    for name in REDEPLOYMENTS:
        # Wherever these are mounted, they take themselves to be at the one path.
        path, root = f"/{REDEPLOYED}-{name}", f"/{REDEPLOYED}"
        gr.mount_gradio_app(app, BUILDERS[name](form), path, root_path=root)
    mounted = {route.path: route.app for route in app.routes if isinstance(route, Mount)}
    deployments = {name: mounted[f"/{REDEPLOYED}-{name}"] for name in REDEPLOYMENTS}
    redeployed = Redeployed(deployments, REDEPLOYMENTS[0])
    app.mount(f"/{REDEPLOYED}", redeployed)
    return app


def _mount_studio(app: FastAPI) -> None:
    """The pages of a library that only the environments of Gradio 5 and 6 have for today."""
    from .studio import STUDIO

    for name, build in STUDIO.items():
        gr.mount_gradio_app(app, build(), f"/studio-{name}")


class Server(uvicorn.Server):
    """Says on the real standard output when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Any) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            port = sockets[0].getsockname()[1]
            self.ready.write(json.dumps({"port": port}) + "\n")
            self.ready.flush()


def main() -> None:
    """Serves until standard input ends."""
    form = next(form for form in FORMS if form.name == sys.argv[1])
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    only = sys.argv[3] if len(sys.argv) > 3 else None
    # Gradio prints now and then; only the line that says the port goes to standard output.
    ready = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_input, daemon=True).start()
    listening = socket.create_server((HOST, port))
    Server(uvicorn.Config(make_app(form, only), log_level="warning"), ready).run([listening])


def _end_with_input() -> None:
    """A test run that is killed closes our input; nothing here needs an orderly end."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
