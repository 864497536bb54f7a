// The page around the conversations: which one is shown, the list, the box, the theme.

import { iconButton, make, newName } from "./parts.js";
import * as service from "./service.js";
import { View } from "./view.js";

const LONGEST_QUESTION = 20_000;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

const element = id => document.getElementById(id);
const [log, box, list] = ["log", "question", "list"].map(element);
const views = new Map();  // the conversation that is shown, and those that are being answered
const tabs = new BroadcastChannel("conversations");
let current = null;
let entries = [];
let latest = 0;  // the number of the last request for the list; what earlier ones give is out of date
let drawn = "";  // what the list shows

function viewOf(id, isNew) {
  if (!views.has(id)) {
    const view = new View(id, log, () => update(view));
    views.set(id, view);
    if (!isNew) view.load();
  }
  return views.get(id);
}

function open(id, isNew = false) {
  if (current) {
    current.draft = box.value;
    if (!current.busy) views.delete(current.id);
  }
  if (location.hash.slice(1) !== id) history.pushState(null, "", `#${id}`);
  localStorage.conversation = id;
  current = viewOf(id, isNew);
  current.show();
  box.value = current.draft;
  grow();
  drawList();
  update(current);
}

function openNew() {
  open(newName(), true);
  drawer(false);
  box.focus();
}

function showBusy() {
  for (const item of list.children) item.classList.toggle("busy", Boolean(views.get(item.dataset.id)?.busy));
}

function update(view) {
  showBusy();
  if (view !== current) return;
  element("empty").hidden = !view.empty || view.busy;
  element("send").hidden = view.busy;
  element("stop").hidden = !view.busy;
  if (element("status").textContent !== view.status) element("status").textContent = view.status;
  element("down").hidden = view.atEnd;
}

async function ask(text) {
  if (current.busy) return;
  const length = [...text].length;
  if (length > LONGEST_QUESTION) {
    current.say(`Too long: ${length} characters, and ${LONGEST_QUESTION} are the most.`);
    return;
  }
  box.value = "";
  grow();
  const view = current;
  if (!entries.some(entry => entry.id === view.id)) {  // until the service has named it
    entries.unshift({ id: view.id, title: text });
    drawList();
  }
  await view.ask(text);
  if (view !== current) views.delete(view.id);
  tabs.postMessage({ id: view.id });
  refresh();
}

async function refresh() {
  const number = ++latest;
  try {
    const { note, conversations } = await service.list();
    if (number !== latest) return;
    element("note").textContent = note;
    const waiting = entries.filter(({ id }) => views.get(id)?.busy && !conversations.some(c => c.id === id));
    entries = [...waiting, ...conversations];
    drawList();
  } catch (error) {
    element("list-error").textContent = error.message;
    return;
  }
  element("list-error").textContent = "";
}

function drawList() {
  const focused = document.activeElement?.closest?.("#list > li")?.dataset.id;
  if (list.querySelector("input")) return;  // a title is being written
  const now = JSON.stringify([current.id, entries.map(({ id, title }) => [id, title])]);
  if (now === drawn) return showBusy();  // a button that is pressed right now stays where it is
  drawn = now;
  list.replaceChildren(...entries.map(entry => {
    const link = make("a", { href: `#${entry.id}`, textContent: entry.title, title: entry.title });
    if (entry.id === current.id) link.ariaCurrent = "page";
    const item = make("li", {}, link,
      iconButton("rename", `Rename “${entry.title}”`, () => rename(item, entry)),
      iconButton("delete", `Delete “${entry.title}”`, () => remove(entry)));
    item.dataset.id = entry.id;
    return item;
  }));
  showBusy();
  if (focused) list.querySelector(`[data-id="${focused}"] a`)?.focus();
  const title = entries.find(entry => entry.id === current.id)?.title;
  element("title").textContent = title ?? "New conversation";
  document.title = title ? `${title} · Agent` : "Agent";
}

function rename(item, entry) {
  const input = make("input", { value: entry.title, maxLength: 200, ariaLabel: "Title" });
  let over = false;
  const end = async save => {
    if (over) return;
    over = true;
    const title = input.value.trim();
    input.remove();
    drawn = "";
    if (save && title && title !== entry.title) {
      entry.title = title;
      drawList();
      latest++;
      await service.rename(entry.id, title).catch(report);
      tabs.postMessage({ id: entry.id });
      refresh();
    } else drawList();
    list.querySelector(`[data-id="${entry.id}"] a`)?.focus();
  };
  input.onkeydown = event => {
    if (event.key === "Enter" && !event.isComposing) end(true);
    if (event.key === "Escape") end(false);
  };
  input.onblur = () => end(true);
  item.replaceChildren(input);
  input.select();
}

function remove(entry) {
  const dialog = element("delete");
  element("delete-title").textContent = entry.title;
  dialog.returnValue = "";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "delete") return;
    try {
      await service.remove(entry.id);
    } catch (error) {
      report(error);
      return;
    }
    tabs.postMessage({ id: entry.id, deleted: true });
    forget(entry.id);
    refresh();
  };
  dialog.showModal();
}

function forget(id) {
  views.get(id)?.stop();
  views.delete(id);
  entries = entries.filter(entry => entry.id !== id);
  if (current.id === id) openNew();
  else drawList();
}

const report = error => current.say(error.message);

function grow() {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}

function drawer(isOpen) {
  element("side").classList.toggle("open", isOpen);
  element("menu").ariaExpanded = String(isOpen);
}

element("form").onsubmit = event => {
  event.preventDefault();
  const text = box.value.trim();
  if (text) ask(text);
};
box.oninput = grow;
box.onkeydown = event => {
  // An input method's Enter chooses a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element("form").requestSubmit();
};
element("stop").onclick = () => {
  current.stop();
  box.focus();
};
element("down").onclick = () => {
  current.toEnd();
  update(current);
  box.focus();
};
element("new").onclick = openNew;
element("new-short").onclick = openNew;
element("menu").onclick = () => {
  drawer(true);
  element("new").focus();
};
element("shade").onclick = () => drawer(false);
element("side").onkeydown = event => {
  if (event.key !== "Escape" || !element("side").classList.contains("open")) return;
  drawer(false);
  element("menu").focus();
};
list.onclick = event => { if (event.target.closest("a")) drawer(false); };
for (const example of document.querySelectorAll("#empty button")) {
  example.onclick = () => {
    ask(example.textContent);
    box.focus();
  };
}
element("theme").value = localStorage.theme || "system";
element("theme").onchange = event => {
  document.documentElement.dataset.theme = localStorage.theme = event.target.value;
};
log.onscroll = () => {
  current.scrolled();
  update(current);
};
addEventListener("resize", grow);
addEventListener("popstate", () => {
  const id = location.hash.slice(1);
  if (NAME.test(id) && id !== current.id) open(id);
});
tabs.onmessage = ({ data: { id, deleted } }) => {
  if (deleted) forget(id);
  else views.get(id)?.load();
  refresh();
};

const asked = [location.hash.slice(1), localStorage.conversation].find(id => id && NAME.test(id));
open(asked ?? newName(), !asked);
document.body.inert = false;
box.focus();
refresh();
