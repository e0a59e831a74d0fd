// The data browser in the browser: controls to go through the rows, and fragments that Python draws.

function render({ model, el, signal }) {
  const talk = sender(model, signal);
  const id = `mu-browser-${Math.random().toString(36).slice(2)}`; // two panels of a page share no ids
  const form = model.get("form");
  const say = (kind, value) => talk.send(kind, { kind, value });
  const entered = (act) => (event) => { if (event.key === "Enter") act(); }; // JupyterLab takes Enter's own change event
  const press = (action) => () => talk.send(`press ${action}`, { kind: "press", action });

  const slider = make("input", { type: "range", role: "slider", id: `${id}-row`, class: "mu-slider", min: 1, step: 1,
    oninput: () => { label(); exact.value = slider.value; say("row", Number(slider.value)); } });
  const exact = make("input", { type: "number", class: "mu-exact", min: 1, step: 1, "aria-label": "Row, exact number",
    onchange: () => say("row", Number(exact.value)), onkeydown: entered(() => say("row", Number(exact.value))) });
  const total = make("span", { class: "mu-unit" });
  const label = () => {
    slider.setAttribute("aria-valuetext", `row ${slider.value} of ${slider.max}`);
    slider.style.setProperty("--mu-part", slider.max > 1 ? (slider.value - 1) / (slider.max - 1) : 0);
  };
  const step = (by) => () => talk.send(`step ${Math.random()}`, { kind: "step", value: by });
  const previous = button("◀ Previous", "Show the row before", step(-1));
  const next = button("Next ▶", "Show the next row", step(1));
  const split = make("select", { id: `${id}-split`, onchange: () => say("split", split.value) });
  const words = make("input", { type: "text", id: `${id}-words`, spellcheck: "false", placeholder: "any",
    onchange: () => say("words", words.value), onkeydown: entered(() => say("words", words.value)) });
  const unit = make("select", { id: `${id}-unit`, onchange: () => say("unit", unit.value) },
    ...form.units.map((name) => make("option", { value: name }, name)));
  const check = button("Check every file", "Reads every file of the manifest and looks for faults", press("check"));
  const stop = button("■ Stop the check", "Ends the check", press("stop"), { hidden: true });
  const parts = Object.fromEntries(["tiles", "splits", "lengths", "check"]
    .map((name) => [name, make("div", { class: `mu-part mu-part-${name}` })]));
  const row = make("div", { class: "mu-part mu-part-row", role: "region", "aria-label": "The row", "aria-live": "polite" });
  const status = make("div", { class: "mu-status", "aria-live": "polite" });

  panel(el, `Data browser, ${form.title}`,
    make("div", { class: "mu-head" },
      make("div", { class: "mu-bar" }, make("h3", { class: "mu-title" }, form.title), make("span", { class: "mu-gap" }),
        make("label", { for: split.id }, "Split"), split, make("label", { for: words.id }, "Text contains"), words),
      make("div", { class: "mu-bar mu-rowbar", role: "group", "aria-label": "Row" },
        previous, next, make("label", { for: slider.id }, "Row"), slider, exact, total)),
    status,
    make("div", { class: "mu-browser-cards" },
      make("div", { class: "mu-card" }, row),
      make("div", { class: "mu-browser-all", role: "region", "aria-label": "All rows" }, parts.tiles,
        make("div", { class: "mu-card" }, parts.splits),
        make("div", { class: "mu-card" },
          make("div", { class: "mu-bar" }, make("label", { for: unit.id }, "Lengths in"), unit), parts.lengths),
        make("div", { class: "mu-card" }, parts.check, make("div", { class: "mu-bar" }, check, stop)))));

  function update() {
    const shown = model.get("shown");
    slider.max = Math.max(1, shown.total);
    exact.max = slider.max;
    total.textContent = `of ${shown.total.toLocaleString("en-US")}`;
    if (!talk.pending("row")) {
      slider.value = shown.place;
      exact.value = shown.place;
    }
    label();
    previous.setAttribute("aria-disabled", String(shown.place <= 1));
    next.setAttribute("aria-disabled", String(shown.place >= shown.total));
    if (split.dataset.names !== shown.splits.join()) {
      split.dataset.names = shown.splits.join();
      split.replaceChildren(make("option", { value: "" }, "all"),
        ...shown.splits.map((name) => make("option", { value: name }, name)));
    }
    if (!talk.pending("split")) split.value = shown.split;
    if (!talk.pending("words") && document.activeElement !== words) words.value = shown.words;
    if (!talk.pending("unit")) unit.value = shown.unit;
    for (const name of Object.keys(parts)) show(parts[name], shown.html[name]);
    show(status, shown.html.status);
    const hadFocus = document.activeElement === check || document.activeElement === stop;
    check.hidden = shown.checking;
    stop.hidden = !shown.checking;
    if (hadFocus) (shown.checking ? stop : check).focus();
  }

  const opened = () => show(row, model.get("row_html"));
  opened();
  update();
  model.on("change:row_html", opened);
  model.on("change:shown", update);
  return () => {
    model.off("change:row_html", opened);
    model.off("change:shown", update);
  };
}

export default { render };
