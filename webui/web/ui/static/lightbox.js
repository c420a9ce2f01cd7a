// A picture as large as the window, beside everything that is known of it.
"use strict";
Lifelike.lightbox = (() => {
  const { t, told, h, iconButton, artifacts, marks, config } = Lifelike;
  let dialog = null, list = [], place = 0, options = {};

  function open(items, start, more = {}) {
    list = items;
    place = start;
    options = more;
    if (!dialog) {
      dialog = h("dialog", { class: "ll-lightbox", "aria-label": t("Picture") });
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
      dialog.addEventListener("keydown", (event) => {
        if (event.key === "ArrowRight") step(1);
        if (event.key === "ArrowLeft") step(-1);
        if (/^[0-5]$/.test(event.key) && list[place].tags) marks.change([list[place]], { rating: Number(event.key) }).then(draw);
        event.stopPropagation(); // Escape closes the dialog and must not stop a job
      });
      document.body.append(dialog);
      artifacts.onChange(({ id, trashed }) => {
        if (dialog.open && trashed !== undefined && list[place]?.id === id) draw();
      });
    }
    draw();
    if (!dialog.open) dialog.showModal();
  }

  const step = (by) => {
    if (!list[place + by]) return void options.more?.(by);
    place += by;
    draw();
  };

  function draw() {
    const artifact = list[place];
    const leave = () => dialog.close();
    const side = h("aside", { class: "ll-side" });
    dialog.replaceChildren(
      h("div", { class: "ll-big" }, artifacts.content(artifact),
        list[place - 1] && iconButton("left", t("Previous"), () => step(-1), { class: "ll-ib ll-prev" }),
        list[place + 1] && iconButton("right", t("Next"), () => step(1), { class: "ll-ib ll-next" })),
      side,
      iconButton("close", t("Close"), leave, { class: "ll-ib ll-close" }),
    );
    side.append(artifacts.actions(artifact, { slug: options.slug, leave }));
    if (artifact.tags) side.append(marks.panel(artifact)); // the viewer's artifacts are those of a job, whose marks nobody read
    describe(side, artifact);
  }

  // A parameter's value as the form shows it: a choice by its label, a switch in words, a file by what it is.
  function shown(form, name, value) {
    const options = form?.options[name];
    if (options) return t(options[value] || String(value));
    if (typeof value === "boolean") return value ? t("yes") : t("no");
    if (typeof value === "number") return String(Number(value.toPrecision(6)));
    const text = String(value);
    if (text.startsWith("upload:")) return t("a file");
    if (text.startsWith("artifact:")) return t("a picture of the gallery");
    return text;
  }

  async function describe(side, artifact) {
    let said;
    try {
      said = await artifacts.details(artifact.id);
    } catch (problem) {
      side.append(h("p", { class: "ll-quiet" }, problem.message));
      return;
    }
    if (list[place] !== artifact) return;
    const recipe = said.recipe || { pipeline: said.program, params: said.params };
    const form = config.forms.find((one) => one.pipeline === recipe.pipeline);
    const { prompt, negative_prompt: negative, ...rest } = recipe.params || {};
    const label = (name) => t(form?.labels[name] || name);
    const same = (name, value) => form && name in form.usual && String(form.usual[name]) === String(value);
    const rows = [
      [t("Made by"), form ? t(form.title) : recipe.pipeline],
      [t("Size"), artifact.width ? `${artifact.width} × ${artifact.height}` : ""],
      ...Object.entries(rest)
        .filter(([name, value]) => !["width", "height"].includes(name) && value !== null && value !== "" && typeof value !== "object" && !same(name, value))
        .map(([name, value]) => [label(name), name === form?.seed && artifact.seed !== null ? artifact.seed : shown(form, name, value)]),
      [t("Made on"), Lifelike.moment(artifact.created_at)],
      [t("File"), `${artifact.path} · ${Lifelike.bytes(artifact.size_bytes)}`],
    ].filter(([, value]) => value !== "" && value !== undefined && value !== null);
    side.append(
      prompt ? h("p", { class: "ll-prompt-text", translate: "no" }, prompt) : "",
      negative ? h("p", { class: "ll-quiet", translate: "no" }, t("Without: {text}", { text: negative })) : "",
      h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", { translate: "no" }, String(value))])),
      ...(artifact.warnings || []).map((text) => h("p", { class: "ll-warning" }, told(text))),
      said.recipe ? h("details", {}, h("summary", {}, t("Recipe")), h("pre", {}, JSON.stringify(said.recipe, null, 1))) : "",
      Object.keys(said.unmapped || {}).length
        ? h("details", {}, h("summary", {}, t("Without a counterpart here")), h("dl", { translate: "no" }, Object.entries(said.unmapped).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])))
        : "",
      said.infotext ? h("details", {}, h("summary", {}, t("Parameters as other programs read them")), h("pre", {}, said.infotext)) : "",
    );
  }

  return { open, close: () => dialog?.open && dialog.close(), isOpen: () => Boolean(dialog?.open) };
})();
