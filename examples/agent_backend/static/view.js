// One conversation on the page. Each has its own elements, status and draft, and continues by itself
// while another one is shown, so nothing of one can appear in the other.

import { render } from "./markdown.js";
import { copyButton, iconButton, make, newName } from "./parts.js";
import * as service from "./service.js";

const NEAR = 80;  // pixels from the end that still count as the end

export class View {
  element = make("div", { className: "conversation" });
  status = "";
  draft = "";
  loading = null;       // the promise of what was said before
  #stream = null;       // the AbortController of the answer that is being read
  #stale = false;       // another tab added something meanwhile
  #top = null;          // where the reader scrolled to; null is the end
  #turn = null;         // what the current question and its answer are shown in
  #block = null;        // the text or thoughts that are being written
  #tools = new Map();   // the cards of tool calls, by their ids

  /** `scroller` shows the view; `changed` is called when its status or state changes. */
  constructor(id, scroller, changed) {
    this.id = id;
    this.scroller = scroller;
    this.changed = changed;
  }

  get busy() { return this.#stream !== null; }
  get empty() { return this.loading === null && !this.element.hasChildNodes(); }

  show() {
    this.scroller.replaceChildren(this.element);
    this.scroller.scrollTop = this.#top ?? this.scroller.scrollHeight;
  }

  /** Note where the reader is. */
  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.#top = scrollHeight - scrollTop - clientHeight < NEAR ? null : scrollTop;
  }

  get atEnd() { return this.#top === null; }

  toEnd() {
    this.#top = null;
    this.#follow(() => {});
  }

  /** Load what was said before. While an answer is being read, that waits for its end. */
  load() {
    if (this.busy) this.#stale = true;
    else this.loading ??= this.#load();
    return this.loading;
  }

  async #load() {
    if (this.element.hasChildNodes() === false) this.say("Loading …");
    try {
      const past = await service.past(this.id);
      this.#follow(() => {
        this.element.replaceChildren();
        this.#turn = null;
        this.#tools.clear();
        for (const { kind, data } of past) this.#event(kind, data);
        this.#finish();
      });
      this.say("");
    } catch (error) {
      const again = make("button", { type: "button", textContent: "Try again", onclick: () => this.load() });
      this.say("");
      this.element.replaceChildren(make("div", { className: "error" }, error.message, again));
    } finally {
      this.loading = null;
      this.changed();
    }
  }

  async ask(text, id = newName()) {
    const mine = this.#stream = new AbortController();
    let ending = "";
    this.say("Asking …");
    try {
      await this.loading;  // what was said before stands before what is asked now
      mine.signal.throwIfAborted();
      this.#question({ id, text });
      this.toEnd();
      let complete = false;
      for await (const { kind, data } of service.ask(this.id, { id, text }, mine.signal)) {
        if (kind === "done") complete = true;
        else this.#follow(() => this.#event(kind, data));
        this.changed();
      }
      if (!complete) throw new Error("The answer broke off.");
    } catch (error) {
      if (mine.signal.aborted) ending = "Stopped.";
      else this.#follow(() => this.#event("error", { message: error.message }));
    }
    this.#stream = null;
    this.#follow(() => this.#finish());
    this.say(ending);
    if (this.#stale) {
      this.#stale = false;
      await this.load();
    }
  }

  /** Leave. That is what cancels the call on the Space. */
  stop() { this.#stream?.abort(); }

  /** Set the status. */
  say(words) {
    this.status = words;
    this.changed();
  }

  // Change something, and stay at the end unless the reader has scrolled up.
  #follow(change) {
    change();
    if (this.element.isConnected && this.#top === null) {
      this.scroller.scrollTop = this.scroller.scrollHeight;
    }
  }

  #event(kind, data) {
    switch (kind) {
      case "question": return this.#question(data);
      case "thought": return this.#write("thoughts", data.text);
      case "text": return this.#write("text", data.text);
      case "thoughts": return this.#whole("thoughts", data.text);
      case "message": return this.#whole("text", data.text);
      case "tool_call": return this.#call(data);
      case "tool_result": return this.#result(data);
      case "error": return this.#add(make("div", { className: "error", role: "alert", textContent: data.message }));
      case "space": return this.say(spaceStatus(data) ?? this.status);
    }
  }

  // A question that is asked again replaces itself and what followed.
  #question({ id, text }) {
    const again = [...this.element.children].findIndex(turn => turn.dataset.id === id);
    if (again >= 0) [...this.element.children].slice(again).forEach(turn => turn.remove());
    this.#block = null;
    this.#turn = make("section", { className: "turn" }, make("div", { className: "question", textContent: text }));
    this.#turn.dataset.id = id;
    this.element.append(this.#turn);
  }

  #add(element) {
    this.#block?.settle();
    this.#block = null;
    // Only a conversation that lost its first question has none.
    (this.#turn ?? this.element).append(element);
    return element;
  }

  #write(kind, text) {
    if (this.#block?.kind !== kind) this.#begin(kind);
    this.#block.write(text);
  }

  // The whole of what came in pieces.
  #whole(kind, text) {
    if (this.#block?.kind !== kind) this.#begin(kind);
    this.#block.settle(text);
    this.#block = null;
  }

  #begin(kind) {
    const body = make("div", { className: kind });
    this.#add(kind === "text" ? body : make("details", { className: "thinking" }, make("summary", {}, "Thoughts"), body));
    this.#block = new Block(kind, body, change => this.#follow(change));
  }

  #call({ id, name, args }) {
    const brief = Object.entries(args).map(([key, value]) => `${key}: ${readable(value)}`).join(", ");
    const list = make("dl");
    for (const [key, value] of Object.entries(args)) {
      list.append(make("dt", { textContent: key }), make("dd", { textContent: readable(value) }));
    }
    const card = this.#add(make("details", { className: "tool" },
      make("summary", {},
        make("span", { className: "name", textContent: name.replaceAll("_", " ") }), " ",
        make("span", { className: "brief", textContent: brief }), " ",
        make("span", { className: "state", textContent: "Running" })),
      ...(brief ? [make("h3", { textContent: "Arguments" }), list] : [])));
    card.dataset.state = "running";
    this.#tools.set(id, card);
  }

  #result({ id, text, failed }) {
    const card = this.#tools.get(id);
    if (!card) return;
    card.append(make("h3", { textContent: "Result" }), make("pre", { tabIndex: 0, textContent: prettyJson(text) }));
    this.#end(card, failed ? "failed" : "done");
  }

  #end(card, state) {
    card.dataset.state = state;
    card.querySelector(".state").textContent = { done: "Done", failed: "Failed", stopped: "Stopped" }[state];
  }

  // Nothing more comes: of no block, and of no tool.
  #finish() {
    this.#block?.settle();
    this.#block = null;
    for (const card of this.#tools.values()) {
      if (card.dataset.state === "running") this.#end(card, "stopped");
    }
    for (const turn of this.element.querySelectorAll(".turn:not(:has(> .actions))")) {
      const { id } = turn.dataset, text = turn.querySelector(".question").textContent;
      const answer = () => [...turn.querySelectorAll(":scope > .text")].map(part => part.source).join("\n\n");
      turn.append(make("div", { className: "actions" },
        ...(turn.querySelector(":scope > .text") ? [copyButton(answer)] : []),
        iconButton("retry", "Ask again", () => { if (!this.busy) this.ask(text, id); })));
    }
  }
}

// Markdown that grows. It is drawn no more often than a fifth of the time can be spent on it.
class Block {
  #timer = 0;
  #cost = 0;

  constructor(kind, element, follow) {
    this.kind = kind;
    this.element = element;
    this.follow = follow;
    element.source = "";
    element.ariaBusy = "true";
  }

  write(text) {
    this.element.source += text;
    this.#timer ||= setTimeout(() => this.#draw(), Math.max(30, 4 * this.#cost));
  }

  settle(text = this.element.source) {
    clearTimeout(this.#timer);
    this.element.source = text;
    this.#draw();
    this.element.ariaBusy = null;
  }

  #draw() {
    const began = performance.now();
    this.#timer = 0;
    this.follow(() => render(this.element, this.element.source));
    this.#cost = performance.now() - began;
  }
}

const readable = value => typeof value === "string" ? value : JSON.stringify(value, null, 2);

function prettyJson(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

function spaceStatus({ name, rank, eta, message }) {
  const wait = eta ? `, about ${Math.ceil(eta)} s` : "";
  switch (name) {
    case "qwen_space_queue":
      return `Waiting for the Space: ${rank === 0 ? "you are next" : `${rank} before you`}${wait}`;
    case "qwen_space_start": return "The Space is answering …";
    case "qwen_space_wake": return "The Space is waking up …";
    case "qwen_space_retry": return "That failed. Trying again …";
    default: return message;
  }
}
