// The head of the page: name, device, memory, queue, extensions, language, colours, help; and the keyboard.
"use strict";
Lifelike.header = (() => {
  const { t, h, icon, iconButton, api, forms, lightbox, config } = Lifelike;

  function mount(element) {
    const root = element.querySelector("div") || element;
    const device = h("span", { class: "ll-stat", data: { stat: "device" } }, t("starting ..."));
    const memory = h("button", { type: "button", class: "ll-stat", data: { stat: "memory" }, hidden: true, onclick: () => Lifelike.memory.open() });
    const queue = h("button", { type: "button", class: "ll-stat", data: { stat: "queue" }, onclick: () => go("tab-queue"), title: t("Queue") });
    const extensions = h("button", { type: "button", class: "ll-stat", data: { stat: "extensions" }, onclick: () => go("tab-extensions"), title: t("Extensions") });
    const theme = iconButton(Lifelike.isDark() ? "sun" : "moon", t("Dark or light"), () => {
      Lifelike.setDark(!Lifelike.isDark());
      theme.replaceChildren(icon(Lifelike.isDark() ? "sun" : "moon"));
    }, { id: "ll-theme" });
    const language = h("select", { class: "ll-select", id: "ll-language", "aria-label": "Language · 语言", onchange: () => Lifelike.setLocale(language.value) },
      [["en", "English"], ["zh-CN", "简体中文"]].map(([tag, name]) => h("option", { value: tag }, name)));
    language.value = Lifelike.locale;
    const switches = h("div", { class: "ll-switches" }, language, theme, iconButton("help", t("Help"), help, { id: "ll-help" }));
    root.append(
      h("div", { class: "ll-brand" }, h("img", { src: LIFELIKE.base + "/ui/static/mark.svg", alt: "", width: 28, height: 28 }), h("h1", {}, "Lifelike")),
      h("div", { class: "ll-stats", role: "status", "aria-label": t("State of the application") }, device, memory, queue, extensions),
      switches);
    Lifelike.people.mount(switches);

    let counts = {}, workers = [], cut = false;
    const draw = () => {
      const one = workers.find((worker) => worker.device) || {};
      const dev = one.device;
      device.textContent = cut ? t("not connected") : dev ? [dev.name || dev.kind, dev.dtype].filter(Boolean).join(" · ") : t("starting ...");
      device.classList.toggle("bad", cut);
      device.classList.toggle("good", !cut && Boolean(dev));
      memory.hidden = !dev?.memory_total_bytes;
      if (dev?.memory_total_bytes) {
        memory.textContent = `${Lifelike.bytes(dev.memory_used_bytes)} / ${Lifelike.bytes(dev.memory_total_bytes)}`;
        memory.title = t("Memory in use; models hold {size}", { size: Lifelike.bytes(dev.models_bytes) });
      }
      const running = counts.running || 0, waiting = counts.queued || 0;
      queue.textContent = running || waiting ? t("{running} running, {waiting} waiting", { running, waiting }) : t("queue empty");
      queue.classList.toggle("busy", running > 0);
    };
    const read = async () => {
      try {
        const health = await api("GET", "/health");
        [counts, workers] = [health.queue, health.workers];
        const bad = health.extensions.failed + health.extensions.blocked;
        extensions.textContent = bad ? t("{bad} of {all} extensions need a look", { bad, all: bad + health.extensions.loaded })
          : health.extensions.loaded === 1 ? t("1 extension") : t("{n} extensions", { n: health.extensions.loaded });
        extensions.classList.toggle("bad", bad > 0);
        if (health.status === "failed") Lifelike.toast(t("Jobs cannot be run."), { kind: "bad", hint: health.problem, seconds: 20 });
      } catch {
        cut = true;
      }
      draw();
    };
    Lifelike.live.listen((type, data) => {
      if (type === "status") [counts, workers, cut] = [data.queue, data.workers, false];
      else if (type === "open") cut = false;
      else if (type === "cut") cut = true;
      else return;
      draw();
    });
    read();
  }

  const go = (id) => document.getElementById(id + "-button")?.click();

  let dialog = null;
  function help() {
    if (!dialog) {
      const key = (...names) => h("span", { class: "ll-keys" }, names.map((name) => h("kbd", {}, name)));
      const rows = [
        [key("Ctrl", "Enter"), t("Generate in the tab you see")],
        [key("Esc"), t("Stop the job you watch; close what is open")],
        [key("?"), t("This help")],
        [key("←", "→"), t("Previous and next picture, when one is open")],
      ];
      dialog = h("dialog", { class: "ll-help", "aria-label": t("Help") },
        h("h2", {}, t("Help")),
        h("dl", {}, rows.flatMap(([keys, text]) => [h("dt", {}, keys), h("dd", {}, text)])),
        h("h3", {}, t("Good to know")),
        h("ul", {},
          h("li", {}, t("Jobs run on when this page is closed. Open it again and they are here.")),
          h("li", {}, t("Drop any picture on the gallery to restore the parameters it was made with, ours or another program's.")),
          h("li", {}, t("Drag a picture from the gallery onto any field that takes one.")),
          h("li", {}, t("Search by words and parameters: red hair -hat seed:5 steps:>=20 sampler:DPM*"))),
        h("p", { class: "ll-quiet" }, `Lifelike ${config.version} · `, h("a", { href: LIFELIKE.base + "/openapi.json", target: "_blank", rel: "noopener" }, t("HTTP interface"))),
        iconButton("close", t("Close"), () => dialog.close(), { class: "ll-ib ll-close" }));
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
      document.body.append(dialog);
    }
    if (!dialog.open) dialog.showModal();
  }

  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable=true]");
  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const slug = forms.visible();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && slug && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      event.stopPropagation();
      // A field that is being typed in tells its value when it is left.
      document.activeElement?.blur?.();
      setTimeout(() => forms.generate(slug), 60);
    } else if (event.key === "Escape" && slug && !document.querySelector("dialog[open], .ll-menu, [role=listbox]") && !lightbox.isOpen()) {
      if (forms.viewer(slug)?.running()) {
        event.preventDefault();
        forms.stop(slug);
      }
    } else if (event.key === "?" && !typing(event.target)) {
      event.preventDefault();
      help();
    }
  }, true);

  return { mount, help };
})();
