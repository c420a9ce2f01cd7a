// The forms of the page, by name: bringing one into view, filling it, starting it. Each viewer enters its form here when it appears.
"use strict";
Lifelike.forms = (() => {
  const { config, api, t, told, toast, attempt } = Lifelike;
  const shown = new Map(); // slug -> what its viewer offers: {send, stop, restore, element}
  const waiting = new Map(); // slug -> what to do when its viewer appears
  const arriving = new Map(); // slug -> what to do with its place when it is there
  const models = new Map();

  const info = (slug) => config.forms.find((form) => form.slug === slug);
  const click = (id) => {
    const button = document.getElementById(id + "-button");
    button?.click();
    button?.scrollIntoView({ block: "nearest", inline: "center" }); // a narrow page shows a part of the strip
  };

  // Bring a form into view. Gradio makes a tab's content when it is first opened.
  function open(slug) {
    const form = info(slug);
    if (!form) return Promise.reject(new Error(t("There is no such form.")));
    click(form.tab);
    if (form.subtab) setTimeout(() => click(form.subtab), 0);
    if (shown.has(slug)) return Promise.resolve(shown.get(slug));
    if (form.subtab) {
      // The inner tabs appear with the outer one.
      const timer = setInterval(() => (shown.has(slug) ? clearInterval(timer) : click(form.subtab)), 100);
      setTimeout(() => clearInterval(timer), 5000);
    }
    return new Promise((resolve) => waiting.set(slug, resolve));
  }

  // Put params into a form. fresh: the others go to their defaults. start: run it at once.
  async function apply(slug, params, { fresh = false, start = false, visit = true } = {}) {
    const viewer = visit ? await open(slug) : shown.get(slug);
    clearErrors(slug);
    viewer.send({ params, fresh, start });
  }

  function register(slug, viewer) {
    shown.set(slug, viewer);
    arriving.get(slug)?.();
    setTimeout(() => {
      waiting.get(slug)?.(viewer);
      waiting.delete(slug);
    }, 50);
  }

  // The place of a form that is made when it is first looked at, which is when Gradio makes this place.
  const asked = new Set();
  function awaited(element, props, trigger) {
    const root = element.querySelector(".ll-awaited") || element;
    const done = () => root.remove();
    const ask = () => {
      root.replaceChildren();
      trigger("show");
      setTimeout(() => {
        if (shown.has(props.form)) return;
        root.replaceChildren(Lifelike.h("p", {}, t("The form has not come yet.")), Lifelike.h("button", { type: "button", class: "ll-button", onclick: ask }, t("Try again")));
      }, 15000);
    };
    if (shown.has(props.form)) return done();
    arriving.set(props.form, done);
    if (asked.has(props.form)) return;
    asked.add(props.form);
    ask();
  }

  const visible = () => [...shown.keys()].find((slug) => shown.get(slug).element.offsetParent !== null);

  const field = (slug, name) => document.getElementById(`f-${slug}-${name}`);
  const box = (slug) => document.getElementById(`work-${slug}`);

  // Errors stand at the field they name; the first of them is brought into view.
  function clearErrors(slug) {
    box(slug)?.querySelectorAll(".ll-wrong").forEach((element) => {
      element.classList.remove("ll-wrong");
      element.querySelectorAll("[aria-invalid]").forEach((input) => input.removeAttribute("aria-invalid"));
    });
    box(slug)?.querySelectorAll(".ll-error").forEach((element) => element.remove());
  }
  function showErrors(slug, errors, hint) {
    clearErrors(slug);
    const labels = info(slug)?.labels || {};
    let first = null;
    for (const error of errors) {
      const element = field(slug, error.name) || (error.name === "height" ? field(slug, "width") : null);
      const words = told(error.message) + (error.got ? " " + t("(got {value})", { value: error.got }) : "");
      if (!element) {
        toast(`${t(labels[error.name] || error.name)}: ${words}`, { kind: "bad", hint: told(hint) });
        continue;
      }
      element.closest("details")?.setAttribute("open", "");
      element.classList.add("ll-wrong");
      element.querySelectorAll("input, textarea").forEach((input) => input.setAttribute("aria-invalid", "true"));
      const said = Lifelike.h("p", { class: "ll-error", role: "alert" }, words);
      if (element.matches(".ll-image-mask")) element.after(said); // its height is fixed: what is added inside is cut off
      else element.append(said);
      first ||= element;
    }
    if (first) {
      openSections(first);
      first.scrollIntoView({ block: "center", behavior: "smooth" });
      toast(t("Please look at the marked fields."), { kind: "bad", hint: told(hint) });
    }
  }
  // Fields inside closed accordions cannot be seen: open those first.
  function openSections(element) {
    for (let part = element.parentElement; part; part = part.parentElement) {
      const toggle = part.matches(".ll-advanced, .ll-group") ? part.querySelector(":scope > button, .label-wrap") : null;
      if (toggle && !toggle.classList.contains("open")) toggle.click();
    }
  }

  const stop = attempt(async (slug) => shown.get(slug)?.stop());

  // Reads how a picture was made, and puts that into the form that made it (or into `prefer`).
  const restoreFile = attempt(async (file, prefer = "") => {
    const body = new FormData();
    body.append("file", file, file.name || "picture");
    const said = await api("POST", "/metadata", body);
    restore(said, prefer);
  });
  function restore(said, prefer = "") {
    const params = { ...(said.params || {}) };
    if (!Object.keys(params).length) {
      toast(t("This picture does not say how it was made."), { kind: "bad", hint: (said.notes || [])[0] || "" });
      return;
    }
    const own = said.recipe;
    const target =
      config.forms.find((form) => form.pipeline === said.pipeline) ||
      info(prefer) ||
      config.forms.find((form) => "prompt" in form.labels) ||
      config.forms[0];
    if (!target) return;
    if (own && own.seed !== null && own.seed !== undefined && target.seed) params[target.seed] = own.seed;
    apply(target.slug, params, { fresh: true });
    const left = Object.keys(said.unmapped || {});
    const notes = [...(said.notes || []), ...(left.length ? [t("Without a counterpart here: {names}.", { names: left.slice(0, 12).join(", ") })] : [])];
    toast(t("Parameters restored."), { kind: "good", hint: notes.join(" ") });
  }

  // Forms that take a picture. `rare`: those of their places that are among the advanced settings.
  function receivers(rare) {
    return config.forms.flatMap((form) => {
      const fitting = form.images.filter((image) => image.rare === rare);
      return fitting.map((image) => ({ form, image, named: rare || fitting.length > 1 }));
    });
  }
  // What goes along with a picture that becomes the beginning of another: its words, model, sampling and seed, where the other form means
  // the same by them. An instruction is no description, and a model for one task does not do each other.
  const ALONG = ["prompt", "negative_prompt", "model", "steps", "guidance_scale", "sampler", "schedule"];
  function carried(form, said) {
    const from = config.forms.find((one) => one.pipeline === said.recipe?.pipeline);
    if (!from) return {};
    const known = said.recipe.params || {};
    const same = (name) => name in known && name in form.labels && form.labels[name] === from.labels[name] &&
      (name !== "model" || form.models[0] === from.models[0]);
    // Sampling is a model's: without it, what the other form's own model recommends stays.
    const names = same("model") ? ALONG.filter(same) : ALONG.slice(0, 2).filter(same);
    const along = Object.fromEntries(names.map((name) => [name, known[name]]));
    if (form.seed && said.recipe.seed !== null && said.recipe.seed !== undefined) along[form.seed] = String(said.recipe.seed);
    return along;
  }
  function sendMenu(anchor, id, after = () => {}) {
    const row = ({ form, image, named }) => ({
      label: t(form.title) + (named ? ` · ${t(image.label)}` : ""),
      icon: "send",
      run: attempt(async () => {
        after();
        const list = image.kind === "images";
        const along = image.rare ? {} : carried(form, await api("GET", `/artifacts/${id}/metadata`));
        await apply(form.slug, { ...along, [image.name]: list ? [`artifact:${id}`] : `artifact:${id}` });
        toast(t("Sent to {form}.", { form: t(form.title) }), { kind: "good", seconds: 3 });
      }),
    });
    const rows = receivers(false).map(row);
    const rest = receivers(true).map(row);
    for (const form of config.forms.filter((one) => one.holds)) {
      rows.push({
        label: t("{form}: these parameters", { form: t(form.title) }),
        icon: "sliders",
        run: attempt(async () => {
          const said = await api("GET", `/artifacts/${id}/metadata`);
          if (!said.recipe) return void toast(t("This picture does not say how it was made."), { kind: "bad" });
          if (!form.holds.can.includes(said.recipe.pipeline)) return void toast(t("{form} cannot run what made this picture.", { form: t(form.title) }), { kind: "bad" });
          after();
          await apply(form.slug, { [form.holds.pipeline]: said.recipe.pipeline, [form.holds.params]: said.recipe.params });
        }),
      });
    }
    if (rest.length) rows.push({ label: t("More places ..."), icon: "send", run: () => Lifelike.menu(anchor, rest) });
    if (rows.length) Lifelike.menu(anchor, rows);
    else toast(t("No form takes a picture yet."));
  }

  // Pipelines that run this form's with what is set in it: sweeps, folders, comparisons.
  function takersMenu(slug) {
    const rows = info(slug).takers.map(({ pipeline, title }) => ({ label: t(title), icon: "sliders", run: () => shown.get(slug)?.hand(pipeline) }));
    Lifelike.menu(document.getElementById(`takers-${slug}`), rows);
  }

  return {
    info,
    takersMenu,
    open,
    apply,
    register,
    await: awaited,
    visible,
    clearErrors,
    showErrors,
    stop,
    restore,
    restoreFile,
    sendMenu,
    takePictures: () => config.forms.some((form) => form.images.length > 0),
    viewer: (slug) => shown.get(slug),
    model: (slug, ref) => {
      models.set(slug, ref);
      document.dispatchEvent(new CustomEvent("ll-model", { detail: slug }));
    },
    modelOf: (slug) => models.get(slug) ?? info(slug)?.model ?? "",
    generate: (slug) => document.getElementById(`go-${slug}`)?.click(),
  };
})();
