// The gallery: pages of what was made, found by words, with a trash that gives back.
"use strict";
Lifelike.gallery = (() => {
  const { t, h, icon, iconButton, api, attempt, fail, artifacts, forms, imports, lightbox, marks, selection, toast } = Lifelike;
  const PAGE = 60;

  function mount(element) {
    const root = element.querySelector("div") || element;
    let items = [], next = null, busy = false, asked = 0, stale = false;
    const view = { query: "", favourites: false, trashed: false, collection: "" };

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
    const taker = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp", multiple: true, class: "ll-away", tabindex: "-1", "aria-hidden": "true",
      onchange: () => (taker.files.length && imports.send(taker.files, () => load()), (taker.value = "")) });
    const collections = h("button", { type: "button", class: "ll-button", "aria-haspopup": "menu", onclick: () => chooseCollection() }, icon("folder"), h("span", {}, t("Collections")));
    const choosing = h("button", { type: "button", class: "ll-button", "aria-pressed": "false", onclick: () => picked.toggle() }, icon("check"), h("span", {}, t("Choose")));
    const heading = h("div", { class: "ll-collection", hidden: true });
    const grid = h("div", { class: "ll-thumbs", role: "list" });
    const more = h("button", { type: "button", class: "ll-button ll-more", onclick: () => load(true) }, t("Show more"));
    const nothing = h("div", { class: "ll-empty" });
    root.append(
      h("div", { class: "ll-tools" },
        h("label", { class: "ll-search" }, icon("search"), search),
        toggle("favourites", "heart", t("Favourites")),
        collections,
        toggle("trashed", "trash", t("Trash")),
        choosing,
        picker, taker,
        h("button", { type: "button", class: "ll-button ll-import", "aria-haspopup": "menu",
          onclick: (event) => imports.menu(event.currentTarget, () => taker.click(), () => load()) }, icon("upload"), h("span", {}, t("Import"))),
        h("button", { type: "button", class: "ll-button ll-restore", onclick: () => picker.click() }, icon("sliders"), h("span", {}, t("Restore from a picture")))),
      heading, grid, nothing, more);
    const picked = selection.make(root, { shown: () => items, changed: () => draw() });

    new IntersectionObserver((seen) => seen[0].isIntersecting && next && load(true)).observe(more);
    new IntersectionObserver((seen) => seen[0].isIntersecting && (stale || !items.length) && load()).observe(root);
    artifacts.onChange((change) => {
      if (change.made) return root.offsetParent ? load() : void (stale = true);
      const item = items.find((one) => one.id === change.id);
      if (item) Object.assign(item, change);
      if (change.trashed !== undefined) {
        if (item && change.trashed !== view.trashed) items = items.filter((one) => one !== item);
        else if (!item) return root.offsetParent ? load() : void (stale = true);
      }
      if (item) draw();
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
      const query = new URLSearchParams({ query: asking(), favourites: view.favourites, trashed: view.trashed, limit: PAGE });
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

    const asking = () => (view.collection ? `${view.query} collection:"${view.collection}"` : view.query);

    const chooseCollection = attempt(async () => {
      const known = await marks.names("collections");
      if (!known.length) return void toast(t("No collections yet: choose pictures, then collect them."));
      const rows = known.map((one) => ({ label: `${one.name} · ${one.count}`, icon: "folder", run: () => show(one.name) }));
      Lifelike.menu(collections, view.collection ? [{ label: t("All pictures"), icon: "picture", run: () => show("") }, ...rows] : rows);
    });
    function show(name) {
      view.collection = name;
      collections.classList.toggle("on", Boolean(name));
      heading.hidden = !name;
      heading.replaceChildren(
        h("h2", { translate: "no" }, name),
        iconButton("sliders", t("Rename this collection"), attempt(async () => {
          const said = await marks.ask(t("Rename this collection"), { value: name });
          if (!said || said === name) return;
          await api("PATCH", `/collections/${encodeURIComponent(name)}`, { name: said });
          show(said);
        })),
        h("a", { class: "ll-ib", href: `${LIFELIKE.base}/api/v1/export?query=${encodeURIComponent(`collection:"${name}"`)}`, download: "lifelike.zip",
          title: t("Download as a zip"), "aria-label": t("Download as a zip") }, icon("download")),
        iconButton("trash", t("Let this collection go; its pictures stay"), attempt(async () => {
          await api("DELETE", `/collections/${encodeURIComponent(name)}`);
          show("");
        })),
        iconButton("close", t("All pictures"), () => show("")));
      load();
    }

    function draw() {
      const old = new Map([...grid.children].map((child) => [child.dataset.artifact, child]));
      const open = (item, event) =>
        picked.active() ? picked.choose(item, event) : lightbox.open(items, items.indexOf(item), { more: () => load(true) });
      choosing.classList.toggle("on", picked.active());
      choosing.setAttribute("aria-pressed", String(picked.active()));
      picked.show();
      grid.replaceChildren(...items.map((item) => {
        const kept = old.get(item.id);
        if (kept && kept.llTrashed === item.trashed && kept.llItem === item && kept.llRating === item.rating) return tick(kept, item);
        const shown = item.kind === "image" ? artifacts.content(item, { thumbnail: 256 }) : h("span", { class: "ll-kind" }, item.title || t(item.kind));
        const tile = h("figure", { class: "ll-thumb", role: "listitem", data: { artifact: item.id } },
          h("button", { type: "button", class: "ll-thumb-open", "aria-label": artifacts.describe(item), title: item.prompt || "", onclick: (event) => open(item, event) }, shown),
          h("span", { class: "ll-tick", "aria-hidden": "true" }, icon("check")),
          item.rating ? h("span", { class: "ll-rated", "aria-label": t("{n} of 5 stars", { n: item.rating }) }, "★".repeat(item.rating)) : "",
          item.trashed ? iconButton("undo", t("Take out of the trash"), () => artifacts.restore(item), { class: "ll-ib ll-thumb-act" }) : heart(item),
          item.trashed ? "" : iconButton("trash", t("Delete"), () => artifacts.trash(item), { class: "ll-ib ll-thumb-act ll-thumb-trash" }));
        tile.llTrashed = item.trashed;
        tile.llItem = item;
        tile.llRating = item.rating;
        return tick(tile, item);
      }));
      more.hidden = !next;
      nothing.hidden = items.length > 0;
      const searched = view.query || view.favourites || view.collection;
      nothing.replaceChildren(
        h("h2", {}, view.trashed ? t("The trash is empty") : searched ? t("Nothing fits") : t("Nothing here yet")),
        h("p", {}, view.trashed ? t("What you delete waits here and can be taken back.")
          : searched ? t("Try fewer words. seed:5, steps:>=20, sampler:\"Euler a\" and size:512x512 look for parameters.")
          : t("Pictures appear here as they are made. Drop any picture here to restore the parameters it was made with.")));
    }
    function tick(tile, item) {
      tile.classList.toggle("chosen", picked.has(item.id));
      const button = tile.querySelector(".ll-thumb-open");
      picked.active() ? button.setAttribute("aria-pressed", String(picked.has(item.id))) : button.removeAttribute("aria-pressed");
      return tile;
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
