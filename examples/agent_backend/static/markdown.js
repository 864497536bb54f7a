// Markdown -> elements. The text is a model's, so nothing in it is trusted: HTML is shown as text,
// images of other hosts become links, and what marked makes goes through DOMPurify. Formulas and
// code are drawn after that, from text alone.

import { copyButton } from "./parts.js";

const { Marked } = globalThis.marked;
const escape = text => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);

// $$…$$ and \[…\] stand on lines of their own, $…$ and \(…\) in a sentence. "$5 and $10" is money.
const BLOCK = /^(?:\$\$((?:(?!\$\$)[\s\S])+)\$\$|\\\[((?:(?!\\\])[\s\S])+)\\\])[ \t]*(?:\n|$)/;
const INLINE = /^(?:\$\$([^$]+?)\$\$|\\\[([\s\S]+?)\\\]|\\\(([\s\S]+?)\\\)|\$((?! )(?:\\.|[^$\\\n])+?)(?<! )\$(?!\d))/;

function formula(name, level, rule, begin) {
  return {
    name,
    level,
    start: source => source.match(begin)?.index,
    tokenizer(source) {
      const found = source.match(rule);
      if (!found) return undefined;
      const display = level === "block" || /^(\$\$|\\\[)/.test(found[0]);
      return { type: name, raw: found[0], display, text: found.slice(1).find(Boolean) };
    },
    renderer: ({ text, display }) => `<span class="${display ? "formula" : "math"}">${escape(text)}</span>`,
  };
}

const marked = new Marked({
  gfm: true,
  extensions: [
    formula("blockFormula", "block", BLOCK, /^(?:\$\$|\\\[)/m),
    formula("inlineFormula", "inline", INLINE, /\$|\\[[(]/),
  ],
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
  },
});
const ALLOWED = { USE_PROFILES: { html: true }, FORBID_TAGS: ["style", "form", "button"], FORBID_ATTR: ["style", "id", "name"] };

/** Draw Markdown into an element. Blocks that are as they were before are left alone. */
export function render(element, source) {
  const blocks = marked.lexer(source).filter(token => token.type !== "space" && token.type !== "def");
  blocks.forEach((token, index) => {
    const html = DOMPurify.sanitize(marked.parser([token]), ALLOWED);
    const old = element.children[index];
    if (old?.source === html) return;
    const block = document.createElement("div");
    block.source = html;
    block.innerHTML = html;
    finish(block);
    if (old) old.replaceWith(block);
    else element.append(block);
    // A formula that is too wide scrolls, also with the arrow keys.
    for (const box of block.querySelectorAll(".math, .formula")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    }
  });
  while (element.children.length > blocks.length) element.lastChild.remove();
}

function finish(block) {
  for (const box of block.querySelectorAll(".math, .formula")) {
    katex.render(box.textContent, box, {
      output: "mathml", throwOnError: false, displayMode: box.className === "formula",
    });
  }
  for (const link of block.querySelectorAll("a[href]")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  for (const table of block.querySelectorAll("table")) scrollable(table, "Table");
  for (const code of block.querySelectorAll("pre > code")) {
    const language = code.className.match(/language-(\S+)/)?.[1] ?? "";
    if (hljs.getLanguage(language)) hljs.highlightElement(code);
    const head = document.createElement("div");
    head.className = "code-head";
    head.append(language, copyButton(() => code.textContent));
    code.parentElement.before(head);
    scrollable(code.parentElement, "Code");
  }
}

// What is wider than a phone scrolls by itself, also with the arrow keys.
function scrollable(element, label) {
  const box = document.createElement("div");
  Object.assign(box, { className: "scroll", tabIndex: 0, role: "region", ariaLabel: label });
  element.replaceWith(box);
  box.append(element);
}
