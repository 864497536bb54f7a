"""`GET /config` of a Gradio app, read into what this package needs of it."""

import re
import reprlib
from contextlib import suppress
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from yarl import URL

from langchain_qwen_space.errors import ProtocolError, UnsupportedSpaceError

_READABLE = ("sse_v1", "sse_v2", "sse_v2.1", "sse_v3")
_LONGEST_LABEL = 200  # characters that are looked at
_CONTROLS = {  # modelscope_studio's controls, by the components of Gradio that take the same
    "antdinput": "textbox",
    "antdinputtextarea": "textbox",
    "antdinputnumber": "number",
    "antdselect": "dropdown",
    "antdradiogroup": "radio",
    "antdslider": "slider",
    "antdswitch": "checkbox",
}
_MOST = 20_000  # components, or functions, of a page that is read


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Component(_Wire):
    """A component of the app's page. `props` are as Gradio documents them for `type`."""

    id: int
    type: str
    props: dict[str, Any] = Field(default_factory=dict)
    form_key: str | None = None
    """The key of its value inside a form's; None for a component with a value of its own."""
    form: str = ""
    """The label or `elem_id` of that form."""
    parameter: str | None = None
    """The name of the parameter that it is passed as, where the app's API page was read for it."""
    loaded: bool = False
    """Whether its choices came when the page was opened; `/config` has none."""

    @property
    def label(self) -> str:
        """The label that a person sees, or an empty string."""
        label = self.props.get("label")
        return label[:_LONGEST_LABEL].strip() if isinstance(label, str) else ""

    @property
    def words(self) -> str:
        """All that says what it is for: label, placeholder, key, the author's names for it."""
        words = [
            self.label,
            self.form_key,
            self.props.get("elem_id"),
            self.props.get("placeholder"),
            self.parameter,
        ]
        return " | ".join(word[:_LONGEST_LABEL] for word in words if isinstance(word, str) and word)

    @property
    def secret(self) -> bool:
        """Whether it is a box for a password or a key."""
        return self.props.get("type") == "password"

    @property
    def visible(self) -> bool:
        """Whether a person sees it (`visible` may also be the string "hidden")."""
        return self.props.get("visible", True) is True

    @property
    def default(self) -> Any:
        """The component's own value."""
        return self.props.get("value")

    @property
    def initial(self) -> Any:
        """What the page sends for it before anybody has touched it."""
        if self.type == "state":
            return None  # the server has its own
        if self.type == "browserstate":
            return self.props.get("default_value")
        if self.default is None:
            return {"textbox": "", "antdxsender": "", "json": {}}.get(self.type)
        return self.default

    @property
    def filled_on_load(self) -> bool:
        """Whether it offers choices and has none until the page has been opened."""
        if self.type not in ("radio", "dropdown"):
            return False
        return self.loaded or (self.default is None and not self.choices)

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


def _ids(value: object) -> object:
    return value if isinstance(value, int) else None


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
    trigger_after: Annotated[int | None, BeforeValidator(_ids)] = None
    trigger_only_on_failure: Any = False
    js: Any = None

    @property
    def events(self) -> list[tuple[int | None, str]]:
        """What calls it: (id of the component, event); the page itself, or no component, is None."""
        return [
            (target[0] if isinstance(target[0], int) else None, target[1])
            for target in self.targets
            if isinstance(target, list) and len(target) >= 2 and isinstance(target[1], str)
        ]

    @property
    def on_load(self) -> bool:
        """Whether the page calls it when it is opened."""
        return any(event == "load" for _, event in self.events)

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
    """Another after each start of the app, so that the pages before and after differ."""
    enable_queue: bool = True
    max_file_size: Annotated[int | None, BeforeValidator(_ids)] = None
    layout: Any = Field(default=None, repr=False)
    components: list[Component] = Field(max_length=_MOST)
    dependencies: list[Dependency] = Field(max_length=_MOST)

    @property
    def release(self) -> tuple[int, ...]:
        """Gradio's version as numbers, (0,) where it cannot be read."""
        return tuple(int(part) for part in re.findall(r"\d{1,9}", self.version)[:3]) or (0,)

    def api(self, path: str) -> URL:
        """The URL of a route of the app's API.

        `root` may name one replica of the Space by its path. A root on another host is ignored, and
        so is one that does not extend the path of the base: a proxy that takes a path off does not
        tell the app of it.
        """
        base = self.base
        with suppress(ValueError):
            root = URL(self.root)
            given = base.path.rstrip("/") + "/"
            if root.host == base.host and (root.path.rstrip("/") + "/").startswith(given):
                base = base.with_path(root.path)
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
    def _children(self) -> dict[int, list[int]]:
        """The components that stand in a component, by its id."""
        found: dict[int, list[int]] = {}
        waiting = [self.layout]
        while waiting:
            node = waiting.pop()
            children = node.get("children") if isinstance(node, dict) else None
            if isinstance(children, list):
                nodes = [child for child in children if isinstance(child, dict)]
                number = node.get("id")
                if isinstance(number, int):
                    found[number] = [n["id"] for n in nodes if isinstance(n.get("id"), int)]
                waiting += nodes
        return found

    def fields(self, form: Component) -> list[Component]:
        """The fields of a form (`antdform`), each as a component with a `form_key`.

        modelscope_studio keeps a field's label and key on an item, and its control in the item.
        """
        values = form.default if isinstance(form.default, dict) else {}
        found, waiting = [], list(self._children.get(form.id, ()))
        while waiting:
            item = self.component(waiting.pop(0))
            below = self._children.get(item.id, [])
            key = item.props.get("form_name")
            if item.type != "antdformitem" or not isinstance(key, str):
                waiting += below
                continue
            control = self.component(below[0]) if below else item
            props = {
                "label": item.label,
                "value": values.get(key, control.default),
                "minimum": control.props.get("min"),
                "maximum": control.props.get("max"),
                "choices": [
                    [option.get("label"), option.get("value")]
                    for option in control.props.get("options") or ()
                    if isinstance(option, dict)
                ],
            }
            kind = _CONTROLS.get(control.type, control.type)
            name = form.label or form.props.get("elem_id") or ""
            found.append(
                Component(id=form.id, type=kind, props=props, form_key=key, form=str(name))
            )
        return found

    def chain(self, start: Dependency) -> list[Dependency]:
        """The functions of the server that follow an event, in the page's order, from `start` on."""
        found: dict[int, Dependency] = {}
        waiting = [start]
        while waiting:
            step = waiting.pop(0)
            if step.id not in found:
                found[step.id] = step
                waiting += self._followers.get(step.id, ())
        return [step for step in found.values() if step.backend_fn]

    @cached_property
    def on_load(self) -> tuple[Dependency, ...]:
        """The functions of the server that the page calls when it is opened."""
        return tuple(item for item in self.dependencies if item.on_load and item.backend_fn)

    @cached_property
    def _followers(self) -> dict[int, list[Dependency]]:
        """The functions that follow a function which did not fail, by its id."""
        found: dict[int, list[Dependency]] = {}
        for item in self.dependencies:
            if item.trigger_after is not None and item.trigger_only_on_failure is not True:
                found.setdefault(item.trigger_after, []).append(item)
        return found

    def changes(self, number: int) -> list[Dependency]:
        """The functions of the server that the page calls where a component changes."""
        return self._changes.get(number, [])

    @cached_property
    def _changes(self) -> dict[int | None, list[Dependency]]:
        """The functions that a component's change calls, by its id."""
        found: dict[int | None, list[Dependency]] = {}
        for item in self.dependencies:
            for number, event in item.events:
                if event == "change" and item.backend_fn:
                    found.setdefault(number, []).append(item)
        return found

    def trigger_of(self, step: Dependency) -> int | None:
        """The id of the component whose event began the chain that a function is of."""
        begun = {step.id}
        while step.trigger_after is not None and step.trigger_after not in begun:
            begun.add(step.trigger_after)
            before = self._functions.get(step.trigger_after)
            if before is None:
                break
            step = before
        return next(
            (number for number, event in step.events if number is not None and event != "load"),
            None,
        )

    @cached_property
    def _functions(self) -> dict[int, Dependency]:
        return {item.id: item for item in self.dependencies}

    def with_parameters(self, info: object) -> "SpaceConfig":
        """This page with the names of the functions' parameters: what `GET info` answered."""
        listed = info.get("named_endpoints") if isinstance(info, dict) else None
        names: dict[int, str] = {}
        for item in self.dependencies:
            known = listed.get(f"/{item.api_name}") if isinstance(listed, dict) else None
            parameters = known.get("parameters") if isinstance(known, dict) else None
            # A State is no parameter of the API.
            inputs = [n for n in item.inputs if self.component(n).type != "state"]
            if isinstance(parameters, list) and len(parameters) == len(inputs):
                for number, parameter in zip(inputs, parameters, strict=True):
                    name = parameter.get("parameter_name") if isinstance(parameter, dict) else None
                    if isinstance(name, str):
                        names.setdefault(number, name)
        components = [
            item.model_copy(update={"parameter": names.get(item.id)}) for item in self.components
        ]
        return self._with_components(components)

    def with_loaded(self, step: Dependency, data: object) -> "SpaceConfig":
        """This page with the choices and values that a function gave when it was opened."""
        outputs = data if isinstance(data, list) else ()
        changed: dict[int, dict[str, Any]] = {}
        for number, value in zip(step.outputs, outputs, strict=False):
            if isinstance(value, dict) and value.get("__type__") == "update":
                changed[number] = value
            elif self.component(number).type != "state":
                changed[number] = {"value": value}
        components = [
            item.model_copy(
                update={"props": {**item.props, **changed[item.id]}, "loaded": item.filled_on_load}
            )
            if item.id in changed
            else item
            for item in self.components
        ]
        return self._with_components(components)

    def with_rendered(self, rendered: object) -> "SpaceConfig":
        """This page with what `gr.render` added in a session: the `render_config` of an answer.

        Raises:
            ValidationError: It is none.
        """
        extra = SpaceConfig.model_validate(
            {"base": self.base, **(rendered if isinstance(rendered, dict) else {})}
        )
        return self._with_components(
            [*self.components, *extra.components], [*self.dependencies, *extra.dependencies]
        )

    def _with_components(
        self, components: list[Component], dependencies: list[Dependency] | None = None
    ) -> "SpaceConfig":
        """This page with others, and nothing of what was looked up on it before."""
        fields = {name: getattr(self, name) for name in SpaceConfig.model_fields}
        if dependencies is not None:
            fields["dependencies"] = dependencies
        return SpaceConfig.model_construct(**{**fields, "components": components})

    @cached_property
    def submitted(self) -> frozenset[int]:
        """The ids of the components whose Enter key calls a function."""
        return frozenset(
            number
            for dependency in self.dependencies
            for number, event in dependency.events
            if event == "submit" and number is not None
        )


def read_config(body: object, base: URL, where: str) -> SpaceConfig:
    """Check what `GET /config` answered.

    Args:
        body: The decoded JSON.
        base: The URL of the app.
        where: The Space, for messages.

    Raises:
        UnsupportedSpaceError: It does not belong to a Gradio app, or to one that is too old.
    """
    if not isinstance(body, dict) or not isinstance(body.get("dependencies"), list):
        msg = (
            f"{where} is not a Gradio app: its /config has no functions. Pass the id of a Gradio "
            "Space, or the URL of the app itself (…hf.space)."
        )
        raise UnsupportedSpaceError(msg)
    protocol = body.get("protocol", "ws")
    if protocol not in _READABLE:
        version = reprlib.repr(body.get("version", "of an unknown version")).strip("'")
        msg = (
            f"{where} runs Gradio {version}, which uses the protocol {reprlib.repr(protocol)}. "
            f"This package supports {_READABLE[0]} to {_READABLE[-1]} (Gradio 4.9 and later): ask "
            "the Space's owner to upgrade, or duplicate the Space and upgrade the copy."
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
