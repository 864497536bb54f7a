"""How an answer's Markdown is drawn, and what it cannot do."""

import json

import pytest

from tests.heavy.agent_page.visiting import answered, expect, visit

pytestmark = pytest.mark.heavy

PAGE = r"""echo: # A heading

Some **bold**, `code`, <b>no bold</b>, [a link](https://example.org/), $a^2 + b^2$ and \(c^2\). It costs $5 or $10.

| planet | moons |
| --- | ---: |
| Mars | 2 |

```python
def f(x: int) -> str:
    return "<i>"
```

\[
\int_0^1 x \, dx
= \frac12
\]

1. one
   - inner
2. two
"""

ATTACKS = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[press](javascript:alert(1))",
    "![x](javascript:alert(1))",
    '[a](https://example.org/" onclick="alert(1))',
    r"$\href{javascript:alert(1)}{x}$",
    "```<img src=x onerror=alert(1)>\n<svg onload=alert(1)>\n```",
    '<a href="javascript:alert(1)">x</a>',
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
]


async def test_markdown_is_drawn_with_code_tables_and_formulas(browser, url):
    page = await visit(browser, url)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    await answered(page, PAGE)
    text = page.locator(".text")
    await expect(text.locator("h1")).to_have_text("A heading")
    await expect(text.locator("strong")).to_have_text("bold")
    await expect(text.locator("p").first).to_contain_text("<b>no bold</b>")
    await expect(text.locator("p").first).to_contain_text("It costs $5 or $10.")
    await expect(text.locator("a")).to_have_attribute("rel", "noopener noreferrer")
    await expect(text.locator("td")).to_have_text(["Mars", "2"])
    await expect(text.locator(".hljs-keyword").first).to_have_text("def")
    await expect(text.locator("pre code")).to_contain_text('return "<i>"')
    await expect(text.locator(".math math")).to_have_count(2)
    await expect(text.locator(".formula math[display=block] mfrac")).to_have_count(1)
    await expect(text.locator("ol ul li")).to_have_text("inner")
    assert page.faults == []
    assert all(request.startswith(url) for request in requests)


async def test_what_a_model_writes_runs_nothing_and_loads_nothing(browser, url):
    page = await visit(browser, url)
    requests, dialogs = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await answered(
        page, "echo: " + "\n\n".join([*ATTACKS, "![a picture](https://example.org/p.png)"])
    )
    text = page.locator(".text")
    await expect(text).to_contain_text("<img src=x onerror=alert(1)>")
    assert await text.locator("img, script, svg:not(.icon svg), iframe, [onclick]").count() == 0
    links = await text.locator("a").evaluate_all("links => links.map(link => link.protocol)")
    assert set(links) <= {"https:", ":"}
    await expect(text.get_by_role("link", name="a picture")).to_be_visible()  # loaded when asked
    assert dialogs == []
    assert all(request.startswith(url) for request in requests)


async def test_what_a_tool_is_given_and_returns_runs_nothing(browser, url):
    page = await visit(browser, url)
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    attack = " ".join([ATTACKS[0], ATTACKS[1], ATTACKS[8]])
    calls = [{"name": "save_note", "arguments": {"text": attack}}, {"name": "list_notes"}]
    for number, call in enumerate(calls):
        text = json.dumps({"arguments": {}, **call})
        await answered(page, f"echo: <tool_call>\n{text}\n</tool_call>")
        card = page.locator(".turn").nth(number).locator("details").first
        await card.locator("summary").click()
        await expect(card.locator(".state")).to_have_text("Done")
        await expect(card).to_contain_text(attack)
        assert await card.locator("img, script, style").count() == 0
    await page.reload()
    await expect(page.locator(".turn")).to_have_count(2)
    assert await page.locator(".turn :is(img, script, style)").count() == 0
    assert dialogs == []


async def test_what_the_renderer_gave_is_sanitized_too(browser, url):
    """The second wall, by itself: marked is made to let everything through."""
    page = await visit(browser, url)
    await page.route(
        "**/static/vendor/marked.umd.js",
        lambda route: route.fulfill(
            content_type="text/javascript",
            body="""globalThis.marked = {Marked: class {
                lexer(source) { return [{type: "html", source}]; }
                parser([token]) { return token.source; }
            }};""",
        ),
    )
    await page.reload()
    await answered(page, "echo: " + " ".join([*ATTACKS[:2], ATTACKS[7], "<b>bold</b>"]))
    text = page.locator(".text")
    await expect(text.locator("b")).to_have_text("bold")
    assert await text.locator("script, [onerror], a[href]").count() == 0


async def test_a_long_answer_is_drawn_while_it_grows_and_keeps_what_is_selected(browser, url):
    page = await visit(browser, url)
    words = "\n\n".join(f"Paragraph {number} of **many**." for number in range(40))
    await page.locator("#question").fill(f"echo: {words}")
    await page.keyboard.press("Enter")
    first = page.locator(".text p").first
    await expect(first).to_have_text("Paragraph 0 of many.")
    await expect(page.locator(".text p").nth(1)).to_be_attached()
    await page.evaluate("p => getSelection().selectAllChildren(p)", await first.element_handle())
    await expect(page.locator(".text p")).to_have_count(40)
    assert await page.evaluate("String(getSelection())") == "Paragraph 0 of many."


FORMULAS = {
    "$x$": 1,
    "$5 and $10": 0,
    r"\$x\$": 0,
    "`$x$`": 0,
    "```\n$$x$$\n```": 0,
    "$$\nx\n\n- y\n$$": 1,
    r"\[ a \] and \( b \)": 2,
    "$$x$$ and $$y$$": 2,
    "$unfinished": 0,
}


async def test_what_is_a_formula(browser, url):
    page = await visit(browser, url)
    found = await page.evaluate(
        """async sources => {
            const { render } = await import("./static/markdown.js");
            return sources.map(source => {
                const box = document.createElement("div");
                render(box, source);
                return box.querySelectorAll("math").length;
            });
        }""",
        list(FORMULAS),
    )
    assert dict(zip(FORMULAS, found, strict=True)) == FORMULAS
