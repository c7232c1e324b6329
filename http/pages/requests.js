// Requests to the API, with a timeout, and with errors that tell a refusal from an unreachable server.

const ANSWER_MILLISECONDS_MAX = 10_000;

/** The server refused the request. */
export class Refused extends Error {}

/** The server did not answer in time, or not with JSON. */
export class Unreachable extends Error {}

export async function ask(path, signal) {
  const [response, answer] = await send(path, signal);
  if (response.ok) return answer;
  throw new Refused(answer.detail ?? `the server answered ${response.status}`);
}

async function send(path, signal) {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MILLISECONDS_MAX)]);
  try {
    const response = await fetch(path, { headers: { Accept: "application/json" }, signal: limited });
    return [response, await response.json()];
  } catch (error) {
    throw new Unreachable(error.message);
  }
}

/** Requests all pages of a list. */
export async function askAll(path, signal) {
  const entries = [];
  let cursor = null;
  do {
    const next = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await ask(`${path}?limit=200${next}`, signal);
    entries.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return entries;
}
