// The Extensions tab: what became of each one and why, what its hooks took, what failed by it; a switch for the next start.
"use strict";
Lifelike.extensions = (() => {
  const { t, h, api, fail, attempt } = Lifelike;
  const WORDS = () => ({ loaded: t("loaded"), disabled: t("disabled"), blocked: t("blocked"), failed: t("failed") });
  const STAGES = () => ({ manifest: t("reading its manifest"), api: t("checking the API it needs"), requirements: t("checking what it requires"),
    import: t("importing it"), register: t("registering it"), hooks: t("checking its hooks"), declare: t("reading its declarations") });
  const ORDER = { failed: 0, blocked: 1, loaded: 2, disabled: 3 };

  // Asked for when the tab is looked at, and anew each time: hooks and faults change while jobs run.
  function mount(element) {
    const root = element.querySelector("div") || element;
    const list = h("div", { class: "ll-exts" });
    root.append(list);
    const draw = () => api("GET", "/extensions").then(({ extensions }) => {
      extensions.sort((a, b) => ORDER[a.state] - ORDER[b.state] || a.title.localeCompare(b.title));
      list.replaceChildren(...extensions.map(card));
    }, fail);
    new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && draw()).observe(root);
    draw();
  }

  function card(one) {
    const troubled = one.hooks.some((hook) => hook.suspended);
    return h("article", { class: `ll-ext ${one.state}`, data: { extension: one.id } },
      h("header", {}, h("h3", {}, one.title || one.id), h("span", { class: `ll-pill ${one.state}` }, WORDS()[one.state] || one.state)),
      h("p", { class: "ll-quiet" }, `${one.id} ${one.version}`, one.api ? ` · API ${one.api}` : "", one.builtin ? ` · ${t("comes with Lifelike")}` : ""),
      one.stage ? h("p", {}, t("It stopped at: {stage}", { stage: STAGES()[one.stage] || one.stage })) : "",
      one.reason ? h("p", { class: "ll-bad-text" }, one.reason) : "",
      one.hint ? h("p", {}, one.hint) : "",
      troubled ? h("p", { class: "ll-bad-text" }, t("A hook failed three times in a row and is left out until the worker starts again.")) : "",
      one.pipelines.length ? h("p", { class: "ll-ids" }, one.pipelines.map((id) => h("code", {}, id))) : "",
      requirements(one.requires),
      one.hooks.length ? h("details", {}, h("summary", {}, t("Hooks")), hooks(one.hooks)) : "",
      one.faults.length ? h("details", {}, h("summary", {}, t("Failed jobs: {n}", { n: one.faults.length })), one.faults.map(fault)) : "",
      one.traceback ? h("details", {}, h("summary", {}, t("Details")), h("pre", {}, one.traceback)) : "",
      toggle(one));
  }
  function requirements(requires) {
    const lines = Object.entries(requires);
    return lines.length ? h("p", { class: "ll-ids" }, lines.map(([line, met]) =>
      h("code", { class: met ? "" : "ll-bad-text" }, line, met ? "" : ` (${t("not met")})`))) : "";
  }
  function hooks(rows) {
    return h("table", { class: "ll-hooks" },
      h("thead", {}, h("tr", {}, [t("Hook"), t("Calls"), t("Time"), t("Failures")].map((word) => h("th", { scope: "col" }, word)))),
      h("tbody", {}, rows.map((row) => h("tr", { class: row.suspended ? "ll-bad-text" : "", title: row.last_error },
        h("td", {}, h("code", {}, row.hook)), h("td", {}, String(row.calls)), h("td", {}, `${(row.seconds * 1000).toFixed(1)} ms`),
        h("td", {}, row.failures ? `${row.failures}: ${row.last_error}` : "0")))));
  }
  function fault(one) {
    return h("p", {}, one.at ? `${new Date(one.at * 1000).toLocaleString()} ` : "", one.message);
  }
  function toggle(one) {
    const box = h("input", { type: "checkbox", checked: one.enabled, onchange: attempt(async () => {
      try {
        const said = await api("PATCH", `/extensions/${encodeURIComponent(one.id)}`, { enabled: box.checked });
        note.hidden = said.enabled === (said.state !== "disabled");
      } catch (error) { box.checked = !box.checked; throw error; }
    }) });
    const note = h("span", { class: "ll-quiet", hidden: one.enabled === (one.state !== "disabled") }, t("from the next start on"));
    return h("label", { class: "ll-ext-switch" }, box, " ", t("Enabled"), " ", note);
  }
  return { mount };
})();
