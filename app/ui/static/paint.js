// The picture to start from: handed in by whatever way, and a mask painted over it, which is sent when it is needed.
(() => {
  const LEAST_PART = 8; // pixels of a part that is cut out
  const MOST_WAIT_MS = 10000; // for a mask that is on its way
  const START = "atelier-start", STROKES = "atelier-strokes", SIDES = "atelier-sides", PAINT = "#e0367a", LONGEST = 2048; // pixels of a mask's longer side
  let strokes = []; // { eraser, size, points: [[x, y], …] }, in pixels of the mask
  let base = null; // a mask that was there before the first stroke
  let sent = null; // the name of the mask that was handed in last: null = nothing is painted, "" = it did not arrive
  let tool = "brush";
  let typing = 0; // the clock of who types a number
  let loaded = Promise.resolve(); // the picture and its mask are there, or will not come
  let frame = null; // left, top, width, height of what is about to be cut out

  const panel = () => document.querySelector("#at-start [data-start]");
  const canvas = () => panel()?.querySelector("canvas");
  const stored = (key) => { try { return sessionStorage.getItem(key); } catch { return null; } };
  const store = (key, value) => { try { sessionStorage.setItem(key, value); } catch { /* it is forgotten, no more */ } };

  // Pixels to draw beyond the left, top, right and bottom.
  const sides = () => [...panel().querySelectorAll(".at-side")].map((field) => Math.max(0, Math.round(Number(field.value) || 0)));

  // `Memory.read` is the other side.
  window.atelierStart = () => {
    const shown = panel();
    const sha256 = shown ? shown.dataset.start : stored(START);
    return sha256 ? { sha256, mask: sent, extend: shown ? sides() : JSON.parse(stored(SIDES) || "[]") } : null;
  };

  // Called when the panel was drawn anew.
  window.atelierStartDrawn = () => {
    const shown = panel();
    if (!shown) return;
    const same = shown.dataset.start === stored(START);
    store(START, shown.dataset.start);
    if (shown.dataset.start && !same) shown.scrollIntoView({ block: "nearest" });
    sent = base = null;
    strokes = same && !shown.dataset.mask ? JSON.parse(stored(STROKES) || "[]") : [];
    const picture = shown.querySelector(".at-paint img");
    if (!picture) return keep();
    loaded = there(picture).then((came) => (came && panel() === shown ? begin(shown, picture) : undefined));
  };

  // Whether a picture came.
  const there = (picture) => picture.complete ? Promise.resolve(picture.naturalWidth > 0) : new Promise((resolve) => {
    picture.addEventListener("load", () => resolve(true), { once: true });
    picture.addEventListener("error", () => resolve(false), { once: true });
  });

  async function begin(shown, picture) {
    const scale = Math.min(1, LONGEST / Math.max(picture.naturalWidth, picture.naturalHeight));
    const area = canvas();
    tool = "brush"; // as the new toolbar shows it
    area.width = Math.max(1, Math.round(picture.naturalWidth * scale));
    area.height = Math.max(1, Math.round(picture.naturalHeight * scale));
    listen(area);
    extend();
    draw();
    if (!shown.dataset.mask) return;
    const mask = new Image();
    mask.src = shown.dataset.mask;
    if (!await there(mask) || panel() !== shown) return;
    base = lit(mask, area);
    area.dataset.lit = "";
    draw();
  }

  // A mask is white on black; on the picture it is what is painted, on nothing.
  function lit(mask, area) {
    const made = Object.assign(document.createElement("canvas"), { width: area.width, height: area.height });
    const on = made.getContext("2d", { willReadFrequently: true });
    on.drawImage(mask, 0, 0, made.width, made.height);
    const pixels = on.getImageData(0, 0, made.width, made.height);
    for (let at = 0; at < pixels.data.length; at += 4) pixels.data[at + 3] = pixels.data[at];
    on.putImageData(pixels, 0, 0);
    on.globalCompositeOperation = "source-in";
    on.fillStyle = PAINT;
    on.fillRect(0, 0, made.width, made.height);
    return made;
  }

  function draw() {
    const area = canvas();
    if (!area) return;
    const on = area.getContext("2d", { willReadFrequently: true });
    on.clearRect(0, 0, area.width, area.height);
    if (base) on.drawImage(base, 0, 0);
    on.lineCap = on.lineJoin = "round";
    on.strokeStyle = PAINT;
    for (const { eraser, size, points } of strokes) {
      on.globalCompositeOperation = eraser ? "destination-out" : "source-over";
      on.lineWidth = size;
      on.beginPath();
      on.moveTo(...points[0]);
      for (const point of points) on.lineTo(...point);
      on.stroke();
    }
    on.globalCompositeOperation = "source-over";
    if (frame) {
      on.lineWidth = Math.max(2, area.width / 150);
      on.strokeRect(...frame.map((side) => Math.round(side)));
    }
    say();
  }

  // Left, top, width and height of what lies between two points inside the area.
  function between(area, [x1, y1], [x2, y2]) {
    const inside = (value, most) => Math.min(most, Math.max(0, value));
    const [left, right] = [x1, x2].map((x) => inside(x, area.width)).sort((a, b) => a - b);
    const [top, bottom] = [y1, y2].map((y) => inside(y, area.height)).sort((a, b) => a - b);
    return [left, top, right - left, bottom - top];
  }

  // The part goes to Python, which keeps it as a picture of its own.
  function crop(area, box) {
    const picture = panel().querySelector(".at-paint img"), scale = picture.naturalWidth / area.width;
    const [left, top, width, height] = box.map((side) => Math.round(side * scale));
    if (Math.min(width, height) < LEAST_PART) return;
    tell({ act: "crop", id: panel().dataset.start, left, top,
      width: Math.min(width, picture.naturalWidth - left), height: Math.min(height, picture.naturalHeight - top) });
  }

  // The picture stands in a frame as large as what it is extended to.
  function extend() {
    const picture = panel()?.querySelector(".at-paint img");
    if (!picture?.naturalWidth) return;
    const [left, top, right, bottom] = sides();
    const wide = picture.naturalWidth + left + right, high = picture.naturalHeight + top + bottom;
    const share = (pixels) => `${100 * pixels / wide}%`; // margins are shares of the width, all four of them
    Object.assign(picture.parentElement.style, { width: share(picture.naturalWidth), margin: [top, right, bottom, left].map(share).join(" ") });
    picture.parentElement.parentElement.style.setProperty("--ratio", wide / high);
    store(SIDES, JSON.stringify([left, top, right, bottom]));
    say();
  }

  function say() {
    const says = panel()?.querySelector(".at-paint-says");
    if (!says) return;
    const picture = panel().querySelector(".at-paint img");
    const [left, top, right, bottom] = sides();
    const wider = left + top + right + bottom > 0;
    says.textContent = painted() ? says.dataset.part : wider ? "" : says.dataset.whole;
    if (wider) says.textContent += ` ${says.dataset.wide.replace("{size}", `${picture.naturalWidth + left + right} × ${picture.naturalHeight + top + bottom}`)}`;
    panel().toggleAttribute("data-masked", painted() || wider);
  }

  const painted = () => base !== null || strokes.some((stroke) => !stroke.eraser);

  function listen(area) {
    let stroke = null, begun = null;
    const at = (event) => {
      const box = area.getBoundingClientRect();
      return [(event.clientX - box.left) * area.width / box.width, (event.clientY - box.top) * area.height / box.height];
    };
    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      area.setPointerCapture(event.pointerId);
      if (tool === "crop") {
        begun = at(event);
        return;
      }
      const share = Number(panel().querySelector(".at-brush").value) / 100;
      stroke = { eraser: tool === "eraser", size: share * Math.max(area.width, area.height), points: [at(event)] };
      strokes.push(stroke);
      draw();
    });
    area.addEventListener("pointermove", (event) => {
      if (begun) {
        frame = between(area, begun, at(event));
        draw();
      }
      if (!stroke) return;
      stroke.points.push(at(event));
      draw();
    });
    for (const name of ["pointerup", "pointercancel"]) area.addEventListener(name, () => {
      if (frame && name === "pointerup") crop(area, frame);
      stroke = begun = frame = null;
      keep();
      draw();
    });
  }

  function keep() {
    sent = null;
    store(STROKES, JSON.stringify(strokes));
  }

  // Before a job is sent: what is painted goes to the page as a picture, white on black.
  window.atelierSendMask = async () => {
    sent = null;
    await Promise.race([loaded, new Promise((resolve) => { setTimeout(resolve, MOST_WAIT_MS); })]);
    const area = canvas();
    if (panel()?.dataset.mask && area?.dataset.lit === undefined) sent = "";
    if (!area || !painted()) return;
    sent = "";
    const made = Object.assign(document.createElement("canvas"), { width: area.width, height: area.height });
    const on = made.getContext("2d");
    const pixels = area.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, area.width, area.height);
    for (let at = 0; at < pixels.data.length; at += 4) {
      pixels.data.fill(pixels.data[at + 3] > 127 ? 255 : 0, at, at + 3); // nothing in between: outside it nothing changes
      pixels.data[at + 3] = 255;
    }
    on.putImageData(pixels, 0, 0);
    try {
      const file = await new Promise((resolve) => { made.toBlob(resolve, "image/png"); });
      const answer = await fetch(panel().querySelector("[data-upload]").dataset.upload, { method: "POST", body: file });
      if (answer.ok) sent = (await answer.json()).name;
    } catch { /* Python is told that it did not arrive */ }
  };

  const tell = (data) => window.atelierTell(panel(), data);

  const handIn = (file) => window.atelierHandIn(panel().querySelector("[data-upload]"), file, (_, data) => tell(data));
  const usable = () => panel() && document.querySelector("#at-start-frame")?.offsetParent;
  const pictureOf = (files) => [...files].find((file) => file.type.startsWith("image/"));

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest("[data-inspected]") && window.atelierInspected && panel()) handIn(window.atelierInspected);
    const pressed = target?.closest("[data-paint]");
    if (!pressed) return;
    const what = pressed.dataset.paint;
    if (what === "undo") strokes.pop();
    if (what === "clear") { strokes = []; base = null; }
    if (["brush", "eraser", "crop"].includes(what)) {
      tool = what;
      for (const each of panel().querySelectorAll("[data-paint][aria-pressed]")) each.setAttribute("aria-pressed", String(each === pressed));
    }
    keep();
    draw();
  });

  // Python is told when the typing stops: the form's size is that of the whole picture then.
  function extended() {
    extend();
    clearTimeout(typing);
    const id = panel().dataset.start, picture = panel().querySelector(".at-paint img"), [left, top, right, bottom] = sides();
    const width = picture.naturalWidth + left + right, height = picture.naturalHeight + top + bottom;
    typing = setTimeout(() => { if (panel()?.dataset.start === id) tell({ act: "extend", id, width, height }); }, 300);
  }

  // As much at two sides as makes the picture so wide or so high.
  function extendTo(ratio) {
    const [wide, high] = ratio.split(":").map(Number), { naturalWidth, naturalHeight } = panel().querySelector(".at-paint img");
    const [left, top, right, bottom] = panel().querySelectorAll(".at-side");
    const beside = (missing, field) => Math.min(field.max, Math.max(0, 4 * Math.round(missing / 8)));
    left.value = right.value = beside(naturalHeight * wide / high - naturalWidth, left);
    top.value = bottom.value = beside(naturalWidth * high / wide - naturalHeight, top);
    extended();
  }

  document.addEventListener("input", (event) => {
    if (!(event.target instanceof Element)) return;
    const to = panel()?.querySelector(".at-to-ratio");
    if (event.target.matches("#at-start .at-side")) {
      to.value = "";
      extended();
    }
    if (event.target === to && to.value) extendTo(to.value);
  });

  document.addEventListener("paste", (event) => {
    const file = pictureOf(event.clipboardData?.files ?? []);
    if (!file || !usable()) return;
    event.preventDefault();
    handIn(file);
  });

  // The whole form takes a picture that is dropped on it.
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      const form = event.target instanceof Element ? event.target.closest(".at-form") : null;
      if (!form || event.target.closest("[data-upload]") || !event.dataTransfer?.types.includes("Files") || !usable()) return;
      event.preventDefault();
      if (name === "drop") handIn(pictureOf(event.dataTransfer.files));
    });
  }
})();
