// Beside each form: watches its jobs. What is shown comes from the job's event stream alone, so that a reload or a cut connection changes nothing.
"use strict";
Lifelike.viewer = (() => {
  const { t, told, h, icon, iconButton, api, attempt, toast, parse, store, artifacts, forms, lightbox, config } = Lifelike;
  const KEPT = 12;
  const ENDED = new Set(["done", "failed", "cancelled"]);

  class Viewer {
    constructor(root, slug, trigger) {
      this.root = root;
      this.slug = slug;
      this.form = forms.info(slug) || { examples: [], labels: {}, prompts: [] };
      this.trigger = trigger;
      this.jobs = new Map(); // id -> job, the oldest first
      this.focus = "";
      this.preview = null;
      this.source = null;
      this.cut = false;
      root.addEventListener("dragover", (event) => event.preventDefault());
      root.addEventListener("drop", (event) => {
        const file = [...event.dataTransfer.files].find((one) => one.type.startsWith("image/"));
        event.preventDefault();
        if (file) forms.restoreFile(file, slug);
      });
      document.addEventListener("visibilitychange", () => (document.hidden ? this.disconnect() : this.watch()));
      artifacts.onChange((change) => this.artifactChanged(change));
      this.draw();
      this.recall();
    }

    // From before a reload: the form as it was, and the jobs that were watched.
    async recall() {
      const form = store.get(`form.${this.slug}`);
      if (form) this.send({ params: form });
      const ids = store.get(`jobs.${this.slug}`, []);
      for (const id of ids) {
        try {
          this.jobs.set(id, await api("GET", `/jobs/${id}`));
        } catch (problem) {
          if (problem.status !== 404) console.warn(problem.message);
        }
      }
      this.advance();
      this.draw();
    }

    remember() {
      store.set(`jobs.${this.slug}`, [...this.jobs.keys()].slice(-KEPT));
    }

    send(asked) {
      this.trigger("apply", asked);
    }

    // What the server answered to the button, or to something put into the form.
    answer(text) {
      if (!text) return;
      const said = parse(text);
      document.dispatchEvent(new CustomEvent("ll-filled", { detail: this.slug }));
      if (said.job) {
        forms.clearErrors(this.slug);
        store.set(`form.${this.slug}`, said.form);
        this.add(said.job);
      } else if (said.errors) forms.showErrors(this.slug, said.errors, said.hint);
      else if (said.send) this.handOver(said.send);
      else if (said.problem) toast(told(said.problem), { kind: "bad", hint: told(said.hint) });
      else if (said.said) toast(t(said.said), { kind: "good", seconds: 3 });
    }

    // The form's settings, for the form of a pipeline that runs this one.
    handOver({ pipeline, params }) {
      const form = config.forms.find((one) => one.pipeline === pipeline);
      if (form) forms.apply(form.slug, params);
    }

    add(id) {
      this.jobs.set(id, { id, state: "queued", artifacts: [], warnings: [], progress: {}, created_at: Date.now() / 1000 });
      while (this.jobs.size > KEPT) this.jobs.delete(this.jobs.keys().next().value);
      this.remember();
      this.advance();
      this.draw();
      // On a narrow page the picture is below the form.
      if (innerWidth < 900) this.root.scrollIntoView({ behavior: "smooth", block: "start" });
    }

    current() {
      return this.jobs.get(this.focus);
    }

    // Look at the oldest job that is not done, else at the newest.
    advance() {
      const all = [...this.jobs.values()];
      const next = all.find((job) => !ENDED.has(job.state)) || all[all.length - 1];
      this.show(next ? next.id : "");
    }

    show(id) {
      if (id !== this.focus) {
        this.disconnect();
        this.focus = id;
        this.preview = null;
      }
      this.watch();
    }

    watch() {
      const job = this.current();
      if (!job || this.source || ENDED.has(job.state) || document.hidden) return;
      const source = (this.source = new EventSource(`${LIFELIKE.base}/api/v1/jobs/${job.id}/events`));
      const on = (name, act) => source.addEventListener(name, (event) => {
        act(parse(event.data));
        this.cut = false;
        this.changed();
      });
      on("snapshot", (full) => {
        this.jobs.set(full.id, full);
        if (ENDED.has(full.state)) this.ended();
      });
      on("started", () => this.change({ state: "running", started_at: Date.now() / 1000 }));
      on("progress", (event) => this.change({ progress: event.progress, state: "running" }));
      on("preview", (event) => (this.preview = event));
      on("artifact", (event) => {
        const made = (this.current().artifacts || []).filter((one) => one.id !== event.artifact.id);
        this.change({ artifacts: [...made, event.artifact].sort((a, b) => a.index - b.index) });
        this.preview = null;
      });
      on("warning", (event) => this.change({ warnings: [...(this.current().warnings || []), event.message] }));
      on("done", () => (this.change({ state: "done", finished_at: Date.now() / 1000 }), this.ended()));
      on("failed", (event) => (this.change({ state: "failed", error: event.error }), this.ended()));
      on("cancelled", () => (this.change({ state: "cancelled" }), this.ended()));
      source.onerror = () => {
        if (this.source !== source) return;
        this.cut = true;
        this.changed();
        if (source.readyState === EventSource.CLOSED) {
          this.disconnect();
          setTimeout(() => this.again(), 1500);
        }
      };
    }

    // The stream was refused: the job may be gone, or the server away for a while.
    async again() {
      const job = this.current();
      if (!job || this.source) return;
      try {
        this.jobs.set(job.id, await api("GET", `/jobs/${job.id}`));
        this.cut = false;
        if (ENDED.has(this.current().state)) this.ended();
        else this.watch();
      } catch (problem) {
        if (problem.status === 404) {
          this.jobs.delete(job.id);
          this.remember();
          this.advance();
        } else setTimeout(() => this.again(), 2500);
      }
      this.changed();
    }

    change(values) {
      const job = this.current();
      if (job) this.jobs.set(job.id, { ...job, ...values });
    }

    disconnect() {
      this.source?.close();
      this.source = null;
    }

    ended() {
      this.disconnect();
      this.preview = null;
      const job = this.current();
      if (job?.artifacts?.length) artifacts.changed("", { made: true });
      const waits = [...this.jobs.values()].some((one) => !ENDED.has(one.state));
      if (waits) this.advance();
    }

    lastSeed() {
      const made = [...this.jobs.values()].flatMap((job) => job.artifacts || []).filter((one) => one.seed !== null);
      return made.length ? made[made.length - 1].seed : null;
    }

    async stop() {
      const job = this.current();
      if (!job || ENDED.has(job.state)) return;
      this.change({ stopping: true });
      this.changed();
      await this.cancel(job.id);
    }

    async cancel(id) {
      try {
        const job = await api("DELETE", `/jobs/${id}`);
        this.jobs.set(id, { ...this.jobs.get(id), ...job });
      } catch (problem) {
        if (problem.status !== 409) throw problem; // it ended by itself just now
      }
      if (ENDED.has(this.jobs.get(id)?.state) && id === this.focus) this.ended();
      this.changed();
    }

    artifactChanged({ id, trashed, favourite }) {
      for (const [key, job] of this.jobs) {
        if (!(job.artifacts || []).some((one) => one.id === id)) continue;
        const made = job.artifacts.map((one) => (one.id === id ? { ...one, ...(trashed === undefined ? {} : { trashed }),
          ...(favourite === undefined ? {} : { favourite }) } : one));
        this.jobs.set(key, { ...job, artifacts: made });
      }
      if (trashed !== undefined) this.draw();
    }

    // Events come many times a second; the page is drawn once a frame.
    changed() {
      if (this.due) return;
      this.due = true;
      requestAnimationFrame(() => {
        this.due = false;
        this.draw();
      });
    }

    // Drawing

    draw() {
      const job = this.current();
      const running = Boolean(job && !ENDED.has(job.state));
      document.getElementById(`work-${this.slug}`)?.classList.toggle("running", running);
      this.root.dataset.state = job ? job.state : "empty";
      if (!job) this.root.replaceChildren(this.empty());
      else {
        this.part("status", running ? this.status(job) : this.summary(job));
        this.part("canvas", this.canvas(job));
        this.part("notes", this.notes(job));
        this.part("strip", this.strip());
      }
      const text = running && job.progress?.fraction ? `${Math.round(job.progress.fraction * 100)}% · Lifelike` : "Lifelike";
      if (this.root.offsetParent && document.title !== text) document.title = text;
    }

    // Replaces one part of the stage only when it differs: a picture that stays is not loaded again.
    part(name, made) {
      if (!this.root.querySelector(":scope > [data-part]")) {
        this.root.replaceChildren(...["status", "canvas", "notes", "strip"].map((one) => h("div", { data: { part: one } })));
      }
      const place = this.root.querySelector(`:scope > [data-part="${name}"]`);
      const key = made?.dataset.key;
      if (key && place.firstElementChild?.dataset.key === key) {
        made.llUpdate?.(place.firstElementChild);
        return;
      }
      place.replaceChildren(...(made ? [made] : []));
    }

    status(job) {
      const progress = job.progress || {};
      const left = progress.eta_s ? t("{time} left", { time: Lifelike.seconds(progress.eta_s) }) : "";
      const images = progress.images > 1 ? t("image {n} of {total}", { n: Math.min(progress.image + 1, progress.images), total: progress.images }) : "";
      const steps = progress.steps ? t("step {n} of {total}", { n: progress.step, total: progress.steps }) : "";
      let words;
      if (this.cut) words = t("Connection lost. The job goes on; reconnecting ...");
      else if (job.stopping) words = t("Stopping ...");
      else if (job.state === "queued") words = job.position ? t("Waiting: {n} before it", { n: job.position }) : t("Next in the queue");
      else words = [progress.message ? t(progress.message) : "", images, steps, left].filter(Boolean).join(" · ") || t("Starting ...");
      const percent = Math.round((progress.fraction || 0) * 1000) / 10;
      const bar = h("div", { class: "ll-bar", role: "progressbar", "aria-valuenow": percent, "aria-valuemin": 0, "aria-valuemax": 100,
        "aria-label": t("Progress") }, h("i", { style: `width:${percent}%` }));
      if (!progress.fraction) bar.classList.add("unsure");
      const made = h("div", { class: "ll-status", data: { key: "status" } }, h("span", { class: "ll-status-text" }, words), bar);
      made.llUpdate = (old) => {
        old.querySelector(".ll-status-text").textContent = words;
        const oldBar = old.querySelector(".ll-bar");
        oldBar.classList.toggle("unsure", !progress.fraction);
        oldBar.setAttribute("aria-valuenow", percent);
        oldBar.firstElementChild.style.width = percent + "%";
      };
      return made;
    }

    // When it is over: how long it took, and the numbers one looks for.
    summary(job) {
      const made = (job.artifacts || []).filter((one) => !one.trashed);
      const first = made[0];
      const took = job.finished_at && job.started_at ? t("Done in {time}", { time: Lifelike.seconds(job.finished_at - job.started_at) }) : "";
      const words = [
        job.state === "done" ? took : "",
        made.length > 1 ? t("{n} results", { n: made.length }) : "",
        first && first.seed !== null && first.seed !== undefined ? t("seed {seed}", { seed: first.seed }) : "",
        first?.width ? `${first.width} × ${first.height}` : "",
      ].filter(Boolean).join(" · ");
      return h("div", { class: "ll-status", data: { key: `summary/${job.id}/${words}` } }, h("span", { class: "ll-status-text" }, words), h("div", { class: "ll-bar rest" }));
    }

    canvas(job) {
      const made = (job.artifacts || []).filter((one) => !one.trashed);
      const running = !ENDED.has(job.state);
      const total = Math.max(running ? job.progress?.images || 1 : 0, made.length);
      const holes = running ? Math.max(0, total - (job.artifacts || []).length) : 0;
      const live = running && this.preview ? `data:${this.preview.media_type};base64,${this.preview.data}` : "";
      const count = made.length + holes;
      // What is no picture takes a row of its own: the columns are counted by the others.
      const columns = made.filter((one) => one.kind === "image" || one.kind === "video").length + holes;
      const grid = h("div", { class: `ll-grid-view n${Math.min(Math.max(columns, 1), 5)}`,
        data: { key: `${job.id}/${made.map((one) => one.id).join()}/${holes}/${running}` } });
      grid.append(...made.map((one, place) => this.tile(one, place, made)));
      for (let place = 0; place < Math.min(holes, 16); place += 1) {
        grid.append(h("div", { class: "ll-tile ll-hole" + (place === 0 ? " ll-live" : "") }, place === 0 ? h("img", { alt: t("Preview"), class: "ll-preview", hidden: true }) : ""));
      }
      const showLive = (root) => {
        const picture = root.querySelector(".ll-preview");
        if (picture && live) (picture.src = live), (picture.hidden = false);
      };
      showLive(grid);
      grid.llUpdate = showLive;
      return count ? grid : null;
    }

    tile(artifact, place, made) {
      const open = () => lightbox.open(made, place, { slug: this.slug });
      const shown = artifacts.content(artifact);
      if (artifact.kind !== "image") return h("div", { class: "ll-tile ll-other" }, shown, artifacts.actions(artifact, { slug: this.slug }));
      shown.addEventListener("click", open);
      return h("figure", { class: "ll-tile", data: { artifact: artifact.id } }, shown, artifacts.actions(artifact, { slug: this.slug, large: open }));
    }

    notes(job) {
      const cards = [...new Set(job.warnings || [])].map((text) => h("p", { class: "ll-warning" }, icon("info"), h("span", {}, told(text))));
      const goesOn = this.form.keeps_work || (job.artifacts || []).length > 0;
      const retry = () => h("button", { type: "button", class: "ll-button", onclick: attempt(() => this.retry(job.id)) }, icon("again"),
        goesOn ? t("Resume") : t("Try again"));
      if (job.state === "failed") {
        const error = job.error || { message: t("It failed.") };
        cards.push(h("div", { class: "ll-failure", role: "alert" },
          h("strong", {}, t("This did not work")),
          h("p", {}, told(error.message)),
          error.hint ? h("p", { class: "ll-quiet" }, told(error.hint)) : "",
          error.extension ? h("p", { class: "ll-quiet" }, t("Extension: {name}", { name: error.extension })) : "",
          retry(),
          error.traceback ? h("details", {}, h("summary", {}, t("Details")), h("pre", {}, error.traceback)) : ""));
      } else if (job.state === "cancelled") {
        cards.push(h("div", { class: "ll-calm" }, h("span", {}, goesOn ? t("Stopped. It can go on from where it was.") : t("Stopped.")), retry()));
      }
      return cards.length ? h("div", { class: "ll-notes-in", data: { key: `${job.id}/${job.state}/${cards.length}` } }, cards) : null;
    }

    async retry(id) {
      const job = await api("POST", `/jobs/${id}/retry`);
      this.jobs.delete(id);
      this.add(job.id);
    }

    // The other jobs of this form: waiting ones with their place, finished ones by their pictures.
    strip() {
      const all = [...this.jobs.values()].reverse();
      if (all.length < 2) return null;
      const rows = all.map((job) => {
        const first = (job.artifacts || []).find((one) => one.kind === "image" && !one.trashed);
        const words = { queued: t("waiting"), running: t("running"), done: t("done"), failed: t("failed"), cancelled: t("stopped") }[job.state];
        const card = h("button", { type: "button", class: `ll-card ${job.state}${job.id === this.focus ? " on" : ""}`, title: words,
          "aria-label": words, onclick: () => (this.show(job.id), this.draw()) },
          first ? h("img", { src: artifacts.small(first), alt: "", loading: "lazy" }) : h("span", {}, words));
        if (job.state !== "queued") return card;
        return h("span", { class: "ll-card-box" }, card, iconButton("close", t("Take out of the queue"), attempt(() => this.cancel(job.id))));
      });
      const key = all.map((job) => `${job.id}${job.state}${job.id === this.focus}${(job.artifacts || []).filter((one) => !one.trashed).length}`).join();
      return h("div", { class: "ll-strip", data: { key } }, rows);
    }

    // Nothing yet: what to do first.
    empty() {
      const form = this.form;
      const examples = form.needs_model || form.needs_file ? [] : form.examples.map((example) => {
        const { title, ...params } = example;
        return h("button", { type: "button", class: "ll-example", onclick: () => this.send({ params, fresh: true, start: true }) },
          h("span", { translate: "no" }, t(String(title || example.prompt || ""))));
      });
      return h("div", { class: "ll-empty" },
        h("div", { class: "ll-empty-mark" }, h("img", { src: LIFELIKE.base + "/ui/static/mark.svg", alt: "" })),
        ...this.advice(examples.length > 0).map((text, place) => h(place ? "p" : "h2", {}, text)),
        examples.length ? h("div", { class: "ll-examples" }, examples) : "",
        form.needs_file && !form.needs_model ? h("button", { type: "button", class: "ll-button", onclick: () => document.getElementById("tab-gallery-button")?.click() },
          icon("picture"), t("Choose in the gallery")) : "",
        form.outputs === "image" ? h("p", { class: "ll-quiet" }, t("Drop a picture here to restore the parameters it was made with.")) : "");
    }

    // A heading, and what to do first.
    advice(examples) {
      const form = this.form;
      if (form.needs_model && form.outputs === "image")
        return [t("A model is needed"), t("Put a model file into {folder}, then press Refresh beside the list of models.", { folder: form.model_folder })];
      if (form.needs_model) return [t(form.title), t("There is no such file yet: put one into a folder of models, then press Refresh beside the list.")];
      if (form.needs_file) return [t("A picture to begin with"), t("Put one into the form, or send one here from the gallery; then press Generate.")];
      if (form.outputs !== "image") return [t(form.title), t("Fill in the form and press Start.")];
      const heading = t("Make the first picture");
      if (!examples) return [heading, t("Fill in the form and press Generate.")];
      return [heading, Object.keys(form.prompts || {}).length ? t("Write what you want to see and press Generate, or try one of these:") : t("Fill in the form and press Generate, or try one of these:")];
    }
  }

  function mount(element, props, trigger, watch) {
    const root = element.querySelector(".ll-viewer") || element;
    const viewer = new Viewer(root, props.form, trigger);
    watch("value", () => viewer.answer(props.value));
    forms.register(props.form, {
      element: root,
      send: (asked) => viewer.send(asked),
      hand: (pipeline) => trigger("hand", { pipeline }),
      stop: () => viewer.stop(),
      running: () => Boolean(viewer.current() && !ENDED.has(viewer.current().state)),
      lastSeed: () => viewer.lastSeed(),
    });
    for (const [name, how] of Object.entries(forms.info(props.form)?.prompts || {}))
      setTimeout(() => Lifelike.prompts.watch(props.form, name, how), 300);
  }

  return { mount, config };
})();
