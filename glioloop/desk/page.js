// Which part of the page is shown: by what follows the # of its address.

import { words } from "./ask.js";
import { correction } from "./corrections.js";
import { element, link, said } from "./element.js";
import { patient, patients } from "./patients.js";
import { series, study } from "./studies.js";
import { work } from "./work.js";

const PARTS = [
  [/^#\/studies\/([0-9.]+)$/, study],
  [/^#\/studies\/([0-9.]+)\/series$/, series],
  [/^#\/corrections\/([0-9.]+)$/, correction],
  [/^#\/patients$/, patients],
  [/^#\/patients\/([\w-]+)$/, patient],
  [/^/, work],
];

const main = document.querySelector("main");
let shown = 0;

/** Show a part anew as long as it is the one asked for; it says after how many ms to look again. */
async function show() {
  shown += 1;
  const mine = shown;
  const [address, part] = PARTS.find(([one]) => one.test(location.hash));
  const values = location.hash.match(address).slice(1);
  const draw = (...elements) => {
    if (mine === shown) replace(elements);
  };
  let first = true;
  let failed = false;
  while (mine === shown) {
    let pause = 5000;
    try {
      pause = await part(draw, ...values);
      if (failed) said("");
      failed = false;
    } catch (error) {
      said(error.message, true);
      failed = true;
    }
    if (first) main.focus({ preventScroll: true });
    first = false;
    if (!pause) return;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Put something new on the page; who was on a link or button stays on it. */
function replace(elements) {
  const before = document.activeElement;
  const at = main.contains(before) ? [before.tagName, before.getAttribute("href"), before.textContent] : null;
  main.replaceChildren(...elements);
  if (!at) return;
  const same = [...main.querySelectorAll("a, button")].find(
    (one) => one.tagName === at[0] && one.getAttribute("href") === at[1] && one.textContent === at[2],
  );
  (same ?? main).focus({ preventScroll: true });
}

document.querySelector("nav").append(link("#/", words("work")), link("#/patients", words("patients")));
document.documentElement.lang = words("language");
document.title = words("title");
document.querySelector("h1").replaceChildren(element("span", {}, words("title")));
window.addEventListener("hashchange", show);
show();
