// The training monitor in the browser: three buttons, and fragments that Python draws.

function render({ model, el, signal }) {
  const talk = sender(model, signal);
  const press = (action) => (event) => {
    if (event.currentTarget.getAttribute("aria-disabled") === "true") return;
    talk.send("press", { kind: "press", action });
  };
  const pause = button("❚❚ Pause", "Wait before the next step", press("pause"));
  const resume = button("▶ Resume", "Go on from where it waits", press("resume"));
  const stop = button("■ Stop", "End before the next step and save a checkpoint", press("stop"));
  const state = make("span", { class: "mu-state" });
  const parts = Object.fromEntries(["progress", "tiles", "losses", "rate", "samples", "table"]
    .map((name) => [name, make("div", { class: `mu-part mu-part-${name}` })]));
  const status = make("div", { class: "mu-status", "aria-live": "polite" });
  panel(el, model.get("form").title,
    make("div", { class: "mu-head" }, make("div", { class: "mu-bar", role: "toolbar", "aria-label": "Training actions" },
      make("h3", { class: "mu-title" }, model.get("form").title), state, make("span", { class: "mu-gap" }),
      pause, resume, stop), parts.progress),
    status, parts.tiles,
    make("div", { class: "mu-monitor-cards" }, make("div", { class: "mu-card" }, parts.losses),
      make("div", { class: "mu-card" }, parts.samples), make("div", { class: "mu-card" }, parts.rate),
      make("div", { class: "mu-card" }, make("details", { open: true }, make("summary", {}, "The curves as a table"), parts.table))));

  function update() {
    const shown = model.get("shown");
    state.textContent = shown.state;
    const enabled = { running: [pause, stop], paused: [resume, stop] }[shown.state] ?? [];
    for (const each of [pause, resume, stop]) each.setAttribute("aria-disabled", String(!enabled.includes(each)));
    for (const name of Object.keys(parts)) show(parts[name], shown.html[name]);
    show(status, shown.html.status);
  }

  update();
  model.on("change:shown", update);
  return () => model.off("change:shown", update);
}

export default { render };
