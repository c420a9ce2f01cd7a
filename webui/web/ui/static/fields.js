// Fields that Gradio has none of: seed, size, pictures, and a choice among pictures.
"use strict";
Lifelike.fields = (() => {
  const { t, h, icon, iconButton, api, attempt } = Lifelike;

  function mount(element, props, watch) {
    const root = element.querySelector(".ll-own") || element;
    const make = { seed, size, image, pictures }[props.field.kind];
    // Gradio tells of changes that come from the server alone; what is set here is drawn here.
    let update = () => {};
    const own = {
      field: props.field,
      get value() {
        return props.value;
      },
      set value(value) {
        props.value = value;
        update(value);
      },
    };
    update = make(root, own);
    watch("value", () => update(props.value));
    update(props.value);
  }

  const heading = (props, ...more) =>
    h("div", { class: "ll-own-head" }, h("span", { class: "ll-own-label" }, t(props.field.label)), ...more);
  const help = (props) => props.field.help && h("p", { class: "ll-own-help" }, t(props.field.help));

  // A seed is text from here to the server: it may have more digits than a number of JavaScript holds.
  function seed(root, props) {
    const input = h("input", {
      type: "text", inputmode: "numeric", class: "ll-input", "aria-label": t(props.field.label), autocomplete: "off",
      oninput: () => (props.value = input.value.trim()),
      onblur: () => input.value.trim() === "" && (props.value = "-1"),
    });
    const slug = () => root.closest("[id^='work-']")?.id.slice(5);
    const random = iconButton("dice", t("Draw a new seed each time"), () => (props.value = "-1"));
    const reuse = iconButton("again", t("Use the seed of the last picture"), () => {
      const last = Lifelike.forms.viewer(slug())?.lastSeed();
      if (last === undefined || last === null) Lifelike.toast(t("There is no picture yet."));
      else props.value = String(last);
    });
    root.append(heading(props), h("div", { class: "ll-seed-row" }, input, random, reuse), help(props) || "");
    return (value) => {
      const text = String(value ?? "-1");
      if (input.value !== text) input.value = text;
      random.classList.toggle("on", text === "-1");
    };
  }

  // One edge, or a width and a height: presets keep the area, the lock keeps the ratio.
  function size(root, props) {
    const { names, labels, minimum, maximum, step, presets } = props.field;
    const two = names.length === 2;
    let locked = false, ratio = 1;
    const fit = (value) => Math.min(maximum, Math.max(minimum, Math.round(value / step) * step));
    const set = (changes) => (props.value = { ...props.value, ...changes });
    const inputs = names.map((name, place) =>
      h("input", {
        type: "number", class: "ll-input", min: minimum, max: maximum, step, "aria-label": t(labels[place]), data: { name },
        oninput: (event) => {
          const value = event.target.value === "" ? null : Number(event.target.value);
          const changes = { [name]: value };
          if (two && locked && value) changes[names[1 - place]] = fit(place === 0 ? value / ratio : value * ratio);
          set(changes);
        },
        // What was typed is kept as it is and judged by the server; arrows and presets stay on the grid by themselves.
      }));
    const swap = iconButton("swap", t("Swap width and height"), () => {
      const [w, hh] = names.map((name) => props.value[name]);
      ratio = 1 / ratio;
      set({ [names[0]]: hh, [names[1]]: w });
    });
    const lock = h("button", {
      type: "button", class: "ll-ib", "aria-pressed": "false", title: t("Keep the ratio"), "aria-label": t("Keep the ratio"),
      onclick: () => {
        locked = !locked;
        ratio = props.value[names[0]] / props.value[names[1]] || 1;
        lock.setAttribute("aria-pressed", String(locked));
        lock.classList.toggle("on", locked);
        lock.replaceChildren(icon(locked ? "lock" : "unlock"));
      },
    }, icon("unlock"));
    const choose = (preset) => {
      const parts = preset.split(/[:x×]/).map(Number);
      if (preset.includes(":")) {
        const area = props.value[names[0]] * props.value[names[1]] || 512 * 512;
        const width = fit(Math.sqrt((area * parts[0]) / parts[1]));
        set({ [names[0]]: width, [names[1]]: fit((width * parts[1]) / parts[0]) });
      } else set(two ? { [names[0]]: parts[0], [names[1]]: parts[1] || parts[0] } : { [names[0]]: parts[0] });
      ratio = parts[0] / (parts[1] || parts[0]);
    };
    const chip = (preset) => {
      const [a, b] = preset.split(/[:x×]/).map(Number);
      const longest = Math.max(a, b || a);
      const shape = h("i", { style: `width:${(12 * a) / longest}px;height:${(12 * (b || a)) / longest}px` });
      return h("button", { type: "button", class: "ll-chip", data: { preset }, onclick: () => choose(preset) }, shape, preset);
    };
    const chips = h("div", { class: "ll-chips" });
    // Pixels far from what the model was made for give no good pictures: in their place stand ratios, which keep the area.
    const offer = () => {
      const slug = root.closest("[id^='work-']")?.id.slice(5);
      const own = two ? Lifelike.forms.info(slug)?.sizes?.[Lifelike.forms.modelOf(slug)] : null;
      const fits = (preset) => {
        const [a, b] = preset.split(/[:x×]/).map(Number);
        return preset.includes(":") ? two : !own || ((a * b) / (own[0] * own[1]) < 6 && (a * b) / (own[0] * own[1]) > 1 / 6);
      };
      let shown = presets.filter(fits);
      if (own) shown.unshift(`${own[0]}x${own[1]}`);
      if (shown.length < 3 && two) shown.push("4:3", "3:4", "3:2", "2:3", "16:9");
      chips.replaceChildren(...[...new Set(shown)].map(chip));
      mark(props.value);
    };
    const mark = (value) => [...chips.children].forEach((one) => {
      const [a, b] = one.dataset.preset.split(/[:x×]/).map(Number);
      const [w, hh] = names.map((name) => (value || {})[name]);
      const same = one.dataset.preset.includes(":") ? Math.abs(w / hh - a / b) < 0.02 : w === a && (!two || hh === (b || a));
      one.classList.toggle("on", Boolean(same));
    });
    document.addEventListener("ll-model", offer);
    root.append(
      h("div", { class: "ll-own-head" }, h("span", { class: "ll-own-label" }, two ? t("Size") : t(labels[0]))),
      h("div", { class: "ll-size-row" }, inputs[0], two ? h("span", { class: "ll-times" }, "×") : "", two ? inputs[1] : "",
        two ? swap : "", two ? lock : ""),
      chips,
      help(props) || "",
    );
    offer();
    return (value) => {
      names.forEach((name, place) => {
        const text = String((value || {})[name] ?? "");
        if (inputs[place].value !== text && document.activeElement !== inputs[place]) inputs[place].value = text;
      });
      mark(value);
    };
  }

  // Pictures as references: "upload:..." and "artifact:...". Takes drops, files, the clipboard, and pictures of the gallery.
  function image(root, props) {
    const several = props.field.multiple;
    const list = () => (several ? props.value || [] : props.value ? [props.value] : []);
    const set = (refs) => (props.value = several ? refs : refs[refs.length - 1] || "");
    const local = new Map(); // ref -> address of the file just chosen
    const add = attempt(async (files) => {
      for (const file of files) {
        const body = new FormData();
        body.append("file", file, file.name || "picture.png");
        zone.classList.add("busy");
        try {
          const { ref } = await api("POST", "/uploads", body);
          local.set(ref, URL.createObjectURL(file));
          set(several ? [...list(), ref] : [ref]);
        } finally {
          zone.classList.remove("busy");
        }
        if (!several) break;
      }
    });
    const address = (ref) =>
      local.get(ref) ||
      (ref.startsWith("artifact:") ? `${LIFELIKE.base}/api/v1/artifacts/${ref.slice(9)}?thumbnail=512` : `${LIFELIKE.base}/ui/uploads/${encodeURIComponent(ref)}`);
    const picker = h("input", {
      type: "file", accept: "image/*", multiple: several, class: "ll-away", tabindex: "-1", "aria-hidden": "true",
      onchange: () => (add([...picker.files]), (picker.value = "")),
    });
    const zone = h("div", {
      class: "ll-drop", tabindex: "0", role: "button", "aria-label": t(props.field.label),
      onclick: () => picker.click(),
      onkeydown: (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), picker.click()),
      onpaste: (event) => {
        const files = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
        if (files.length) event.preventDefault(), add(files);
      },
      ondragover: (event) => (event.preventDefault(), zone.classList.add("over")),
      ondragleave: () => zone.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        event.stopPropagation();
        zone.classList.remove("over");
        const id = event.dataTransfer.getData("application/x-lifelike");
        if (id) set(several ? [...list(), `artifact:${id}`] : [`artifact:${id}`]);
        else add([...event.dataTransfer.files].filter((file) => file.type.startsWith("image/")));
      },
    });
    // What is drawn stands in the place of the last picture; on a blank ground where there is none, in the size that the form asks for.
    const draw = () => {
      const refs = list(), last = refs[refs.length - 1];
      const source = !last ? "" : last.startsWith("artifact:") ? `${LIFELIKE.base}/api/v1/artifacts/${last.slice(9)}` : `${LIFELIKE.base}/ui/uploads/${encodeURIComponent(last)}?whole=1`;
      Lifelike.sketch.open({ source, size: Lifelike.fields.sizeOf(root), done: (file) => {
        if (several && last) set(refs.slice(0, -1));
        add([file]);
      } });
    };
    const brush = h("button", { type: "button", class: "ll-link ll-draw", onclick: draw }, icon("brush"), h("span", {}, t("Draw")));
    root.append(heading(props, brush), picker, zone, help(props) || "");
    return () => {
      const refs = list();
      zone.classList.toggle("filled", refs.length > 0);
      zone.replaceChildren(
        ...refs.map((ref) =>
          h("figure", {}, h("img", { src: address(ref), alt: t(props.field.label), draggable: "false" }),
            iconButton("close", t("Remove"), (event) => {
              event.stopPropagation();
              set(list().filter((one) => one !== ref));
            }))),
        refs.length && !several ? "" : h("div", { class: "ll-drop-hint" }, icon("picture"),
          h("span", {}, t("Drop a picture, click to choose, or paste"))),
      );
    };
  }

  // A choice whose values have pictures: radio buttons, so that arrow keys and screen readers know them.
  let groups = 0;
  function pictures(root, props) {
    const name = `ll-pictures-${groups++}`;
    const radios = props.field.tiles.map(({ value }) =>
      h("input", { type: "radio", name, value, class: "ll-away", onchange: () => (props.value = value) }));
    const tiles = props.field.tiles.map(({ label, picture }, place) => h("label", { class: "ll-pick" }, radios[place],
      picture ? h("img", { src: LIFELIKE.base + picture, alt: "", width: 64, height: 64, loading: "lazy", decoding: "async", draggable: "false" })
        : h("i", { "aria-hidden": "true" }),
      h("span", {}, t(label))));
    root.append(heading(props), h("div", { class: "ll-picks", role: "radiogroup", "aria-label": t(props.field.label) }, tiles), help(props) || "");
    return (value) => radios.forEach((one) => (one.checked = one.value === value));
  }

  // Width and height that the form of `element` asks for, else those of its model.
  function sizeOf(element) {
    const work = element.closest("[id^='work-']");
    const slug = work?.id.slice(5);
    const [width, height] = ["width", "height"].map((name) => Number(work?.querySelector(`.ll-size input[data-name="${name}"]`)?.value) || 0);
    const own = Lifelike.forms.info(slug)?.sizes?.[Lifelike.forms.modelOf(slug)] || [512, 512];
    return [width || height || own[0], height || width || own[1]];
  }

  return { mount, sizeOf };
})();
