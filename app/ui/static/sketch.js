// Draws while the prompt is typed, where that is wished: a picture in the place of the stage, which is kept nowhere.
(() => {
  const WISHED = "atelier-live", WAIT_MS = 300, AGAIN_MS = 2000;
  // Of this tab: who asks, and the seed of those who chose none, so that only words change the picture.
  const by = Math.random().toString(36).slice(2), seed = Math.floor(Math.random() * 2 ** 32);
  const OPEN = ["queued", "running"];
  let timer = null, asked = null, drawn = "", over;

  const control = () => document.querySelector("#at-live [data-live]");
  const frame = () => document.querySelector("#at-sketch figure");
  const status = () => document.querySelector("#at-sketch [role=status]");
  const wished = () => {
    try {
      return localStorage.getItem(WISHED) === "1";
    } catch { return false; } // a forbidden storage
  };
  const job = () => document.querySelector("#at-stage .at-job")?.dataset;
  const on = () => wished() && control() && !control().disabled;

  function say(text) {
    if (status()) status().textContent = text;
  }

  function hide() {
    clearTimeout(timer);
    asked?.abort();
    asked = null;
    drawn = "";
    if (frame()) frame().hidden = true;
    say("");
  }

  // What is asked for: the form as it stands.
  function wanted() {
    const draft = JSON.parse(window.atelierMemory()).draft;
    return { ...draft, seed: draft.seed >= 0 ? draft.seed : seed, by };
  }

  async function show(answer, prompt, used) {
    const picture = frame().querySelector("img"), before = picture.src;
    picture.src = URL.createObjectURL(await answer.blob());
    picture.alt = prompt;
    if (before) URL.revokeObjectURL(before);
    frame().querySelector("[data-act]").dataset.seed = used;
    frame().hidden = false;
    over = job()?.job;
    const { headers } = answer;
    say(status().dataset.drawn.replace("{seconds}", headers.get("X-Atelier-Seconds")).replace("{steps}", headers.get("X-Atelier-Steps")));
  }

  async function draw() {
    if (!on() || !frame()) return;
    const values = wanted(), body = JSON.stringify(values);
    if (body === drawn) return;
    const why = window.atelierStart() ? "start" : OPEN.includes(job()?.state) ? "busy" : "";
    if (why || !values.prompt?.trim()) {
      hide();
      return say(why && status().dataset[why]);
    }
    asked?.abort();
    const mine = asked = new AbortController();
    drawn = body;
    try {
      const answer = await fetch("atelier/sketch", { method: "POST", headers: { "Content-Type": "application/json" }, body, signal: mine.signal });
      if (asked !== mine) return;
      if (answer.ok) return await show(answer, values.prompt, values.seed);
      drawn = ""; // it may be asked for again
      if (answer.status === 429) timer = setTimeout(draw, AGAIN_MS);
      say((await answer.json()).said);
    } catch {
      if (asked === mine) drawn = ""; // a later one took its place, or the page's own server is gone: the header says so
    }
  }

  function soon() {
    clearTimeout(timer);
    if (on()) timer = setTimeout(draw, WAIT_MS);
  }

  // The switch as Python made it: it knows whether the model is quick enough, and the browser whether it is wished.
  window.atelierLive = () => {
    control()?.setAttribute("aria-checked", String(Boolean(on())));
    if (!on() && frame() && !frame().hidden) hide();
  };
  window.atelierSketchSoon = soon;
  // Another job came to the stage, which the sketch must not hide.
  window.atelierStaged = () => { if (frame() && !frame().hidden && job()?.job !== over) hide(); };

  document.addEventListener("click", (event) => {
    const pressed = event.target instanceof Element ? event.target : null;
    if (pressed?.closest("#at-generate")) {
      hide();
      drawn = JSON.stringify(wanted()); // that is drawn by the job now
      return;
    }
    if (!pressed?.closest("[data-live]")) return;
    try {
      localStorage.setItem(WISHED, wished() ? "0" : "1");
    } catch { return; }
    window.atelierLive();
    if (on()) draw();
  });
})();
