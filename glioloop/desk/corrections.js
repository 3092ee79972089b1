// One SEG that came: what its segments are, and what a person decides about it.

import { ask, words } from "./ask.js";
import { button, element, facts, inOrthanc, row, said, study, table, time } from "./element.js";

const OPEN = ["held", "rejected", "withdrawn"];
const LEARNT = ["learning", "accepted", "not better"];

export async function correction(draw, uid) {
  const now = await ask(`api/v1/corrections/${uid}`);
  const seen = await inOrthanc([now.study_uid]);
  const map = {};
  const answer = { map };
  const page = [
    element("h2", {}, words("correction")),
    facts([
      ["study", study(now.study_uid, seen)],
      ["state", element("span", { id: "phase" }, words(`seg ${now.state}`))],
      ["why", now.reason],
      ["sender", now.calling_ae],
      ["received", time(now.received_at)],
      ["head", now.head],
      ["unreadable", now.unreadable],
    ]),
    table("segments", ["number", "label", "tissue"], now.segments.map((one) => segmentRow(one, now.tissues, map))),
  ];
  if (!now.result_id && now.results.length) page.push(resultChoice(now.results, answer));
  page.push(element("p", {}, ...decisions(now, answer, draw)));
  draw(...page);
  return 0;
}

function segmentRow(one, tissues, map) {
  const options = ["", ...tissues].map((tissue) =>
    element("option", { value: tissue, selected: tissue === one.tissue }, words(`tissue ${tissue}`)));
  const choose = element("select", {
    "aria-label": words("tissue_of", { label: one.label }),
    onchange: () => {
      if (choose.value && choose.value !== one.tissue) map[one.label] = choose.value;
      else delete map[one.label];
    },
  }, ...options);
  return row(one.tissue ? "" : "held", `${one.number}`, one.label, choose);
}

function resultChoice(results, answer) {
  const options = results.map((one) => element("option", { value: one.result_id }, `${time(one.created_at)}, ${one.head}`));
  const choose = element("select", { id: "result", onchange: () => { answer.result = choose.value; } }, ...options);
  answer.result = results[0].result_id;
  return element("p", {}, element("label", { for: "result" }, words("corrects")), " ", choose);
}

function decisions(now, answer, draw) {
  const decide = (decision, body) => async () => {
    const done = await ask(`api/v1/corrections/${now.sop_instance_uid}/${decision}`, body);
    await correction(draw, now.sop_instance_uid);
    said(done.done);
    return done.done;
  };
  const found = [];
  if (OPEN.includes(now.state)) found.push(button("accept", decide("accept", answer)));
  if (now.state === "held") found.push(button("reject", decide("reject", {})));
  if (LEARNT.includes(now.state)) found.push(button("withdraw", decide("withdraw", {}), "careful"));
  return found;
}
