// Two pictures over each other, parted by a line that can be moved, and what differs in how they were made.
"use strict";
Lifelike.compare = (() => {
  const { t, h, iconButton, attempt, artifacts, config } = Lifelike;

  const open = attempt(async (one, other) => {
    const said = await Promise.all([one, other].map((item) => artifacts.details(item.id)));
    const over = h("div", { class: "ll-over" }, artifacts.content(other));
    const line = h("div", { class: "ll-line", "aria-hidden": "true" });
    const slider = h("input", { type: "range", min: 0, max: 100, step: 0.5, value: 50, "aria-label": t("Where the first picture ends"),
      oninput: () => move() });
    const move = () => {
      over.style.clipPath = `inset(0 0 0 ${slider.value}%)`;
      line.style.left = `${slider.value}%`;
    };
    const dialog = h("dialog", { class: "ll-compare", "aria-label": t("Comparison"), onclose: () => dialog.remove() },
      h("div", { class: "ll-pair" }, h("div", { class: "ll-under" }, artifacts.content(one)), over, line, slider,
        h("span", { class: "ll-corner" }, t("First")), h("span", { class: "ll-corner ll-right" }, t("Second"))),
      differences(one, other, said),
      iconButton("close", t("Close"), () => dialog.close(), { class: "ll-ib ll-close" }));
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    move();
    document.body.append(dialog);
    dialog.showModal();
    slider.focus();
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

  return { open };
})();
