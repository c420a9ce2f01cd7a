// Scores of a set as cards: {scores: {name: {value, low, high, real_vs_real, better}}, order, real, generated, protocol}.
"use strict";
Lifelike.scores = (() => {
  const { t, h } = Lifelike;
  const shown = (value) => String(Number(value.toPrecision(4)));
  const BETTER = { lower: () => t("lower is better"), higher: () => t("higher is better"), "near real": () => t("near the real value is better") };

  // What is drawn of a scalar, or null where it holds no scores.
  function draw(value) {
    const scores = value && typeof value === "object" && value.scores;
    if (!scores || Array.isArray(scores) || !Object.values(scores).every((one) => Number.isFinite(one?.value))) return null;
    const order = (value.order || []).filter((name) => scores[name]);
    const names = [...new Set([...order, ...Object.keys(scores)])];
    return h("div", { class: "ll-scores" },
      h("div", { class: "ll-score-cards" }, names.map((name) => card(name, scores[name]))),
      protocol(value));
  }

  function card(name, one) {
    const known = Number.isFinite(one.low) && Number.isFinite(one.high);
    const real = Number.isFinite(one.real_vs_real);
    return h("section", { class: "ll-score" },
      h("h4", { translate: "no" }, name),
      h("p", { class: "ll-scalar" }, shown(one.value)),
      known ? scale(one, real) : null,
      h("p", { class: "ll-quiet" }, known ? t("{low} to {high} (95%)", { low: shown(one.low), high: shown(one.high) }) : t("no interval")),
      real ? h("p", { class: "ll-quiet ll-score-real" }, t("real against real {value}", { value: shown(one.real_vs_real) })) : null,
      h("p", { class: "ll-quiet" }, (BETTER[one.better] || (() => ""))()));
  }

  // The interval as a bar, the value and what real pictures have as marks on it.
  function scale(one, real) {
    const ends = [one.low, one.high, one.value, ...(real ? [one.real_vs_real] : [])];
    const low = Math.min(...ends), room = Math.max(...ends) - low || 1;
    const at = (value) => `${(100 * (value - low)) / room}%`;
    const mark = (value, kind) => h("b", { class: kind, style: `left: ${at(value)}` });
    return h("div", { class: "ll-score-scale", "aria-hidden": "true" },
      h("i", { style: `left: ${at(one.low)}; width: ${(100 * (one.high - one.low)) / room}%` }),
      mark(one.value, "ll-score-at"), real ? mark(one.real_vs_real, "ll-score-of-real") : null);
  }

  function protocol(value) {
    const said = value.protocol || {};
    const words = [
      value.generated === undefined
        ? said.n && t("{count} measured", { count: said.n })
        : t("{generated} generated, {real} real pictures", { generated: value.generated, real: value.real ?? "?" }),
      said.network, said.resize, said.generated_format && `${said.real_format} / ${said.generated_format}`,
      said.weights && `sha256 ${String(said.weights).slice(0, 12)}`,
    ].filter(Boolean);
    const further = Object.entries(said).map(([name, one]) => [name, typeof one === "object" ? JSON.stringify(one) : String(one)]);
    return h("details", { class: "ll-score-protocol" },
      h("summary", {}, words.join(" · ")),
      h("dl", {}, further.flatMap(([name, one]) => [h("dt", {}, name), h("dd", { translate: "no" }, one)])));
  }

  return { draw };
})();
