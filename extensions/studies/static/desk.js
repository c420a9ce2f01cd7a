// The owner's page: every study, and one with its link and live results. Inside the application's tab it takes language and colours from there.
"use strict";
(() => {
  const main = document.getElementById("main"), note = document.getElementById("note"), root = document.documentElement;
  const framed = window.parent !== window;
  const setting = (key) => { try { return JSON.parse(localStorage.getItem("ll." + key)); } catch { return null; } };
  let language = "en";
  const t = (text, values = {}) =>
    ((window.STUDY_WORDS[language] || {})[text] || text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  // A finished sentence of the server, by the text with slots that it was made from.
  function said(sentence) {
    for (const text of Object.keys(window.STUDY_WORDS[language] || {})) {
      const shape = text.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("(.+)");
      const names = [...text.matchAll(/\{(\w+)\}/g)].map((one) => one[1]), met = sentence.match(new RegExp(`^${shape}$`));
      if (met) return t(text, Object.fromEntries(names.map((name, place) => [name, met[place + 1]])));
    }
    return sentence;
  }
  function dress() {
    let said = setting("locale");
    try { said = framed ? window.parent.document.documentElement.lang : said; } catch { /* a page of another origin */ }
    language = /^zh/i.test(said || navigator.language) ? "zh-CN" : "en";
    root.lang = language;
    const theme = setting("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.classList.toggle("dark", theme === "dark");
    root.classList.toggle("framed", framed);
    document.querySelectorAll(".plot svg").forEach((svg) => svg.setAttribute("data-scheme", theme));
  }

  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }
  async function ask(path, method = "GET") {
    const answer = await fetch("/ext/studies/" + path, { method, headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  }

  const KINDS = { two_choice: () => t("Which one is real?"), yes_no: () => t("Is this one real?"), preference: () => t("Which one do you prefer?") };
  const percent = (value) => `${(100 * value).toFixed(1)}%`;
  const plain = (digits) => (value) => value.toFixed(digits).replace("-", "−");
  const between = (told, format) => (told.low === null || told.low === undefined ? "" : `${format(told.low)} – ${format(told.high)}`);
  const number = (told, format) => (told.value === null || told.value === undefined ? "–" : format(told.value));
  const card = (title, told, format, words = "") =>
    h("div", { class: "card" }, h("span", {}, title), h("b", {}, number(told, format)), h("span", { class: "between" }, between(told, format)), words && h("small", {}, words));
  const cell = (told, format) => h("td", {}, number(told, format), " ", h("small", {}, between(told, format)));
  const table = (names, rows) =>
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, names.map((name) => h("th", {}, name)))), h("tbody", {}, rows)));

  function tags(study) {
    return [h("span", { class: "tag" }, KINDS[study.kind]()), study.timed && h("span", { class: "tag" }, t("glimpses")), study.closed && h("span", { class: "tag off" }, t("closed"))];
  }
  const turnout = (study) => t("{began} raters, {finished} finished", study);

  function list(studies) {
    if (!studies.length) {
      return [h("h1", {}, t("No study yet")), h("p", { class: "quiet" }, t("Make one in the tab beside this one: two folders or collections are enough."))];
    }
    return [h("h1", {}, t("Studies")), h("div", { class: "list" }, studies.map((study) =>
      h("button", { type: "button", class: "study", onclick: () => { location.hash = study.id; } },
        h("strong", {}, study.title), tags(study), h("span", { class: "quiet" }, turnout(study)))))];
  }

  function detail(study) {
    const told = study.results, address = location.origin + study.link;
    const here = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
    const input = h("input", { value: address, readonly: true, "aria-label": t("Link for raters"), onfocus: () => input.select() });
    const copy = h("button", { type: "button", class: "button", onclick: async () => {
      try { await navigator.clipboard.writeText(address); } catch { input.select(); document.execCommand("copy"); }
      copy.textContent = t("Copied");
    } }, t("Copy"));
    const file = (name) => `/ext/studies/studies/${encodeURIComponent(study.id)}/${name}`;
    const set = (closed) => async () => { await ask(`studies/${study.id}/${closed ? "close" : "open"}`, "POST"); shown = ""; refresh(); };
    return [
      h("p", { class: "row" }, h("a", { href: "#" }, "← ", t("All studies"))),
      h("div", { class: "row" }, h("h1", {}, study.title), tags(study)),
      h("div", { class: "quiet" }, study.sets.map((one) => `${one.name} (${one.pictures})`).join(" · "), ` · ${study.width} × ${study.height} · `, turnout(study)),
      h("div", { class: "link" }, input, copy, h("a", { class: "button", href: study.link, target: "_blank", rel: "noopener" }, t("Open"))),
      here && h("p", { class: "quiet" }, t("This link works on this machine alone. Start with --listen, or a tunnel, to share it.")),
      h("div", { class: "row" },
        h("button", { type: "button", class: "button", onclick: set(!study.closed) }, study.closed ? t("Open it again") : t("Close the study")),
        h("a", { class: "button", href: file("votes.csv"), download: "" }, t("Votes as CSV")),
        h("a", { class: "button", href: file("votes.json"), download: "" }, t("Votes as JSON")),
        h("a", { class: "button", href: file("plot.svg"), download: `${study.id}.svg` }, t("Plot as SVG"))),
      told.notes.map((words) => h("p", { class: "note" }, said(words))),
      told.counted ? numbers(told) : h("p", { class: "quiet" }, h("strong", {}, t("No answers yet")), " · ", t("Numbers appear with the first answer.")),
      told.counted ? h("div", { class: "plot", id: "plot" }) : null,
      sets(told),
      raters(told),
      fooling(study, told),
    ];
  }
  function numbers(told) {
    const cards = [];
    if (told.realism) {
      const one = told.realism;
      cards.push(card(t("Error rate"), one.error, percent, t("50% cannot be told from real")));
      if (one.fake_error) cards.push(card(t("Generated taken for real"), one.fake_error, percent), card(t("Real taken for generated"), one.real_error, percent));
      else cards.push(card(t("Error, real one first"), one.error_real_left, percent), card(t("Error, real one second"), one.error_real_right, percent));
      cards.push(card(t("Sensitivity d′"), one.d_prime, plain(2), t("0 is chance")));
      cards.push(card(t("Criterion c"), one.criterion, plain(2), one.fake_error ? t("Above 0: leaning to “generated”") : t("Above 0: leaning to the second")));
      if (one.p !== null) cards.push(card(t("Exact test against 50%"), { value: one.p }, (p) => (p < 0.0001 ? "p < 0.0001" : `p = ${p.toFixed(4)}`), t("answers taken as independent")));
    }
    if (told.time) {
      cards.push(card(t("Threshold"), told.time.threshold_ms, (ms) => `${ms.toFixed(0)} ms`, t("glimpse for {share} right answers", { share: `${100 * told.time.target}%` })));
      cards.push(card(t("Modal exposure (HYPE)"), told.time.modal_ms, (ms) => `${ms.toFixed(0)} ms`));
      if (told.time.late !== null) cards.push(card(t("Late exposures"), { value: told.time.late }, percent));
      if (told.time.beyond) cards.push(card(t("Raters beyond the range of exposures"), { value: told.time.beyond }, plain(0)));
    }
    if (told.preference) {
      (told.preference.strengths || []).slice().sort((a, b) => b.elo.value - a.elo.value)
        .forEach((one) => cards.push(card(one.name, one.elo, (elo) => (elo > 0 ? "+" : "") + plain(0)(elo), t("Elo"))));
      if (told.preference.left !== null) cards.push(card(t("Chosen on the first side"), { value: told.preference.left }, percent));
    }
    const words = (told.preference?.problem && said(told.preference.problem)) || (told.preference?.unbounded > 0 ? t("in {share} of the samples a strength has no bound", { share: percent(told.preference.unbounded) }) : "");
    return [
      h("div", { class: "cards" }, cards),
      h("p", { class: "quiet" }, t("{counted} of {began} raters counted, {answers} answers", { counted: told.counted, began: told.raters.began, answers: told.answers }), " · ", t("Intervals: 95%, by drawing raters again")),
      words && h("p", { class: "note" }, words),
    ];
  }
  function sets(told) {
    if (told.realism && told.realism.sets.length > 1) {
      return [h("h2", {}, t("By set")), table([t("Set"), t("Error rate"), t("Sensitivity d′"), t("Answers")], told.realism.sets.map((one) =>
        h("tr", {}, h("td", {}, one.name), cell(one.error, percent), cell(one.d_prime, plain(2)), h("td", {}, String(one.trials)))))];
    }
    if (!told.preference) return null;
    const { names, share, strengths = [] } = told.preference;
    return [h("h2", {}, t("By set")), table([t("Set"), t("Elo"), t("Strength"), t("Preferred")], names.map((name, place) =>
      h("tr", {}, h("td", {}, name), strengths[place] ? cell(strengths[place].elo, plain(0)) : h("td", {}, "–"),
        h("td", {}, strengths[place] ? plain(2)(strengths[place].beta) : "–"), cell(share[place], percent))))];
  }
  function raters(told) {
    if (!told.raters.each.length) return null;
    return [h("h2", {}, t("Raters")), table([t("Rater"), t("Answers"), t("Attention"), t("Median seconds"), t("Counted")], told.raters.each.map((one) =>
      h("tr", {}, h("td", {}, one.rater.slice(0, 8)), h("td", {}, String(one.answers)), h("td", {}, `${one.attention_right} / ${one.attention_seen}`),
        h("td", {}, one.median_seconds === null ? "–" : String(one.median_seconds)), h("td", {}, one.excluded ? t(one.excluded) : t("yes")))))];
  }
  function fooling(study, told) {
    const found = (told.realism?.fooling || []).filter((one) => one.taken_for_real).slice(0, 12);
    if (!found.length) return null;
    return [h("h2", {}, t("Most convincing")), h("div", { class: "pictures" }, found.map((one) =>
      h("div", {}, h("img", { src: `${study.link}/i/${one.picture}.png`, alt: "", loading: "lazy", width: study.width, height: study.height }),
        h("small", {}, t("taken for real {n} of {of} times", { n: one.taken_for_real, of: one.seen })), h("small", { title: one.source }, one.set))))];
  }

  // Live: asked again while somebody looks; drawn again only where something changed, so that what is selected stays so.
  let shown = "";
  async function refresh() {
    try {
      const id = decodeURIComponent(location.hash.slice(1));
      const body = await (await ask(id ? `studies/${encodeURIComponent(id)}` : "studies")).json();
      note.textContent = "";
      const now = JSON.stringify([body, language, location.hash]);
      if (now === shown) return;
      shown = now;
      main.replaceChildren(...(id ? detail(body) : list(body.studies)).flat(3).filter(Boolean));
      const plot = document.getElementById("plot");
      if (plot) {
        const text = await (await ask(`studies/${encodeURIComponent(id)}/plot.svg?language=${language}`)).text();
        const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
        plot.replaceChildren(document.importNode(svg, true));
      }
      dress();
    } catch (problem) {
      if (problem.message === "404" && location.hash) location.hash = "";
      else note.textContent = t("The server does not answer; trying again …");
    }
  }
  addEventListener("hashchange", () => { shown = ""; refresh(); });
  addEventListener("storage", () => { dress(); refresh(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
  setInterval(() => { if (!document.hidden) { dress(); refresh(); } }, 4000);
  dress();
  refresh();
  if (framed) {
    // As high as it is long, so that the page around it has the only scroll bar.
    const fit = () => { if (window.frameElement) window.frameElement.style.height = `${Math.ceil(main.getBoundingClientRect().height) + 8}px`; };
    new ResizeObserver(fit).observe(main);
  }
})();
