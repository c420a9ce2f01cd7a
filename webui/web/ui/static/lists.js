// A list that people fill themselves, such as styles of prompts: entries are looked through, written, renamed and deleted in one dialog,
// over the routes that its extension names (docs/writing-extensions.md).
"use strict";
Lifelike.lists = (() => {
  const { t, h, icon, iconButton, attempt, toast, api } = Lifelike;

  // `form`: the slug of the form whose fields a new entry is begun with.
  const open = attempt(async (title, address, form) => {
    const said = await api("GET", address, undefined, "");
    let entries = said.entries, chosen = null, query = "";
    const list = h("div", { class: "ll-list-names", role: "listbox", "aria-label": t(title) });
    const search = h("input", { class: "ll-input", type: "search", placeholder: t("Search"), "aria-label": t("Search"), oninput: () => ((query = search.value.toLowerCase()), draw()) });
    const name = h("input", { class: "ll-input", maxlength: 120, required: true, autocomplete: "off" });
    const texts = said.fields.map((field) => h("textarea", { class: "ll-input ll-area", rows: 4, data: { field: field.name } }));
    const remove = iconButton("trash", t("Delete"), attempt(deleted));
    const note = h("p", { class: "ll-quiet ll-list-note" });
    const editor = h("form", { class: "ll-list-entry", onsubmit: attempt(saved) },
      h("label", {}, h("span", {}, t("Name")), name),
      said.fields.map((field, place) => h("label", {}, h("span", {}, t(field.label)), texts[place])),
      note,
      h("div", { class: "ll-ask-row" }, remove, h("span", { class: "ll-spring" }), h("button", { type: "submit", class: "ll-button ll-strong" }, icon("check"), t("Save"))));
    const dialog = h("dialog", { class: "ll-ask ll-list", "aria-label": t(title), onclose: () => dialog.remove() },
      h("h2", {}, t(title)),
      h("div", { class: "ll-list-both" },
        h("div", { class: "ll-list-side" },
          h("button", { type: "button", class: "ll-button", onclick: () => begin(null) }, icon("plus"), t("New, from the form")), search, list),
        editor),
      iconButton("close", t("Close"), () => dialog.close(), { class: "ll-ib ll-close" }));
    dialog.addEventListener("keydown", (event) => event.stopPropagation());

    // Another entry to look at; none: a new one, with what stands in the form.
    function begin(entry) {
      chosen = entry;
      name.value = entry ? entry.name : "";
      for (const area of texts) {
        const own = document.querySelector(`#f-${form}-${area.dataset.field} textarea`);
        area.value = entry ? entry[area.dataset.field] : own?.value || "";
      }
      const foreign = entry && !entry.own;
      remove.hidden = !entry || foreign;
      note.textContent = foreign ? t("From a file of another program: saving keeps a copy of your own.") : "";
      draw();
      if (!entry) name.focus();
    }
    function draw() {
      const shown = entries.filter((entry) => entry.name.toLowerCase().includes(query));
      list.replaceChildren(...shown.map((entry) =>
        h("button", { type: "button", role: "option", "aria-selected": String(entry === chosen), translate: "no", onclick: () => begin(entry) }, entry.name)));
      if (!shown.length) list.append(h("p", { class: "ll-quiet" }, entries.length ? t("Nothing fits") : t("None yet: write one, or save what stands in the form.")));
    }
    const at = (one) => `${address}/${encodeURIComponent(one)}`;
    async function again(wanted) {
      entries = (await api("GET", address, undefined, "")).entries;
      begin(entries.find((entry) => entry.name === wanted) || null);
    }
    async function saved(event) {
      event.preventDefault();
      const wanted = name.value.trim();
      if (chosen?.own && chosen.name !== wanted) await api("POST", `${at(chosen.name)}/rename`, { name: wanted }, "");
      await api("PUT", at(wanted), Object.fromEntries(texts.map((area) => [area.dataset.field, area.value])), "");
      await again(wanted);
      toast(t("Saved."), { kind: "good", seconds: 3 });
    }
    async function deleted() {
      const gone = chosen;
      await api("DELETE", at(gone.name), undefined, "");
      await again("");
      const undo = attempt(async () => {
        await api("PUT", at(gone.name), Object.fromEntries(texts.map((area) => [area.dataset.field, gone[area.dataset.field]])), "");
        if (dialog.open) await again(gone.name);
      });
      toast(t("Deleted."), { action: { label: t("Undo"), run: undo } });
    }
    document.body.append(dialog);
    begin(null);
    dialog.showModal();
    name.focus();
  });

  return { open };
})();
