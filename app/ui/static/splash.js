// The page before Gradio's scripts have run: samples that can be clicked, and the picture that is drawn meanwhile.
(() => {
  const LOOK_MS = 200, SHORT_MS = 20, TOLD_MS = 60, MOST_MS = 500, PATIENCE_MS = 2000, SAMPLES_MODEL = "pocket";
  const splash = () => document.querySelector("#at-splash");
  const ours = () => splash()?.querySelector(".at-splash-stage");
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const ask = window.fetch;
  let begun = null, failed = false, words = null, answer = null, over = null;

  // Only where the page will show the same: to whom it will show a job, another tab or other samples, it shows nothing.
  function awaited() {
    const asked = new URLSearchParams(location.search), { jobs, focus, draft, start } = JSON.parse(window.atelierMemory());
    const elsewhere = asked.has("job") || asked.has("prompt") || (asked.get("tab") ?? "generate") !== "generate";
    return !elsewhere && !focus && !jobs.length && !start && [undefined, SAMPLES_MODEL].includes(draft.model);
  }

  async function tell(said) {
    answer = await said.json();
    if (ours()) ours().innerHTML = answer.stage;
  }

  async function begin(text) {
    words = text;
    window.atelierKeep({ prompt: text });
    const { draft } = JSON.parse(window.atelierMemory());
    const headers = { "Content-Type": "application/json" };
    await tell(await ask("atelier/begin", { method: "POST", headers, body: JSON.stringify(draft) }));
    if (answer.job) window.atelierBegan(answer.job);
  }

  async function follow() {
    while (answer?.busy && splash()) {
      await wait(LOOK_MS);
      await tell(await ask(`atelier/begun/${answer.job}`));
    }
  }

  // Gradio's scripts ask the page's server before each of their long works: what the reader asked for comes first.
  function first(drawn) {
    over = Promise.race([drawn, wait(PATIENCE_MS)]);
    window.fetch = async (...asked) => {
      await over;
      return ask(...asked);
    };
    over.then(() => { window.fetch = ask; });
  }

  // True if the page shows as much of the job as the splash does.
  function caughtUp() {
    const shown = document.querySelector("#at-stage .at-job")?.dataset;
    return shown?.job === answer.job && (answer.busy || !["queued", "running"].includes(shown.state));
  }

  // All of the page is there and is about to be shown: it shows what was begun.
  window.atelierTakeOver = async () => {
    const stage = document.querySelector("#at-stage :is(.at-empty, .at-card, .at-notice)");
    if (!begun || !stage) return;
    await Promise.race([begun, wait(PATIENCE_MS)]);
    if (!answer?.job) return;
    if (!caughtUp()) window.atelierTell(stage, { act: "focus", id: answer.job });
    for (let waited = 0; !caughtUp() && waited < PATIENCE_MS; waited += SHORT_MS) await wait(SHORT_MS);
  };

  // The page is shown. What could not be begun it begins itself, and says why it cannot.
  window.atelierTookOver = () => {
    splash()?.remove();
    const field = document.querySelector("#at-prompt textarea");
    if (!begun || !field) return;
    if (field.value !== words) window.atelierType(field, words);
    if (failed || (answer && !answer.job)) setTimeout(() => document.querySelector("#at-generate").click(), TOLD_MS);
  };

  // Gradio's scripts keep the browser busy for a second or more: they are fetched when the samples can be seen, and run
  // when they are there, and not before a picture that was asked for meanwhile.
  async function run() {
    const link = document.querySelector("#at-gradio");
    if (!link) return;
    link.removeAttribute("id");
    const needed = link.dataset.needs.split(" ").filter(Boolean).map((name) => Object.assign(document.createElement("link"), { rel: "modulepreload", crossOrigin: "", href: new URL(name, link.href) }));
    const come = needed.map((each) => new Promise((done) => { each.onload = each.onerror = done; }));
    document.head.append(...needed);
    await Promise.race([Promise.all(come), wait(MOST_MS)]);
    await over;
    document.head.append(Object.assign(document.createElement("script"), { type: "module", crossOrigin: "", src: link.href }));
  }

  async function drawn() {
    const pictures = [...splash().querySelectorAll("img")].map((picture) => picture.decode().catch(() => {}));
    await Promise.all(pictures);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }

  // As Gradio will choose.
  function choosesDark() {
    const asked = new URLSearchParams(location.search).get("__theme");
    return asked === "dark" || (asked !== "light" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  }

  window.atelierSplash = () => {
    document.body.classList.toggle("dark", choosesDark());
    splash().hidden = !awaited();
    Promise.race([splash().hidden ? null : drawn(), wait(MOST_MS)]).then(run);
    splash().addEventListener("click", (event) => {
      const sample = event.target instanceof Element ? event.target.closest(".at-sample") : null;
      if (!sample) return;
      event.stopPropagation(); // the page's own way needs the page
      if (begun) return;
      sample.setAttribute("aria-busy", "true");
      begun = begin(sample.dataset.words).catch(() => { failed = true; });
      first(begun.then(follow).catch(() => {}));
    });
  };
})();
