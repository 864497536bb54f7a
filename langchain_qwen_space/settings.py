"""What a `ChatQwenSpace` can be told: its fields, where they come from, how they are saved."""

from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self, cast

from langchain_core.language_models import ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.load.serializable import SerializedConstructor, SerializedNotImplemented
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from langchain_qwen_space import environment
from langchain_qwen_space.events import SpaceEvent
from langchain_qwen_space.qwen import models

if TYPE_CHECKING:
    from langchain_qwen_space.space.routing.client import SpaceClient

PROVIDER = "qwen_space"


class Settings(BaseChatModel):
    """The settings of a `ChatQwenSpace`."""

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        protected_namespaces=(),
        hide_input_in_errors=True,  # a URL that is refused may hold a password
    )

    space: str | list[str] = Field(
        default_factory=environment.space_from_environment, alias="base_url"
    )
    """Id of the Space (`Qwen/Qwen2.5`) or URL of its app; environment `QWEN_SPACE`.

    With a list of them each call goes to the one that is expected to answer it soonest. All have
    to understand the same arguments. One that fails is left out for a while.
    """

    model: str | None = Field(default=None, alias="model_name")
    """Name of the model (`qwen2.5-72b-instruct`) or the Space's own word for it (`72B`).

    None is the Space's own default. May be given per call too.
    """

    hf_token: SecretStr | None = Field(
        default_factory=environment.token_from_environment, alias="api_key"
    )
    """Hugging Face token, for private Spaces and higher quotas.

    Without one, `HF_TOKEN`, then `HUGGINGFACEHUB_API_TOKEN`, then what `hf auth login` saved. Such
    a token goes to huggingface.co and *.hf.space only; one given here goes also to the URL in
    `space`.
    """

    proxy: SecretStr | None = Field(default_factory=environment.proxy_from_environment)
    """URL of an HTTP proxy for every request; environment `QWEN_SPACE_PROXY`.

    Without one, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count as usual.
    """

    timeout: float | None = Field(default=60.0, gt=0)
    """The longest silence of the Space in seconds; its heartbeats are a sign of life."""

    max_retries: int = Field(default=2, ge=0)
    """How often a call is made again that failed before its first fragment.

    Going on to another of several Spaces does not count.
    """

    queue_timeout: float | None = Field(default=None, gt=0)
    """The longest wait in the Space's queue, in seconds."""

    total_timeout: float | None = Field(default=None, gt=0)
    """The longest that a whole call may take, in seconds, its retries included."""

    wake_timeout: float = Field(default=120.0, ge=0)
    """How long a Space that is asleep or starting is waited for, in seconds."""

    max_concurrency: int | None = Field(default=8, ge=1)
    """How many calls of this process are on the Space at a time; others wait their turn.

    Of several Spaces each may have so many. A call that waits goes to the first that has room.
    """

    stop: list[str] | None = None
    """Strings before the first of which answers are cut. `stop` of a call replaces it."""

    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature, where the Space has an input for it."""

    top_p: float | None = Field(default=None, ge=0, le=1)
    """Nucleus sampling, where the Space has an input for it."""

    max_tokens: int | None = Field(default=None, ge=1)
    """The most tokens an answer may have."""

    streaming: bool = False
    """Whether `invoke` streams as well, for callbacks that want every fragment.

    False is the default and changes nothing; `disable_streaming=True` makes `stream` give whole
    answers.
    """

    join_fragments: bool = True
    """Whether fragments that have arrived together come as one chunk."""

    reasoning: bool | None = None
    """What becomes of the model's thoughts: `<think>` tags and a Space's thought messages.

    True gives them as `additional_kwargs["reasoning_content"]`, False leaves them out, None leaves
    tags in the text and thought messages out.
    """

    retry_tool_choice: bool = True
    """Whether a model that had to call a tool and did not is asked once more."""

    protect_tool_results: bool = True
    """Whether control strings in tool results are broken up, so that none can forge a turn."""

    on_event: Callable[[SpaceEvent], None] | None = Field(default=None, exclude=True, repr=False)
    """Called with each event of a call: queue position, notices, retries. Not serialised."""

    auth: tuple[str, SecretStr] | None = Field(default=None, exclude=True)
    """User and password of a Space with a login. Not serialised."""

    max_reply_bytes: int = Field(default=16 * 2**20, ge=1)
    """The most that one event, or one answer, of the Space may hold."""

    max_config_bytes: int = Field(default=16 * 2**20, ge=1)
    """The most that the Space's description of itself may hold."""

    api_name: str | None = None
    """The Space's function to call, where it has several that chat; else it is found."""

    inputs: dict[str, str | int] = Field(default_factory=dict)
    """Which input of the function is what, by label or index, where that is not found right.

    Keys: query, history, system, model, temperature, top_p, max_tokens.
    """

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Values for other inputs of the Space, by their label."""

    _warned: set[str] = PrivateAttr(default_factory=set)

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, values: Any) -> Any:
        """Refuse two values for one setting, which pydantic would call an unknown keyword."""
        if isinstance(values, dict):
            for name, field in cls.model_fields.items():
                if field.alias is not None and {name, field.alias} <= values.keys():
                    raise ValueError(f"{name} and {field.alias} are the same: give one of them.")
        return values

    @field_validator("space", mode="before")
    @classmethod
    def _check_space(cls, space: object) -> str | list[str]:
        """The Spaces in one spelling; a list of one is that one."""
        from langchain_qwen_space.space.wire.access import parse_space

        listed = space if isinstance(space, list | tuple) else [space]
        spaces = [parse_space(one) for one in listed if isinstance(one, str)]
        if not listed or len(spaces) < len(listed):
            raise ValueError(
                "space is the id of a Space or the URL of its app, or a list of at least one of "
                "them, each a string."
            )
        if len(set(spaces)) < len(spaces):
            raise ValueError("space holds the same Space twice; name each once.")
        return spaces if len(spaces) > 1 else spaces[0]

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        from langchain_qwen_space.space.wire.access import parse_proxy

        if proxy is not None:
            parse_proxy(proxy.get_secret_value())
        return proxy

    @field_validator("stop", mode="before")
    @classmethod
    def _check_stop(cls, stop: object) -> object:
        return [stop] if isinstance(stop, str) else stop

    @model_validator(mode="after")
    def _prepare(self) -> Self:
        # LangChain takes a `streaming` that was set to False for a wish that `stream` does not
        # stream, and what rebuilds a model (configurable_fields, loads) sets every field.
        if not self.streaming:
            self.__pydantic_fields_set__.discard("streaming")
        if self.auth is not None and isinstance(self.space, list):
            raise ValueError("auth is the login of one Space; of several, each would be shown it.")
        import langchain_qwen_space.space.routing.relay  # noqa: F401  (aiohttp loads here, not in a call)

        self._add_version("langchain-qwen-space", version("langchain-qwen-space"))
        return self

    @property
    def _llm_type(self) -> str:
        return "qwen-space"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """The settings that shape an answer; no secrets."""
        return {
            "space": self.space,
            "model": self.model,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "stop": self.stop,
            "api_name": self.api_name,
            "inputs": self.inputs,
            "model_kwargs": self.model_kwargs,
        }

    def _resolve_model_profile(self) -> ModelProfile | None:
        return models.profile(self.model) if self.model else None

    def __getstate__(self) -> dict[Any, Any]:
        """What is pickled: all settings but `on_event`, which may be any function."""
        state = super().__getstate__()
        state["__dict__"] = {**state["__dict__"], "on_event": None}
        return state

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The environment variables that stand for the secrets in a serialised model."""
        return {"hf_token": environment.TOKEN_VARIABLES[0], "proxy": environment.PROXY_VARIABLE}

    def to_json(self) -> SerializedConstructor | SerializedNotImplemented:
        """What `dumps` saves. A token of the environment is not named in it.

        `loads` would give it back as one that the caller gave, which more hosts may see.
        """
        saved = super().to_json()
        if isinstance(self.hf_token, environment.EnvironmentSecret):
            cast("SerializedConstructor", saved)["kwargs"].pop("hf_token", None)
        return saved

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Models can be saved by `langchain_core.load.dumps`."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where `langchain_core.load.loads` finds the class."""
        return ["langchain_qwen_space", "chat_models"]

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        model = kwargs.get("model") or kwargs.get("model_name") or self.model
        if model:
            params["ls_model_name"] = models.canonical_name(model)
        else:
            params.pop("ls_model_name", None)
        return params

    @property
    def _spaces(self) -> list[str]:
        """The Spaces, also where there is one."""
        return self.space if isinstance(self.space, list) else [self.space]

    def _client(self, space: str | None = None) -> "SpaceClient":
        """The client of one of the Spaces, by default of the first."""
        from langchain_qwen_space.space.routing.client import Options, SpaceClient
        from langchain_qwen_space.space.wire.access import Access

        token, proxy, auth = self.hf_token, self.proxy, self.auth
        access = Access(
            space=space or self._spaces[0],
            token=token.get_secret_value() if token else None,
            token_is_explicit=not isinstance(token, environment.EnvironmentSecret),
            proxy=proxy.get_secret_value() if proxy else None,
            auth=(auth[0], auth[1].get_secret_value()) if auth else None,
        )
        options = Options(
            timeout=self.timeout,
            queue_timeout=self.queue_timeout,
            total_timeout=self.total_timeout,
            wake_timeout=self.wake_timeout,
            max_retries=self.max_retries,
            max_concurrency=self.max_concurrency,
            join_fragments=self.join_fragments,
            max_reply_bytes=self.max_reply_bytes,
            max_config_bytes=self.max_config_bytes,
            api_name=self.api_name,
            inputs=tuple(sorted(self.inputs.items())),
        )
        return SpaceClient(access, options)
