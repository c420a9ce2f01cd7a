// What every other script stands on: making elements, asking the HTTP interface, the one stream of events, notes at the edge, menus.
"use strict";
Object.assign(Lifelike, (() => {
  const { t, told, icon } = Lifelike;

  // h("button", {class: "x", onclick: f, data: {id: 1}}, "text", child ...): text is never read as HTML.
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "data") Object.assign(element.dataset, value);
      else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  // A button of one icon; its label is read out and shown when pointed at.
  const iconButton = (name, label, onclick, attributes = {}) =>
    h("button", { type: "button", class: "ll-ib", title: label, "aria-label": label, onclick, ...attributes }, icon(name));

  class Problem extends Error {
    constructor(status, body) {
      super(told(body.detail || body.title) || t("The server does not answer."));
      this.status = status;
      this.hint = told(body.hint || "");
      this.errors = body.errors || [];
    }
  }

  // JSON in which a whole number too large for JavaScript stays as it was written, as text: seeds go up to 2^63.
  const parse = (text) =>
    JSON.parse(text, (key, value, context) =>
      typeof value === "number" && !Number.isSafeInteger(value) && context && /^-?\d+$/.test(context.source) ? context.source : value);

  // api("GET", "/jobs") -> parsed answer. Raises Problem, with the server's own words where it had any.
  async function api(method, path, body, base = "/api/v1") {
    const request = { method, headers: { Accept: "application/json" } };
    if (body instanceof FormData) request.body = body;
    else if (body !== undefined) {
      request.body = JSON.stringify(body);
      request.headers["Content-Type"] = "application/json";
    }
    let answer;
    try {
      answer = await fetch(LIFELIKE.base + base + path, request);
    } catch {
      throw new Problem(0, { hint: t("Is it still running? This page goes on by itself when it is back.") });
    }
    const text = await answer.text();
    let content = {};
    try {
      content = text ? parse(text) : {};
    } catch {
      content = { detail: text.slice(0, 200) };
    }
    if (!answer.ok) throw new Problem(answer.status, content);
    return content;
  }

  // A note at the edge of the page. kind: "", "good" or "bad". action: {label, run}.
  let notes = null;
  function toast(message, { kind = "", hint = "", action = null, seconds = 6 } = {}) {
    if (!notes) document.body.append((notes = h("div", { class: "ll-notes", role: "status", "aria-live": "polite" })));
    const close = () => note.remove();
    const note = h(
      "div",
      { class: `ll-note ${kind}`, role: kind === "bad" ? "alert" : null },
      h("div", { class: "ll-note-text" }, h("span", {}, message), hint && h("small", {}, hint)),
      action && h("button", { type: "button", class: "ll-link", onclick: () => (close(), action.run()) }, action.label),
      iconButton("close", t("Close"), close),
    );
    // A modal dialog covers everything that is not in it.
    const dialog = [...document.querySelectorAll("dialog[open]")].pop();
    (dialog || document.body).append(notes);
    notes.append(note);
    setTimeout(close, seconds * 1000 * (kind === "bad" ? 2 : 1));
    return close;
  }
  const fail = (problem) => toast(problem.message, { kind: "bad", hint: problem.hint || "" });
  // Runs an asynchronous action and shows what went wrong.
  const attempt = (run) => async (...values) => {
    try {
      return await run(...values);
    } catch (problem) {
      if (!(problem instanceof Problem)) console.error(problem);
      fail(problem);
      return undefined;
    }
  };

  // A menu below `anchor`: rows of {label, run, icon}.
  function menu(anchor, rows) {
    document.querySelector(".ll-menu")?.remove();
    const close = (event) => {
      if (event && box.contains(event.target) && event.type !== "keydown") return;
      if (event && event.type === "keydown" && event.key !== "Escape") return;
      if (event && event.type === "keydown") event.stopPropagation(), event.preventDefault(); // Escape would close the dialog below, too.
      box.remove();
      document.removeEventListener("pointerdown", close, true);
      document.removeEventListener("keydown", close, true);
    };
    const box = h(
      "div",
      { class: "ll-menu", role: "menu" },
      rows.map((row) =>
        h("button", { type: "button", role: "menuitem", onclick: () => (close(), row.run()) }, row.icon && icon(row.icon), row.label)),
    );
    (anchor.closest("dialog") || document.body).append(box);
    const place = anchor.getBoundingClientRect();
    box.style.left = Math.max(8, Math.min(place.left, innerWidth - box.offsetWidth - 8)) + "px";
    const below = place.bottom + 4;
    box.style.top = (below + box.offsetHeight > innerHeight - 8 ? Math.max(8, place.top - box.offsetHeight - 4) : below) + "px";
    document.addEventListener("pointerdown", close, true);
    document.addEventListener("keydown", close, true);
    box.querySelector("button")?.focus();
  }

  // Numbers in words.
  const bytes = (count) => {
    const units = ["B", "KB", "MB", "GB", "TB"];
    let value = count || 0, unit = 0;
    while (value >= 1000 && unit < units.length - 1) (value /= 1024), (unit += 1);
    return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
  };
  const seconds = (count) => {
    if (count === null || count === undefined) return "";
    if (count < 60) return t("{n} s", { n: Math.max(1, Math.round(count)) });
    if (count < 3600) return t("{m} min {s} s", { m: Math.floor(count / 60), s: Math.round(count % 60) });
    return t("{h} h {m} min", { h: Math.floor(count / 3600), m: Math.round((count % 3600) / 60) });
  };
  const moment = (stamp) => new Date(stamp * 1000).toLocaleString(Lifelike.locale, { dateStyle: "medium", timeStyle: "short" });

  // The events of all jobs and the application's state, in one connection for the whole page: browsers allow few to a server, so a page
  // that nobody sees holds none.
  const EVENTS = ["status", "snapshot", "queued", "started", "progress", "artifact", "warning", "done", "failed", "cancelled"];
  const live = (() => {
    const listeners = new Set();
    let source = null, timer = 0;
    const tell = (type, data) => listeners.forEach((listener) => listener(type, data));
    function open() {
      clearTimeout(timer);
      if (source || document.hidden) return;
      source = new EventSource(LIFELIKE.base + "/api/v1/events");
      source.onopen = () => tell("open", {});
      source.onerror = () => {
        tell("cut", {});
        if (source && source.readyState === EventSource.CLOSED) {
          source = null;
          timer = setTimeout(open, 2000);
        }
      };
      for (const name of EVENTS) source.addEventListener(name, (event) => tell(name, parse(event.data)));
    }
    function close() {
      source?.close();
      source = null;
    }
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    addEventListener("pagehide", close);
    addEventListener("pageshow", (event) => event.persisted && open());
    return {
      listen(listener) {
        listeners.add(listener);
        open();
        return () => listeners.delete(listener);
      },
    };
  })();

  const copyText = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without https a page has no clipboard; an old command does the same.
      const area = h("textarea", { class: "ll-away", value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    toast(t("Copied."), { kind: "good", seconds: 2 });
  };

  return { h, iconButton, Problem, parse, api, toast, fail, attempt, menu, bytes, seconds, moment, live, copyText };
})());
