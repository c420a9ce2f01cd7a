// Two tabs of lists: every job with its state, and every extension with what became of it.
"use strict";
Lifelike.queue = (() => {
  const { t, told, h, icon, iconButton, api, attempt, artifacts, config, lightbox, fail } = Lifelike;
  const WORDS = () => ({ queued: t("waiting"), running: t("running"), done: t("done"), failed: t("failed"), cancelled: t("stopped") });

  function mount(element) {
    const root = element.querySelector("div") || element;
    let jobs = [], next = null;
    const list = h("div", { class: "ll-jobs", role: "list" });
    const more = h("button", { type: "button", class: "ll-button ll-more", onclick: () => load(next) }, t("Show more"));
    root.append(list, more);
    let timer = 0;
    const soon = () => root.offsetParent && !timer && (timer = setTimeout(() => ((timer = 0), load()), 300));
    new IntersectionObserver((seen) => seen[0].isIntersecting && load()).observe(root);
    Lifelike.live.listen((type, data) => {
      if (type === "progress") {
        const job = jobs.find((one) => one.id === data.job_id);
        if (job) (job.progress = data.progress), (job.state = "running"), update(job);
      } else if (!["status", "open", "cut", "warning"].includes(type)) soon();
    });

    async function load(before = null) {
      try {
        const page = await api("GET", "/jobs?limit=40" + (before ? `&before=${before}` : ""));
        jobs = before ? [...jobs, ...page.jobs] : page.jobs;
        next = page.next;
        draw();
      } catch (problem) {
        fail(problem);
      }
    }
    function update(job) {
      const bar = list.querySelector(`[data-job="${job.id}"] .ll-bar i`);
      if (bar) bar.style.width = `${(job.progress.fraction || 0) * 100}%`;
    }
    function draw() {
      more.hidden = !next;
      list.replaceChildren(...jobs.map(row));
      if (!jobs.length) list.append(h("div", { class: "ll-empty" }, h("h2", {}, t("The queue is empty")), h("p", {}, t("Jobs wait and run here, whichever form they come from."))));
    }
    function row(job) {
      const form = config.forms.find((one) => one.pipeline === job.pipeline);
      const first = job.artifacts.find((one) => one.kind === "image");
      const active = job.state === "queued" || job.state === "running";
      return h("div", { class: `ll-job ${job.state}`, role: "listitem", data: { job: job.id } },
        first ? h("button", { type: "button", class: "ll-job-picture", "aria-label": t("Open large"), onclick: () => lightbox.open(job.artifacts, 0) },
          h("img", { src: artifacts.small(first), alt: "", loading: "lazy" })) : h("span", { class: "ll-job-picture" }, icon("picture")),
        h("div", { class: "ll-job-text" },
          h("strong", {}, form ? t(form.title) : job.pipeline),
          h("span", { class: "ll-quiet", translate: "no" }, String(job.params.prompt || "").slice(0, 200)),
          job.error ? h("span", { class: "ll-bad-text" }, told(job.error.message), job.error.hint ? " " + told(job.error.hint) : "") : "",
          job.state === "running" ? h("div", { class: "ll-bar" }, h("i", { style: `width:${(job.progress.fraction || 0) * 100}%` })) : ""),
        h("span", { class: `ll-pill ${job.state}` }, WORDS()[job.state], job.state === "queued" && job.position ? ` · ${job.position + 1}` : ""),
        h("span", { class: "ll-job-time ll-quiet" }, Lifelike.moment(job.created_at)),
        active ? iconButton("close", t("Cancel"), attempt(async () => (await api("DELETE", `/jobs/${job.id}`), load())))
          : job.state === "done" ? h("span", { class: "ll-gap" })
          : iconButton("again", form?.keeps_work || job.artifacts.length ? t("Resume") : t("Try again"), attempt(async () => (await api("POST", `/jobs/${job.id}/retry`), load()))));
    }
  }
  return { mount };
})();

Lifelike.failedTab = {
  mount(element, props) {
    const { t, h } = Lifelike;
    const root = element.querySelector("div") || element;
    root.append(h("div", { class: "ll-failure", role: "alert" },
      h("strong", {}, t("This tab could not be built")),
      h("p", {}, props.data_reason),
      h("p", { class: "ll-quiet" }, t("Everything else works. The Extensions tab and the server's log say more."))));
  },
};
