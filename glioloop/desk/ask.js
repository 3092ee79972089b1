// What the page asks the service and, where it lies under Orthanc, Orthanc; and its words.

/** Orthanc's address, where its plugin serves this page; empty where the service itself does. */
export const ORTHANC = location.pathname.includes("/glioloop/desk/") ? "../../" : "";

const WORDS = await (await fetch("texts.json")).json();

/** A text of the page, with values in the places of its braces. */
export function words(name, values = {}) {
  const text = WORDS[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

/** The JSON answer of the service; an `Error` with its sentence where it refuses. */
export async function ask(path, body) {
  const request = { headers: { Accept: "application/json" } };
  if (body !== undefined) {
    request.method = "POST";
    // A page of elsewhere cannot send this type without being asked who it is.
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  return answerOf(await fetch(`../${path}`, request));
}

async function answerOf(answer) {
  let content;
  try {
    content = await answer.json();
  } catch {
    throw new Error(words("no_answer", { status: answer.status }));
  }
  if (!answer.ok) throw new Error(content.error ?? words("no_answer", { status: answer.status }));
  return content;
}

const seen = new Map();

/** What Orthanc calls some studies: UID to patient, date and description; nothing without Orthanc. */
export async function inOrthanc(uids) {
  const unknown = uids.filter((uid) => !seen.has(uid));
  if (ORTHANC && unknown.length) {
    const found = await fetch(`${ORTHANC}tools/find`, {
      method: "POST",
      body: JSON.stringify({
        Level: "Study",
        Expand: true,
        Query: { StudyInstanceUID: unknown.join("\\") },
      }),
    });
    for (const study of found.ok ? await found.json() : []) {
      const own = study.MainDicomTags;
      seen.set(own.StudyInstanceUID, {
        id: study.ID,
        patient: study.PatientMainDicomTags.PatientName ?? "",
        patientId: study.PatientMainDicomTags.PatientID ?? "",
        date: own.StudyDate ?? "",
        description: own.StudyDescription ?? "",
      });
    }
  }
  return seen;
}

/** Have a study segmented; Orthanc sends first what the service lacks. */
export function segment(uid, given) {
  const chosen = Object.keys(given ?? {}).length;
  if (ORTHANC && !chosen) return ask(`segment/${uid}`, {});
  return ask(`api/v1/studies/${uid}/segment`, { as: given ?? {} });
}
