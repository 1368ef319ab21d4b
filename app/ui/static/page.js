// What Gradio cannot do for the page: keyboard, dialogs, clipboard. All texts come from data attributes.
(() => {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)"); // whoever wants no movement
  const press = (selector) => document.querySelector(selector)?.click();

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const field = document.activeElement;
      const elsewhere = field && field !== document.body && !field.closest(".at-form");
      if (elsewhere || event.repeat || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      // A field tells its value to the page when it is left; give that a moment before the click.
      if (document.activeElement instanceof HTMLElement) document.activeElement.dispatchEvent(new Event("change", { bubbles: true }));
      setTimeout(() => press("#at-generate"), 30);
    }
  });

  // Who clicks twice out of habit wants one job.
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target instanceof Element && event.target.closest("#at-generate")) event.stopPropagation();
  }, true);

  document.addEventListener("click", async (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const language = target?.closest("[data-language]")?.dataset.language;
    if (language) {
      document.cookie = `atelier-language=${language}; path=/; max-age=31536000; samesite=strict`;
      return location.reload();
    }
    const other = target?.closest("[data-press]");
    if (other) press(other.dataset.press);
    const copy = target?.closest("[data-copy]");
    if (copy) await copyText(copy);
    const example = target?.closest("[data-words]");
    if (example) type(document.querySelector("#at-prompt textarea"), example.dataset.words);
    if (example?.matches("[data-draw]")) setTimeout(() => press("#at-generate"), 60); // the field has told its value by then
    const message = target?.closest(".at-toast [data-close]")?.closest(".at-toast");
    if (message) message.hidden = true;
    if (target?.closest("#at-generate") && window.innerWidth < 768) {
      setTimeout(() => document.querySelector("#at-stage")?.scrollIntoView({ behavior: still.matches ? "auto" : "smooth", block: "start" }), 350);
    }
  });

  // The page is shown when all of it is there (`style.css`), so that nothing jumps; and in any case after a while.
  const SHOWN_ANYWAY_MS = 8000;
  window.atelierReady = async () => {
    if (document.documentElement.classList.contains("at-ready")) return;
    await window.atelierTakeOver();
    // What was just told to the page is drawn in the next frame.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      document.documentElement.classList.add("at-ready");
      window.atelierTookOver();
      if (window.innerWidth >= 768 && document.activeElement === document.body) document.querySelector("#at-prompt textarea")?.focus();
    }));
  };
  setTimeout(window.atelierReady, SHOWN_ANYWAY_MS);

  window.atelierType = type;

  // As if it were typed, so that undo takes it back.
  function type(field, text) {
    field.focus();
    field.select();
    document.execCommand("insertText", false, text);
  }

  // The page's own server: asked every moment, and missed when it does not answer.
  const PATIENCE_MS = 5000, ANSWERED_MS = 5000;
  let askedAt = null;
  window.atelierAsked = () => { askedAt ??= Date.now(); };
  window.atelierAnswered = () => { askedAt = null; showCut(); };
  setInterval(showCut, 1000);

  function showCut() {
    const cut = askedAt !== null && !document.hidden && Date.now() - askedAt > PATIENCE_MS;
    const shown = document.querySelector("#at-cut");
    if (!cut) return shown?.remove();
    if (shown) return;
    const text = JSON.parse(document.querySelector("#at-words")?.dataset.texts ?? "{}").cut;
    const header = document.querySelector(".at-header");
    if (!text || !header) return;
    const banner = document.createElement("div");
    banner.id = "at-cut";
    banner.className = "at-notice at-notice-bad";
    banner.setAttribute("role", "alert");
    banner.textContent = text;
    header.after(banner);
  }

  async function copyText(button) {
    const span = button.querySelector("span");
    const before = span.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      const area = document.createElement("textarea"); // plain http on another machine has no clipboard
      area.value = button.dataset.copy;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    span.textContent = button.dataset.copied;
    setTimeout(() => { span.textContent = before; }, 1500);
  }

  function button(text, classes, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = `at-button ${classes}`;
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  }

  // `opener` gets the focus back; it is asked for at the end, for the page may have been drawn anew.
  window.atelierOpen = (dialog, opener) => {
    dialog.addEventListener("close", () => { dialog.remove(); opener()?.focus?.(); });
    document.querySelector(".gradio-container").append(dialog);
    dialog.showModal();
  };
  window.atelierConfirmed = confirmed;

  function confirmed({ confirm, yes, no }, opener) {
    return new Promise((resolve) => {
      const dialog = document.createElement("dialog");
      dialog.className = "at-dialog";
      const text = document.createElement("p");
      text.id = "at-question";
      text.textContent = confirm;
      dialog.setAttribute("aria-labelledby", "at-question");
      const row = document.createElement("div");
      row.className = "at-row";
      const end = (answer) => () => { resolve(answer); dialog.close(); };
      row.append(button(no, "at-plain", end(false)), button(yes, "at-danger", end(true)));
      dialog.addEventListener("cancel", () => resolve(false));
      dialog.append(text, row);
      window.atelierOpen(dialog, () => opener);
    });
  }

  window.atelierHandIn = handIn;

  // A dropped or chosen file goes to the page as bytes; the page's Python is then told the name it got.
  async function handIn(zone, file, trigger) {
    if (zone.closest("#at-inspect-file")) window.atelierInspected = file; // it may become the picture to start from
    if (!file || zone.ariaBusy === "true") return;
    if (file.size > Number(zone.dataset.most)) return trigger("click", { act: "too-large" });
    zone.ariaBusy = "true";
    try {
      const answer = await fetch(zone.dataset.upload, { method: "POST", body: file });
      if (answer.ok) trigger("click", { act: "handed-in", id: (await answer.json()).name });
      else trigger("click", { act: answer.status === 503 ? "no-room" : "failed" });
    } catch {
      trigger("click", { act: "failed" });
    } finally {
      zone.ariaBusy = "false";
    }
  }

  function listenForFiles(element, trigger) {
    const zoneOf = (event) => (event.target instanceof Element ? event.target.closest("[data-upload]") : null);
    element.addEventListener("change", (event) => {
      const zone = zoneOf(event);
      if (!zone) return;
      handIn(zone, event.target.files[0], trigger);
      event.target.value = ""; // the same file again is a change again
    });
    for (const name of ["dragover", "dragleave", "drop"]) {
      element.addEventListener(name, (event) => {
        const zone = zoneOf(event);
        if (!zone) return;
        event.preventDefault();
        zone.classList.toggle("at-drop-over", name === "dragover");
        if (name === "drop") handIn(zone, event.dataTransfer.files[0], trigger);
      });
    }
  }

  // What is pasted goes to the drop zone of the tab that is shown; the form's own is in paint.js.
  document.addEventListener("paste", (event) => {
    const zones = document.querySelectorAll("#at-inspect-file [data-upload], #at-describe-file [data-upload]");
    const zone = [...zones].find((each) => each.offsetParent);
    const file = [...event.clipboardData?.files ?? []].find((each) => each.type.startsWith("image/"));
    if (!zone || !file) return;
    event.preventDefault();
    handIn(zone, file, (_, data) => window.atelierTell(zone, data));
  });

  // A part that is drawn anew takes its buttons along, and whoever uses the keyboard would begin again at the top: the
  // button that was just pressed has the focus again, or the first one where it is gone.
  window.atelierRefocus = (element) => {
    const pressed = element.atelierPressed;
    if (document.activeElement !== document.body || !pressed || Date.now() - pressed.at > ANSWERED_MS) return;
    const buttons = [...element.querySelectorAll("button:not(:disabled)")];
    const same = buttons.find(({ dataset }) => dataset.act === pressed.act && dataset.id === pressed.id);
    (same ?? buttons[0])?.focus({ preventScroll: true });
  };

  // Tells Python, through the part of the page that this stands in.
  window.atelierTell = (inside, data) => {
    let told = inside;
    while (told && !told.atelierTell) told = told.parentElement;
    told?.atelierTell(data);
  };

  // Called by each HTML part of the page: buttons with data-act send their data to Python.
  window.atelierActions = (element, trigger) => {
    listenForFiles(element, trigger);
    element.atelierTell = (data) => trigger("click", data);
    element.addEventListener("click", async (event) => {
      const pressed = event.target instanceof Element ? event.target.closest("[data-act]") : null;
      if (!pressed || pressed.disabled || !element.contains(pressed)) return;
      element.atelierPressed = { act: pressed.dataset.act, id: pressed.dataset.id, at: Date.now() };
      const data = { here: pressed.closest("[data-stack]")?.dataset.stack, ...pressed.dataset };
      if (data.act === "lora") data.weight = pressed.closest("[data-lora]")?.querySelector("[data-weight]")?.value;
      if (data.act === "variations") data.far = pressed.closest(".at-job")?.querySelector("[data-far]")?.value;
      if (data.confirm && !(await confirmed(data, pressed))) return;
      if (data.act === "page") window.atelierWent(data.stack);
      trigger("click", data);
    });
  };
})();
