// Shared by all panels: building elements, replacing what changed, and talking to Python.

const FOCUSABLE = ["input", "select", "button", "summary"];

/**
 * An element with attributes ("on..." are listeners) and children. What can have the focus keeps the notebook's
 * shortcuts out: JupyterLab would otherwise take an arrow key on a slider for a command to itself. It looks for the
 * attribute only from the focused element upwards, so every one of them carries it.
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (FOCUSABLE.includes(tag) || "tabindex" in attributes) element.setAttribute("data-lm-suppress-shortcuts", "true");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Replace a fragment if it changed, and let the numbers that changed light up for a moment. */
function show(element, html) {
  if (element.muomniHtml === html) return;
  const before = new Map();
  for (const cell of element.querySelectorAll("[data-number]")) before.set(cell.dataset.number, cell.dataset.value);
  element.muomniHtml = html;
  element.innerHTML = html;
  if (before.size === 0) return;
  for (const cell of element.querySelectorAll("[data-number]")) {
    if (before.has(cell.dataset.number) && before.get(cell.dataset.number) !== cell.dataset.value) {
      cell.classList.add("mu-changed");
    }
  }
}

/**
 * Sends messages one at a time: while one is under way, later ones wait, and of those about the same thing only the
 * newest is kept. A kernel that does not answer within a while is asked again with whatever is newest.
 */
function sender(model, signal) {
  const patience = 5000;
  const view = Math.random().toString(36).slice(2);
  const waiting = new Map();
  let number = 0;
  let underWay = null;
  let timer = 0;

  function next() {
    clearTimeout(timer);
    underWay = null;
    const first = waiting.entries().next();
    if (first.done) return;
    const [key, message] = first.value;
    waiting.delete(key);
    underWay = { key, ticket: `${view}-${++number}` };
    const { buffers, ...content } = message; // files travel beside the message, as bytes
    model.send({ ...content, ticket: underWay.ticket }, undefined, buffers);
    timer = setTimeout(next, patience);
  }

  const answered = () => {
    if (underWay && model.get("shown").ack === underWay.ticket) next();
  };
  model.on("change:shown", answered);
  signal?.addEventListener("abort", () => {
    clearTimeout(timer);
    model.off("change:shown", answered);
  });

  return {
    send(key, message) {
      waiting.delete(key);
      waiting.set(key, message);
      if (!underWay) next();
    },
    /** Whether an edit of `key` has not come back yet: its control then belongs to the hand that moves it. */
    pending: (key) => waiting.has(key) || underWay?.key === key,
  };
}

/** The frame of a panel. */
function panel(el, name, ...children) {
  const root = make("section", { class: "mu", "aria-label": name }, ...children);
  el.append(root);
  return root;
}

function button(label, title, onclick, extra = {}) {
  return make("button", { type: "button", class: "mu-button", title, onclick, ...extra }, label);
}
