// Helps to write prompts for a model whose words are known: completes them while they are typed, and says of the others
// what they are read as, or which known word is nearest. What is known: `models/NAME.words.json`.
(() => {
  const MOST_OFFERED = 6, MOST_TOLD = 3, FAR = 3;
  const loaded = new Map(); // model → its words, or null
  let offered = [];
  const field = () => document.querySelector("#at-prompt textarea");
  const part = () => document.querySelector(".at-coach");
  const model = () => document.querySelector("#at-model-line [data-words-of]")?.dataset.wordsOf;

  async function words() {
    const name = model();
    if (!name) return null;
    if (!loaded.has(name)) {
      loaded.set(name, null);
      try {
        const answer = await fetch(`atelier/words/${name}.json`);
        const told = answer.ok ? await answer.json() : null;
        if (told) loaded.set(name, { ...told, english: new Set(told.known.en), chinese: new Set(told.known.zh) });
      } catch { /* without it nobody is helped, and nothing else */ }
    }
    return loaded.get(name);
  }

  // What ends at the caret, longest first: in English the last three words together, in Chinese the last six signs.
  function started(before) {
    const latin = /(?:[a-z]+ ){0,2}[a-z]{2,}$/i.exec(before)?.[0].toLowerCase();
    if (latin) return latin.split(" ").map((_, place, all) => all.slice(place).join(" "));
    const signs = /[\u4e00-\u9fff]{1,6}$/.exec(before)?.[0] ?? "";
    return [...signs].map((_, place) => signs.slice(place));
  }

  function completions(known, before) {
    const listed = /[a-z]$/i.test(before) ? known.complete.en : known.complete.zh;
    for (const start of started(before)) {
      const found = listed.filter((word) => word.startsWith(start) && word !== start);
      if (found.length && start.trim()) return found.slice(0, MOST_OFFERED).map((word) => ({ word, start }));
    }
    return [];
  }

  function distance(one, other) {
    let row = [...Array(other.length + 1).keys()];
    for (let i = 1; i <= one.length; i += 1) {
      const next = [i];
      for (let j = 1; j <= other.length; j += 1) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (one[i - 1] !== other[j - 1]));
      row = next;
    }
    return row[other.length];
  }

  // The word that differs least; none if more than a third of it differs.
  function nearest(known, word) {
    let best = null, least = Math.min(FAR, Math.floor(word.length / 3) + 1);
    for (const each of known.english) {
      const far = Math.abs(each.length - word.length) < least ? distance(word, each) : FAR;
      if (far < least) [best, least] = [each, far];
    }
    return best;
  }

  // Chinese has no gaps between words: the longest known word is taken at each place, what is left over is unknown.
  function strangeSigns(known, text) {
    return [...text.matchAll(/[\u4e00-\u9fff]+/g)].flatMap(({ 0: run, index }) => {
      const left = [];
      for (let at = 0, alone = false; at < run.length;) {
        const size = [6, 5, 4, 3, 2, 1].find((many) => at + many <= run.length && known.chinese.has(run.slice(at, at + many)));
        if (!size && alone) left.at(-1).word += run[at];
        if (!size && !alone) left.push({ at: index + at, word: run[at] });
        alone = !size;
        at += size ?? 1;
      }
      return left;
    });
  }

  // Each word that is not known, with its place.
  function strange(known, text, caret) {
    const typing = /[a-z]*$/i.exec(text.slice(0, caret))[0].toLowerCase(); // not yet a whole word
    const latin = [...text.toLowerCase().matchAll(/[a-z]{3,}/g)].map(({ 0: word, index }) => ({ at: index, word }))
      .filter(({ at, word }) => !known.english.has(word) && (at + word.length !== caret || word !== typing));
    return [...latin, ...strangeSigns(known, text)].sort((one, other) => one.at - other.at);
  }

  function told(known, found) {
    const says = part().dataset;
    return [...new Set(found.map(({ word }) => word))].slice(0, MOST_TOLD).map((word) => {
      const like = known.read_as[word] ?? known.read_as[word.replace(/s$/, "")];
      if (like) return says.readAs.replace("{word}", word).replace("{thing}", like);
      const near = /[a-z]/.test(word) ? nearest(known, word) : null;
      return near ? says.nearest.replace("{word}", word).replace("{thing}", near) : says.unknown.replace("{word}", word);
    });
  }

  // A field cannot underline a part of its text: the same text, unseen but for its lines, lies over it.
  function underline(from, found) {
    let layer = from.parentElement.querySelector(".at-underlined");
    if (!layer && !found.length) return;
    if (!layer) {
      layer = document.createElement("div");
      layer.className = "at-underlined";
      layer.ariaHidden = "true";
      from.parentElement.append(layer);
      from.addEventListener("scroll", () => { layer.scrollTop = from.scrollTop; });
    }
    const look = getComputedStyle(from);
    for (const name of ["font", "letterSpacing", "padding", "borderWidth"]) layer.style[name] = look[name];
    Object.assign(layer.style, { left: `${from.offsetLeft}px`, top: `${from.offsetTop}px`, width: `${from.clientWidth}px`, height: `${from.clientHeight}px` });
    const pieces = [];
    let end = 0;
    for (const { at, word } of found) {
      const marked = document.createElement("u");
      marked.textContent = from.value.slice(at, at + word.length);
      pieces.push(from.value.slice(end, at), marked);
      end = at + word.length;
    }
    layer.replaceChildren(...pieces, from.value.slice(end));
    layer.scrollTop = from.scrollTop;
  }

  async function look() {
    const known = await words(), shown = part(), from = field();
    if (!shown || !from) return;
    const caret = from.selectionStart;
    offered = known && document.activeElement === from ? completions(known, from.value.slice(0, caret)) : [];
    const buttons = offered.map(({ word }) => {
      const made = document.createElement("button");
      made.type = "button";
      made.className = "at-example at-offered";
      made.textContent = word;
      return made;
    });
    const found = known ? strange(known, from.value, caret) : [];
    underline(from, found);
    const lines = known ? told(known, found) : [];
    const said = document.createElement("span");
    said.setAttribute("role", "status");
    said.textContent = lines.join(" · ");
    shown.replaceChildren(...buttons, said);
  }

  function take(place) {
    const from = field(), taken = offered[place];
    if (!taken) return;
    from.focus();
    from.setSelectionRange(from.selectionStart - taken.start.length, from.selectionStart);
    document.execCommand("insertText", false, taken.word); // as if it were typed: undo takes it back
  }

  window.atelierCoach = look;
  document.addEventListener("input", (event) => { if (event.target === field()) look(); });
  document.addEventListener("mousedown", (event) => {
    if (event.target instanceof Element && event.target.closest(".at-offered")) event.preventDefault(); // the field keeps the focus
  });
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest(".at-offered") : null;
    if (button) take([...button.parentElement.children].indexOf(button));
  });
  document.addEventListener("keydown", (event) => {
    if (event.target !== field() || event.key !== "ArrowRight" || !event.altKey || !offered.length) return;
    event.preventDefault();
    take(0);
  });
})();
