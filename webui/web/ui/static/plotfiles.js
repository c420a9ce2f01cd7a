// Files of a drawn plot: as it looks now, light or dark as the page is, with a name for each colour; SVG or pixels.
"use strict";
Lifelike.plotFiles = (() => {
  const { t, h, icon } = Lifelike;
  const STYLES = ["fill", "stroke", "stroke-width", "font-family", "font-size"];
  const LINE = 20, PAD = 12, SCALE = 2;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // The two buttons below a plot. names() answers [{name, ink}] of its series, ink as a CSS colour.
  const buttons = (frame, names) =>
    h("div", { class: "ll-plot-files" },
      ["SVG", "PNG"].map((kind) =>
        h("button", { type: "button", class: "ll-link", onclick: Lifelike.attempt(() => save(frame, names, kind)) },
          icon("download"), t("Download {kind}", { kind }))));

  async function save(frame, names, kind) {
    const { text, width, height } = alone(frame, names());
    const blob = kind === "SVG" ? new Blob([text], { type: "image/svg+xml" }) : await pixels(text, width, height);
    const address = URL.createObjectURL(blob);
    const title = frame.getAttribute("aria-label").replace(/[^\p{L}\p{N}._-]+/gu, " ").trim();
    h("a", { href: address, download: `${title || "plot"}.${kind.toLowerCase()}` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  // The SVG as a document that needs no style sheet.
  function alone(frame, names) {
    const [, , width, tall] = frame.getAttribute("viewBox").split(" ").map(Number);
    const height = tall + (names.length ? LINE * names.length + PAD : 0);
    const copy = frame.cloneNode(true);
    const [from, to] = [frame, copy].map((one) => [one, ...one.querySelectorAll("*")]);
    from.forEach((one, place) => {
      const style = getComputedStyle(one);
      for (const name of STYLES) to[place].setAttribute(name, style.getPropertyValue(name));
    });
    const part = (tag, attributes, words = "") => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      element.append(words);
      return element;
    };
    copy.prepend(part("rect", { width, height, fill: colour("--ll-panel") }));
    names.forEach(({ name, ink }, place) => {
      const y = tall + LINE * (place + 0.6);
      copy.append(
        part("rect", { x: PAD, y: y - 9, width: 10, height: 10, rx: 3, fill: ink }),
        part("text", { x: PAD + 18, y, "font-size": "12px", "font-family": getComputedStyle(frame).fontFamily, fill: getComputedStyle(frame).color }, name));
    });
    for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) copy.setAttribute(name, value);
    return { text: new XMLSerializer().serializeToString(copy), width, height };
  }

  async function pixels(text, width, height) {
    const picture = new Image();
    picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
    await picture.decode();
    const canvas = h("canvas", { width: width * SCALE, height: height * SCALE });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }

  return { buttons };
})();
