// Two pictures over each other, parted by a line that can be moved: two of the gallery with what differs in how they
// were made, or one with the picture that it began with.
"use strict";
Lifelike.compare = (() => {
  const { t, h, iconButton, attempt, toast, artifacts, config } = Lifelike;

  function pair(under, over, [left, right]) {
    const upper = h("div", { class: "ll-over" }, over);
    const line = h("div", { class: "ll-line", "aria-hidden": "true" });
    const slider = h("input", { type: "range", min: 0, max: 100, step: 0.5, value: 50, "aria-label": t("Where the first picture ends"),
      oninput: () => move(),
      onkeydown: (event) => /^(Arrow|Home|End|Page)/.test(event.key) && event.stopPropagation() }); // not the next picture
    const move = () => {
      upper.style.clipPath = `inset(0 0 0 ${slider.value}%)`;
      line.style.left = `${slider.value}%`;
    };
    move();
    return h("div", { class: "ll-pair" }, h("div", { class: "ll-under" }, under), upper, line, slider,
      h("span", { class: "ll-corner" }, left), h("span", { class: "ll-corner ll-right" }, right));
  }

  const open = attempt(async (one, other) => {
    const said = await Promise.all([one, other].map((item) => artifacts.details(item.id)));
    const both = pair(artifacts.content(one), artifacts.content(other), [t("First"), t("Second")]);
    const dialog = h("dialog", { class: "ll-compare", "aria-label": t("Comparison"), onclose: () => dialog.remove() },
      both, differences(one, other, said),
      iconButton("close", t("Close"), () => dialog.close(), { class: "ll-ib ll-close" }));
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    document.body.append(dialog);
    dialog.showModal();
    both.querySelector("input").focus();
  });

  const begun = (artifact) => config.forms.find((form) => form.pipeline === artifact.pipeline)?.before || "";

  // The address of the picture that an artifact began with; empty where nobody has it any more.
  async function before(artifact) {
    const params = (await artifacts.details(artifact.id)).recipe?.params || {};
    const all = [params[begun(artifact)], ...(Array.isArray(params.images) ? params.images : [])];
    const each = (params.batch_size || 1) * (params.batch_count || 1);
    const ref = String(all[Math.min(all.length - 1, Math.floor((artifact.index || 0) / each))] || "");
    if (ref.startsWith("artifact:")) return artifacts.address({ id: ref.slice("artifact:".length) });
    return ref.startsWith("upload:") ? `${LIFELIKE.base}/ui/uploads/${encodeURIComponent(ref)}?whole=true` : "";
  }

  // Over the picture beside `button`: what it was before, at the left of a line; the button again takes that away.
  const toggle = attempt(async (button, artifact) => {
    const place = button.closest(".ll-tile") || button.closest("dialog").querySelector(".ll-big");
    const there = place.querySelector(":scope > .ll-pair");
    button.setAttribute("aria-pressed", String(!there));
    if (there) return void there.remove();
    const shown = place.querySelector(":scope > img");
    const fail = () => {
      place.querySelector(":scope > .ll-pair")?.remove();
      button.setAttribute("aria-pressed", "false");
      toast(t("The picture that it began with is not kept any more."));
    };
    const source = await before(artifact);
    if (button.getAttribute("aria-pressed") !== "true") return; // taken back meanwhile
    if (!source) return void fail();
    const under = h("img", { src: source, alt: t("Before"), onerror: fail });
    const both = pair(under, artifacts.content(artifact), [t("Before"), t("After")]);
    both.style.maxWidth = shown.style.maxWidth;
    both.style.maxHeight = shown.style.maxHeight;
    shown.after(both);
    both.querySelector("input").focus();
  });

  // Rows of name, first, second; those that are alike are left out.
  function rows(one, other, said) {
    const facts = [one, other].map((item, place) => {
      const { params, recipe } = said[place];
      return {
        ...params,
        seed: item.seed,
        size: item.width ? `${item.width} × ${item.height}` : "",
        ...Object.fromEntries(Object.entries(recipe?.libraries || {}).map(([name, version]) => [`${name}`, version])),
        ...Object.fromEntries((recipe?.models || []).map((use) => [`${use.role}: ${use.ref}`, (use.sha256 || "").slice(0, 10)])),
        device: recipe?.device?.name,
      };
    });
    const shown = (value) => (value === null || value === undefined || value === "" ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
    const names = [...new Set(facts.flatMap(Object.keys))].filter((name) => !["width", "height"].includes(name));
    return names.map((name) => [name, ...facts.map((fact) => shown(fact[name]))]).filter(([, first, second]) => first !== second);
  }
  function differences(one, other, said) {
    const form = config.forms.find((each) => each.pipeline === one.pipeline);
    const own = { seed: "Seed", size: "Size", device: "Device" };
    const found = rows(one, other, said);
    return h("div", { class: "ll-differences" },
      h("h2", {}, t("What differs")),
      found.length
        ? h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, ""), h("th", {}, t("First")), h("th", {}, t("Second")))),
            h("tbody", { translate: "no" }, found.map(([name, first, second]) =>
              h("tr", {}, h("th", { scope: "row" }, t(own[name] || form?.labels[name] || name)), h("td", {}, first), h("td", {}, second)))))
        : h("p", { class: "ll-quiet" }, t("Both were made in the same way.")));
  }

  return { open, begun, toggle };
})();
