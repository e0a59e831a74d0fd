// The config lab in the browser: builds the controls from `form`, shows what is in `shown`.

let controlNumber = 0;

const plain = (number) => {
  if (typeof number !== "number" || !Number.isFinite(number)) return String(number ?? "");
  if (Number.isInteger(number)) return number.toLocaleString("en-US");
  return Math.abs(number) < 1e-3 ? number.toExponential().replace("e-", "e-") : String(number);
};

function nearest(stops, value) {
  let best = 0;
  for (let index = 1; index < stops.length; index++) {
    if (Math.abs(stops[index] - value) < Math.abs(stops[best] - value)) best = index;
  }
  return best;
}

/** A number: a slider over its stops (where it has any) and an exact field. Returns {element, update}. */
function numberControl(field, say, pending) {
  const id = `mu-control-${++controlNumber}`;
  let stops = field.stops;
  const described = `${id}-help ${id}-note`;
  const exact = make("input", {
    type: "number", id: stops.length ? `${id}-exact` : id, class: "mu-exact", step: "any", "data-field": field.name,
    "aria-label": stops.length ? `${field.label ?? field.name}, exact value` : null, "aria-describedby": described,
    onchange: () => commit(),
    onkeydown: (event) => { if (event.key === "Enter") commit(); },
  });
  let last = "";
  const commit = () => {
    if (exact.value === last) return;
    last = exact.value;
    say(field.name, last === "" ? "" : Number(last), false);
  };
  const slider = make("input", {
    type: "range", role: "slider", id, class: "mu-slider", min: 0, max: Math.max(0, stops.length - 1), step: 1,
    "data-field": field.name, "aria-label": field.label ?? field.name, "aria-describedby": described,
    oninput: () => {
      const value = stops[Number(slider.value)];
      exact.value = value;
      last = exact.value;
      label(value);
      say(field.name, value, true);
    },
  });
  const label = (value) => {
    slider.setAttribute("aria-valuetext", `${plain(value)} ${field.unit ?? ""}`.trim());
    slider.setAttribute("aria-valuenow", value);
    slider.style.setProperty("--mu-part", stops.length > 1 ? Number(slider.value) / (stops.length - 1) : 0);
  };
  return {
    id,
    elements: stops.length ? [slider, exact] : [make("span", { class: "mu-noslider" }), exact],
    update(value, newStops) {
      if (newStops && String(newStops) !== String(stops)) {
        stops = newStops;
        slider.max = stops.length - 1;
      }
      if (pending(field.name)) return;
      if (typeof value === "number" && stops.length) {
        slider.value = nearest(stops, value);
        label(value);
      }
      if (document.activeElement !== exact || exact.value === last) exact.value = value ?? "";
      last = String(value ?? "");
    },
    inputs: [slider, exact],
  };
}

function boolControl(field, say, pending) {
  const id = `mu-control-${++controlNumber}`;
  const box = make("input", { type: "checkbox", id, "data-field": field.name,
    "aria-describedby": `${id}-help ${id}-note`, onchange: () => say(field.name, box.checked, false) });
  return { id, elements: [box], inputs: [box],
    update: (value) => { if (!pending(field.name)) box.checked = Boolean(value); } };
}

function choiceControl(field, say, pending) {
  const id = `mu-control-${++controlNumber}`;
  const list = make("select", { id, "data-field": field.name, "aria-describedby": `${id}-help ${id}-note`,
    onchange: () => say(field.name, list.value, false) },
    ...field.choices.map((choice) => make("option", { value: choice }, choice)));
  return { id, elements: [list], inputs: [list],
    update: (value) => { if (!pending(field.name)) list.value = value; } };
}

function textControl(field, say, pending) {
  const id = `mu-control-${++controlNumber}`;
  const box = make("input", { type: "text", id, "data-field": field.name, spellcheck: "false",
    "aria-describedby": `${id}-help ${id}-note`, onchange: () => say(field.name, box.value, false) });
  return { id, elements: [box], inputs: [box],
    update: (value) => { if (!pending(field.name) && document.activeElement !== box) box.value = value; } };
}

const CONTROLS = { int: numberControl, float: numberControl, bool: boolControl, choice: choiceControl, str: textControl };

/** A setting's row: label, control, what it means, and what there is to say about it. Returns {element, update}. */
function row(field, say, pending) {
  const control = CONTROLS[field.kind](field, say, pending);
  const note = make("div", { class: "mu-note-line", id: `${control.id}-note` });
  const unit = field.unit && field.unit !== field.name ? make("span", { class: "mu-unit" }, field.unit) : null;
  const element = make("div", { class: `mu-row mu-kind-${field.kind}`, "data-row": field.name },
    make("label", { for: control.id, title: `Allowed: ${field.allowed}` }, field.label ?? field.name, unit),
    ...control.elements,
    make("div", { class: "mu-help", id: `${control.id}-help` }, field.help ?? ""), note);
  return {
    element,
    update(shown) {
      control.update(shown.values[field.name], shown.stops[field.name]);
      const [level, text] = shown.notes[field.name] ?? ["", ""];
      const mark = { error: "✕ ", warning: "! ", plan: "≠ ", edited: "● " }[level] ?? "";
      const said = mark + text;
      if (note.textContent !== said) note.textContent = said;
      note.className = `mu-note-line mu-is-${level || "plain"}`;
      for (const input of control.inputs) {
        if (level === "error") input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
      }
    },
  };
}

/** Several weights under one heading. */
function weights(field, say, pending) {
  const rows = field.parts.map((part) => row({ kind: "float", unit: "", help: "", allowed: "a weight from 0 up", ...part },
    say, pending));
  const note = make("div", { class: "mu-note-line" });
  return {
    element: make("fieldset", { class: "mu-weights" }, make("legend", {}, field.name),
      make("div", { class: "mu-help" }, field.help), note, ...rows.map((each) => each.element)),
    update(shown) {
      rows.forEach((each) => each.update(shown));
      const [level, text] = shown.notes[field.name] ?? ["", ""];
      note.textContent = (level === "error" ? "✕ " : "") + text;
      note.className = `mu-note-line mu-is-${level || "plain"}`;
    },
  };
}

function render({ model, el, signal }) {
  const talk = sender(model, signal);
  const say = (field, value, gesture) => talk.send(field, { kind: "set", field, value, gesture });
  const press = (action) => talk.send(`press ${action} ${Math.random()}`, { kind: "press", action });

  const chooser = make("select", { "aria-label": "Config file", class: "mu-files",
    onchange: () => talk.send("open", { kind: "open", file: chooser.value }) });
  const title = make("h3", { class: "mu-title" });
  const follow = make("input", { type: "checkbox", onchange: () => talk.send("follow", { kind: "follow", on: follow.checked }) });
  const saveButton = button("Save…", "Shows what would be written, then asks (Ctrl+S)", () => press("save"), { class: "mu-button mu-primary" });
  const bar = make("div", { class: "mu-bar", role: "toolbar", "aria-label": "Config lab actions" },
    make("label", { class: "mu-filelabel" }, "Config", chooser),
    make("span", { class: "mu-gap" }),
    button("↶ Undo", "Take back the last edit (Ctrl+Z)", () => press("undo")),
    button("↷ Redo", "Take back the last undo (Ctrl+Shift+Z)", () => press("redo")),
    button("Reset to file", "Take the file's settings again; can be undone", () => press("reset")),
    button("Apply plan", "Put what the plan decides into the settings", () => press("apply")),
    make("label", { class: "mu-check", title: "Epochs, steps, warmup and frequencies follow while other settings change" },
      follow, "keep the schedule on plan"),
    saveButton);
  const status = make("div", { class: "mu-status", "aria-live": "polite" });
  const difference = make("div");
  const confirm = button("Write the file", "Writes the changes shown", () => press("confirm"), { class: "mu-button mu-primary" });
  const saving = make("div", { class: "mu-saving", role: "group", "aria-label": "Changes to be saved", hidden: true,
    onkeydown: (event) => { if (event.key === "Escape") press("cancel"); } },
    difference, make("div", { class: "mu-bar" }, confirm, button("Keep editing", "Nothing is written", () => press("cancel"))));
  const controls = make("div", { class: "mu-controls" });
  const jumps = make("nav", { class: "mu-jumps", "aria-label": "Groups of settings" });
  const parts = Object.fromEntries(["headline", "comparison", "memory", "rate", "parts"]
    .map((name) => [name, make("div", { class: `mu-part mu-part-${name}` })]));
  const results = make("div", { class: "mu-results", role: "region", "aria-label": "What the run will be" },
    parts.headline, make("div", { class: "mu-cards" },
      make("div", { class: "mu-card" }, parts.comparison), make("div", { class: "mu-card" }, parts.memory),
      make("div", { class: "mu-card" }, parts.rate), make("div", { class: "mu-card" }, parts.parts)));
  const root = panel(el, "Config lab", make("div", { class: "mu-head" }, bar, title), status, saving,
    make("div", { class: "mu-columns" }, make("div", { class: "mu-left" }, jumps, controls), results));

  root.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey)) return;
    const typing = event.target.matches?.("input[type=text], input[type=number]");
    const key = event.key.toLowerCase();
    const action = key === "s" ? "save" : typing ? null : key === "y" || (key === "z" && event.shiftKey) ? "redo"
      : key === "z" ? "undo" : null;
    if (!action) return;
    event.preventDefault();
    press(action);
  });

  let rows = [];
  function build() {
    const form = model.get("form");
    title.textContent = form.title;
    rows = [];
    const sections = form.sections.map((section) => {
      const fields = section.fields.map((field) => {
        const made = field.kind === "weights" ? weights(field, say, talk.pending) : row(field, say, talk.pending);
        rows.push(made);
        return made.element;
      });
      const heading = make("h4", { tabindex: "-1" }, section.title);
      return make("div", { class: `mu-section mu-group-${section.group}`, "data-title": section.title },
        heading, make("p", { class: "mu-help" }, section.note), ...fields);
    });
    controls.replaceChildren(...sections);
    controls.scrollTop = 0;
    jumps.replaceChildren(...sections.map((section) => button(section.dataset.title, `Go to ${section.dataset.title}`, () => {
      const heading = section.querySelector("h4");
      controls.scrollTop = section.offsetTop - controls.offsetTop;
      heading.focus({ preventScroll: true });
    }, { class: "mu-jump" })));
  }

  function update() {
    const shown = model.get("shown");
    const form = model.get("form");
    const names = form.files.map((name) => (shown.edited.includes(name) ? `${name} ● edited` : name));
    if (chooser.dataset.names !== names.join()) {
      chooser.dataset.names = names.join();
      chooser.replaceChildren(...form.files.map((name, index) => make("option", { value: name }, names[index])));
    }
    if (!talk.pending("open")) chooser.value = form.file;
    if (!talk.pending("follow")) follow.checked = shown.following;
    saveButton.textContent = shown.changed ? `Save ${shown.changed} change${shown.changed > 1 ? "s" : ""}…` : "Save…";
    for (const name of Object.keys(parts)) show(parts[name], shown.html[name]);
    for (const each of rows) each.update(shown);
    show(status, shown.html.status);
    results.classList.toggle("mu-stale", shown.stale);
    const opened = saving.hidden && shown.saving;
    saving.hidden = !shown.saving;
    show(difference, shown.saving);
    if (opened) confirm.focus();
    else if (!shown.saving && saving.contains(document.activeElement)) saveButton.focus();
  }

  build();
  update();
  const rebuilt = () => { build(); update(); };
  model.on("change:form", rebuilt);
  model.on("change:shown", update);
  return () => {
    model.off("change:form", rebuilt);
    model.off("change:shown", update);
  };
}

export default { render };
