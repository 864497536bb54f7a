import copy
import pickle
import threading
from pathlib import Path

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.load import dumps, loads
from langchain_core.messages import HumanMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr, ValidationError
from yarl import URL

from langchain_qwen_space import ChatQwenSpace, environment
from langchain_qwen_space.environment import EnvironmentSecret

VARIABLES = [
    *("QWEN_SPACE", "QWEN_SPACE_PROXY", "HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN"),
    *("HF_HOME", "HF_TOKEN_PATH", "XDG_CACHE_HOME"),
]
FOREIGN = "https://foreign.example"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of our own, and nothing in the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def save_token(path, text="hf_saved\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def token():
    found = environment.token_from_environment()
    return found and found.get_secret_value()


class TestSpace:
    def test_the_public_space_is_the_default(self):
        assert ChatQwenSpace().space == "Qwen/Qwen2.5"

    def test_the_environment_names_another(self, monkeypatch):
        monkeypatch.setenv("QWEN_SPACE", "https://huggingface.co/spaces/Owner/Name")
        assert environment.space_from_environment() == "https://huggingface.co/spaces/Owner/Name"
        assert ChatQwenSpace(space="Other/Name").space == "Other/Name"

    @pytest.mark.parametrize(
        "url",
        [
            "https://huggingface.co/spaces/Owner/Name",
            "https://huggingface.co/spaces/Owner/Name/",
            "https://huggingface.co/spaces/Owner/Name/tree/main?a=b",
            " Owner/Name ",
        ],
    )
    def test_the_environments_is_put_into_one_spelling_too(self, url, monkeypatch):
        monkeypatch.setenv("QWEN_SPACE", url)
        assert ChatQwenSpace().space == "Owner/Name"
        monkeypatch.setenv("QWEN_SPACE", f"https://x.hf.space/?a=b,{url}")
        assert ChatQwenSpace().space == ["https://x.hf.space", "Owner/Name"]

    @pytest.mark.parametrize(
        "value",
        [
            *("http://ann:s3cret-word@host", "https://s3cret-word@x.hf.space/"),
            *("Owner/Name, http://ann:s3cret-word@host", "ann:s3cret-word@host"),
            *("http://ann:s3cret-word@host:port", "ftp://ann:s3cret-word@host"),
        ],
    )
    def test_a_password_in_the_environment_is_refused_and_not_repeated(self, value, monkeypatch):
        monkeypatch.setenv("QWEN_SPACE", value)
        with pytest.raises(ValidationError) as caught:
            ChatQwenSpace()
        assert "space" in str(caught.value)
        for shown in (str(caught.value), repr(caught.value), repr(caught.value.__cause__)):
            assert "s3cret-word" not in shown

    @pytest.mark.parametrize("value", ["Qwen", "a/b/c", "http://", "ftp://host", "Owner/Name,x"])
    def test_what_is_no_space_is_refused_in_the_environment_too(self, value, monkeypatch):
        monkeypatch.setenv("QWEN_SPACE", value)
        with pytest.raises(ValidationError, match="space="):
            ChatQwenSpace()

    def test_a_space_twice_is_refused_in_the_environment_too(self, monkeypatch):
        monkeypatch.setenv("QWEN_SPACE", "Owner/Name,https://huggingface.co/spaces/Owner/Name")
        with pytest.raises(ValidationError, match="same Space twice"):
            ChatQwenSpace()

    def test_an_empty_variable_is_none(self, monkeypatch):
        monkeypatch.setenv("QWEN_SPACE", "")
        assert ChatQwenSpace().space == "Qwen/Qwen2.5"

    def test_one_that_is_given_is_put_into_one_spelling(self):
        assert ChatQwenSpace(space="https://X.hf.space/?a=b").space == "https://x.hf.space"
        assert ChatQwenSpace(base_url="Owner/Name").space == "Owner/Name"


class TestToken:
    def test_there_may_be_none(self):
        assert token() is None
        assert ChatQwenSpace().hf_token is None

    def test_the_variables_come_in_their_order(self, monkeypatch, home):
        save_token(home / ".cache/huggingface/token")
        assert token() == "hf_saved"
        monkeypatch.setenv("HUGGINGFACEHUB_API_TOKEN", "hf_second")
        assert token() == "hf_second"
        monkeypatch.setenv("HF_TOKEN", " hf_first\n")
        assert token() == "hf_first"
        monkeypatch.setenv("HF_TOKEN", " ")
        assert token() == "hf_second"

    def test_the_saved_login_is_where_the_client_library_puts_it(self, monkeypatch, home):
        save_token(home / ".cache/huggingface/token", "in the home")
        assert token() == "in the home"
        save_token(home / "xdg/huggingface/token", "in XDG_CACHE_HOME")
        monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
        assert token() == "in XDG_CACHE_HOME"
        save_token(home / "hf/token", "in HF_HOME")
        monkeypatch.setenv("HF_HOME", "~/hf")
        assert token() == "in HF_HOME"
        save_token(home / "mine", "at HF_TOKEN_PATH")
        monkeypatch.setenv("HF_TOKEN_PATH", str(home / "mine"))
        assert token() == "at HF_TOKEN_PATH"

    @pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
    def test_a_saved_file_without_a_token_counts_for_nothing(self, home, content):
        path = home / ".cache/huggingface/token"
        save_token(path)
        path.write_bytes(content)
        assert token() is None

    def test_what_cannot_be_read_counts_for_nothing(self, home, monkeypatch):
        (home / "directory").mkdir()
        monkeypatch.setenv("HF_TOKEN_PATH", str(home / "directory"))
        assert token() is None

    def test_a_user_without_a_home_has_no_token(self, monkeypatch):
        monkeypatch.delenv("HOME")
        pwd = pytest.importorskip("pwd")
        monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
        with pytest.raises(RuntimeError):
            Path("~").expanduser()
        assert token() is None


def is_shown(model, url):
    """Whether the model's token goes to `url`."""
    return bool(model._target().access.token_headers(URL(url)))


def configured(model):
    """The model as `configurable_fields` builds it again for a call."""
    fields = model.configurable_fields(temperature=ConfigurableField(id="t"))
    built, _ = fields.prepare({"configurable": {"t": 0.5}})
    assert built.temperature == 0.5
    return built


REBUILT = {
    "as it was made": lambda model: model,
    "pickled": lambda model: pickle.loads(pickle.dumps(model)),
    "copied": copy.copy,
    "copied deeply": copy.deepcopy,
    "copied by pydantic": lambda model: model.model_copy(update={"temperature": 0.5}, deep=True),
    "configured": configured,
    "made of its fields": lambda model: ChatQwenSpace(
        **{name: getattr(model, name) for name in ChatQwenSpace.model_fields}
    ),
    "validated again": lambda model: ChatQwenSpace.model_validate(model.model_dump()),
    "all of it": lambda model: configured(copy.deepcopy(pickle.loads(pickle.dumps(model)))),
}


@pytest.mark.parametrize("rebuilt", REBUILT.values(), ids=REBUILT.keys())
class TestRebuilding:
    """Where a token came from is not forgotten, whatever happens to the model."""

    def test_a_token_that_was_found_goes_to_spaces_only(self, rebuilt, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_found")
        model = rebuilt(ChatQwenSpace(space=FOREIGN))
        assert isinstance(model.hf_token, EnvironmentSecret)
        assert model.hf_token.get_secret_value() == "hf_found"
        assert not is_shown(model, FOREIGN)
        assert is_shown(model, "https://owner-name.hf.space")

    def test_a_token_that_was_given_goes_to_the_url_given_too(self, rebuilt, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_found")
        for given in ("hf_given", SecretStr("hf_given")):
            model = rebuilt(ChatQwenSpace(space=FOREIGN, hf_token=given))
            assert model.hf_token.get_secret_value() == "hf_given"
            assert is_shown(model, FOREIGN)
            assert not is_shown(model, "https://other.example")

    def test_a_model_without_a_token_finds_none_later(self, rebuilt, monkeypatch):
        model = ChatQwenSpace(space=FOREIGN)
        monkeypatch.setenv("HF_TOKEN", "hf_found_later")
        assert rebuilt(model).hf_token is None

    def test_every_other_setting_stays(self, rebuilt):
        model = ChatQwenSpace(
            space=FOREIGN,
            model="7B",
            proxy="http://user:hunter2@proxy:1",
            stop="x",
            inputs={"query": 0},
            temperature=0.5,
        )
        again = rebuilt(model)
        assert again._target().access == model._target().access
        assert again._target().options == model._target().options
        assert again._identifying_params == model._identifying_params


@pytest.mark.parametrize("kind", ["pickled", "copied", "copied deeply", "configured", "all of it"])
def test_a_login_stays_with_its_model(kind):
    model = ChatQwenSpace(space=FOREIGN, auth=("joe", "hunter2"))
    assert REBUILT[kind](model)._target().access.auth == ("joe", "hunter2")
    assert "auth" not in model.model_dump()
    assert "joe" not in dumps(model)


class Locked:
    """What cannot be copied or pickled: it waits, listens or answers for the program."""

    def __init__(self):
        self.lock = threading.Lock()
        self.events = []

    def listen(self, event):
        self.events.append(event)

    async def answer(self, request):
        raise OSError


class LockedCache(InMemoryCache):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def shared_things():
    return {
        "on_event": Locked().listen,
        "transport": Locked().answer,
        "custom_get_token_ids": lambda text, lock=threading.Lock(): [len(text)],  # noqa: B008
        "cache": LockedCache(),
        "rate_limiter": InMemoryRateLimiter(requests_per_second=100),
        "callbacks": [UsageMetadataCallbackHandler()],
    }


@pytest.mark.parametrize("name", shared_things())
@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda model: model.model_copy(deep=True),
        lambda model: model.model_copy(update={"temperature": 0.5}, deep=True),
        lambda model: copy.deepcopy({"model": model, "again": model})["again"],
    ],
)
def test_a_deep_copy_shares_what_works_for_the_model(name, copied):
    thing = shared_things()[name]
    model = ChatQwenSpace(space=FOREIGN, inputs={"query": 0}, **{name: thing})
    again = copied(model)
    assert getattr(again, name) == thing
    assert again.inputs == model.inputs
    assert again.inputs is not model.inputs
    if name == "callbacks":
        assert again.callbacks is not model.callbacks
        assert again.callbacks[0] is thing[0]


def test_a_rate_limiter_is_pickled_by_its_settings():
    limiter = InMemoryRateLimiter(
        requests_per_second=3, check_every_n_seconds=0.5, max_bucket_size=7
    )
    model = ChatQwenSpace(rate_limiter=limiter)
    again = pickle.loads(pickle.dumps(model)).rate_limiter
    assert type(again) is InMemoryRateLimiter
    assert again is not limiter
    for name in ("requests_per_second", "check_every_n_seconds", "max_bucket_size"):
        assert getattr(again, name) == getattr(limiter, name)
    assert model.rate_limiter is limiter


class TestProxy:
    def test_the_environment_names_one(self, monkeypatch):
        assert ChatQwenSpace().proxy is None
        monkeypatch.setenv("QWEN_SPACE_PROXY", "")
        assert ChatQwenSpace().proxy is None
        monkeypatch.setenv("QWEN_SPACE_PROXY", "http://user:hunter2@proxy:1")
        assert ChatQwenSpace()._target().access.proxy == "http://user:hunter2@proxy:1"
        assert ChatQwenSpace(proxy="http://other:1")._target().access.proxy == "http://other:1"

    @pytest.mark.parametrize("value", ["socks5://user:hunter2@proxy", "http://u:hunter2@proxy:bad"])
    def test_what_is_refused_as_a_setting_is_refused_in_the_variable(self, monkeypatch, value):
        monkeypatch.setenv("QWEN_SPACE_PROXY", value)
        with pytest.raises(ValidationError, match="proxy") as caught:
            ChatQwenSpace()
        assert "hunter2" not in str(caught.value)


class TestSecrets:
    """What a model shows of itself."""

    def test_nothing_that_a_model_prints_holds_a_secret(self):
        model = ChatQwenSpace(
            hf_token="hunter1",
            proxy="http://user:hunter2@proxy:1",
            auth=("joe", "hunter3"),
        )
        texts = [repr(model), str(model), dumps(model), str(model.model_dump())]
        texts += [model.model_dump_json(), str(model._identifying_params), repr(model._target())]
        texts += [str(model._get_ls_params()), repr(model._target().access), str(vars(model))]
        assert not any("hunter" in text for text in texts)

    @pytest.mark.parametrize(
        "settings",
        [
            {"space": "https://user:hunter2@host.example"},
            {"space": "https://user:hunter2@host:bad"},
            {"proxy": "socks5://user:hunter2@proxy"},
            {"proxy": "http://user:hunter2@proxy:bad"},
            {"hf_token": ["hunter2"]},
            {"auth": ("joe", "hunter2", "too much")},
            {"hf_token": "hunter2", "api_key": "hunter2"},
        ],
    )
    def test_a_refused_setting_is_not_told(self, settings):
        with pytest.raises(ValidationError) as caught:
            ChatQwenSpace(**settings)
        assert next(iter(settings)) in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in repr(caught.value)


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_a_token_of_the_environment_stays_one_when_a_model_is_saved_and_loaded(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    loaded = loads(
        dumps(ChatQwenSpace()),
        allowed_objects=[ChatQwenSpace],
        valid_namespaces=["langchain_qwen_space"],
        secrets_from_env=True,
    )
    assert isinstance(loaded.hf_token, environment.EnvironmentSecret)


@pytest.mark.parametrize("message", [("human", "Hello"), {"role": "user", "content": "Hello"}])
def test_tokens_are_counted_of_messages_in_every_form(message):
    model = ChatQwenSpace()
    expected = model.get_num_tokens_from_messages([HumanMessage("Hello")])
    assert model.get_num_tokens_from_messages([message]) == expected


class Listening:
    async def __call__(self, event):
        """Hear an event."""


@pytest.mark.parametrize("listener", [Listening().__call__, Listening()])
def test_an_async_listener_is_refused_as_nothing_awaits_it(listener):
    with pytest.raises(ValidationError, match="plain function"):
        ChatQwenSpace(on_event=listener)


def test_the_content_of_another_providers_answers_is_refused():
    for name in (None, "v0", "v1"):
        assert ChatQwenSpace(output_version=name).output_version == name
    with pytest.raises(ValidationError, match="standard content blocks"):
        ChatQwenSpace(output_version="responses/v1")
