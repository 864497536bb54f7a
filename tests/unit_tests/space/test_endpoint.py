import json
import logging
import time

import pytest
from yarl import URL

from langchain_qwen_space.errors import InvalidInputError, UnsupportedSpaceError
from langchain_qwen_space.space.chat.chatbot import Form
from langchain_qwen_space.space.chat.finding import Wanted, find_endpoint
from langchain_qwen_space.space.page.config import read_config
from langchain_qwen_space.space.routing import filled_page
from tests import replay
from tests.unit_tests.space import pages
from tests.unit_tests.space.pages import SYSTEM, Page

MODELS = (
    *("72B", "32B", "14B", "7B", "3B", "1.5B", "0.5B"),
    *("Math-72B", "Math-7B", "Math-1.5B", "Coder-7B", "Coder-1.5B"),
)


def find(config, **options):
    config = config.config if isinstance(config, Page) else config
    return find_endpoint(
        read_config(config, URL("http://x"), "Space X"), "Space X", Wanted(**options)
    )


def labels(endpoint):
    """The roles of an endpoint and the labels of their inputs."""
    return {role: endpoint.inputs[index].label for role, index in endpoint.roles.items()}


def arguments_of(endpoint, *, query="q", history=(), given=None, extra=None):
    """What the first function of a chat is called with, and what could not be sent."""
    changed, notes = endpoint.lay_out(
        query=query, history=history, given=given or {}, extra=extra or {}
    )
    values = endpoint.values(changed)
    return [values[number] for number in endpoint.steps[0].inputs], notes


@pytest.mark.parametrize("folder", replay.FOLDERS)
def test_the_recorded_spaces_chat_with_their_fourth_function(folder):
    endpoint = find(replay.config(folder))
    assert endpoint.steps[0].id == 3
    assert endpoint.api_name == "model_chat"
    assert endpoint.roles == {"query": 0, "history": 1, "system": 2, "model": 3}
    assert endpoint.models == MODELS
    assert endpoint.default_model == "72B"
    assert endpoint.inputs[2].default == SYSTEM
    assert endpoint.output_of(endpoint.steps[-1]) == 1
    assert endpoint.streams
    assert endpoint.queues
    assert endpoint.history_fn is None


def test_the_coder_demo_has_settings_and_no_model():
    endpoint = find(pages.coder_demo())
    assert endpoint.api_name == "model_chat"
    assert endpoint.roles == {
        "query": 0,
        "history": 1,
        "system": 2,
        "temperature": 3,
        "top_p": 4,
        "max_tokens": 5,
    }
    assert endpoint.models == ()
    assert endpoint.default_model is None
    assert endpoint.form is Form.PAIRS


def test_the_older_spaces_have_a_system_prompt_that_is_seen():
    endpoint = find(pages.older_demo())
    assert endpoint.steps[0].id == 1
    assert endpoint.roles == {"query": 0, "history": 1, "system": 2}
    assert endpoint.output_of(endpoint.steps[-1]) == 1
    assert endpoint.form is Form.PAIRS


def test_a_duplicate_may_rename_and_reorder_everything():
    endpoint = find(pages.renamed())
    assert endpoint.api_name == "respond"
    assert endpoint.roles == {"query": 3, "history": 2, "system": 0, "model": 1}
    assert endpoint.models == ("Qwen2.5-72B-Instruct", "Qwen2.5-7B-Instruct")
    assert endpoint.default_model == "Qwen2.5-7B-Instruct"
    assert endpoint.output_of(endpoint.steps[-1]) == 0
    assert endpoint.form is Form.PARTS


def test_of_several_functions_the_one_that_chats_is_taken():
    endpoint = find(pages.several())
    assert endpoint.title == "/chat"
    assert labels(endpoint) == {
        "query": "Input",
        "history": "Chat",
        "system": "Instructions for it",
    }
    assert endpoint.form is Form.MESSAGES


@pytest.mark.parametrize("version", ["4.44.1", "5.50.0", "6.31.0"])
def test_a_chat_interface_with_additional_inputs(version):
    endpoint = find(pages.chat_interface(version))
    assert endpoint.title == ("/respond" if version >= "6" else "/chat")
    assert labels(endpoint) == {
        "query": "Message" if version < "5" else "",
        "system": "System prompt",
        "temperature": "Temperature",
        "max_tokens": "Max tokens",
    }
    assert endpoint.form is Form.REPLY
    assert endpoint.output_of(endpoint.steps[-1]) == 0
    history = {"4.44.1": None, "5.50.0": 2, "6.31.0": 2}[version]
    assert endpoint.history_fn == history
    if history is not None:
        assert endpoint.history_form is (Form.PARTS if version >= "6" else Form.MESSAGES)


@pytest.mark.parametrize("version", ["4.44.1", "5.50.0", "6.31.0"])
@pytest.mark.parametrize("multimodal", [True, False])
def test_a_plain_chat_interface(version, multimodal):
    endpoint = find(pages.chat_interface(version, extras=False, multimodal=multimodal))
    assert endpoint.roles == {"query": 0}
    arguments, notes = arguments_of(endpoint, history=[("a", "b")])
    assert arguments == [{"text": "q", "files": []} if multimodal else "q", None]
    assert notes == []


def test_functions_that_the_api_page_does_not_show_come_last():
    page = Page()
    chatbot, query = page.add("chatbot", "Chat"), page.add("textbox", "Input")
    system = page.add("textbox", "System prompt", SYSTEM)
    page.call("inner", [query, chatbot, system], [query, chatbot], show_api=False)
    page.call("private", [query, chatbot, system], [query, chatbot], api_visibility="private")
    page.call("outer", [query, chatbot], [query, chatbot])
    assert find(page).title == "/outer"
    del page.config["dependencies"][2]
    assert find(page).title == "/inner"


def test_a_generator_goes_before_a_plain_function():
    page = Page()
    chatbot, query = page.add("chatbot", "Chat"), page.add("textbox", "Input")
    system = page.add("textbox", "System prompt", SYSTEM)
    page.call("whole", [query, chatbot, system], [query, chatbot], generator=False)
    page.call("streamed", [query, chatbot], [query, chatbot])
    assert find(page).title == "/streamed"
    del page.config["dependencies"][1]
    assert not find(page).streams


def test_enter_goes_before_a_button_that_streams_and_takes_more():
    page = Page()
    chatbot, query = page.add("chatbot", "Chat"), page.add("textbox", "Input")
    button = page.add("button", value="Regenerate")
    system = page.add("textbox", "System prompt", SYSTEM)
    page.call("again", [query, chatbot, system], [query, chatbot], on=(button, "click"))
    page.call("ask", [query, chatbot], [query, chatbot], on=(query, "submit"), generator=False)
    assert find(page).title == "/ask"


def test_a_step_for_a_failure_is_not_in_the_chain():
    page = Page()
    chatbot, query = page.add("chatbot", "Chat"), page.add("textbox", "Input")
    ask = page.call("ask", [query, chatbot], [chatbot], on=(query, "submit"))
    after = {"trigger_after": ask, "on": (None, "then")}
    page.call("apologize", [chatbot], [chatbot], trigger_only_on_failure=True, **after)
    page.call("enrich", [chatbot], [chatbot], trigger_only_on_success=True, **after)
    assert [step.api_name for step in find(page).steps] == ["ask", "enrich"]


def test_what_the_page_fills_when_it_is_opened_is_filled_first():
    page = Page()
    query, note = page.add("textbox", "Message"), page.add("markdown")
    first = [{"role": "assistant", "content": "Hi."}]
    chatbot = page.add("chatbot", "Chat", first, type="messages")
    visit = page.add("textbox", None, "", visible=False)
    opened = {"on": (None, "load"), "generator": False}
    page.call("notice", [], [note, query], **opened)
    page.call("enter", [], [visit], **opened)
    page.call("greet", [], [chatbot], **opened)
    page.call("chat", [query, chatbot, visit], [chatbot], on=(query, "submit"))
    endpoint = find(page)
    assert [step.api_name for step in endpoint.loads] == ["enter", "greet"]
    changed, _ = endpoint.lay_out(query="q", history=[("a", "b")], given={}, extra={})
    values = endpoint.values(changed)
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert values == {query: "q", chatbot: [*first, *turns], visit: ""}
    greeted = [{"role": "assistant", "content": "Welcome."}]
    opened_values = endpoint.opened_values(values, {visit: "v", chatbot: greeted}, changed)
    assert opened_values == {query: "q", chatbot: [*greeted, *turns], visit: "v"}


def test_the_greeting_of_a_chat_interface_stays_before_earlier_turns():
    page = pages.chat_interface("5.50.0")
    page.config["components"][0]["props"]["value"] = [{"role": "assistant", "content": "Hi."}]
    endpoint = find(page)
    number, (value,) = endpoint.history_call([("a", "b")], [(), ()])
    assert number == endpoint.history_fn
    assert [message["content"] for message in value] == ["Hi.", "a", "b"]
    assert endpoint.history_call([], []) is None


def test_of_two_chats_the_first_is_taken_and_the_log_says_so(caplog):
    with caplog.at_level(logging.INFO):
        assert find(pages.two_chats()).title == "/chat_left"
    assert "Using /chat_left, not /chat_right; name another with start=" in caplog.text


@pytest.mark.parametrize("name", ["chat_right", "/chat_right"])
def test_a_function_can_be_named(name, caplog):
    with caplog.at_level(logging.INFO):
        assert find(pages.two_chats(), api_name=name).title == "/chat_right"
    assert "name another" not in caplog.text


def test_a_function_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InvalidInputError, match=r"no function '/chat'; it has /chat_left, /cha"):
        find(pages.two_chats(), api_name="/chat")


def test_an_input_without_a_telling_label_is_settled_by_the_user(caplog):
    page = Page()
    first, second = page.add("textbox", "First"), page.add("textbox", "Second")
    chatbot = page.add("chatbot", "Chat")
    page.call("clear", [], [chatbot], generator=False)
    page.call("other", [first], [first])
    page.call("ask", [first, second, chatbot], [chatbot])
    with caplog.at_level(logging.INFO):
        assert find(page).roles == {"query": 0, "history": 2}
    assert "'First' is used as the query, but it might be 'Second'" in caplog.text
    for place in ("Second", 1):
        endpoint = find(page, inputs={"query": place})
        assert endpoint.title == "/ask"
        assert endpoint.roles == {"query": 1, "history": 2}
        assert endpoint.doubts == ()


def test_inputs_are_settled_by_label_or_index_in_the_function_that_has_them():
    page = pages.several()
    endpoint = find(page, inputs={"system": "Input", "query": "Instructions for it"})
    assert endpoint.title == "/chat"
    assert endpoint.roles == {"system": 0, "query": 2, "history": 1}
    assert find(page, inputs={"query": 2}).roles["query"] == 2


@pytest.mark.parametrize("place", ["Nothing", 9, -1])
def test_an_input_that_is_nowhere_is_refused_with_those_that_are(place):
    with pytest.raises(InvalidInputError, match=rf"no input {place!r} for query.*'Source t"):
        find(pages.several(), inputs={"query": place})
    with pytest.raises(InvalidInputError, match="it has 'Input', 'Chat', 'Instructions for it'"):
        find(pages.several(), inputs={"query": place}, api_name="chat")


def test_a_role_that_is_none_is_refused():
    with pytest.raises(InvalidInputError, match=r"no role \{'prompt'\}; the roles are \('query'"):
        find(pages.several(), inputs={"prompt": "Input"})


def test_a_chatbot_may_be_settled_too():
    page = Page()
    first, second = page.add("chatbot", "First"), page.add("chatbot", "Second")
    query = page.add("textbox", "Input")
    page.call("ask", [query, first, second], [second, first])
    endpoint = find(page)
    assert endpoint.output_of(endpoint.steps[-1]) == 1
    endpoint = find(page, inputs={"history": "Second"})
    assert endpoint.roles == {"query": 0, "history": 2}
    assert endpoint.output_of(endpoint.steps[-1]) == 0


def test_an_app_without_a_chat_is_not_supported():
    with pytest.raises(UnsupportedSpaceError, match="No function of Space X takes text from a box"):
        find(pages.not_a_chat())
    with pytest.raises(
        UnsupportedSpaceError, match=r"start='translate', inputs=\{'query': 'Source"
    ):
        find(pages.not_a_chat(), api_name="draw")


def test_the_advice_names_the_right_one_of_two_boxes_with_one_label():
    page = Page()
    first, second = page.add("textbox", "Text"), page.add("textbox", "Text")
    output = page.add("textbox", "Result")
    page.call("go", [first, second], [output], on=(second, "submit"))
    with pytest.raises(UnsupportedSpaceError, match=r"start='go', inputs=\{'query': 1\}"):
        find(page)
    assert find(page, start="go", inputs={"query": 1}).roles["query"] == 1


@pytest.mark.parametrize("kind", ["chatbot alone", "no query", "no output", "no function"])
def test_half_a_chat_is_none(kind):
    page = Page()
    chatbot, query = page.add("chatbot", "Chat"), page.add("textbox", "Input")
    system = page.add("textbox", "System prompt")
    inputs = {"chatbot alone": [chatbot], "no query": [chatbot, system]}.get(kind, [query, chatbot])
    outputs = [query] if kind == "no output" else [chatbot]
    page.call("chat", inputs, outputs, backend_fn=kind != "no function")
    with pytest.raises(UnsupportedSpaceError):
        find(page)


def test_a_function_of_very_many_inputs_is_no_chat():
    page = Page()
    chatbot, query = page.add("chatbot", "Chat"), page.add("textbox", "Input")
    page.call("chat", [query, chatbot], [chatbot])
    assert find(page)
    page.config["dependencies"][0]["inputs"] += [query] * 100
    with pytest.raises(UnsupportedSpaceError):
        find(page)


def test_components_that_the_page_does_not_describe_are_left_alone():
    page = Page()
    chatbot, query = page.add("chatbot", "Chat"), page.add("textbox", "Input")
    page.call("load", [900], [901])
    page.call("chat", [query, chatbot, 902], [chatbot, 903])
    endpoint = find(page)
    assert endpoint.title == "/chat"
    assert arguments_of(endpoint)[0] == ["q", [], None]


class TestRoles:
    """Which input is what, where their order tells nothing."""

    @staticmethod
    def roles(*boxes, clears=(), submits=()):
        page = Page()
        numbers = [page.add(kind, label, value, **props) for kind, label, value, props in boxes]
        chatbot = page.add("chatbot", "Chat")
        page.call("chat", [*numbers, chatbot], [chatbot, *(numbers[index] for index in clears)])
        for index in submits:
            page.call(None, [], [], on=(numbers[index], "submit"), generator=False)
        found = find(page).roles
        return {role: index for role, index in found.items() if role != "history"}

    def test_the_box_whose_enter_key_submits_is_the_query(self):
        boxes = [("textbox", "A", None, {}), ("textbox", "B", None, {})]
        assert self.roles(*boxes, submits=[1]) == {"query": 1}

    def test_the_box_that_is_emptied_is_the_query(self):
        boxes = [("textbox", "A", None, {}), ("textbox", "B", None, {})]
        assert self.roles(*boxes, clears=[1]) == {"query": 1}

    def test_a_box_with_words_in_it_is_rather_not_the_query(self):
        boxes = [("textbox", "Message style", "formal", {}), ("textbox", "B", None, {})]
        assert self.roles(*boxes) == {"query": 1}

    @pytest.mark.parametrize(
        "label", ["Your message", "Input", "Ask a question", "输入", "请输入问题", "User"]
    )
    def test_a_label_tells_the_query(self, label):
        boxes = [("textbox", "Name", None, {}), ("textbox", label, None, {})]
        assert self.roles(*boxes) == {"query": 1}

    @pytest.mark.parametrize("label", ["System", "System prompt", "SYSTEM MESSAGE", "系统提示"])
    @pytest.mark.parametrize("value", [SYSTEM, "", None, "Be brief."])
    def test_a_label_tells_the_system_prompt(self, label, value):
        boxes = [("textbox", label, value, {}), ("textbox", "Message", None, {})]
        assert self.roles(*boxes) == {"query": 1, "system": 0}

    @pytest.mark.parametrize("value", [SYSTEM, "你是一个助手", "Act as an assistant"])
    def test_its_own_words_tell_the_system_prompt(self, value):
        boxes = [("textbox", "Persona", value, {}), ("textbox", "Message", None, {})]
        assert self.roles(*boxes) == {"query": 1, "system": 0}

    @pytest.mark.parametrize("visible", [False, "hidden"])
    def test_a_hidden_box_without_a_label_may_be_the_system_prompt(self, visible):
        box = {"visible": visible}
        query = ("textbox", "Message", None, {})
        assert self.roles(("textbox", None, "", box), query) == {"query": 1, "system": 0}
        assert self.roles(("textbox", None, "english", box), query) == {"query": 1}
        assert self.roles(("textbox", "Session", None, box), query) == {"query": 1}

    @pytest.mark.parametrize(("reads", "is_prompt"), [([], False), (["textbox"], True)])
    def test_a_hidden_box_that_a_function_makes_up_is_no_system_prompt(self, reads, is_prompt):
        page = Page()
        hidden = page.add("textbox", None, "", visible=False)
        query, chatbot = page.add("textbox", "Message"), page.add("chatbot", "Chat")
        shown = [page.add(kind, "Persona") for kind in reads]
        page.call("fill", shown, [hidden], on=(None, "load"), generator=False)
        page.call("chat", [hidden, query, chatbot], [chatbot], on=(query, "submit"))
        assert ("system" in find(page).roles) is is_prompt

    def test_a_box_for_a_password_has_no_role(self):
        boxes = [
            ("textbox", "Your message", None, {"type": "password"}),
            ("textbox", "System prompt", None, {"type": "password"}),
            ("textbox", None, None, {}),
        ]
        assert self.roles(*boxes, submits=[0]) == {"query": 2}

    def test_a_hidden_box_that_carries_the_question_is_no_setting(self):
        page = Page()
        query, chatbot = page.add("textbox", "Message"), page.add("chatbot", "Chat")
        stash = page.add("textbox", None, "", visible=False)
        stashed = page.call("stash", [query], [query, stash], on=(query, "submit"))
        page.call("chat", [stash, chatbot], [chatbot], trigger_after=stashed, on=(None, "then"))
        assert find(page).roles == {"query": 0, "history": 2}

    def test_a_visible_box_without_a_telling_label_is_no_system_prompt(self):
        boxes = [("textbox", "Language", "English", {}), ("textbox", "Message", None, {})]
        assert self.roles(*boxes) == {"query": 1}

    @pytest.mark.parametrize(
        ("kind", "label", "choices"),
        [
            ("radio", "Model", ["small", "large"]),
            ("dropdown", "模型", ["a", "b"]),
            ("dropdown", "Size", ["7B", "72B"]),
            ("radio", None, ["qwen2.5-7b-instruct"]),
        ],
    )
    def test_a_radio_or_dropdown_of_models(self, kind, label, choices):
        boxes = [(kind, label, None, {"choices": choices}), ("textbox", "Message", None, {})]
        assert self.roles(*boxes) == {"query": 1, "model": 0}

    @pytest.mark.parametrize(
        ("choices", "thinks"),
        [
            (["Thinking", "Non-thinking"], True),
            (["/think", "/no_think"], True),
            (["Quick answer", "Deep thinking"], True),
            (["思考模式", "非思考模式"], True),
            (["深度思考", "快速回答"], True),
            (["Short", "Long"], False),
            (["Thinking", "Reasoning"], False),
            (["Friendly", "Not friendly"], False),
        ],
    )
    def test_a_choice_between_thinking_and_not(self, choices, thinks):
        boxes = [("radio", "Mode", None, {"choices": choices}), ("textbox", "Message", None, {})]
        assert self.roles(*boxes) == {"query": 1} | ({"thinking": 0} if thinks else {})

    def test_a_choice_of_other_things_is_no_model(self):
        boxes = [
            ("dropdown", "Language", None, {"choices": ["English", "中文"]}),
            ("textbox", "Model", None, {}),
            ("textbox", "Message", None, {}),
        ]
        assert self.roles(*boxes) == {"query": 2}

    @pytest.mark.parametrize("kind", ["slider", "number"])
    @pytest.mark.parametrize(
        ("role", "label"),
        [
            ("temperature", "Temperature"),
            ("temperature", "温度"),
            ("top_p", "Top P"),
            ("top_p", "top-p (nucleus sampling)"),
            ("top_p", "top_p"),
            ("max_tokens", "Max new tokens"),
            ("max_tokens", "Max Length"),
            ("max_tokens", "Token limit (max)"),
            ("max_tokens", "最大长度"),
        ],
    )
    def test_a_label_tells_a_setting(self, kind, role, label):
        boxes = [
            ("textbox", label, None, {}),
            (kind, "Seed", 7, {}),
            (kind, label, 1, {}),
            ("textbox", "Message", None, {}),
        ]
        assert self.roles(*boxes) == {"query": 3, role: 2}

    def test_roles_are_reported_where_there_is_a_doubt(self, caplog):
        boxes = [("textbox", "Message", None, {}), ("number", "Temperature", 1, {})]
        with caplog.at_level(logging.INFO):
            roles = self.roles(*boxes, ("slider", "Temperature of it", 1, {}))
        assert roles == {"query": 0, "temperature": 1}
        assert "'Temperature' is used as the temperature" in caplog.text
        assert "inputs={'temperature': …}" in caplog.text


class TestArguments:
    """A prompt, laid out as the function's arguments."""

    @staticmethod
    def lay_out(page, *, query="q", history=(), given=None, extra=None):
        endpoint = find(page)
        return arguments_of(endpoint, query=query, history=history, given=given, extra=extra)

    def test_every_input_has_its_place(self):
        given = {"system": "s", "model": "Qwen2.5-72B-Instruct"}
        arguments, notes = self.lay_out(pages.renamed(), history=[("a", "b")], given=given)
        assert arguments == ["s", "Qwen2.5-72B-Instruct", Form.PARTS.write([("a", "b")]), "q"]
        assert notes == []

    def test_what_is_not_given_has_the_components_own_value(self):
        arguments, _ = self.lay_out(pages.coder_demo())
        assert arguments == ["q", [], SYSTEM, 0.7, 0.8, 4096]
        assert self.lay_out(pages.coder_demo(), given={"system": ""})[0][2] == ""

    def test_a_setting_is_put_into_its_range_with_a_note(self):
        given = {"temperature": 1.5, "top_p": 0.3, "max_tokens": 100}
        arguments, notes = self.lay_out(pages.coder_demo(), given=given)
        assert arguments[3:] == [1, 0.6, 512]
        assert notes == [
            "does not accept temperature=1.5; 1 was sent, the nearest value",
            "does not accept top_p=0.3; 0.6 was sent, the nearest value",
        ]

    def test_a_setting_without_an_input_is_noted(self):
        arguments, notes = self.lay_out(pages.renamed(), given={"temperature": 0.5})
        assert 0.5 not in arguments
        assert notes == ["has no input for temperature=0.5"]

    def test_other_inputs_are_set_by_their_label(self):
        extra = {"Temperature": 0.2, "System": "s"}
        with pytest.raises(InvalidInputError, match=r"no input 'System'; it has \['Input'"):
            self.lay_out(pages.coder_demo(), extra=extra)
        arguments, _ = self.lay_out(pages.coder_demo(), extra={"Temperature": 0.2})
        assert arguments[3] == 0.2

    @pytest.mark.parametrize(
        ("given", "extra"),
        [
            ({"temperature": "hot"}, {}),
            ({"temperature": float("nan")}, {}),
            ({"max_tokens": None}, {}),
            ({"max_tokens": 10**400}, {}),
            ({"system": 7}, {}),
            ({"system": "\ud800"}, {}),
            ({}, {"Temperature": 7}),
            ({}, {"Temperature": "x"}),
            ({}, {"Max Length": object()}),
        ],
    )
    def test_a_value_that_its_input_does_not_take_is_refused(self, given, extra):
        with pytest.raises(InvalidInputError):
            self.lay_out(pages.coder_demo(), given=given, extra=extra)

    def test_a_message_names_the_function_and_the_input(self):
        with pytest.raises(
            InvalidInputError, match="'Max Length' must be a number from 512 to 8192"
        ):
            self.lay_out(pages.coder_demo(), extra={"Max Length": 10})


def chosen(event="change", *, reads=True, fills="state", value="Qwen3-8B", label="Model"):
    """The choice of models that is found on a page whose chat does not read it."""
    page = Page()
    chatbot, query = page.add("chatbot", "Chat"), page.add("textbox", "Input")
    kept, shown = page.add("state"), page.add("markdown")
    choice = page.add("dropdown", label, value, choices=["Qwen3-8B", "Qwen3-32B"])
    filled = {"state": kept, "chatbot": chatbot, "markdown": shown, "query": query}[fills]
    page.call("choose", [choice] if reads else [], [filled], on=(choice, event))
    page.call("chat", [query, chatbot, kept], [query, chatbot], on=(query, "submit"))
    return find(page)


@pytest.mark.parametrize(("event", "reads"), [("change", True), ("input", True), ("select", False)])
def test_a_choice_whose_event_fills_what_the_chat_reads_offers_its_models(event, reads):
    endpoint = chosen(event, reads=reads)
    assert endpoint.models == ("Qwen3-8B", "Qwen3-32B")
    assert endpoint.default_model == "Qwen3-8B"
    assert endpoint.openings({}, [], {}) == endpoint.openings({}, [], {"model": "Qwen3-8B"}) == []
    (opening,) = endpoint.openings({}, [], {"model": "Qwen3-32B"})
    assert opening.step.api_name == "choose"
    assert dict(opening.values) == {4: "Qwen3-32B"}
    assert opening.event_data == {"index": 1, "value": "Qwen3-32B", "selected": True}


@pytest.mark.parametrize(
    "page",
    [
        {"fills": "chatbot"},
        {"fills": "markdown"},
        {"fills": "query"},
        {"event": "focus"},
        {"reads": False},
        {"value": None},
    ],
)
def test_other_events_and_choices_choose_no_model(page):
    endpoint = chosen(**page)
    assert not endpoint.controls
    assert endpoint.models == ()


@pytest.mark.parametrize(("kind", "form"), [("messages", Form.MESSAGES), ("tuples", Form.PAIRS)])
def test_a_conversation_that_no_chatbot_holds_is_written_as_the_chatbots_is(kind, form):
    page = Page()
    chatbot, query = page.add("chatbot", "Chat", type=kind), page.add("textbox", "Input")
    told = page.add("json", "Transcript", [])
    page.call("chat", [query, told], [query, chatbot])
    assert find(page, inputs={"history": "Transcript"}).form is form


class TestTexts:
    """Where the answer is, of a function that writes texts and that the user named."""

    @staticmethod
    def answer(*labels, asks=0):
        page = Page()
        texts = [page.add("textbox", label) for label in labels]
        page.call("ask", texts, texts, on=(texts[asks], "submit"))
        return find(page, start="ask", inputs={"query": labels[asks]}).answer

    def test_the_questions_own_box_is_not_where_another_is_written(self):
        assert self.answer("You", "Conversation") == 1
        assert self.answer("Prompt") == 0

    @pytest.mark.parametrize("label", ["Answer", "Model output", "回答", "응답"])
    def test_a_label_says_which_of_several(self, label):
        assert self.answer("You", "Status", label) == 2
        assert self.answer("You", label, "Sources") == 1

    def test_a_text_for_thoughts_comes_last(self):
        assert self.answer("You", "Thinking", "Text") == 2
        assert self.answer("You", "Thinking") == 1

    def test_a_hidden_text_is_none(self):
        page = Page()
        box, hidden = page.add("textbox", "You"), page.add("textbox", None, visible=False)
        shown = page.add("markdown")
        page.call("ask", [box], [hidden, shown], on=(box, "submit"))
        assert find(page, start="ask").answer == shown


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("Tool log", "Answer"), 1),
        (("Reasoning", "Agent"), 1),
        (("Agent", "Sources"), 0),
        (("Left", "Right"), 0),
    ],
)
@pytest.mark.parametrize("reads", [True, False])
def test_of_several_chatbots_one_for_tools_or_thoughts_is_not_the_answer(labels, expected, reads):
    page = Page()
    chatbots = [page.add("chatbot", label, type="messages") for label in labels]
    query = page.add("textbox", "Input")
    page.call("chat", [query, *(chatbots if reads else [])], chatbots, on=(query, "submit"))
    assert find(page).answer == chatbots[expected]


@pytest.mark.parametrize(
    ("button", "turns"),
    [
        ("🧹 Clear History (清除历史)", False),
        ("Reset", False),
        ("New chat", False),
        ("清空对话", False),
        ("新对话", False),
        ("초기화", False),
        ("🗑️", False),
        ("Regenerate", True),
        ("Load preset", True),
        ("Unclear?", True),
        ("清华大学", True),
        ("🤔️ Regenerate (重试)", True),
        ("重新生成", True),
    ],
)
def test_a_state_that_a_button_clears_with_the_chatbot_holds_the_conversation(button, turns):
    page = Page()
    chatbot, query = page.add("chatbot", "Chat", type="messages"), page.add("textbox", "Input")
    state, pressed = page.add("state"), page.add("button", value=button)
    page.call("chat", [query, chatbot, state], [chatbot], on=(query, "submit"))
    page.call("other", [chatbot, state], [chatbot], on=(pressed, "click"))
    assert find(page).turns is turns


class TestChanges:
    """Functions that the page calls because a function of the chain changed something."""

    def test_boxes_that_change_each_other_have_no_roles_of_a_conversation(self):
        page = Page()
        chatbot, query = page.add("chatbot", "Chat", type="messages"), page.add("textbox", "Input")
        boxes = [page.add("textbox", "One"), page.add("textbox", "Two")]
        page.call("show", [query, chatbot], [*boxes, chatbot], on=(query, "submit"))
        for number, box in enumerate(boxes):
            page.call(f"change_{number}", [box], [*boxes, chatbot], on=(box, "change"))
        names = [step.api_name for step in find(page).steps]
        assert names == ["show", "change_0", "change_1"]

    def test_a_value_that_is_nested_too_deeply_to_be_compared_counts_as_changed(self):
        values = [json.loads("[" * 900 + "]" * 900) for _ in range(2)]
        for _ in range(200):
            values = [[value] for value in values]
        assert filled_page._differs(*values)
        assert not filled_page._differs([1], [1])

    @staticmethod
    def steps(kind, *, visible=True, event="change", writes="chatbot"):
        page = Page()
        chatbot, query = page.add("chatbot", "Chat", type="messages"), page.add("textbox", "Input")
        kept, other = page.add(kind, "Kept", visible=visible), page.add("markdown")
        page.call("show", [query, chatbot], [kept, chatbot], on=(query, "submit"))
        written = chatbot if writes == "chatbot" else other
        page.call("answer", [chatbot], [written], on=(kept, event))
        return [step.api_name for step in find(page).steps]

    @pytest.mark.parametrize(
        ("kind", "visible"), [("state", True), ("textbox", False), ("textbox", True)]
    )
    def test_they_answer(self, kind, visible):
        assert self.steps(kind, visible=visible) == ["show", "answer"]

    @pytest.mark.parametrize(
        "page",
        [
            {"kind": "textbox", "event": "input"},
            {"kind": "state", "event": "select"},
            {"kind": "state", "writes": "other"},
        ],
    )
    def test_others_are_left_alone(self, page):
        assert self.steps(**page) == ["show"]

    @pytest.mark.parametrize("visible", [True, False])
    def test_many_that_change_one_box_are_followed_at_once(self, visible):
        page = Page()
        chatbot, query = page.add("chatbot", "Chat", type="messages"), page.add("textbox", "Input")
        box = page.add("textbox", "Kept", visible=visible)
        page.call("show", [query, chatbot], [chatbot, box], on=(query, "submit"))
        for number in range(80):
            page.call(f"call{number}", [box], [chatbot, box], on=(box, "change"))
        began = time.process_time()
        found = find(page)
        assert time.process_time() - began < 2
        assert len(found.steps) == 81
        assert set(found.called_by.values()) == {frozenset({box})}
