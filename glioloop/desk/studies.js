// One study: where it is, which series is which and why, and what came of it.

import { ask, ORTHANC, segment, words } from "./ask.js";
import { button, duration, element, facts, inOrthanc, link, progress, row, said, table, time } from "./element.js";

const AGAIN_MS = 2000;
const ROLES = ["FLAIR", "T1GD", "T2"];
const BUSY = ["waiting", "segmenting"];

export async function study(draw, uid) {
  const [now, seen] = await Promise.all([ask(`api/v1/studies/${uid}`), inOrthanc([uid])]);
  const page = [title(uid, seen), state(now), ...actions(now)];
  if (now.phase !== "unknown") page.push(...outcome(now));
  draw(...page);
  return AGAIN_MS;
}

function title(uid, seen) {
  const known = seen.get(uid);
  const named = known ? [known.patient, known.date, known.description].filter(Boolean).join(", ") : "";
  const heading = element("h2", {}, named || words("study_of", { uid }));
  if (!known) return heading;
  const back = element("p", {}, link(`${ORTHANC}app/explorer.html#study?uuid=${known.id}`, words("in_orthanc")));
  return element("div", {}, heading, back);
}

function state(now) {
  const bar = now.phase === "segmenting" ? progress(now.progress, now.seconds_left) : [];
  const left = now.phase === "waiting" && now.seconds_left != null ? ` ${words("left", { time: duration(now.seconds_left) })}` : "";
  const where = element("span", { id: "phase", class: now.phase.replaceAll(" ", "-") }, words(`phase ${now.phase}`), left);
  return facts([
    ["state", element("span", {}, where, " ", ...bar)],
    ["why", now.reason],
    ["last_image", time(now.last_arrival)],
    ["patient", now.patient ? link(`#/patients/${now.patient}`, words("patient_of", { key: now.patient.slice(0, 8) })) : ""],
  ]);
}

function actions(now) {
  const run = button("segment", async () => {
    await segment(now.study_uid);
    return words("asked");
  });
  run.disabled = BUSY.includes(now.phase);
  if (now.phase === "unknown") return [run];
  return [run, link(`#/studies/${now.study_uid}/series`, words("which_series"))];
}

function outcome(now) {
  return [
    table("results", ["made", "model", "head"], now.results.map((one) => row("", time(one.created_at), one.model, one.head))),
    table(
      "corrections",
      ["received", "state", "why", "head", "decision"],
      now.corrections.map((one) =>
        row(one.state, time(one.received_at), words(`seg ${one.state}`), one.reason, one.head ?? "",
          link(`#/corrections/${one.sop_instance_uid}`, words("decide")))),
    ),
    table(
      "deliveries",
      ["destination", "state", "attempts", "why", "at"],
      now.deliveries.map((one) => row(one.state, one.destination, one.state, `${one.attempts}`, one.reason, time(one.updated_at))),
    ),
  ];
}

/** Which series of a study is which, and why, with a choice of others. */
export async function series(draw, uid) {
  const [found, seen] = await Promise.all([ask(`api/v1/studies/${uid}/evidence`), inOrthanc([uid])]);
  const choice = {};
  const columns = ["number", "description", "images", "taken_for", "why", ...ROLES];
  const rows = found.series.map((one) => seriesRow(one, found.chosen, choice));
  const run = button("segment_with", async () => {
    await segment(uid, choice);
    said(words("asked"));
    location.hash = `#/studies/${uid}`;
    return words("asked");
  });
  draw(
    title(uid, seen),
    element("p", { class: found.explanation ? "held" : "about" }, found.explanation || words("all_found")),
    element("p", {}, found.refused ?? ""),
    table("series", columns, rows),
    element("p", {}, run, link(`#/studies/${uid}`, words("back"))),
  );
  return 0;
}

function seriesRow(one, chosen, choice) {
  const named = one.part ? `${one.description} (${one.part})` : one.description;
  const radios = ROLES.map((role) =>
    element("input", {
      type: "radio",
      name: role,
      value: one.series_uid,
      checked: one.role === role,
      "aria-label": words("take_as", { series: named, role }),
      onchange: () => {
        if (chosen[role] === one.series_uid) delete choice[role];
        else choice[role] = one.series_uid;
      },
    }));
  const kind = one.role ? "in-use" : "";
  return row(kind, `${one.number ?? ""}`, named, `${one.images}`, one.sequence, one.why, ...radios);
}
