// Choosing several artifacts of the gallery, and what can be done with all of them.
"use strict";
Lifelike.selection = (() => {
  const { t, h, icon, iconButton, artifacts, marks, compare, toast } = Lifelike;
  const MOST = 1000;

  // shown(): the items on view, in their order; changed(): draw them again.
  function make(root, { shown, changed }) {
    const chosen = new Map();
    let active = false, last = -1;
    const bar = h("div", { class: "ll-selection", role: "toolbar", "aria-label": t("Selection") });
    root.append(bar);

    const items = () => [...chosen.values()];
    function show() {
      bar.hidden = !active;
      if (!active) return;
      const some = chosen.size > 0, trashed = items().some((item) => item.trashed);
      const act = (symbol, label, run, enabled = some) =>
        iconButton(symbol, label, async (event) => (await run(event), show()), { disabled: !enabled });
      const ids = encodeURIComponent([...chosen.keys()].join(","));
      bar.replaceChildren(
        h("strong", { "aria-live": "polite" }, t("{n} chosen", { n: chosen.size })),
        h("button", { type: "button", class: "ll-link", onclick: () => all() }, t("All on view")),
        h("span", { class: "ll-spring" }),
        marks.stars(0, (rating) => some && marks.change(items(), { rating })),
        act("heart", t("Favourite"), () => marks.change(items(), { favourite: !items().every((item) => item.favourite) })),
        act("tag", t("Tag"), () => name("tags", t("Add a tag"))),
        act("folder", t("Collect"), () => name("collections", t("Add to a collection"))),
        act("compare", t("Compare the two"), () => compare.open(...items()), chosen.size === 2 && items().every((item) => item.kind === "image")),
        h("a", { class: "ll-ib", href: some ? `${LIFELIKE.base}/api/v1/export?ids=${ids}` : null, download: "lifelike.zip", title: t("Download as a zip"),
          "aria-label": t("Download as a zip"), "aria-disabled": String(!some) }, icon("download")),
        trashed
          ? act("undo", t("Take out of the trash"), () => move(false))
          : act("trash", t("Delete"), () => move(true)),
        iconButton("close", t("Stop choosing"), () => toggle(false)));
    }
    async function name(kind, title) {
      const said = await marks.ask(title, { kind });
      if (said && (await marks.change(items(), { [`add_${kind}`]: said.split(",").filter((one) => one.trim()) })))
        toast(t("{n} changed.", { n: chosen.size }), { kind: "good", seconds: 3 });
    }
    async function move(trashed) {
      const moved = items();
      if (!(await marks.change(moved, { trashed }))) return;
      chosen.clear();
      if (trashed) toast(t("Moved to the trash."), { action: { label: t("Undo"), run: () => marks.change(moved, { trashed: false }) } });
      changed();
    }
    function all() {
      for (const item of shown().slice(0, MOST)) chosen.set(item.id, item);
      changed();
    }
    // A click on a tile; with the shift key everything between the last one and this.
    function choose(item, event) {
      const list = shown(), place = list.indexOf(item);
      const from = event.shiftKey && last >= 0 ? Math.min(last, place) : place, to = event.shiftKey && last >= 0 ? Math.max(last, place) : place;
      const set = event.shiftKey || !chosen.has(item.id);
      for (const one of list.slice(from, to + 1)) set && chosen.size < MOST ? chosen.set(one.id, one) : chosen.delete(one.id);
      last = place;
      changed();
    }
    function toggle(on = !active) {
      active = on;
      chosen.clear();
      last = -1;
      root.classList.toggle("choosing", on);
      changed();
    }
    artifacts.onChange(({ id, ...change }) => Object.assign(chosen.get(id) || {}, change));
    show();
    return { toggle, choose, show, has: (id) => chosen.has(id), active: () => active };
  }
  return { make };
})();
