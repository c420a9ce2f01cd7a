// Taking pictures of other programs into the gallery: some that are sent, or a folder of this machine, in the background.
"use strict";
Lifelike.imports = (() => {
  const { t, api, attempt, marks, toast } = Lifelike;
  const TOGETHER = 3;
  let timer = 0;

  const told = (counts) => toast(t("{added} added, {known} known already, {skipped} left alone.", counts), { kind: "good", seconds: 10 });

  // Sends files, a few at a time.
  const send = attempt(async (files, done) => {
    const waiting = [...files], counts = { added: 0, known: 0, skipped: 0 };
    const next = async () => {
      for (let file = waiting.shift(); file; file = waiting.shift()) {
        const body = new FormData();
        body.append("file", file, file.name);
        counts[(await api("POST", `/imports/files?modified=${file.lastModified / 1000}`, body)).outcome] += 1;
      }
    };
    const close = toast(t("Importing {n} pictures ...", { n: waiting.length }), { seconds: 3600 });
    try {
      await Promise.all(Array.from({ length: TOGETHER }, next));
    } finally {
      close();
    }
    told(counts);
    done();
  });

  const folder = attempt(async (done) => {
    const said = await marks.ask(t("A folder of this computer"));
    if (!said) return;
    await api("POST", "/imports", { folder: said });
    watch(done);
  });

  function watch(done) {
    const stop = { label: t("Stop"), run: attempt(() => api("DELETE", "/imports")) };
    const close = toast(t("Importing the folder ..."), { seconds: 3600, action: stop });
    clearInterval(timer);
    timer = setInterval(attempt(async () => {
      const state = await api("GET", "/imports");
      if (state.state === "running") return;
      clearInterval(timer);
      close();
      if (state.state === "failed") toast(state.problem, { kind: "bad" });
      else told(state);
      done();
    }), 1000);
  }

  // The ways there are, below `anchor`. pick(): choose files; done(): there may be new pictures.
  const menu = attempt(async (anchor, pick, done) => {
    const state = await api("GET", "/imports");
    const rows = [{ label: t("Pictures ..."), icon: "picture", run: pick }];
    if (state.may_name_folders) rows.push({ label: t("A folder of this computer ..."), icon: "folder", run: () => folder(done) });
    Lifelike.menu(anchor, rows);
  });

  return { menu, send };
})();
