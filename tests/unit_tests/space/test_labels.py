"""What labels say, in the languages of public Spaces."""

import pytest
from yarl import URL

from langchain_qwen_space.space.chat.finding import find_endpoint
from langchain_qwen_space.space.page.config import read_config
from tests.unit_tests.space.pages import Page

KINDS = {"system": "textbox", "model": "dropdown", "thinking": "checkbox"}  # others are sliders
LABELS = {
    "English": {
        "query": ["Your message", "Ask a question", "User input"],
        "system": ["System prompt", "System message", "system_prompt", "System", "Instructions"],
        "model": ["Model", "Choose model: ", "Models", "model_name"],
        "temperature": ["Temperature", "temperature (0 = greedy)"],
        "top_p": ["Top P", "top_p", "Top-p (nucleus sampling)", "Nucleus"],
        "max_tokens": [
            *("Max new tokens", "Maximum length", "max_length", "Token limit (max)"),
            "Max length of the answer in a conversation",
        ],
        "thinking": ["Enable thinking", "Reasoning", "Think", "enable_thinking"],
        "thinking_budget": ["Thinking budget", "thinking_budget", "Reasoning tokens"],
    },
    "Chinese": {
        "query": ["输入", "请输入您的问题", "提问", "輸入訊息"],
        "system": ["系统提示词", "系统提示 (System Prompt)", "系統提示", "人设", "角色设定"],
        "model": ["模型", "选择模型", "模型选择"],
        "temperature": ["温度", "温度参数", "采样温度", "溫度"],
        "top_p": ["核采样", "核采样阈值", "Top-P 采样", "核採樣"],
        "max_tokens": [
            "最大 token 数",
            "最大长度",
            "最大生成长度",
            "最长回复",
            "最大長度",
            "最大令牌数",
        ],
        "thinking": ["深度思考", "思考模式", "启用推理", "啟用思考"],
        "thinking_budget": ["思考预算", "思考长度", "最大思考长度", "思考預算"],
    },
    "Korean": {
        "query": ["메시지", "질문", "질문을 입력하세요"],
        "system": ["시스템 프롬프트", "시스템 메시지"],
        "model": ["모델", "모델 선택"],
        "temperature": ["온도", "온도 (Temperature)"],
        "top_p": ["Top-p", "핵 샘플링"],
        "max_tokens": ["최대 토큰 수", "최대 길이", "최대 생성 길이"],
        "thinking": ["추론 모드", "생각하기", "사고 과정 사용"],
        "thinking_budget": ["추론 예산", "생각 예산", "사고 예산"],
    },
    "Japanese": {
        "query": ["メッセージ", "質問", "質問を入力"],
        "system": ["システムプロンプト", "システムメッセージ"],
        "model": ["モデル", "モデルを選択"],
        "temperature": ["温度", "温度 (Temperature)"],
        "top_p": ["Top-p", "核サンプリング"],
        "max_tokens": ["最大トークン数", "最大生成トークン数", "最大長", "最大文字長"],
        "thinking": ["思考モード", "推論を有効にする"],
        "thinking_budget": ["思考予算", "推論予算"],
    },
    "French": {
        "query": ["Votre message", "Votre question", "Posez une question"],
        "system": ["Prompt système", "Instructions système", "Message systeme"],
        "model": ["Modèle", "Choix du modèle", "Modele"],
        "temperature": ["Température", "Temperature"],
        "top_p": ["Top-p", "Top p (noyau)"],
        "max_tokens": [
            "Nombre maximal de tokens",
            "Longueur maximale",
            "Jetons maximum",
            "Max. tokens",
        ],
        "thinking": ["Activer la réflexion", "Mode raisonnement", "Raisonnement"],
        "thinking_budget": ["Budget de réflexion", "Budget de raisonnement"],
    },
    "German": {
        "query": ["Ihre Nachricht", "Frage", "Eingabe", "Deine Frage"],
        "system": ["Systemprompt", "System-Prompt", "Systemanweisung"],
        "model": ["Modell", "Modell wählen", "Sprachmodell"],
        "temperature": ["Temperatur"],
        "top_p": ["Top-p", "Nucleus-Sampling"],
        "max_tokens": [
            "Maximale Tokenzahl",
            "Maximale Antwortlänge",
            "Maximale Länge",
            "Höchstlänge",
        ],
        "thinking": ["Denken", "Denkmodus", "Nachdenken aktivieren"],
        "thinking_budget": ["Denkbudget", "Budget zum Nachdenken"],
    },
    "Spanish": {
        "query": ["Tu mensaje", "Pregunta", "Escribe tu pregunta"],
        "system": ["Prompt del sistema", "Mensaje del sistema", "Instrucciones del sistema"],
        "model": ["Modelo", "Elige un modelo", "Modelos"],
        "temperature": ["Temperatura"],
        "top_p": ["Top-p", "Top P (núcleo)"],
        "max_tokens": ["Máximo de tokens", "Longitud máxima", "Número máximo de tokens"],
        "thinking": ["Activar razonamiento", "Pensamiento", "Pensar"],
        "thinking_budget": ["Presupuesto de razonamiento", "Presupuesto de pensamiento"],
    },
    "Portuguese": {
        "query": ["Sua mensagem", "Pergunta", "Faça uma pergunta"],
        "system": ["Prompt do sistema", "Mensagem do sistema", "Instruções do sistema"],
        "model": ["Modelo", "Escolha o modelo"],
        "temperature": ["Temperatura", "🔥 Temperatura"],
        "top_p": ["Top-p"],
        "max_tokens": ["Máximo de tokens", "Comprimento máximo", "Número máximo de tokens"],
        "thinking": ["Ativar raciocínio", "Pensamento", "Pensar"],
        "thinking_budget": ["Orçamento de raciocínio", "Orçamento de pensamento"],
    },
    "Russian": {
        "query": ["Сообщение", "Ваш вопрос", "Введите сообщение"],
        "system": ["Системный промпт", "Системная инструкция"],
        "model": ["Модель", "Выберите модель"],
        "temperature": ["Температура"],
        "top_p": ["Top-p"],
        "max_tokens": ["Максимум токенов", "Макс. длина ответа", "Максимальное количество токенов"],
        "thinking": ["Режим размышлений", "Рассуждения", "Мышление"],
        "thinking_budget": ["Бюджет размышлений", "Бюджет рассуждений", "Бюджет мышления"],
    },
}
OTHERS = [
    ("slider", "Top-K 采样"),
    ("slider", "Top K"),
    ("slider", "Repetition penalty"),
    ("slider", "重复性惩罚"),
    ("slider", "Presence penalty"),
    ("slider", "最小长度"),
    ("slider", "最大轮数"),
    ("slider", "Max history length"),
    ("slider", "Maximum input tokens"),
    ("slider", "Max context length"),
    ("slider", "最大上下文长度"),
    ("slider", "最大输入长度"),
    ("slider", "最大入力トークン数"),
    ("slider", "최대 입력 길이"),
    ("slider", "Longueur maximale du contexte"),
    ("slider", "Maximale Länge des Verlaufs"),
    ("slider", "Longitud máxima del historial"),
    ("slider", "Comprimento máximo do contexto"),
    ("slider", "Макс. длина контекста"),
    ("slider", "Max images"),
    ("slider", "Nombre maximal d'images"),
    ("slider", "Maximale Anzahl Bilder"),
    ("slider", "Número máximo de imágenes"),
    ("slider", "Número máximo de imagens"),
    ("slider", "Максимум картинок"),
    ("slider", "최대 이미지 수"),
    ("slider", "最大枚数"),
    ("slider", "Seed"),
    ("checkbox", "Stream"),
    ("checkbox", "Web search"),
    ("dropdown", "Language"),
    ("dropdown", "Sprache"),
    ("textbox", "API key"),
    ("textbox", "Город"),
    ("textbox", "제목"),
]


def roles_of(page):
    config = read_config(page.config, URL("http://x"), "Space X")
    return find_endpoint(config, "Space X").roles


@pytest.mark.parametrize(
    ("role", "label"),
    [
        pytest.param(role, label, id=f"{language}-{role}-{label}")
        for language, roles in LABELS.items()
        for role, labels in roles.items()
        for label in labels
    ],
)
def test_a_label_gives_its_component_the_role(role, label):
    page = Page()
    chatbot, box = page.add("chatbot", "Chatbot"), page.add("textbox", "")
    if role == "query":  # only the label says which of two boxes it is
        asked = page.add("textbox", label)
        page.call("chat", [box, asked, chatbot], [chatbot])
        assert roles_of(page) == {"query": 1, "history": 2}
        return
    setting = page.add(KINDS.get(role, "slider"), label)
    page.call("chat", [box, chatbot, setting], [box, chatbot], on=(box, "submit"))
    assert roles_of(page) == {"query": 0, "history": 1, role: 2}


@pytest.mark.parametrize(("kind", "label"), OTHERS)
def test_other_labels_give_none(kind, label):
    page = Page()
    chatbot, box = page.add("chatbot", "Chatbot"), page.add("textbox", "")
    setting = page.add(kind, label)
    page.call("chat", [box, chatbot, setting], [box, chatbot], on=(box, "submit"))
    assert roles_of(page) == {"query": 0, "history": 1}


def test_every_language_has_labels_of_every_role():
    assert {frozenset(roles) for roles in LABELS.values()} == {frozenset(LABELS["English"])}
