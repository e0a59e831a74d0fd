// The chat panel in the browser: a log that Python writes, a question with what goes along, a recorder, a canvas.

const SIDE = 256; // pixels of the canvas
const PAPER = "#f0f0f2";

/** Samples of -1 to 1 as a WAV file of 16 bits. */
function wavOf(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); word(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true);
  view.setUint16(34, 16, true); word(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => view.setInt16(44 + 2 * i, Math.round(32767 * Math.max(-1, Math.min(1, x))), true));
  return view.buffer;
}

/** What was recorded, in whatever format the browser records, as one channel at `rate`: decoding resamples. */
async function decoded(blob, rate) {
  const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await blob.arrayBuffer());
  const mono = new Float32Array(sound.length);
  for (let c = 0; c < sound.numberOfChannels; c++) {
    sound.getChannelData(c).forEach((x, i) => { mono[i] += x / sound.numberOfChannels; });
  }
  return mono;
}

/** A recorder: a button that starts and stops, and an end after `form.seconds`. */
function recorder(form, send, problem) {
  let running = null;
  const toggle = button("● Record", "Ask with your voice", async () => {
    if (running) return running.stop();
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) {
      return problem("No microphone can be used here: browsers allow it on localhost and https alone. Upload a sound.");
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      return problem(error.name === "NotAllowedError"
        ? "The browser was not allowed to use the microphone. Allow it beside the address, or upload a sound."
        : "No microphone was found. Upload a sound.");
    }
    const parts = [];
    const began = performance.now();
    running = new MediaRecorder(stream);
    running.ondataavailable = (event) => parts.push(event.data);
    running.onstop = async () => {
      clearInterval(clock);
      stream.getTracks().forEach((track) => track.stop());
      running = null;
      toggle.textContent = "● Record";
      toggle.setAttribute("aria-pressed", "false");
      try {
        send(wavOf(await decoded(new Blob(parts), form.rate), form.rate));
      } catch {
        problem("The recording could not be read. Record again, or upload a sound.");
      }
    };
    const clock = setInterval(() => {
      const seconds = (performance.now() - began) / 1000;
      toggle.textContent = `■ Stop recording, ${seconds.toFixed(0)} of ${form.seconds} s`;
      if (seconds >= form.seconds) running?.stop();
    }, 200);
    toggle.setAttribute("aria-pressed", "true");
    running.start();
  }, { "aria-pressed": "false" });
  return toggle;
}

/** A canvas to draw on: a brush for the hand, the world's shapes for the hand and the keyboard. */
function drawing(form, id, use) {
  const canvas = make("canvas", { width: SIDE, height: SIDE, class: "mu-canvas", tabindex: "0", role: "application",
    "aria-label": "Drawing. Arrow keys move the cross, Enter or Space puts the shape there, the brush draws a dot.",
    "aria-describedby": `${id}-drawn` });
  const cross = make("i", { class: "mu-cross", "aria-hidden": "true" });
  const words = make("p", { class: "mu-words", id: `${id}-drawn`, "aria-live": "polite" });
  const pick = (name, label, options, value) => {
    const select = make("select", { id: `${id}-${name}` },
      ...options.map((each) => make("option", { value: each, selected: each === value }, each)));
    return [select, make("label", { for: select.id }, label)];
  };
  const [shape, shapeLabel] = pick("shape", "Shape", [...Object.keys(form.shapes), "brush"], "circle");
  const [color, colorLabel] = pick("color", "Color", Object.keys(form.colors), "red");
  const [size, sizeLabel] = pick("size", "Size", Object.keys(form.sizes), "big");
  const pen = canvas.getContext("2d");
  let at = [SIDE / 2, SIDE / 2];
  let drawn = [];
  let down = false;

  function place([x, y]) {
    const third = (value, names) => names[Math.min(2, Math.floor(3 * value / SIDE))];
    const place = `${third(y, ["top ", "", "bottom "])}${third(x, ["left", "", "right"])}`.trim();
    return place ? `at the ${place}` : "in the middle";
  }
  function clear() {
    pen.fillStyle = PAPER;
    pen.fillRect(0, 0, SIDE, SIDE);
    drawn = [];
    tell();
  }
  function tell() { words.textContent = drawn.length ? `Drawn: ${drawn.join(", ")}.` : "Nothing is drawn."; }
  function move(x, y) {
    at = [x, y].map((value) => Math.max(0, Math.min(SIDE, value)));
    cross.style.left = `${100 * at[0] / SIDE}%`;
    cross.style.top = `${100 * at[1] / SIDE}%`;
  }
  function put() {
    const [x, y] = at;
    const radius = form.sizes[size.value] * SIDE;
    pen.fillStyle = pen.strokeStyle = form.colors[color.value];
    pen.beginPath();
    if (shape.value === "brush") pen.arc(x, y, radius / 3, 0, 7);
    else if (shape.value === "ring") pen.arc(x, y, 0.8 * radius, 0, 7);
    else if (shape.value === "circle") pen.arc(x, y, radius, 0, 7);
    else form.shapes[shape.value].forEach(([u, v]) => pen.lineTo(x + radius * u, y + radius * v));
    if (shape.value === "ring") { pen.lineWidth = 0.4 * radius; pen.stroke(); } else pen.fill();
    const name = shape.value === "brush" ? `a ${color.value} stroke ${place(at)}`
      : `${size.value} ${color.value} ${shape.value} ${place(at)}`;
    if (shape.value !== "brush" || drawn.at(-1) !== name) drawn.push(name);
    tell();
  }
  const follow = (event) => {
    const box = canvas.getBoundingClientRect();
    move((event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE);
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus();
    down = true;
    follow(event);
    put();
  };
  canvas.onpointermove = (event) => {
    if (!down || shape.value !== "brush") return;
    const [x, y] = at;
    follow(event);
    pen.lineWidth = 2 / 3 * form.sizes[size.value] * SIDE;
    pen.strokeStyle = form.colors[color.value];
    pen.lineCap = "round";
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(...at);
    pen.stroke();
  };
  canvas.onpointerup = canvas.onpointercancel = () => { down = false; };
  canvas.onkeydown = (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const far = SIDE / (event.shiftKey ? 64 : 16);
    if (step) move(at[0] + far * step[0], at[1] + far * step[1]);
    else if (event.key === "Enter" || event.key === " ") put();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const done = button("Use the drawing", "Let it go with the next question", () =>
    canvas.toBlob(async (blob) => use(await blob.arrayBuffer(), drawn.length ? `drawing (${drawn.join(", ")})` : "drawing")));
  clear();
  move(...at);
  return make("details", { class: "mu-draw" }, make("summary", {}, "Draw a picture"),
    make("div", { class: "mu-bar" }, shapeLabel, shape, colorLabel, color, sizeLabel, size, done,
      button("Clear", "An empty sheet", clear)),
    make("div", { class: "mu-sheet" }, canvas, cross), words);
}

function render({ model, el, signal }) {
  const talk = sender(model, signal);
  const id = `mu-chat-${Math.random().toString(36).slice(2)}`; // two panels of a page share no ids
  const form = model.get("form");
  const press = (action) => () => talk.send(`press ${action}`, { kind: "press", action });
  const problem = (value) => talk.send("problem", { kind: "problem", value });
  const file = (kind, value, bytes) => talk.send(kind, { kind, value, buffers: [bytes] });
  let asked = false;

  const question = make("input", { type: "text", id: `${id}-text`, class: "mu-question", autocomplete: "off",
    placeholder: "what do you see?", onkeydown: (event) => { if (event.key === "Enter") ask(); } });
  function ask() {
    if (model.get("shown").busy) return;
    asked = true;
    talk.send("ask", { kind: "ask", value: question.value });
  }
  async function take(chosen) {
    if (!chosen) return;
    const kind = chosen.type.startsWith("image/") ? "picture" : chosen.type.startsWith("audio/") ? "sound" : null;
    if (kind === null) return problem(`${chosen.name}: is neither a picture nor a sound. Choose a PNG, JPEG, GIF, WAV or FLAC.`);
    await upload(kind, chosen);
  }
  async function upload(kind, chosen) {
    if (!chosen) return;
    const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(1);
    if (chosen.size > form.most_bytes) {
      return problem(`${chosen.name}: has ${megabytes(chosen.size)} MiB, at most ${megabytes(form.most_bytes)} are sent. `
        + "Make it smaller, or ask in code with its path.");
    }
    file(kind, chosen.name, await chosen.arrayBuffer());
  }
  const chooser = (kind, accept) => make("input", { type: "file", id: `${id}-${kind}`, accept,
    onchange: async (event) => { await upload(kind, event.target.files[0]); event.target.value = ""; } });
  const picture = chooser("picture", "image/*");
  const sound = chooser("sound", "audio/*,.flac,.wav");
  const send = button("Ask", "Send the question", ask, { class: "mu-button mu-primary" });
  const stop = button("■ Stop", "End the answer here", press("stop"));
  const anew = button("Begin anew", "Forget the conversation", press("forget"));
  const speak = make("input", { type: "checkbox", id: `${id}-speak`,
    onchange: () => talk.send("speak", { kind: "speak", value: speak.checked }) });
  const without = Object.fromEntries(["picture", "sound"].map((kind) =>
    [kind, button(`Without the ${kind}`, `Let no ${kind} go with the next question`, press(kind), { hidden: true })]));
  const record = recorder(form, (bytes) => file("sound", "recording", bytes), problem);

  const status = make("div", { class: "mu-status", "aria-live": "polite" });
  const log = make("ol", { class: "mu-log", role: "log", "aria-label": "Conversation", tabindex: "0" });
  const live = make("div", { class: "mu-live", "aria-live": "off" });
  const empty = make("p", { class: "mu-words" }, "Nothing has been said yet. Ask something; a picture or a sound may go with it.");
  const attached = make("div", { class: "mu-attached", role: "region", "aria-label": "Goes with the next question", "aria-live": "polite" });
  const root = panel(el, form.title,
    make("div", { class: "mu-head" }, make("div", { class: "mu-bar" }, make("h3", { class: "mu-title" }, form.title),
      make("span", { class: "mu-gap" }), make("span", { class: "mu-check" }, speak, make("label", { for: speak.id }, "Speak the answers")), anew)),
    make("div", { class: "mu-card mu-conversation" }, empty, log, live),
    status,
    make("div", { class: "mu-card mu-composer" },
      attached,
      make("div", { class: "mu-bar" }, without.picture, without.sound),
      make("div", { class: "mu-bar" }, make("label", { for: question.id }, "Question"), question, send, stop),
      make("div", { class: "mu-bar" }, record,
        make("label", { for: sound.id }, "Sound"), sound, make("label", { for: picture.id }, "Picture or video"), picture,
        make("span", { class: "mu-unit" }, "or drop a file here")),
      drawing(form, id, (bytes, name) => file("picture", name, bytes))));

  const over = (event) => { event.preventDefault(); event.stopPropagation(); root.classList.toggle("mu-dropping", event.type === "dragover"); };
  for (const name of ["dragover", "dragleave"]) root.addEventListener(name, over);
  root.addEventListener("drop", (event) => { over(event); take(event.dataTransfer.files[0]); });

  function update() {
    const shown = model.get("shown");
    send.setAttribute("aria-disabled", String(shown.busy));
    stop.setAttribute("aria-disabled", String(!shown.busy));
    if (!talk.pending("speak")) speak.checked = shown.speak;
    for (const kind of Object.keys(without)) {
      if (document.activeElement === without[kind] && !shown.attached.includes(kind)) question.focus();
      without[kind].hidden = !shown.attached.includes(kind);
    }
    show(status, shown.html.status);
    show(attached, shown.html.attached);
    show(live, shown.html.live);
    if (shown.html.live) log.parentElement.scrollTop = log.parentElement.scrollHeight;
  }

  function written() {
    const entries = model.get("log");
    empty.hidden = entries.length > 0;
    const longer = entries.length > log.children.length;
    while (log.children.length > entries.length) log.lastChild.remove();
    while (log.children.length < entries.length) log.append(make("li"));
    entries.forEach((html, n) => show(log.children[n], html));
    if (longer && asked) question.value = "";
    const spoken = log.lastChild?.querySelector(".mu-spoken");
    if (asked && spoken) {
      asked = false;
      spoken.play().catch(() => {}); // a browser that wants a click first has the player's button for it
    }
    log.parentElement.scrollTop = log.parentElement.scrollHeight;
  }

  written();
  update();
  model.on("change:log", written);
  model.on("change:shown", update);
  return () => {
    model.off("change:log", written);
    model.off("change:shown", update);
  };
}

export default { render };
