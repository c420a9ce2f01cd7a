// One artifact, wherever it is shown: its content by kind, and what can be done with it.
"use strict";
Lifelike.artifacts = (() => {
  const { t, h, icon, iconButton, api, attempt, toast, copyText, forms } = Lifelike;

  const address = (artifact) => `${LIFELIKE.base}/api/v1/artifacts/${artifact.id}`;
  const small = (artifact, side = 256) => `${address(artifact)}?thumbnail=${side}`;

  // Everyone who shows an artifact hears of a change made elsewhere.
  const changed = (id, change) => document.dispatchEvent(new CustomEvent("ll-artifact", { detail: { id, ...change } }));
  const onChange = (listener) => document.addEventListener("ll-artifact", (event) => listener(event.detail));

  function describe(artifact) {
    const prompt = artifact.prompt || artifact.title || "";
    return prompt ? prompt.slice(0, 300) : t("Picture with seed {seed}", { seed: artifact.seed ?? "?" });
  }

  // The element that shows it. thumbnail: pictures in a small version.
  function content(artifact, { thumbnail = 0 } = {}) {
    const url = address(artifact);
    if (artifact.kind === "image") {
      const picture = h("img", {
        src: thumbnail ? small(artifact, thumbnail) : url, alt: describe(artifact), loading: thumbnail ? "lazy" : null,
        width: artifact.width, height: artifact.height, draggable: "true", translate: "no",
      });
      // A small picture is not blown up to a blur: four times its own size at most.
      if (!thumbnail && artifact.width) picture.style.maxWidth = `${artifact.width * 4}px`;
      if (!thumbnail && artifact.height) picture.style.maxHeight = `min(${artifact.height * 4}px, 100%)`;
      picture.addEventListener("dragstart", (event) => event.dataTransfer.setData("application/x-lifelike", artifact.id));
      return picture;
    }
    if (artifact.kind === "video") return h("video", { src: url, controls: true, loop: true });
    if (artifact.kind === "audio") return h("audio", { src: url, controls: true });
    const box = h("div", { class: "ll-data" }, h("strong", {}, artifact.title || t(artifact.kind)));
    if (artifact.kind === "table" || artifact.kind === "scalar" || artifact.kind === "plot") fill(box, artifact);
    else box.append(h("a", { href: url, download: "" }, icon("download"), t("Download"), ` · ${Lifelike.bytes(artifact.size_bytes)}`));
    return box;
  }
  async function fill(box, artifact) {
    try {
      const text = await (await fetch(address(artifact))).text();
      const value = artifact.media_type === "text/csv" ? readCsv(text) : Lifelike.parse(text);
      const drawn = artifact.kind === "plot" ? Lifelike.plots.draw(value) : artifact.kind === "scalar" ? Lifelike.scores.draw(value) : null;
      if (drawn) box.append(drawn);
      else if (Array.isArray(value) && value.length && typeof value[0] === "object") box.append(table(value));
      else if (typeof value === "number") box.append(h("p", { class: "ll-scalar" }, String(Number(value.toPrecision(6)))));
      else box.append(h("pre", {}, JSON.stringify(value, null, 1).slice(0, 20000)));
    } catch {
      box.append(h("a", { href: address(artifact), download: "" }, icon("download"), t("Download")));
    }
  }
  // Comma-separated values, with quotes around what holds a comma, a quote or a line's end, as rows by name.
  function readCsv(text) {
    const rows = [[""]];
    let quoted = false;
    for (let place = 0; place < text.length; place += 1) {
      const letter = text[place], row = rows[rows.length - 1];
      if (quoted && letter === '"' && text[place + 1] === '"') (row[row.length - 1] += '"'), (place += 1);
      else if (letter === '"') quoted = !quoted;
      else if (letter === "," && !quoted) row.push("");
      else if (letter === "\n" && !quoted) rows.push([""]);
      else row[row.length - 1] += letter;
    }
    const [names, ...lines] = rows.filter((row) => row.length > 1 || row[0] !== "");
    const number = (cell) => (cell !== "" && Number.isFinite(Number(cell)) ? Number(cell) : cell);
    return lines.map((line) => Object.fromEntries(names.map((name, place) => [name, number(line[place] ?? "")])));
  }
  function table(rows) {
    const names = [...new Set(rows.slice(0, 200).flatMap(Object.keys))];
    const cell = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value ?? ""));
    return h("div", { class: "ll-scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, names.map((name) => h("th", {}, name)))),
      h("tbody", {}, rows.slice(0, 200).map((row) => h("tr", {}, names.map((name) => h("td", {}, cell(row[name]))))))));
  }

  // What can be done.
  const details = (id) => api("GET", `/artifacts/${id}/metadata`);
  const favourite = attempt(async (artifact) => {
    const now = !artifact.favourite;
    await api("PATCH", `/artifacts/${artifact.id}`, { favourite: now });
    artifact.favourite = now;
    changed(artifact.id, { favourite: now });
  });
  const restore = attempt(async (artifact) => {
    await api("POST", `/artifacts/${artifact.id}/restore`);
    artifact.trashed = false;
    changed(artifact.id, { trashed: false });
  });
  const trash = attempt(async (artifact) => {
    await api("DELETE", `/artifacts/${artifact.id}`);
    artifact.trashed = true;
    changed(artifact.id, { trashed: true });
    toast(t("Moved to the trash."), { action: { label: t("Undo"), run: () => restore(artifact) } });
  });
  const copyParameters = attempt(async (artifact) => {
    const said = await details(artifact.id);
    await copyText(said.infotext || JSON.stringify(said.recipe?.params || {}, null, 1));
  });
  const restoreParameters = attempt(async (artifact) => {
    const said = await details(artifact.id);
    forms.restore({ ...said, pipeline: said.recipe?.pipeline || artifact.pipeline });
  });
  const reuseSeed = attempt(async (artifact, slug = "") => {
    const form = forms.info(slug) || Lifelike.config.forms.find((one) => one.pipeline === artifact.pipeline) ||
      forms.info(forms.visible()) || Lifelike.config.forms.find((one) => one.seed);
    if (!form?.seed || artifact.seed === null || artifact.seed === undefined) return void toast(t("This has no seed."));
    await forms.apply(form.slug, { [form.seed]: String(artifact.seed) });
    toast(t("Seed {seed} is set.", { seed: artifact.seed }), { kind: "good", seconds: 3 });
  });

  // The row of buttons. `leave` is called before the page moves elsewhere.
  function actions(artifact, { slug = "", leave = () => {}, large = null } = {}) {
    if (artifact.trashed) {
      return h("div", { class: "ll-actions" }, iconButton("undo", t("Take out of the trash"), () => restore(artifact)));
    }
    const heart = iconButton("heart", t("Favourite"), () => favourite(artifact), { "aria-pressed": String(!!artifact.favourite) });
    heart.classList.add("ll-heart");
    heart.classList.toggle("on", !!artifact.favourite);
    heart.dataset.heart = artifact.id;
    const image = artifact.kind === "image";
    return h("div", { class: "ll-actions" },
      large && iconButton("expand", t("Open large"), large),
      image && Lifelike.compare.begun(artifact) &&
        iconButton("compare", t("Before and after"), (event) => Lifelike.compare.toggle(event.currentTarget, artifact), { "aria-pressed": "false" }),
      heart,
      artifact.seed !== null && artifact.seed !== undefined &&
        iconButton("dice", t("Use this seed again"), () => (leave(), reuseSeed(artifact, slug))),
      iconButton("sliders", t("Restore these parameters"), () => (leave(), restoreParameters(artifact))),
      image && forms.takePictures() &&
        iconButton("send", t("Send to ..."), (event) => forms.sendMenu(event.currentTarget, artifact.id, leave)),
      iconButton("copy", t("Copy parameters"), () => copyParameters(artifact)),
      h("a", { class: "ll-ib", href: address(artifact), download: (artifact.path || "").split("/").pop(), title: t("Download"),
        "aria-label": t("Download") }, icon("download")),
      iconButton("trash", t("Delete"), () => trash(artifact), { class: "ll-ib ll-trash" }),
    );
  }
  onChange(({ id, favourite: now }) => {
    if (now === undefined) return;
    document.querySelectorAll(`[data-heart="${CSS.escape(id)}"]`).forEach((heart) => {
      heart.classList.toggle("on", now);
      heart.setAttribute("aria-pressed", String(now));
    });
  });

  return { address, small, describe, content, actions, details, favourite, restore, trash, onChange, changed, reuseSeed };
})();
