// What runs, what waits for a person, and the latest studies.

import { ask, words } from "./ask.js";
import { duration, facts, inOrthanc, link, progress, row, study, table, time } from "./element.js";

const AGAIN_MS = 2000;

export async function work(draw) {
  const now = await ask("api/v1/work");
  const rows = [...now.queue, ...now.held, ...now.held_corrections, ...now.learning, ...now.deliveries, ...now.latest];
  const seen = await inOrthanc([...new Set(rows.map((one) => one.study_uid))]);
  draw(
    facts(summary(now.status)),
    table("queue", ["study", "state", "progress"], now.queue.map((one) => queued(one, seen))),
    table("held_studies", ["study", "why"], now.held.map((one) => row(one.state, study(one.study_uid, seen), one.reason))),
    table("held_corrections", ["study", "why", "received", "decision"], now.held_corrections.map((one) => seg(one, seen))),
    table("learning", ["study", "received"], now.learning.map((one) => row("", study(one.study_uid, seen), time(one.received_at)))),
    table(
      "deliveries",
      ["study", "destination", "state", "attempts", "why"],
      now.deliveries.map((one) =>
        row(one.state, study(one.study_uid, seen), one.destination, one.state, `${one.attempts}`, one.reason)),
    ),
    table(
      "latest",
      ["study", "state", "last_image", "why"],
      now.latest.map((one) => row(one.state, study(one.study_uid, seen), words(`phase ${one.state}`), time(one.last_arrival), one.reason)),
    ),
  );
  return AGAIN_MS;
}

function summary(status) {
  const wait = status.median_seconds_to_seg;
  return [
    ["wait", wait == null ? words("no_wait") : words("wait_of", { time: duration(wait), n: status.of_results })],
    ["disk", words("gib", { n: status.disk_free_gib })],
    ["version", status.version],
  ];
}

function queued(one, seen) {
  const left = one.seconds_left == null ? "" : words("left", { time: duration(one.seconds_left) });
  const bar = one.state === "segmenting" ? progress(one.progress, one.seconds_left) : left;
  return row(one.state, study(one.study_uid, seen), words(`phase ${one.state}`), bar);
}

function seg(one, seen) {
  const decide = link(`#/corrections/${one.sop_instance_uid}`, words("decide"));
  return row("held", study(one.study_uid, seen), one.reason, time(one.received_at), decide);
}
