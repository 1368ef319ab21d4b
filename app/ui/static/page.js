// What Gradio cannot do for the page: keyboard, dialogs, clipboard. All texts come from data attributes.
(() => {
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
    const copy = target?.closest("[data-copy]");
    if (copy) await copyText(copy);
    const picture = target?.closest("[data-zoom]");
    if (picture) showLarge(picture);
    const message = target?.closest(".at-toast [data-close]")?.closest(".at-toast");
    if (message) message.hidden = true;
    if (target?.closest("#at-generate") && window.innerWidth < 768) {
      setTimeout(() => document.querySelector("#at-stage")?.scrollIntoView({ behavior: "smooth", block: "start" }), 350);
    }
  });

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

  function open(dialog, opener) {
    dialog.addEventListener("close", () => { dialog.remove(); opener?.focus?.(); });
    document.querySelector(".gradio-container").append(dialog);
    dialog.showModal();
  }

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
      open(dialog, opener);
    });
  }

  function showLarge(opener) {
    const all = [...document.querySelectorAll("[data-zoom]")].filter((item) => item.offsetParent);
    let place = all.indexOf(opener);
    const dialog = document.createElement("dialog");
    dialog.className = "at-large";
    const image = document.createElement("img");
    const caption = document.createElement("p");
    const show = () => {
      const item = all[place];
      image.src = item.dataset.zoom;
      image.alt = item.getAttribute("aria-label") ?? "";
      caption.textContent = item.dataset.caption ?? "";
      dialog.setAttribute("aria-label", image.alt);
    };
    const close = button("✕", "at-bare", () => dialog.close());
    close.setAttribute("aria-label", document.querySelector("#at-words")?.dataset.close ?? "✕");
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      place = (place + step + all.length) % all.length;
      show();
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    show();
    dialog.append(image, caption, close);
    open(dialog, opener);
  }

  // A dropped or chosen file goes to the page as bytes; the page's Python is then told the name it got.
  async function handIn(zone, file, trigger) {
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

  // Called by each HTML part of the page: buttons with data-act send their data to Python.
  window.atelierActions = (element, trigger) => {
    listenForFiles(element, trigger);
    element.addEventListener("click", async (event) => {
      const pressed = event.target instanceof Element ? event.target.closest("[data-act]") : null;
      if (!pressed || pressed.disabled || !element.contains(pressed)) return;
      const data = { here: pressed.closest("[data-stack]")?.dataset.stack, ...pressed.dataset };
      if (data.confirm && !(await confirmed(data, pressed))) return;
      trigger("click", data);
    });
  };
})();
