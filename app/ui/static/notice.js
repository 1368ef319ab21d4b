// Tells whoever looks elsewhere how a picture comes along: in the tab's title, and as a notification where one was wished.
(() => {
  const WISHED = "atelier-notify", OPEN = ["queued", "running"];
  let watched = null, ended = false;
  const title = () => document.title.split(" · ").at(-1);
  const wished = () => {
    try {
      return window.Notification?.permission === "granted" && localStorage.getItem(WISHED) === "1";
    } catch { return false; } // a forbidden storage
  };

  function look() {
    const card = document.querySelector("#at-stage .at-job");
    if (!card) return;
    const { job, state } = card.dataset;
    const button = card.querySelector("[data-notify]");
    if (button) button.hidden = !window.Notification || Notification.permission === "denied" || wished();
    if (OPEN.includes(state)) {
      watched = job;
      ended = false;
      return say(`${card.querySelector("[role=progressbar]")?.ariaValueNow ?? 0} %`);
    }
    if (watched !== job) return ended || say("");
    watched = null;
    ended = document.hidden;
    const sign = state === "succeeded" ? "✓" : "✗";
    say(ended ? sign : "");
    if (ended && wished()) {
      const told = new Notification(`${sign} ${card.querySelector("[aria-live]")?.textContent ?? ""}`, { body: card.querySelector(".at-prompt")?.textContent, tag: job });
      told.addEventListener("click", () => { window.focus(); told.close(); });
    }
  }

  function say(before) {
    const wanted = before ? `${before} · ${title()}` : title();
    if (document.title !== wanted) document.title = wanted;
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && ended) { ended = false; say(""); }
  });
  document.addEventListener("click", async (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-notify]")) return;
    try {
      if (await Notification.requestPermission() === "granted") localStorage.setItem(WISHED, "1");
    } catch { /* a full or forbidden storage forgets, and nothing else */ }
    look();
  });
  window.atelierLook = look;
})();
