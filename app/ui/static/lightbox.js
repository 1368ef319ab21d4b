// A picture shown large with what is known of it, many of them ticked at once, and two held against each other.
(() => {
  const texts = () => JSON.parse(document.querySelector("#at-words")?.dataset.texts ?? "{}");
  const make = (name, values = {}, ...inside) => {
    const made = Object.assign(document.createElement(name), values);
    made.append(...inside);
    return made;
  };

  // Events of this file reach Python through the part of the page that the picture stands in.
  function tell(part, data) {
    part?.atelierTell?.({ here: part.querySelector("[data-stack]")?.dataset.stack, ...data });
  }

  // When what is seen of it has been drawn.
  const later = (act) => requestAnimationFrame(() => setTimeout(act));

  function show(opener) {
    const said = texts();
    let part = opener;
    while (part && !part.atelierTell) part = part.parentElement;
    const group = opener.closest("[data-shows], .at-gallery, .at-card") ?? document;
    let all = [...group.querySelectorAll("[data-zoom]")].filter((item) => item.offsetParent).map((item) => ({ ...item.dataset, label: item.getAttribute("aria-label") }));
    let place = Math.max(0, all.findIndex((item) => item.zoom === opener.dataset.zoom));
    const dialog = make("dialog", { className: "at-large" });
    const image = make("img");
    const caption = make("p", { className: "at-large-caption" });
    const about = make("div", { className: "at-large-about" });
    const buttons = make("div", { className: "at-row at-large-buttons" });
    // It has the focus, not the first button, which would take the space key for itself. Chromium looks for a part of
    // the dialog to focus: that the dialog itself asks for it changes nothing.
    const stage = make("div", { className: "at-large-stage", tabIndex: -1, autofocus: true }, image);
    const button = (sign, label, act, kind = "") => {
      const made = make("button", { type: "button", className: `at-button ${kind}`, textContent: sign, title: label });
      made.setAttribute("aria-label", label);
      made.addEventListener("click", act);
      return made;
    };
    const now = () => all[place];
    const go = (step) => { place = (place + step + all.length) % all.length; draw(); };
    const acts = {
      ArrowRight: () => go(1),
      ArrowLeft: () => go(-1),
      z: () => dialog.classList.toggle("at-actual"),
      d: () => make("a", { href: `${now().zoom}?download=1`, download: "" }).click(),
      f: () => {
        if (!now().id) return;
        now().favourite = now().favourite === "1" ? "0" : "1";
        const { id, favourite } = now();
        draw();
        later(() => tell(part, { act: "favourite", id, value: favourite }));
      },
      " ": () => {
        const box = now().id ? document.querySelector(`[data-pick="${now().id}"]`) : null;
        if (box) { box.click(); draw(); }
      },
      Delete: async () => {
        if (!now().id || !(await window.atelierConfirmed({ confirm: said.question, yes: said.yes, no: said.no }, stage))) return;
        const { id } = now();
        later(() => tell(part, { act: "delete", id }));
        all = all.filter((item) => item !== now());
        if (!all.length) return dialog.close();
        place = Math.min(place, all.length - 1);
        draw();
      },
    };
    const star = button("★", said.favourite, acts.f);
    const tick = button("✓", said.select, acts[" "]);
    const owned = [star, tick, button("🗑", said.delete, acts.Delete), button(said.use, said.use, () => {
      tell(part, { act: "restore", id: now().id });
      dialog.close();
    }), button(said.chain, said.chain, () => {
      tell(part, { act: "chain", id: now().id });
      dialog.close();
      document.querySelector("#at-chain")?.scrollIntoView({ block: "start" });
    }), button(said.alike, said.alike, () => {
      tell(part, { act: "alike", id: now().id });
      dialog.close();
    })];
    const start = button(said.start, said.start, () => {
      tell(part, { act: "start", id: now().startFrom });
      dialog.close();
    });
    buttons.append(button("‹", said.previous, acts.ArrowLeft), button("›", said.next, acts.ArrowRight), button("⤢", said.zoom, acts.z),
      button("⬇", said.download, acts.d), ...owned, start);

    function draw() {
      const item = now();
      image.src = item.zoom;
      image.alt = item.label ?? "";
      caption.textContent = `${item.caption ?? ""}${all.length > 1 ? ` · ${place + 1} / ${all.length}` : ""}`;
      dialog.setAttribute("aria-label", image.alt);
      owned.forEach((each) => { each.hidden = !item.id; });
      start.hidden = !item.startFrom;
      tick.hidden = !item.id || !document.querySelector(`[data-pick="${item.id}"]`);
      star.setAttribute("aria-pressed", String(item.favourite === "1"));
      tick.setAttribute("aria-pressed", String(Boolean(document.querySelector(`[data-pick="${item.id}"]:checked`))));
      about.replaceChildren(...(item.prompt ? [make("p", { textContent: item.prompt }), facts(JSON.parse(item.facts ?? "[]"))] : []));
      about.hidden = !item.prompt;
    }

    const close = button("✕", said.close, () => dialog.close(), "at-bare at-large-close");
    dialog.addEventListener("keydown", (event) => {
      const act = event.ctrlKey || event.metaKey || event.altKey ? null : acts[event.key];
      if (!act || (event.key === " " && event.target instanceof HTMLButtonElement)) return;
      event.preventDefault();
      act();
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.append(stage, caption, about, buttons, close);
    draw();
    window.atelierOpen(dialog, () => (opener.isConnected ? opener : document.querySelector(`[data-zoom="${CSS.escape(now()?.zoom ?? "")}"]`)));
  }

  function facts(rows) {
    return make("dl", { className: "at-facts" }, ...rows.map(([name, value]) =>
      make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }))));
  }

  // Ticked pictures: the row above the wall says how many, and what can be done with them.
  const ticked = (wall) => [...wall.querySelectorAll("[data-pick]:checked")].map((box) => box.dataset.pick);

  function count(wall) {
    const row = wall.querySelector(".at-picked");
    if (!row) return;
    const ids = ticked(wall);
    row.hidden = !ids.length;
    const number = row.querySelector("[data-number]");
    number.textContent = number.dataset.number.replace(/\d+/, ids.length);
    row.querySelector("[data-compare]").hidden = ids.length !== 2;
    const zip = row.querySelector("[data-zip]");
    zip.href = `${zip.dataset.zip}?ids=${ids.join(",")}`;
    for (const act of row.querySelectorAll("[data-act]")) act.dataset.ids = JSON.stringify(ids);
  }

  let kept = new Set(); // ticks outlive a wall that is drawn anew because a picture came or was marked

  function changed(wall) {
    kept = new Set(ticked(wall));
    count(wall);
  }

  window.atelierDrawn = (element) => {
    const wall = kept.size ? element.querySelector("[data-shows]:has(.at-wall)") : null;
    if (!wall) return;
    for (const box of wall.querySelectorAll("[data-pick]")) box.checked = kept.has(box.dataset.pick);
    changed(wall);
  };

  // A picture over the one that it was made from.
  document.addEventListener("input", (event) => {
    const slider = event.target instanceof Element ? event.target.closest("[data-over]") : null;
    if (slider) slider.previousElementSibling.lastElementChild.style.clipPath = `inset(0 0 0 ${slider.value}%)`;
  });

  document.addEventListener("change", (event) => {
    if (event.target instanceof Element && event.target.matches("[data-pick]")) changed(event.target.closest("[data-shows]"));
  });

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const picture = target?.closest("[data-zoom]");
    if (picture) show(picture);
    const wall = target?.closest("[data-shows]");
    if (target?.closest("[data-untick]")) {
      for (const box of wall.querySelectorAll("[data-pick]:checked")) box.checked = false;
      changed(wall);
    }
    if (target?.closest("[data-compare]")) compare(ticked(wall).map((id) => wall.querySelector(`[data-zoom][data-id="${id}"]`)), target);
  });

  // One over the other with a line to move, and a table of what differs.
  function compare([one, other], opener) {
    const said = texts();
    const slider = make("input", { type: "range", min: 0, max: 100, value: 50, className: "at-compare-slider" });
    slider.setAttribute("aria-label", said.slider);
    const above = make("img", { src: other.dataset.zoom, alt: other.getAttribute("aria-label") });
    const both = make("div", { className: "at-compare" }, make("img", { src: one.dataset.zoom, alt: one.getAttribute("aria-label") }), above);
    const move = () => { above.style.clipPath = `inset(0 0 0 ${slider.value}%)`; };
    slider.addEventListener("input", move);
    move();
    const rows = (item) => new Map([["", item.dataset.prompt], ...JSON.parse(item.dataset.facts)]);
    const [left, right] = [rows(one), rows(other)];
    const different = [...new Set([...left.keys(), ...right.keys()])].filter((name) => left.get(name) !== right.get(name));
    const table = make("table", {}, make("caption", { textContent: different.length ? said.differs : said.same }), ...different.map((name) =>
      make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", { textContent: left.get(name) ?? "–" }), make("td", { textContent: right.get(name) ?? "–" }))));
    const close = make("button", { type: "button", className: "at-button", textContent: said.close });
    const dialog = make("dialog", { className: "at-dialog at-compared" }, both, slider, table, close);
    dialog.setAttribute("aria-label", said.compare);
    close.addEventListener("click", () => dialog.close());
    window.atelierOpen(dialog, () => opener);
  }
})();
