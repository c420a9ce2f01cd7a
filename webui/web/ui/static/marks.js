// What a person says of artifacts: stars, tags, collections; of one or of many at once.
"use strict";
Lifelike.marks = (() => {
  const { t, h, iconButton, api, attempt, artifacts } = Lifelike;
  const STARS = [1, 2, 3, 4, 5];
  const ROUTES = { tags: "/tags", collections: "/collections" };

  // wanted: what POST /selection takes. Everyone who shows one of the items hears of it.
  const change = attempt(async (items, wanted) => {
    const said = await api("POST", "/selection", { ids: items.map((item) => item.id), ...wanted });
    for (const now of said.artifacts) {
      const news = { rating: now.rating, tags: now.tags, collections: now.collections };
      for (const name of ["favourite", "trashed"]) if (name in wanted) news[name] = now[name];
      Object.assign(items.find((item) => item.id === now.id) || {}, news);
      artifacts.changed(now.id, news);
    }
    return said.artifacts;
  });

  const names = async (kind) => (await api("GET", ROUTES[kind])).names;

  // Five stars; a press on the one that is set takes the rating away.
  function stars(rating, rate) {
    const row = h("div", { class: "ll-stars", role: "group", "aria-label": t("Rating") });
    const draw = (now) =>
      row.replaceChildren(...STARS.map((star) => {
        const button = iconButton("star", t("{n} of 5 stars", { n: star }), async () => {
          const wanted = star === now ? 0 : star;
          if (await rate(wanted)) draw(wanted);
          row.children[star - 1].focus();
        }, { "aria-pressed": String(star <= now) });
        button.classList.toggle("on", star <= now);
        return button;
      }));
    draw(rating || 0);
    return row;
  }

  // Chips of one item's names of a kind, each with a way to remove it, and a field that adds.
  function editor(kind, label, item) {
    const list = h("datalist", { id: `ll-known-${kind}` });
    const input = h("input", { class: "ll-input", list: list.id, placeholder: label, "aria-label": label, maxlength: 80, enterkeyhint: "done",
      onfocus: attempt(async () => list.replaceChildren(...(await names(kind)).map((one) => h("option", { value: one.name })))),
      onkeydown: async (event) => {
        event.stopPropagation();
        if (event.key === "Escape") input.blur();
        if (event.key !== "Enter" || !input.value.trim()) return;
        if (await change([item], { [`add_${kind}`]: input.value.split(",").filter((one) => one.trim()) })) (input.value = ""), draw();
      } });
    const chips = h("div", { class: "ll-chips" });
    const draw = () =>
      chips.replaceChildren(...(item[kind] || []).map((name) =>
        h("span", { class: "ll-mark", translate: "no" }, name,
          iconButton("close", t("Remove {name}", { name }), async () => (await change([item], { [`remove_${kind}`]: [name] })) && draw()))));
    draw();
    return h("div", { class: "ll-marks" }, chips, input, list);
  }

  // Everything that can be said of one artifact.
  const panel = (item) =>
    h("section", { class: "ll-said", "aria-label": t("Rating, tags, collections") },
      stars(item.rating, (rating) => change([item], { rating })),
      editor("tags", t("Add a tag"), item),
      editor("collections", t("Add to a collection"), item));

  // Asks for a name in a small dialog; "" where none was given.
  function ask(title, { kind = "", value = "" } = {}) {
    return new Promise((answer) => {
      const list = h("datalist", { id: "ll-asked" });
      const input = h("input", { class: "ll-input", "aria-label": title, list: list.id, value, maxlength: 80, required: true });
      const dialog = h("dialog", { class: "ll-ask", "aria-label": title, onclose: () => (answer(dialog.returnValue ? input.value.trim() : ""), dialog.remove()) },
        h("form", { method: "dialog" }, h("h2", {}, title), input, list,
          h("div", { class: "ll-ask-row" },
            h("button", { type: "button", class: "ll-button", onclick: () => dialog.close("") }, t("Cancel")),
            h("button", { class: "ll-button on", value: "ok" }, t("OK")))));
      dialog.addEventListener("keydown", (event) => event.stopPropagation());
      document.body.append(dialog);
      dialog.showModal();
      input.select();
      if (kind) names(kind).then((rows) => list.replaceChildren(...rows.map((one) => h("option", { value: one.name }))), () => {});
    });
  }

  return { change, names, stars, panel, ask };
})();
