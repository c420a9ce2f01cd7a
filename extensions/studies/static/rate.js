// The rater's way through a study: agree, answer, see the end. Every answer is on the server's disk before the next question comes; one
// that could not be sent waits in the browser's storage.
"use strict";
(() => {
  const base = location.pathname.replace(/\/?$/, "/");
  const link = base.split("/").slice(-2)[0];
  const main = document.getElementById("main"), note = document.getElementById("note");
  const bar = document.getElementById("bar"), count = document.getElementById("count"), toggle = document.getElementById("language");

  // Words: English is its own key.
  const tables = window.STUDY_WORDS;
  const store = {
    get(key) { try { return JSON.parse(localStorage.getItem(`study.${link}.${key}`)); } catch { return null; } },
    set(key, value) {
      try {
        if (value === null) localStorage.removeItem(`study.${link}.${key}`);
        else localStorage.setItem(`study.${link}.${key}`, JSON.stringify(value));
      } catch { /* without storage a reload begins anew; all else works */ }
    },
  };
  const spoken = (navigator.languages || [navigator.language]).some((tag) => /^zh/i.test(tag)) &&
    !/^en/i.test((navigator.languages || [navigator.language])[0]) ? "zh-CN" : "en";
  let language = store.get("language") || spoken;
  const t = (text, values = {}) =>
    ((tables[language] || {})[text] || text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));

  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "disabled" || name === "checked") element[name] = value;
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  // The server.
  class Problem extends Error {
    constructor(status, body) { super(body.detail || ""); this.status = status; this.reason = body.reason || ""; }
  }
  async function ask(path, body) {
    let answer;
    try {
      answer = await fetch(base + path, body === undefined ? {} :
        { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    } catch {
      throw new Problem(0, { reason: "offline" });
    }
    let content = {};
    try { content = await answer.json(); } catch { /* told by the status */ }
    if (!answer.ok) throw new Problem(answer.status, content);
    return content;
  }
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  // As `ask`, again and again while the server is away or finds it too fast.
  async function insist(path, body) {
    for (let pause = 700; ; pause = Math.min(pause * 1.6, 10000)) {
      try {
        const content = await ask(path, body);
        note.textContent = "";
        return content;
      } catch (problem) {
        if (![0, 429, 500, 502, 503, 504].includes(problem.status)) throw problem;
        if (problem.status !== 429) note.textContent = t("No connection. Your answer is kept; trying again …");
        await wait(problem.status === 429 ? 500 : pause);
      }
    }
  }

  // Pictures, decoded before their turn.
  const loaded = new Map();
  function load(address) {
    if (!loaded.has(address)) {
      loaded.set(address, (async () => {
        for (let tries = 0; ; tries += 1) {
          const image = new Image();
          image.src = base + address + (tries ? `?again=${tries}` : "");
          try { await image.decode(); return image; } catch (error) {
            if (tries >= 5) { loaded.delete(address); throw error; }
            await wait(400 * (tries + 1));
          }
        }
      })());
      loaded.get(address).catch(() => {});
    }
    return loaded.get(address);
  }
  function keep(addresses) {
    for (const known of [...loaded.keys()]) if (!addresses.includes(known) && !about.masks.includes(known)) loaded.delete(known);
    addresses.forEach(load);
  }

  // Time, frame by frame.
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  let frameMs = 1000 / 60;
  async function measureFrames() {
    const gaps = [];
    let last = await frame();
    for (let n = 0; n < 15; n += 1) { const now = await frame(); gaps.push(now - last); last = now; }
    frameMs = Math.min(50, Math.max(3, gaps.sort((a, b) => a - b)[7]));
  }
  // Until at least `ms` after `since`, to the nearest frame; the time of that frame.
  async function until(since, ms) {
    let now = since;
    while (now - since < ms - frameMs / 2) now = await frame();
    return now;
  }

  let about = { masks: [] }, token = store.get("token"), current = null, keys = null;
  const question = () => about.question || {
    two_choice: t("Which picture is real?"), yes_no: t("Is this picture real?"), preference: t("Which picture do you prefer?"),
  }[about.kind];

  function show(element, { focus = true } = {}) {
    main.replaceChildren(element);
    // A pointer that happens to lie on one side shall not make that side stand out.
    main.classList.remove("moved");
    if (focus) main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  function progress(state) {
    bar.hidden = !state;
    count.textContent = state ? `${Math.min(state.done + 1, state.of)} / ${state.of}` : "";
    if (!state) return;
    bar.setAttribute("aria-valuemax", state.of);
    bar.setAttribute("aria-valuenow", state.done);
    bar.firstElementChild.style.width = `${(100 * state.done) / state.of}%`;
  }
  function card(title, ...children) {
    keys = null;
    progress(null);
    show(h("section", { class: "card" }, h("h1", {}, title), children));
  }
  const messages = {
    unknown: () => [t("There is no such study"), t("Check the link, or ask whoever gave it to you.")],
    closed: () => [t("This study is closed"), t("Thank you for your interest.")],
    full: () => [t("This study has enough answers"), t("Thank you for your interest.")],
  };
  function fail(problem) {
    const [title, words] = (messages[problem.reason] || (() => [t("Something went wrong"), problem.message]))();
    card(title, h("p", {}, words));
    if (!messages[problem.reason]) main.firstElementChild.append(h("button", { type: "button", class: "big", onclick: begin }, t("Try again")));
  }

  // Before: what it is about, and consent.
  function welcome() {
    const minutes = Math.max(1, Math.round((about.trials * (about.timed ? 4 : 6)) / 60));
    const button = h("button", { type: "button", class: "big", id: "begin", disabled: true, onclick: agree }, t("Begin"));
    const box = h("input", { type: "checkbox", id: "agree", onchange: () => { button.disabled = !box.checked; } });
    const how = {
      two_choice: t("You see two pictures. One is real, the other was made by a computer: choose the real one."),
      yes_no: t("You see one picture at a time. Some are real, some were made by a computer: say which it is."),
      preference: t("You see two pictures: choose the one that you like better."),
    }[about.kind];
    card(question(),
      h("p", {}, how),
      h("ul", {},
        h("li", {}, t("{count} questions, about {minutes} minutes", { count: about.trials, minutes })),
        about.practice > 0 && h("li", {}, t("The first {count} are for practice", { count: about.practice })),
        about.timed && h("li", {}, t("Each picture is shown for a moment only: look at the cross before it comes")),
        h("li", {}, t("You may close this page and go on later, with this browser"))),
      h("div", { class: "consent", id: "consent" }, about.consent || t("Taking part is voluntary, and you may stop at any time. Your answers, and how long they took, are kept for research on generated pictures under a random number. Neither your name nor your address on the network is kept, and no cookies are set. Your browser remembers the random number, so that you can go on later.")),
      h("label", { class: "agree", for: "agree" }, box, h("span", {}, t("I have read this and agree to take part"))),
      button);
  }
  async function agree() {
    document.getElementById("begin").disabled = true;
    try {
      const state = await insist("begin", { consent: true, language });
      token = state.token;
      store.set("token", token);
      if (about.timed) await Promise.all([measureFrames(), ...about.masks.map(load)]);
      next(state);
    } catch (problem) { fail(problem); }
  }
  function end() {
    store.set("pending", null);
    card(t("Thank you!"), h("p", {}, t("That was the last question. All your answers have been kept. You may close this page.")));
  }

  // A question.
  async function next(state) {
    if (state.finished) return end();
    current = state;
    keys = null;
    progress(state);
    keep([...state.pictures, ...state.ahead]);
    const trial = build(state);
    show(trial.element, { focus: !state.done || trial.single });
    let images;
    try {
      images = await Promise.all(state.pictures.map(load));
    } catch {
      note.textContent = t("A picture could not be loaded.");
      return void show(h("button", { type: "button", class: "big", onclick: () => { note.textContent = ""; next(state); } }, t("Try again")));
    }
    if (current !== state) return;
    let shown = null, began;
    if (state.exposure_ms === null) {
      await frame();
      trial.draw(images);
      began = performance.now();
    } else {
      shown = await glimpse(trial, images, state);
      if (shown === null || current !== state) return;
      began = performance.now();
    }
    trial.open(async (answer) => {
      keys = null;
      trial.close(answer);
      const vote = { token, trial: state.done, answer, seconds: (performance.now() - began) / 1000 };
      if (shown !== null) vote.shown_ms = shown;
      store.set("pending", vote);
      try {
        const after = await insist("vote", vote);
        store.set("pending", null);
        if (after.feedback) trial.tell(after.feedback, () => next(after));
        else next(after);
      } catch (problem) { fail(problem); }
    });
  }

  // Shown for `exposure_ms`, then masked. null: the page was hidden meanwhile, and the question waits for the rater.
  async function glimpse(trial, images, state) {
    const masks = await Promise.all(about.masks.map(load));
    let hidden = document.hidden;
    const watch = () => { hidden = hidden || document.hidden; };
    document.addEventListener("visibilitychange", watch);
    trial.cross(true);
    await wait(700);
    trial.cross(false);
    await wait(60);
    const from = await frame();
    if (!hidden) trial.draw(images);
    const to = await until(from, state.exposure_ms);
    let last = to;
    for (const mask of masks) {
      trial.draw(images.map(() => mask));
      last = await until(last, about.mask_ms);
    }
    trial.clear();
    document.removeEventListener("visibilitychange", watch);
    if (!hidden) return to - from;
    show(h("button", { type: "button", class: "big", onclick: () => next(state) }, t("Go on")));
    return null;
  }

  function build(state) {
    const single = about.kind === "yes_no";
    const canvases = state.pictures.map(() => h("canvas", { width: about.width, height: about.height, "aria-hidden": "true" }));
    const told = h("p", { class: "told", role: "status", "aria-live": "polite" });
    const answers = h("div", { class: "answers" });
    const crosses = [];
    const options = [];
    const option = (answer, attributes, ...children) => {
      const button = h("button", { type: "button", disabled: true, "data-answer": answer, ...attributes }, children);
      options.push(button);
      return button;
    };
    const framed = (canvas) => {
      const cross = h("span", { class: "cross", "aria-hidden": "true" });
      crosses.push(cross);
      return h("span", { class: "frame" }, canvas, cross);
    };
    const pictures = h("div", { class: single ? "pictures one" : "pictures" });
    pictures.style.setProperty("--shape", about.width / about.height);
    if (single) {
      pictures.append(framed(canvases[0]));
      // For every second rater the answers change sides.
      const both = [option("yes", {}, t("Real")), option("no", {}, t("Made by a computer"))];
      answers.append(...(state.swapped ? both.reverse() : both));
    } else {
      pictures.append(
        option("left", { class: "choice", "aria-label": t("First picture") }, framed(canvases[0])),
        option("right", { class: "choice", "aria-label": t("Second picture") }, framed(canvases[1])));
      if (about.kind === "preference" && about.ties) answers.append(option("tie", {}, t("No preference")));
    }
    const hint = { two_choice: ["←", "→"], yes_no: ["←", "→"], preference: about.ties ? ["←", "↓", "→"] : ["←", "→"] }[about.kind];
    const element = h("section", { class: "trial" },
      state.practice && h("span", { class: "practice" }, t("Practice")),
      h("h1", {}, question()), pictures, told, answers,
      h("p", { class: "keys" }, t("Keys:"), " ", hint.map((key) => [h("kbd", {}, key), " "]).flat()));
    const [first, second] = state.swapped ? ["no", "yes"] : ["yes", "no"];
    const byKey = single ? { ArrowLeft: first, ArrowRight: second, 1: first, 2: second } :
      { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "left", ArrowDown: about.ties ? "tie" : "right", 1: "left", 2: "right", 0: about.ties && "tie" };
    return {
      element, single,
      draw(images) {
        images.forEach((image, place) => canvases[place].getContext("2d").drawImage(image, 0, 0, about.width, about.height));
      },
      clear() { canvases.forEach((canvas) => canvas.getContext("2d").clearRect(0, 0, about.width, about.height)); },
      cross(on) { crosses.forEach((cross) => { cross.textContent = on ? "+" : ""; }); },
      open(answer) {
        options.forEach((button) => { button.disabled = false; button.onclick = () => answer(button.dataset.answer); });
        keys = (event) => {
          const meant = byKey[event.key];
          if (meant && options.some((button) => button.dataset.answer === meant)) { event.preventDefault(); answer(meant); }
        };
      },
      close(answer) {
        options.forEach((button) => {
          button.disabled = true;
          button.onclick = null;
          button.classList.toggle("chosen", button.dataset.answer === answer);
        });
      },
      tell(feedback, go) {
        const right = { left: t("the first one is real"), right: t("the second one is real"), yes: t("this one is real"), no: t("this one was made by a computer") }[feedback.truth];
        const words = about.kind === "preference" ? "" : right;
        told.className = `told ${feedback.correct ? "good" : "bad"}`;
        told.textContent = about.kind === "preference" ? (feedback.correct ? t("So it goes on.") : t("Most people like the other one better.")) :
          feedback.correct ? t("Right: {words}.", { words }) : t("No: {words}.", { words });
        const on = h("button", { type: "button", class: "big", onclick: go }, t("Go on"));
        answers.replaceChildren(on);
        on.focus({ preventScroll: true });
      },
    };
  }

  addEventListener("keydown", (event) => {
    if (keys && !event.repeat && !event.altKey && !event.ctrlKey && !event.metaKey) keys(event);
  });
  addEventListener("pointermove", () => main.classList.add("moved"), { passive: true });
  toggle.addEventListener("click", () => {
    language = language === "en" ? "zh-CN" : "en";
    store.set("language", language);
    speak();
    // A question stays as it is until its answer: to begin it anew would show it twice.
    if (document.getElementById("agree")) welcome();
    else if (current && !current.finished && current.exposure_ms === null && keys) next(current);
  });
  function speak() {
    document.documentElement.lang = language;
    document.title = t("Study");
    toggle.textContent = language === "en" ? "中文" : "English";
    toggle.lang = language === "en" ? "zh-CN" : "en";
    bar.setAttribute("aria-label", t("Progress"));
  }

  async function begin() {
    speak();
    try {
      about = await insist("about");
      if (token) {
        const pending = store.get("pending");
        let state;
        try {
          state = pending && pending.token === token ? await insist("vote", pending) : await insist("state", { token });
        } catch (problem) {
          if (problem.status === 409 || problem.status === 422) state = await insist("state", { token });
          else if (problem.status !== 403) throw problem;
        }
        store.set("pending", null);
        if (state) {
          if (state.finished) return end();
          if (about.closed) return fail({ reason: "closed" });
          if (about.timed) await Promise.all([measureFrames(), ...about.masks.map(load)]);
          current = state;
          card(t("Welcome back"), h("p", {}, t("{done} of {of} questions are answered.", { done: state.done, of: state.of })),
            h("button", { type: "button", class: "big", id: "resume", onclick: () => next(state) }, t("Go on")));
          document.getElementById("resume").focus();
          return;
        }
        token = null;
        store.set("token", null);
      }
      if (about.closed) return fail({ reason: "closed" });
      welcome();
    } catch (problem) { fail(problem); }
  }
  begin();
})();
