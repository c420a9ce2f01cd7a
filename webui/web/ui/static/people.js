// Who is logged in, in a dialog: a guest's quota, password and logout; for the owner also the public link and everyone who may log in.
// Loaded on a studio that asks for a login; without one the page shows nothing of it.
"use strict";
Lifelike.people = (() => {
  const { t, h, iconButton, api, attempt, toast, copyText, config, moment } = Lifelike;

  let me = null, dialog = null, body = null;

  // Called once by the header, with the place for the button.
  async function mount(switches) {
    try {
      me = await api("GET", "/me");
    } catch {
      return; // the header tells that the server does not answer
    }
    if (!me.login) return;
    switches.prepend(h("button", { type: "button", class: "ll-stat", id: "ll-me", title: t("Account"), onclick: open }, me.name));
    if (me.role === "guest") await hideOwners();
  }

  // What a guest would be refused is not shown. The server decides; this is for the eye.
  async function hideOwners() {
    const { pipelines } = await api("GET", "/pipelines");
    const may = new Set(pipelines.map((one) => one.id));
    const shut = config.forms.filter((form) => !may.has(form.pipeline));
    const tabs = config.tabs.filter((tab) => {
      const inside = config.forms.filter((form) => form.tab === tab);
      return inside.length > 0 && inside.every((form) => shut.includes(form));
    });
    const gone = ["tab-extensions", ...tabs, ...shut.map((form) => form.subtab).filter(Boolean)];
    const rules = [...gone.map((id) => `#${CSS.escape(id)}-button`), '[data-stat="extensions"]', '[data-stat="memory"]'];
    document.head.append(h("style", {}, `${rules.join(",")}{display:none!important}`));
  }

  function open() {
    if (!dialog) {
      body = h("div", { class: "ll-people" });
      dialog = h("dialog", { class: "ll-help", "aria-label": t("Account") },
        h("h2", {}, me.name, " · ", me.role === "guest" ? t("Guest") : t("Owner")), body,
        iconButton("close", t("Close"), () => dialog.close(), { class: "ll-ib ll-close" }));
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
      dialog.addEventListener("keydown", (event) => event.stopPropagation());
      document.body.append(dialog);
    }
    if (!dialog.open) dialog.showModal();
    draw();
  }

  const draw = attempt(async () => {
    me = await api("GET", "/me");
    const parts = [me.quota ? quota() : null, me.role === "guest" ? null : await sharing(), me.role === "guest" ? null : await everyone()];
    body.replaceChildren(...parts.filter(Boolean), own());
  });

  const button = (label, run, more = {}) => h("button", { type: "button", class: "ll-button", onclick: attempt(run), ...more }, label);
  const again = (run) => async () => (await run(), draw());

  function quota() {
    const { quota: most, used } = me;
    const rows = [
      most.minutes && t("{used} of {most} minutes of the last 24 hours", { used: Math.ceil(used.minutes), most: most.minutes }),
      most.waiting && t("{used} of {most} jobs wait or run", { used: used.waiting, most: most.waiting }),
      most.pixels && t("Pictures of up to {pixels} pixels", { pixels: most.pixels.toLocaleString(Lifelike.locale) }),
      most.steps && t("Up to {steps} steps", { steps: most.steps }),
    ];
    return h("section", {}, h("h3", {}, t("What you may use")), h("ul", {}, rows.filter(Boolean).map((row) => h("li", {}, row))));
  }

  async function sharing() {
    const share = await api("GET", "/share");
    const words = { off: t("Not shared by a link."), opening: t("The link is being opened ..."), failed: t("Not shared:"), stopped: t("Not shared any more.") };
    const code = h("div", { class: "ll-qr" });
    code.innerHTML = share.qr; // made by the server from the address alone
    const open = share.state === "open" || share.state === "opening";
    return h("section", {}, h("h3", {}, t("Public link")),
      share.url ? h("p", {}, h("a", { href: share.url, target: "_blank", rel: "noopener" }, share.url)) : h("p", {}, words[share.state] || "", " ", share.problem),
      share.qr ? code : null,
      share.connected.length ? h("p", {}, t("Connected:"), " ", share.connected.map((one) => one.name).join(", ")) : null,
      share.kind === "none" ? null
        : open ? button(t("Stop sharing"), again(() => api("DELETE", "/share")), { id: "ll-share-stop" })
          : button(t("Share again"), again(() => api("POST", "/share"))));
  }

  async function everyone() {
    const { people } = await api("GET", "/people");
    const name = h("input", { class: "ll-input", placeholder: t("Name"), "aria-label": t("Name"), maxLength: 32, autocomplete: "off" });
    const link = async (made) => {
      const address = location.origin + LIFELIKE.base + made.path;
      await copyText(address);
      toast(t("A link that logs {name} in once, within {hours} hours:", { name: made.name, hours: made.hours }), { hint: address, seconds: 60 });
    };
    const rows = people.map((one) => h("li", {}, h("strong", {}, one.name), " · ", one.role === "guest" ? t("Guest") : t("Owner"), " ",
      h("span", { class: "ll-quiet" }, one.sessions.length ? t("last seen {when}", { when: moment(one.sessions[0].seen_at) }) : t("not logged in")), " ",
      button(t("Link"), async () => link(await api("POST", `/people/${one.name}/link`))), " ",
      one.sessions.length && one.name !== me.name ? button(t("Log out"), again(() => api("DELETE", `/people/${one.name}/sessions`))) : null,
      one.name !== me.name ? iconButton("trash", t("Remove {name}", { name: one.name }), attempt(again(() => api("DELETE", `/people/${one.name}`)))) : null));
    return h("section", {}, h("h3", {}, t("Who may log in")), h("ul", {}, rows),
      h("p", {}, name, " ", button(t("Let a guest in"), again(async () => link(await api("POST", "/people", { name: name.value.trim().toLowerCase() }))))));
  }

  function own() {
    const field = (label, complete) => h("input", { class: "ll-input", type: "password", placeholder: label, "aria-label": label, autocomplete: complete });
    const old = field(t("Present password"), "current-password"), fresh = field(t("New password"), "new-password");
    const change = button(t("Change"), async () => {
      await api("PUT", "/me/password", { old: old.value, new: fresh.value });
      location.reload();
    });
    const leave = h("form", { method: "post", action: LIFELIKE.base + "/logout" }, h("button", { class: "ll-button", id: "ll-logout" }, t("Log out")));
    const password = me.session === null ? null : h("p", {}, old, " ", fresh, " ", change);
    return h("section", {}, h("h3", {}, t("Password")), password, leave);
  }

  return { mount };
})();
