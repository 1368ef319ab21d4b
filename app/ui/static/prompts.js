// Prompts that were drawn in this browser: Alt+↑ and Alt+↓ in the prompt field walk through them.
(() => {
  const PROMPTS = "atelier-prompts", MOST = 50;
  let place = -1, typed = "";

  function known() {
    try {
      const found = JSON.parse(localStorage.getItem(PROMPTS) ?? "[]");
      return Array.isArray(found) ? found.filter((text) => typeof text === "string") : [];
    } catch {
      return [];
    }
  }

  const field = () => document.querySelector("#at-prompt textarea");

  document.addEventListener("click", (event) => {
    const text = event.target instanceof Element && event.target.closest("#at-generate") ? field()?.value.trim() : "";
    if (!text) return;
    place = -1;
    try {
      localStorage.setItem(PROMPTS, JSON.stringify([text, ...known().filter((other) => other !== text)].slice(0, MOST)));
    } catch { /* a full or forbidden storage forgets, and nothing else */ }
  });

  document.addEventListener("keydown", (event) => {
    const step = event.altKey && !event.ctrlKey && !event.metaKey ? { ArrowUp: 1, ArrowDown: -1 }[event.key] : undefined;
    if (!step || event.target !== field()) return;
    event.preventDefault();
    const all = known(), next = place + step;
    if (next < -1 || next >= all.length) return;
    if (place === -1) typed = field().value;
    place = next;
    window.atelierType(field(), place === -1 ? typed : all[place]);
  });
})();
