// Drawing with colour on a picture or a blank ground, for any field that takes a picture: what is drawn goes back as a new picture.
"use strict";
Lifelike.sketch = (() => {
  const { t, h, icon, iconButton, toast } = Lifelike;
  const COLOURS = ["#1d1d1b", "#ffffff", "#c8402f", "#e8902c", "#f2d04a", "#4f9d4d", "#2f6fb5", "#7a4b9e", "#8a5a3c", "#f0c3a0"];
  const LONGEST_PX = 4096;
  const FLATTEN_AFTER = 120; // strokes that are drawn anew after an undo; older ones are part of the ground

  // `source`: the address of a picture to draw on, or empty: a blank ground of `size`. `done` gets a PNG.
  async function open({ source = "", size = [512, 512], done }) {
    let ground;
    try {
      ground = source ? await read(source) : blank(size);
    } catch {
      return void toast(t("This picture cannot be shown."), { kind: "bad" });
    }
    show(ground, Boolean(source), done);
  }
  async function read(source) {
    const picture = new Image();
    picture.src = source;
    await picture.decode();
    const scale = Math.min(1, LONGEST_PX / Math.max(picture.naturalWidth, picture.naturalHeight));
    const canvas = h("canvas", { width: Math.round(picture.naturalWidth * scale), height: Math.round(picture.naturalHeight * scale) });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return canvas;
  }
  function blank([width, height]) {
    const canvas = h("canvas", { width, height });
    const paint = canvas.getContext("2d");
    paint.fillStyle = "#ffffff";
    paint.fillRect(0, 0, width, height);
    return canvas;
  }
  const copy = (canvas) => {
    const made = h("canvas", { width: canvas.width, height: canvas.height });
    made.getContext("2d").drawImage(canvas, 0, 0);
    return made;
  };

  function show(first, onPicture, done) {
    let ground = copy(first), strokes = [], stroke = null, picking = false, colour = COLOURS[0];
    let width = Math.max(2, Math.round(Math.max(first.width, first.height) / 40));
    const canvas = h("canvas", { class: "ll-sketch-canvas", width: first.width, height: first.height, tabindex: "0", "aria-label": t("Drawing"),
      onpointerdown: begin, onpointermove: go, onpointerup: end, onpointercancel: end, onpointerleave: () => (ring.hidden = true) });
    const paint = canvas.getContext("2d", { willReadFrequently: true });
    const ring = h("span", { class: "ll-sketch-ring", hidden: true, "aria-hidden": "true" });
    const dialog = h("dialog", { class: "ll-sketch", "aria-label": t("Draw"), onclose: closed }, h("div", { class: "ll-sketch-stage" }, canvas, ring), tools());

    function tools() {
      const own = h("input", { type: "color", class: "ll-sketch-own", value: colour, "aria-label": t("Any colour"), title: t("Any colour"), oninput: () => choose(own.value) });
      const swatches = COLOURS.map((one) =>
        h("button", { type: "button", class: "ll-swatch", style: `--ink:${one}`, "aria-label": one, title: one, data: { colour: one }, onclick: () => choose(one) }));
      const pick = iconButton("pipette", t("Take a colour from the picture"), () => aim(!picking), { "aria-pressed": "false" });
      const slider = h("input", { type: "range", min: 1, max: Math.max(40, Math.round(Math.max(first.width, first.height) / 4)), value: width,
        "aria-label": t("Width of the brush"), oninput: () => (width = Number(slider.value)) });
      const back = iconButton("undo", t("Undo"), undo);
      const clear = iconButton("trash", onPicture ? t("Back to the picture") : t("Clear"), () => ((ground = copy(first)), (strokes = []), redraw()));
      const use = h("button", { type: "button", class: "ll-button ll-strong ll-sketch-use", onclick: finish }, icon("check"), t("Use this"));
      const bar = h("div", { class: "ll-sketch-tools" }, h("div", { class: "ll-swatches" }, swatches, own, pick),
        h("label", { class: "ll-sketch-width" }, h("span", {}, t("Brush")), slider), back, clear, h("span", { class: "ll-spring" }), use,
        iconButton("close", t("Close"), () => dialog.close()));
      bar.llDraw = () => {
        swatches.forEach((one) => one.classList.toggle("on", one.dataset.colour === colour));
        own.value = colour;
        slider.value = width;
        pick.setAttribute("aria-pressed", String(picking));
        pick.classList.toggle("on", picking);
        canvas.classList.toggle("picking", picking);
        back.disabled = !strokes.length;
      };
      return bar;
    }
    const tell = () => dialog.querySelector(".ll-sketch-tools").llDraw();
    function choose(one) {
      colour = one;
      aim(false);
    }
    function aim(now) {
      picking = now;
      tell();
    }

    // Places on the canvas, in its own pixels.
    function place(event) {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
    }
    function begin(event) {
      if (event.button > 0 || (stroke && event.pointerId !== stroke.pointer)) return;
      event.preventDefault();
      const at = place(event);
      if (picking || event.altKey) return pickAt(at);
      canvas.setPointerCapture(event.pointerId);
      stroke = { pointer: event.pointerId, colour, width, points: [at] };
      lay(stroke, 0);
    }
    function go(event) {
      follow(event);
      if (!stroke || event.pointerId !== stroke.pointer) return;
      for (const part of event.getCoalescedEvents?.() || [event]) {
        stroke.points.push(place(part));
        lay(stroke, stroke.points.length - 1);
      }
    }
    function end(event) {
      if (!stroke || event.pointerId !== stroke.pointer) return;
      strokes.push(stroke);
      stroke = null;
      if (strokes.length > FLATTEN_AFTER) {
        const oldest = strokes.splice(0, strokes.length - FLATTEN_AFTER / 2);
        const on = ground.getContext("2d");
        oldest.forEach((one) => one.points.forEach((_, from) => segment(on, one, from)));
      }
      tell();
    }
    // The ring shows how wide the brush is; a finger covers it, so touch has none.
    function follow(event) {
      const box = canvas.getBoundingClientRect(), stage = canvas.parentElement.getBoundingClientRect();
      ring.hidden = event.pointerType === "touch" || picking;
      const across = (width * box.width) / canvas.width;
      Object.assign(ring.style, { left: `${event.clientX - stage.left}px`, top: `${event.clientY - stage.top}px`, width: `${across}px`, height: `${across}px` });
    }
    function pickAt([x, y]) {
      const [red, green, blue] = paint.getImageData(Math.min(canvas.width - 1, Math.max(0, x)), Math.min(canvas.height - 1, Math.max(0, y)), 1, 1).data;
      choose("#" + [red, green, blue].map((one) => one.toString(16).padStart(2, "0")).join(""));
    }
    // One piece of a stroke: a dot at its beginning, then from each point to the next.
    function segment(on, { colour: ink, width: across, points }, from) {
      on.fillStyle = on.strokeStyle = ink;
      on.lineWidth = across;
      on.lineCap = on.lineJoin = "round";
      on.beginPath();
      if (from === 0) {
        on.arc(...points[0], across / 2, 0, 2 * Math.PI);
        on.fill();
        return;
      }
      on.moveTo(...points[from - 1]);
      on.lineTo(...points[from]);
      on.stroke();
    }
    const lay = (one, from) => segment(paint, one, from);
    function redraw() {
      paint.drawImage(ground, 0, 0);
      strokes.forEach((one) => one.points.forEach((_, from) => lay(one, from)));
      tell();
    }
    function undo() {
      strokes.pop();
      redraw();
    }
    let used = false;
    function finish() {
      canvas.toBlob((blob) => {
        used = true;
        dialog.close();
        done(new File([blob], "sketch.png", { type: "image/png" }));
      }, "image/png");
    }
    function closed() {
      dialog.remove();
      if (!used && strokes.length) {
        toast(t("The drawing was put away."), { action: { label: t("Take it up again"), run: () => show(copy(canvas), onPicture, done) }, seconds: 15 });
      }
    }
    dialog.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if ((event.ctrlKey || event.metaKey) && event.key === "z") event.preventDefault(), undo();
      else if (event.key === "[" || event.key === "]") (width = Math.max(1, Math.round(width * (event.key === "]" ? 1.25 : 0.8)))), tell();
      else if (event.key === "i") aim(!picking);
    });
    // As large as the window leaves room for; small pictures are shown enlarged.
    const fit = new ResizeObserver(([{ contentRect: room }]) => {
      const scale = Math.min((room.width - 24) / canvas.width, (room.height - 24) / canvas.height, 12);
      Object.assign(canvas.style, { width: `${canvas.width * scale}px`, height: `${canvas.height * scale}px` });
    });
    document.body.append(dialog);
    redraw();
    dialog.showModal();
    fit.observe(canvas.parentElement);
    canvas.focus();
  }

  return { open };
})();
