// First of all scripts, before Gradio: settles the language and the colours, and gives the others their words (`t`).
"use strict";
window.Lifelike = (() => {
  const config = window.LIFELIKE;

  const store = {
    get(key, fallback = null) {
      try {
        const text = localStorage.getItem("ll." + key);
        return text === null ? fallback : JSON.parse(text);
      } catch {
        return fallback;
      }
    },
    set(key, value) {
      try {
        if (value === null || value === undefined) localStorage.removeItem("ll." + key);
        else localStorage.setItem("ll." + key, JSON.stringify(value));
      } catch {
        // A full or forbidden storage costs comfort after a reload, nothing else.
      }
    },
  };

  // Language: chosen by the switch, else by the setting, else by the browser.
  const spoken = ["en", ...Object.keys(config.strings)];
  const ofBrowser = () => {
    for (const tag of navigator.languages || [navigator.language]) {
      const near = spoken.find((one) => one === tag) || spoken.find((one) => one.split("-")[0] === tag.split("-")[0]);
      if (near) return near;
    }
    return "en";
  };
  const chosen = store.get("locale");
  const locale = spoken.includes(chosen) ? chosen : spoken.includes(config.locale) ? config.locale : ofBrowser();
  // Gradio follows navigator.language and has no setting of its own.
  Object.defineProperty(navigator, "language", { get: () => locale, configurable: true });
  Object.defineProperty(navigator, "languages", { get: () => [locale], configurable: true });
  document.documentElement.lang = locale;

  const table = config.strings[locale] || {};
  // Words in the page's language; {name} is replaced by values.name.
  const t = (text, values = {}) => {
    const found = table[text] || text;
    return found.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  };

  // What the server says, errors above all, comes in English with its values filled in: looked up as it is, else among the sentences
  // with {slots}, from which the values are read back. "steps: expected ..." is a name and such a sentence.
  let patterns = null;
  const literal = (text) => text.replace(/\{\w+\}/g, "").length;
  function told(text) {
    const said = String(text ?? "");
    if (table[said] || !Object.keys(table).length) return table[said] || said;
    patterns ||= Object.keys(table).filter((key) => /\{\w+\}/.test(key) && literal(key) > 3)
      .sort((a, b) => literal(b) - literal(a))
      .map((key) => ({
        key,
        names: [...key.matchAll(/\{(\w+)\}/g)].map((found) => found[1]),
        shape: new RegExp("^" + key.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("(.+?)") + "$", "s"),
      }));
    for (const { key, names, shape } of patterns) {
      const found = said.match(shape);
      if (found) return t(key, Object.fromEntries(names.map((name, place) => [name, told(found[place + 1])])));
    }
    const [, name, rest] = said.match(/^([\w -]{1,40}): (.+)$/s) || [];
    if (rest && told(rest) !== rest) return `${t(name)}: ${told(rest)}`;
    const sentences = said.match(/^(.+?[.!?]) (.+)$/s);
    return sentences && told(sentences[1]) !== sentences[1] ? `${told(sentences[1])} ${told(sentences[2])}` : said;
  }

  // Colours: chosen by the switch, else by the system. Gradio's own class is on the body and follows the system.
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (store.get("theme") || (system.matches ? "dark" : "light")) === "dark";
  const paint = () => {
    const dark = isDark();
    document.documentElement.classList.toggle("ll-dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    if (document.body && document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
  };
  paint();
  document.addEventListener("DOMContentLoaded", () => {
    paint();
    new MutationObserver(paint).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });
  system.addEventListener("change", paint);

  return {
    config,
    store,
    locale,
    spoken,
    t,
    told,
    isDark,
    setDark(dark) {
      store.set("theme", dark ? "dark" : "light");
      paint();
    },
    setLocale(tag) {
      store.set("locale", tag);
      location.reload();
    },
  };
})();
