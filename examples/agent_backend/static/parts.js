// Small parts that several files use.

/** A name that nobody can guess. (Browsers have crypto.randomUUID on https and localhost alone.) */
export const newName = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, "0")).join("");

/** An element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** One of the icons of index.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS(svg.namespaceURI, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** A button with an icon. */
export function iconButton(name, label, onclick) {
  return make("button", { type: "button", className: "icon", title: label, ariaLabel: label, onclick }, icon(name));
}

/** A button that copies what `text` gives, and says so. */
export function copyButton(text) {
  const button = iconButton("copy", "Copy", async () => {
    const label = (await copy(text())) ? "Copied" : "Could not be copied";
    button.title = button.ariaLabel = label;
    button.classList.toggle("done", label === "Copied");
    setTimeout(() => {
      button.title = button.ariaLabel = "Copy";
      button.classList.remove("done");
    }, 2000);
  });
  button.classList.add("copy");
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {  // there is no clipboard over plain http, or it is not allowed
    const area = make("textarea", { value: text, className: "hidden" });
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return copied;
  }
}
