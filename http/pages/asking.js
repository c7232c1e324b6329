// How the page asks the API: with patience that ends, and with errors that say whose fault it is.

const ANSWER_MILLISECONDS_MAX = 10_000;

/** The server answered, and will not show this. */
export class Refused extends Error {}

/** Nobody answered, or not in the way of the API. */
export class Unreachable extends Error {}

export async function ask(path, signal) {
  const [response, answer] = await answered(path, signal);
  if (response.ok) return answer;
  throw new Refused(answer.detail ?? `the server answered ${response.status}`);
}

async function answered(path, signal) {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MILLISECONDS_MAX)]);
  try {
    const response = await fetch(path, { headers: { Accept: "application/json" }, signal: patience });
    return [response, await response.json()];
  } catch (error) {
    throw new Unreachable(error.message);
  }
}

/** A whole list, page by page. */
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
