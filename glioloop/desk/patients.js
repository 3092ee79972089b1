// Patients with their models, and their volumes over time.

import { ask, words } from "./ask.js";
import { button, element, facts, inOrthanc, link, row, said, study, table, time } from "./element.js";

const REGIONS = ["enhancing", "core", "whole"];

export async function patients(draw) {
  const all = await ask("api/v1/patients");
  const seen = await inOrthanc(all.map((one) => one.study_uid).filter(Boolean));
  draw(
    table(
      "patients",
      ["patient", "in_archive", "uses", "versions", "last"],
      all.map((one) =>
        row("", link(`#/patients/${one.patient}`, one.title), name(one, seen), one.uses, `${one.versions}`, time(one.last))),
    ),
  );
  return 10000;
}

function name(one, seen) {
  const known = seen.get(one.study_uid);
  return known ? [known.patient, known.patientId].filter(Boolean).join(", ") : "";
}

export async function patient(draw, who) {
  const now = await ask(`api/v1/patients/${who}`);
  const uids = now.volumes.map((point) => point.study_uid);
  const seen = await inOrthanc(uids);
  const known = seen.get(uids[uids.length - 1]);
  const decide = (decision, body) => async () => {
    const done = await ask(`api/v1/patients/${who}/${decision}`, body);
    await patient(draw, who);
    const text = words("uses_now", { head: done.uses });
    said(text);
    return text;
  };
  draw(
    element("h2", {}, known ? `${known.patient}, ${known.patientId} (${now.title})` : now.title),
    facts([["uses", element("strong", { id: "uses" }, now.uses)]]),
    element(
      "p",
      {},
      now.own_in_use ? button("roll_back", decide("rollback", {})) : null,
      button("use_base", decide("use", { what: "base" })),
      button("use_auto", decide("use", { what: "auto" })),
    ),
    ...(now.is_group ? [] : course(now, who, seen)),
    table(
      "versions",
      ["version", "from", "made", "dice", "learnt_from", "decision"],
      now.versions.map((one) => version(one, now.corrections, seen, decide)),
    ),
    table("audit", ["at", "action", "by"], now.audit.map((one) => row("", time(one.at), one.action, one.by))),
    forget(now, who),
  );
  return 0;
}

function course(now, who, seen) {
  const source = `../api/v1/patients/${who}/chart.svg?${now.volumes.length}`;
  const chart = element("img", { class: "chart", src: source, alt: words("chart_of") });
  const millilitres = (point, region) => {
    const volume = point.volumes_ml[region];
    return volume == null ? "–" : volume.toFixed(1);
  };
  const listed = table(
    "volumes",
    ["study", "enhancing", "core", "whole", "outlined_by", "head"],
    now.volumes.map((point) =>
      row("", study(point.study_uid, seen), ...REGIONS.map((region) => millilitres(point, region)),
        words(point.corrected ? "by_person" : "by_model"), point.head)),
  );
  return [element("h2", {}, words("course")), chart, listed];
}

function version(one, segs, seen, decide) {
  const dice = Object.entries(one.dice_fitted ?? {}).map(([tissue, fitted]) => {
    const before = one.dice_base?.[tissue];
    return `${words(`tissue ${tissue}`)} ${before == null ? "–" : before.toFixed(2)} → ${fitted.toFixed(2)}`;
  });
  const taught = one.corrections.map((uid) => {
    const known = segs[uid];
    return element("div", {}, known ? link(`#/corrections/${uid}`, `${time(known.received_at)} ${words(`seg ${known.state}`)}`) : words("gone"));
  });
  const use = one.in_use ? words("in_use") : button("use_this", decide("use", { what: `${one.number}` }));
  const choice = one.other_network ? words("other_network") : use;
  return row(one.in_use ? "in-use" : "", one.name, one.parent, time(one.created_at), dice.join(", "), taught, choice);
}

function forget(now, who) {
  const typed = element("input", { id: "confirm", autocomplete: "off" });
  const act = button("forget", async () => {
    await ask(`api/v1/patients/${who}/forget`, { confirm: typed.value });
    location.hash = "#/patients";
    return words("forgotten");
  }, "careful");
  const label = element("label", { for: "confirm" }, words("confirm", { title: now.title }));
  return element("section", {}, element("h2", {}, words("forget")), element("p", {}, words("forget_what")), element("p", {}, label, " ", typed, " ", act));
}
