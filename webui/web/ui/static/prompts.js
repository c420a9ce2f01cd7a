// Prompts while they are typed: how many tokens they take, and what is to be said of which place in them.
"use strict";
Lifelike.prompts = (() => {
  const { t, h, api } = Lifelike;
  const PAUSE_MS = 600, SHOWN_MAX = 6, TEXT_MAX = 20000;

  // The server counts in characters, a textarea in UTF-16 units.
  function places(text) {
    const units = [0];
    for (const character of text) units.push(units[units.length - 1] + character.length);
    return (place) => units[Math.min(place, units.length - 1)];
  }

  // Lines under the marked places: a copy of the text, unseen, lies over the field.
  function overlay(area) {
    const copy = h("div", { class: "ll-underlined", "aria-hidden": "true" });
    area.parentElement.append(copy);
    const COPIED = ["fontFamily", "fontSize", "fontWeight", "lineHeight", "letterSpacing", "paddingTop", "paddingRight", "paddingBottom",
      "paddingLeft", "borderTopWidth", "borderRightWidth", "borderBottomWidth", "borderLeftWidth", "tabSize", "textIndent"];
    const lay = () => {
      const style = getComputedStyle(area);
      for (const name of COPIED) copy.style[name] = style[name];
      Object.assign(copy.style, {
        left: area.offsetLeft + "px", top: area.offsetTop + "px", height: area.offsetHeight + "px",
        // Without the scroll bar, which takes room from the text.
        width: area.clientWidth + parseFloat(style.borderLeftWidth) + parseFloat(style.borderRightWidth) + "px",
      });
      copy.scrollTop = area.scrollTop;
    };
    area.addEventListener("scroll", () => (copy.scrollTop = area.scrollTop));
    new ResizeObserver(() => copy.childNodes.length && lay()).observe(area);
    return (text, remarks) => {
      const at = places(text), parts = [];
      let end = 0;
      for (const remark of remarks) {
        const from = at(remark.start), to = at(remark.end);
        if (from < end) continue;
        parts.push(text.slice(end, from), h("mark", { class: remark.error ? "bad" : "" }, text.slice(from, to)));
        end = to;
      }
      copy.replaceChildren(...(parts.length ? [...parts, text.slice(end) + "\n"] : []));
      if (parts.length) lay();
    };
  }

  function line(area, remark) {
    const at = places(area.value), from = at(remark.start), to = at(remark.end);
    const go = () => {
      area.focus();
      area.setSelectionRange(from, to);
    };
    return h("li", { class: remark.error ? "bad" : "" },
      h("button", { type: "button", class: "ll-remark", title: t("Show the place"), onclick: go },
        h("code", { translate: "no" }, [...area.value.slice(from, to)].slice(0, 24).join("")), h("span", {}, t(remark.message, remark.values))));
  }

  const told = ({ chunks, limit }) => (chunks.length > 1 ? `${chunks.join(" + ")} / ${limit}` : `${chunks[0]} / ${limit}`);

  // Asked after a pause in typing and on leaving the field, never at each key.
  function watch(slug, name, how) {
    const label = document.querySelector(`#f-${slug}-${name}`);
    const area = label?.querySelector("textarea");
    if (!area || area.dataset.counted) return;
    area.dataset.counted = "1";
    const count = h("span", { class: "ll-tokens", "aria-live": "off" });
    const list = h("ul", { class: "ll-remarks", "aria-live": "polite" });
    const mark = overlay(area);
    label.append(count, list);
    let timer = 0, asked = null;
    const show = (said) => {
      count.textContent = said ? (said.exact ? "" : "~ ") + told(said) : "";
      count.title = said ? t("{used} tokens; the model reads {limit} at a time", said) : "";
      count.classList.toggle("over", Boolean(said) && (said.chunks.length > 1 || said.used > said.limit));
      const remarks = said?.remarks || [];
      mark(area.value, remarks);
      list.replaceChildren(...remarks.slice(0, SHOWN_MAX).map((remark) => line(area, remark)));
    };
    const ask = async () => {
      clearTimeout(timer);
      const text = area.value, model = Lifelike.forms.modelOf(slug), question = model + "\n" + text;
      if (question === asked) return;
      asked = question;
      if (!text.trim() || text.length > TEXT_MAX) return show(null);
      try {
        const said = await api("POST", "/prompt", { text, model, ...how });
        if (asked === question && area.value === text) show(said);
      } catch {
        show(null); // a comfort: where there is none, nothing is said
      }
    };
    area.addEventListener("input", () => {
      mark("", []); // they stand at places of the old text
      clearTimeout(timer);
      timer = setTimeout(ask, PAUSE_MS);
    });
    area.addEventListener("blur", ask);
    document.addEventListener("ll-model", (event) => event.detail === slug && ask());
    // Filled by an example, a preset or a picture: Gradio writes into the field a moment after the answer.
    document.addEventListener("ll-filled", (event) => event.detail === slug && setTimeout(ask, 300));
    ask();
  }

  return { watch };
})();
