"""`GET /config` of a Gradio app, read into what this package needs of it."""

import re
import reprlib
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from yarl import URL

from langchain_qwen_space.errors import ProtocolError, UnsupportedSpaceError

_READABLE = ("sse_v1", "sse_v2", "sse_v2.1", "sse_v3")
_LONGEST_LABEL = 200  # characters that are looked at
_MOST = 20_000  # components, or functions, of a page that is read


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Component(_Wire):
    """A component of the app's page. `props` are as Gradio documents them for `type`."""

    id: int
    type: str
    props: dict[str, Any] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """The label that a person sees, or an empty string."""
        label = self.props.get("label")
        return label[:_LONGEST_LABEL].strip() if isinstance(label, str) else ""

    @property
    def visible(self) -> bool:
        """Whether a person sees it (`visible` may also be the string "hidden")."""
        return self.props.get("visible", True) is True

    @property
    def default(self) -> Any:
        """The component's own value."""
        return self.props.get("value")

    @property
    def choices(self) -> list[Any]:
        """The values that a radio or dropdown offers; `choices` are values or (label, value)."""
        choices = self.props.get("choices")
        if not isinstance(choices, list):
            return []
        return [
            choice[1] if isinstance(choice, list) and len(choice) == 2 else choice
            for choice in choices
        ]


class _Types(_Wire):
    generator: bool = False


def _names(value: object) -> object:
    return value if isinstance(value, str) else None


class Dependency(_Wire):
    """A function of the app. `id` is its `fn_index` on the wire."""

    id: int = -1
    api_name: Annotated[str | None, BeforeValidator(_names)] = None
    inputs: list[int] = Field(default_factory=list)
    outputs: list[int] = Field(default_factory=list)
    targets: list[Any] = Field(default_factory=list)
    backend_fn: bool = True
    queue: bool | None = None
    types: _Types = Field(default_factory=_Types)
    show_api: Any = None
    api_visibility: Any = None

    @property
    def public(self) -> bool:
        """Whether the app's API page shows it; Gradio 6 has a word for it, older ones a switch."""
        return self.show_api is not False and self.api_visibility in (None, "public")


class SpaceConfig(_Wire):
    """What `/config` says of a Space, and where it was found."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    base: URL
    version: str = ""
    protocol: str = "ws"
    api_prefix: str = ""
    root: str = ""
    app_id: int | str | None = None
    enable_queue: bool = True
    components: list[Component] = Field(max_length=_MOST)
    dependencies: list[Dependency] = Field(max_length=_MOST)

    @property
    def release(self) -> tuple[int, ...]:
        """Gradio's version as numbers, (0,) where it cannot be read."""
        return tuple(int(part) for part in re.findall(r"\d{1,9}", self.version)[:3]) or (0,)

    def api(self, path: str) -> URL:
        """The URL of a route of the app's queue.

        `root` may name one replica of the Space by its path; a root on another host is ignored.
        """
        try:
            root = URL(self.root)
        except ValueError:
            root = self.base
        base = self.base.with_path(root.path) if root.host == self.base.host else self.base
        return (
            base.joinpath(*self.api_prefix.strip("/").split("/"), path)
            if self.api_prefix
            else base / path
        )

    def component(self, number: int) -> Component:
        """The component with that id; one that is not described is of no known type."""
        return self._by_id.get(number) or Component(id=number, type="unknown")

    @cached_property
    def _by_id(self) -> dict[int, Component]:
        return {component.id: component for component in reversed(self.components)}

    @cached_property
    def submitted(self) -> frozenset[int]:
        """The ids of the components whose Enter key calls a function."""
        return frozenset(
            target[0]
            for dependency in self.dependencies
            for target in dependency.targets
            if isinstance(target, list) and target[1:2] == ["submit"] and isinstance(target[0], int)
        )


def read_config(body: object, base: URL, where: str) -> SpaceConfig:
    """Check what `GET /config` answered.

    Args:
        body: The decoded JSON.
        base: The URL of the app.
        where: The Space, for messages.

    Raises:
        UnsupportedSpaceError: It is no Gradio app's, or that of a release that is too old.
    """
    if not isinstance(body, dict) or not isinstance(body.get("dependencies"), list):
        msg = (
            f"{where} does not answer as a Gradio app does: its /config has no functions. Give the "
            "id of a Gradio Space, or the URL on which its app itself runs (…hf.space)."
        )
        raise UnsupportedSpaceError(msg)
    protocol = body.get("protocol", "ws")
    if protocol not in _READABLE:
        version = reprlib.repr(body.get("version", "of an unknown version")).strip("'")
        msg = (
            f"{where} runs Gradio {version}, which speaks the protocol {reprlib.repr(protocol)}. This package reads {_READABLE[0]} to {_READABLE[-1]} (Gradio "
            "4.9 and later): ask the Space's owner to upgrade, or duplicate the Space and do so."
        )
        raise UnsupportedSpaceError(msg)
    dependencies = [
        {"id": index, **dependency} if isinstance(dependency, dict) else dependency
        for index, dependency in enumerate(body["dependencies"])
    ]
    try:
        return SpaceConfig.model_validate({**body, "dependencies": dependencies, "base": base})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        msg = f"The /config of {where} cannot be read at {place}: {first['msg']}."
        raise ProtocolError(msg, is_retryable=False) from None
