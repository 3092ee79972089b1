// What is drawn: elements whose content is always text, never markup.

import { inOrthanc, words } from "./ask.js";

/** An element with attributes and children; a child that is no element is text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** A table with a heading; without rows, a line that says so. */
export function table(title, columns, rows) {
  const heading = element("h2", {}, words(title));
  if (!rows.length) return element("section", {}, heading, element("p", { class: "about" }, words("none")));
  const head = columns.map((column) => element("th", { scope: "col" }, words(column)));
  const body = element("tbody", {}, ...rows);
  return element("section", {}, heading, element("table", {}, element("thead", {}, element("tr", {}, ...head)), body));
}

/** A row; each cell is text, an element, or a list of them. */
export function row(kind, ...cells) {
  const drawn = cells.map((cell) => element("td", { class: "long" }, ...(Array.isArray(cell) ? cell : [cell])));
  return element("tr", { class: kind.replaceAll(" ", "-") }, ...drawn);
}

/** A list of names and values. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value != null && value !== "");
  return element("dl", {}, ...shown.flatMap(([name, value]) => [element("dt", {}, words(name)), element("dd", {}, value)]));
}

export function link(address, text) {
  return element("a", { href: address }, text);
}

/** A button that does something once, and says what came of it. */
export function button(text, act, kind = "") {
  const made = element("button", { type: "button", class: kind, onclick: press }, words(text));
  async function press() {
    made.disabled = true;
    try {
      said(await act());
    } catch (error) {
      said(error.message, true);
    }
    made.disabled = false;
  }
  return made;
}

/** Say something to the person, also to one who cannot see. */
export function said(text, wrong = false) {
  const line = document.getElementById("said");
  line.textContent = text ?? "";
  line.className = wrong ? "wrong" : "";
}

/** A time as this country writes it. */
export function time(stated) {
  return stated ? new Date(stated).toLocaleString() : "";
}

/** About how long, in words. */
export function duration(seconds) {
  if (seconds == null) return "";
  if (seconds < 90) return words("about_seconds", { n: Math.max(1, Math.round(seconds)) });
  return words("about_minutes", { n: Math.round(seconds / 60) });
}

/** How far an inference is. */
export function progress(part, seconds) {
  const percent = Math.round(100 * part);
  const bar = element("progress", { max: 100, value: percent, "aria-label": words("progress") });
  return [bar, ` ${percent} % `, seconds == null ? "" : words("left", { time: duration(seconds) })];
}

/** A link to a study, by what Orthanc calls it, else by its UID. */
export function study(uid, seen) {
  const known = seen.get(uid);
  if (!known) return link(`#/studies/${uid}`, uid);
  const named = [known.patient, known.date, known.description].filter(Boolean).join(", ");
  return link(`#/studies/${uid}`, named || uid);
}

export { inOrthanc };
