// The page is whole without this. With it, what changes is put in place as the server sends it; what is open stays open, and what is
// being typed stays.
"use strict";

const body = document.getElementById("body");
const live = document.getElementById("live");

function put(html) {
  const next = new DOMParser().parseFromString(html, "text/html").body;
  const old = new Map();
  for (const el of body.children) if (el.id) old.set(el.id, el);
  const out = [];
  for (const el of [...next.children]) {
    const was = el.id && old.get(el.id);
    if (!was) {
      out.push(document.importNode(el, true));
      continue;
    }
    if (was.dataset.html === el.outerHTML || was.contains(document.activeElement) && document.activeElement.tagName === "INPUT") {
      out.push(was);
      continue;
    }
    const open = new Map([...was.querySelectorAll("details[id]")].map((d) => [d.id, d.open]));
    const scrolled = new Map([...was.querySelectorAll("details[id] pre")].map((p) => [p.parentElement.id, p.scrollTop + p.clientHeight < p.scrollHeight - 4 ? p.scrollTop : -1]));
    const html = el.outerHTML;
    const made = document.importNode(el, true);
    made.dataset.html = html;
    for (const d of made.querySelectorAll("details[id]")) if (open.has(d.id)) d.open = open.get(d.id);
    made.scrolled = scrolled;
    out.push(made);
  }
  const focus = document.activeElement && document.activeElement.closest("details[id]");
  const id = focus && focus.id;
  body.replaceChildren(...out);
  for (const el of out) {
    for (const pre of el.querySelectorAll("details[id] pre")) {
      const at = el.scrolled && el.scrolled.get(pre.parentElement.id);
      pre.scrollTop = at === undefined || at < 0 ? pre.scrollHeight : at;
    }
  }
  if (id && !document.activeElement.closest("details[id]")) {
    const again = document.getElementById(id);
    if (again) again.querySelector("summary").focus({ preventScroll: true });
  }
}

const source = new EventSource("/ui/events");
source.addEventListener("page", (e) => {
  put(e.data);
  live.textContent = "live";
});
source.onerror = () => {
  live.textContent = source.readyState === EventSource.CLOSED ? "not live: reload the page" : "connection lost, trying again";
};
for (const pre of document.querySelectorAll("pre")) pre.scrollTop = pre.scrollHeight;
