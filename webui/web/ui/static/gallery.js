// The gallery: pages of what was made, found by words, with a trash that gives back.
"use strict";
Lifelike.gallery = (() => {
  const { t, h, icon, iconButton, api, fail, artifacts, forms, lightbox, toast } = Lifelike;
  const PAGE = 60;

  function mount(element) {
    const root = element.querySelector("div") || element;
    let items = [], next = null, busy = false, asked = 0, stale = false;
    const view = { query: "", favourites: false, trashed: false };

    const search = h("input", { type: "search", class: "ll-input", placeholder: t("Search: red hair seed:5 steps:>=20"), "aria-label": t("Search"),
      oninput: () => (clearTimeout(search.timer), (search.timer = setTimeout(() => ((view.query = search.value), load()), 350))) });
    const toggle = (name, symbol, label) => {
      const button = h("button", { type: "button", class: "ll-button", "aria-pressed": "false", data: { view: name }, onclick: () => {
        view[name] = !view[name];
        button.setAttribute("aria-pressed", String(view[name]));
        button.classList.toggle("on", view[name]);
        load();
      } }, icon(symbol), h("span", {}, label));
      return button;
    };
    const picker = h("input", { type: "file", accept: "image/*", class: "ll-away", tabindex: "-1", "aria-hidden": "true",
      onchange: () => (picker.files[0] && forms.restoreFile(picker.files[0]), (picker.value = "")) });
    const grid = h("div", { class: "ll-thumbs", role: "list" });
    const more = h("button", { type: "button", class: "ll-button ll-more", onclick: () => load(true) }, t("Show more"));
    const nothing = h("div", { class: "ll-empty" });
    root.append(
      h("div", { class: "ll-tools" },
        h("label", { class: "ll-search" }, icon("search"), search),
        toggle("favourites", "heart", t("Favourites")),
        toggle("trashed", "trash", t("Trash")),
        picker,
        h("button", { type: "button", class: "ll-button ll-restore", onclick: () => picker.click() }, icon("sliders"), h("span", {}, t("Restore from a picture")))),
      grid, nothing, more);

    new IntersectionObserver((seen) => seen[0].isIntersecting && next && load(true)).observe(more);
    new IntersectionObserver((seen) => seen[0].isIntersecting && (stale || !items.length) && load()).observe(root);
    artifacts.onChange((change) => {
      if (change.made) return root.offsetParent ? load() : void (stale = true);
      if (change.trashed === undefined && change.favourite === undefined) return;
      const item = items.find((one) => one.id === change.id);
      if (item) Object.assign(item, change);
      if (change.trashed !== undefined) {
        if (item && change.trashed !== view.trashed) items = items.filter((one) => one !== item);
        else if (!item) return root.offsetParent ? load() : void (stale = true);
        draw();
      }
    });
    Lifelike.live.listen((type) => {
      if (type === "artifact") root.offsetParent && !lightbox.isOpen() ? soon() : (stale = true);
    });
    let timer = 0;
    const soon = () => (clearTimeout(timer), (timer = setTimeout(() => load(), 400)));

    for (const [name, act] of Object.entries({ dragover: "add", dragleave: "remove" })) {
      root.addEventListener(name, (event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        root.classList[act]("over");
      });
    }
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("over");
      const file = [...event.dataTransfer.files].find((one) => one.type.startsWith("image/"));
      if (file) forms.restoreFile(file);
      else if (event.dataTransfer.files.length) toast(t("That is no picture."), { kind: "bad" });
    });

    async function load(further = false) {
      if (further && (busy || !next)) return;
      const turn = (asked += 1);
      busy = true;
      const query = new URLSearchParams({ query: view.query, favourites: view.favourites, trashed: view.trashed, limit: PAGE });
      if (further) query.set("cursor", next);
      try {
        const page = await api("GET", "/artifacts?" + query);
        if (turn !== asked) return; // a newer search is under way
        items = further ? [...items, ...page.artifacts] : page.artifacts;
        next = page.next;
        stale = false;
        draw();
      } catch (problem) {
        fail(problem);
      } finally {
        if (turn === asked) busy = false;
      }
    }

    function draw() {
      const old = new Map([...grid.children].map((child) => [child.dataset.artifact, child]));
      const open = (item) => lightbox.open(items, items.indexOf(item), { more: () => load(true) });
      grid.replaceChildren(...items.map((item) => {
        const kept = old.get(item.id);
        if (kept && kept.llTrashed === item.trashed && kept.llItem === item) return kept;
        const shown = item.kind === "image" ? artifacts.content(item, { thumbnail: 256 }) : h("span", { class: "ll-kind" }, item.title || t(item.kind));
        const tile = h("figure", { class: "ll-thumb", role: "listitem", data: { artifact: item.id } },
          h("button", { type: "button", class: "ll-thumb-open", "aria-label": artifacts.describe(item), title: item.prompt || "", onclick: () => open(item) }, shown),
          item.trashed ? iconButton("undo", t("Take out of the trash"), () => artifacts.restore(item), { class: "ll-ib ll-thumb-act" }) : heart(item),
          item.trashed ? "" : iconButton("trash", t("Delete"), () => artifacts.trash(item), { class: "ll-ib ll-thumb-act ll-thumb-trash" }));
        tile.llTrashed = item.trashed;
        tile.llItem = item;
        return tile;
      }));
      more.hidden = !next;
      nothing.hidden = items.length > 0;
      const searched = view.query || view.favourites;
      nothing.replaceChildren(
        h("h2", {}, view.trashed ? t("The trash is empty") : searched ? t("Nothing fits") : t("Nothing here yet")),
        h("p", {}, view.trashed ? t("What you delete waits here and can be taken back.")
          : searched ? t("Try fewer words. seed:5, steps:>=20, sampler:\"Euler a\" and size:512x512 look for parameters.")
          : t("Pictures appear here as they are made. Drop any picture here to restore the parameters it was made with.")));
    }
    function heart(item) {
      const button = iconButton("heart", t("Favourite"), () => artifacts.favourite(item), { class: "ll-ib ll-heart ll-thumb-act",
        "aria-pressed": String(!!item.favourite), data: { heart: item.id } });
      button.classList.toggle("on", !!item.favourite);
      return button;
    }
    load();
  }
  return { mount };
})();
