// The memory of models, in a dialog: what is where, who holds it and why; pin, unload, budget.
"use strict";
Lifelike.memory = (() => {
  const { t, h, iconButton, icon, api, attempt, bytes } = Lifelike;
  const PAUSE_MS = 2000;
  const GIB = 2 ** 30;
  const STATES = () => ({ absent: t("not loaded"), loading: t("loading"), ram: t("in main memory"), moving: t("moving"),
    device: t("on the device"), failed: t("failed") });

  let dialog = null, body = null, timer = 0, shown = false;

  function open() {
    if (!dialog) build();
    if (dialog.open) return;
    dialog.showModal();
    read();
  }

  function build() {
    body = h("div", { class: "ll-memory-body" });
    const idle = h("button", { type: "button", class: "ll-button", onclick: act(() => api("POST", "/memory/unload", {})),
      title: t("Pinned models and models in use stay") }, t("Unload what is idle"));
    dialog = h("dialog", { class: "ll-help ll-memory", "aria-label": t("Memory") },
      h("h2", {}, t("Memory")), body, h("div", { class: "ll-memory-foot" }, idle),
      iconButton("close", t("Close"), () => dialog.close(), { class: "ll-ib ll-close" }));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => clearTimeout(timer));
    document.body.append(dialog);
  }

  async function read() {
    clearTimeout(timer);
    if (!dialog.open) return;
    try {
      const { workers } = await api("GET", "/memory");
      // What a person types in must not be drawn over.
      if (!body.contains(document.activeElement) || document.activeElement.tagName !== "INPUT") draw(workers);
    } catch {
      // The header says that the connection is cut; the next reading shows when it is back.
    }
    timer = setTimeout(read, PAUSE_MS);
  }
  // An order is obeyed a moment later, by another process.
  const act = (run) => attempt(async () => (await run(), setTimeout(read, 250)));

  function draw(workers) {
    const focus = document.activeElement?.dataset?.key;
    body.replaceChildren(...(workers.length ? workers.map(worker) : [h("p", { class: "ll-quiet" }, t("No model has been loaded yet. The first picture loads one."))]));
    if (focus) body.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  }

  function worker(one) {
    return h("section", { data: { worker: one.worker } },
      h("h3", {}, one.device), bar(one), facts(one),
      one.entries.length ? table(one) : h("p", { class: "ll-quiet" }, t("No model is in memory.")));
  }

  function bar(one) {
    if (!one.total_bytes) return "";
    // Where device and main memory are one, models kept in either are in the same bar.
    const models = one.device_models_bytes + (one.kind === "cpu" ? one.ram_models_bytes : 0);
    const free = one.free_bytes ?? 0;
    const other = Math.max(0, one.total_bytes - free - models - one.work_bytes);
    const parts = [["models", t("models"), models], ["work", t("work"), one.work_bytes], ["other", t("other use"), other], ["free", t("free"), free]]
      .filter(([, , size]) => size > 0);
    return h("div", {},
      h("div", { class: "ll-memory-bar", "aria-hidden": "true" }, parts.map(([name, , size]) => h("i", { class: name, style: `flex-grow:${size / one.total_bytes}` }))),
      h("div", { class: "ll-memory-key" }, parts.map(([name, label, size]) => h("span", { class: name }, `${label} ${bytes(size)}`))));
  }

  function facts(one) {
    const limit = h("input", { type: "number", min: 0, step: 0.5, class: "ll-input", "aria-label": t("Budget in GB"), data: { key: "budget" },
      placeholder: t("all"), value: one.budget_bytes ? String(Math.round((one.budget_bytes / GIB) * 100) / 100) : "" });
    const set = act(() => (limit.blur(), api("PUT", "/memory/budget", { worker: one.worker, budget_bytes: Math.round(Math.max(0, Number(limit.value) || 0) * GIB) })));
    limit.addEventListener("keydown", (event) => event.key === "Enter" && set());
    const rows = [
      [t("Budget for models"), h("span", { class: "ll-memory-budget" }, limit, "GB", h("button", { type: "button", class: "ll-button", onclick: set }, t("Set")))],
      one.ram_budget_bytes && [t("Kept in main memory"), t("{size} of {limit}", { size: bytes(one.ram_models_bytes), limit: bytes(one.ram_budget_bytes) })],
      one.attention && [t("Attention"), attention(one)],
      ...one.attention_choices.map(({ model, backend, ratios }) => [model,
        t("{backend} was fastest: {ratios} of torch's own time", { backend, ratios: Object.entries(ratios).map(([name, ratio]) => `${name} ${ratio.toFixed(2)}`).join(", ") })]),
      [t("So far"), t("{loads} loaded, {moves} moved, {evictions} given up", { loads: one.loads, moves: one.moves, evictions: one.evictions })
        + (one.ooms ? " · " + t("memory ran out {n} times", { n: one.ooms }) : "")],
    ];
    return h("dl", {}, rows.filter(Boolean).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  const REASONS = (values) => ({
    needs_device: t("needs {devices}, this device is {device}", values),
    not_installed: t("not installed (pip install {package})", values),
    capability: t("needs compute capability {least} or newer", values),
    wrong: t("gives wrong results here: off by {off}, allowed {allowed}", values),
    raised: t("fails here: {said}", values),
    eight_bit: t("8-bit: some models give black pictures with it; never chosen by itself"),
    last_resort: t("slow and sparing: the last resort"),
  });

  function attention(one) {
    const others = one.attention_backends.filter((backend) => backend.name !== one.attention);
    if (!others.length) return one.attention;
    const row = ({ name, usable, reason, code, values }) => h("li", {}, h("strong", { translate: "no" }, name), " ",
      h("span", { class: "ll-quiet" }, [usable ? t("works here") : "", REASONS(values)[code] || reason].filter(Boolean).join(": ")));
    const details = h("details", { open: shown, ontoggle: () => (shown = details.open) },
      h("summary", {}, one.attention, " · ", t("why not another")), h("ul", {}, others.map(row)));
    return details;
  }

  function table(one) {
    const models = [...new Set(one.entries.map((entry) => entry.model))];
    return h("div", { class: "ll-memory-models" }, models.map((model) => {
      const parts = one.entries.filter((entry) => entry.model === model);
      const size = parts.reduce((sum, entry) => sum + Math.max(entry.device_bytes, entry.ram_bytes), 0);
      return h("div", { class: "ll-memory-model" },
        h("div", { class: "ll-memory-name", translate: "no" }, h("strong", {}, model), h("span", { class: "ll-quiet" }, bytes(size))),
        parts.map((entry) => row(one, entry)));
    }));
  }

  function row(one, entry) {
    const size = Math.max(entry.device_bytes, entry.ram_bytes);
    const why = entry.holders ? t("in use") : entry.pinned ? t("pinned") : t("kept for the next job");
    const told = [STATES()[entry.state] || entry.state, why].join(" · ");
    const more = t("loaded in {load} s, wanted again {hits} times", { load: entry.load_s.toFixed(2), hits: entry.hits });
    const pin = () => api("PUT", "/memory/pin", { worker: one.worker, entry: entry.id, pinned: !entry.pinned });
    return h("div", { class: "ll-memory-row", data: { entry: entry.id } },
      h("span", { class: "ll-memory-part", translate: "no" }, entry.component, " ", h("small", {}, entry.dtype)),
      h("span", { class: "ll-quiet", title: more }, told),
      h("span", { class: "ll-memory-size" }, size ? bytes(size) : ""),
      iconButton(entry.pinned ? "lock" : "unlock", entry.pinned ? t("Pinned: let it go when room is needed") : t("Pin: keep it in memory"), act(pin),
        { "aria-pressed": String(entry.pinned), data: { key: `pin-${entry.id}` } }),
      iconButton("trash", t("Unload"), act(() => api("POST", "/memory/unload", { worker: one.worker, entry: entry.id })),
        { disabled: entry.holders > 0, data: { key: `unload-${entry.id}` } }));
  }

  return { open };
})();
