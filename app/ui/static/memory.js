// What this browser remembers: its jobs (all tabs share them), and for each tab the job looked at and the draft.
(() => {
  const JOBS = "atelier-jobs", FOCUS = "atelier-focus", DRAFT = "atelier-draft", AWAITED = "atelier-awaited", MOST_JOBS = 12;
  const TEXTS = ["prompt", "negative_prompt"];
  const MOST_TRIES = 5;
  let open = false; // before the page is filled, its empty fields are no draft
  let place = null, tries = 0; // in the library: where its pager and its search led, whatever a late answer has drawn

  function read(store, key, otherwise) {
    try {
      return JSON.parse(store.getItem(key)) ?? otherwise;
    } catch {
      return otherwise;
    }
  }

  function write(store, key, value) {
    try {
      store.setItem(key, JSON.stringify(value));
    } catch { /* a full or forbidden storage forgets, and nothing else */ }
  }

  const draft = () => read(sessionStorage, DRAFT, null) ?? read(localStorage, DRAFT, {});

  function keep(values) {
    const kept = { ...draft(), ...Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined)) };
    write(sessionStorage, DRAFT, kept);
    write(localStorage, DRAFT, kept); // for the next tab, and for after a crash
  }

  window.atelierKeep = keep;
  // A job that began before the page was there.
  window.atelierBegan = (id) => {
    write(localStorage, JOBS, [id, ...read(localStorage, JOBS, [])].slice(0, MOST_JOBS));
    write(sessionStorage, FOCUS, id);
  };

  // Sent with each event that needs it; `Memory.read` is the other side.
  window.atelierMemory = () => JSON.stringify({
    jobs: read(localStorage, JOBS, []),
    focus: read(sessionStorage, FOCUS, null),
    draft: draft(),
    shown: Object.fromEntries([...document.querySelectorAll("[data-shows]")].map((part) => [part.dataset.shows, part.dataset.mark])),
    start: window.atelierStart(),
    place,
    awaited: read(localStorage, AWAITED, null),
  });

  window.atelierWent = (stack) => { place = stack; tries = 0; };
  window.atelierPlaced = (element) => {
    const shown = element.querySelector("[data-stack]")?.dataset.stack;
    if (place === null || shown === undefined || shown === place || tries >= MOST_TRIES) return;
    tries += 1;
    element.atelierTell({ act: "page", stack: place });
  };

  // What Python answered: jobs that came and went. Other tabs may have changed the list meanwhile.
  window.atelierRemember = (element) => {
    const told = read({ getItem: () => element.textContent }, "", null);
    if (!told) return;
    const listed = read(localStorage, JOBS, []);
    const others = (Array.isArray(listed) ? listed : []).filter((id) => !told.added.includes(id) && !told.gone.includes(id));
    write(localStorage, JOBS, [...told.added, ...others].slice(0, MOST_JOBS));
    write(sessionStorage, FOCUS, told.focus);
    if ("awaited" in told) write(localStorage, AWAITED, told.awaited);
  };

  window.atelierOpened = () => {
    open = true;
    // On a phone the picture comes first; whoever wants settings opens them.
    if (window.innerWidth < 768) document.querySelector("#at-settings > .label-wrap.open")?.click();
    window.atelierReady();
  };
  // Many changes at once, as when the form is filled, are one to whoever wants to know of them.
  const SOON_MS = 40, hearers = {}, due = {};
  window.atelierHears = (name, hear) => { hearers[name] = hear; };
  window.atelierSoon = (name) => {
    clearTimeout(due[name]);
    due[name] = setTimeout(() => hearers[name]?.(), SOON_MS);
  };

  window.atelierDraft = (names, values) => {
    if (!open) return;
    const said = Object.fromEntries(names.map((name, place) => [name, values[place]]));
    // Gradio tells what a text was a moment ago; more may have been typed since.
    setTimeout(() => {
      for (const name of TEXTS) said[name] = document.querySelector(`#at-${name} textarea`)?.value ?? said[name];
      keep(said);
      window.atelierCoach(); // the text may come from elsewhere than the keys
      window.atelierSketchSoon();
    });
  };

  // Texts as they are typed: Gradio tells of them later.
  document.addEventListener("input", (event) => {
    const field = event.target instanceof HTMLTextAreaElement ? event.target.closest(TEXTS.map((name) => `#at-${name}`).join()) : null;
    if (!field) return;
    keep({ [field.id.replace("at-", "")]: event.target.value });
    window.atelierSketchSoon();
  });
})();
