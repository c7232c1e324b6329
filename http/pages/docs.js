// The API documentation: every operation of /openapi.json with its parameters, body and response; and all codes of errors.

import { ask } from "./requests.js";
import { element, part } from "./elements.js";

const NESTING_MAX = 4;

let schemas = {};

const named = (schema) => (schema.$ref ? schemas[schema.$ref.split("/").at(-1)] : schema);

/** The type of a value as text. */
function kindOf(schema) {
  if (schema.anyOf) return schema.anyOf.map(kindOf).join(" or ");
  const known = named(schema);
  if (known.enum) return known.enum.map((value) => JSON.stringify(value)).join(", ");
  if (known.type === "array") return known.items ? `list of ${kindOf(known.items)}` : "list";
  return known.format ?? known.type ?? "anything";
}

const RULES = {
  minimum: (value) => `≥ ${value}`,
  maximum: (value) => `≤ ${value}`,
  minLength: (value) => `≥ ${value} characters`,
  maxLength: (value) => `≤ ${value} characters`,
  minItems: (value) => `≥ ${value} entries`,
  maxItems: (value) => `≤ ${value} entries`,
  default: (value) => `default ${value}`,
};

function rulesOf(schema) {
  const known = { ...named(schema), ...(schema.anyOf ?? []).map(named).find((one) => one.type !== "null"), ...schema };
  const isGiven = (rule) => ["number", "string"].includes(typeof known[rule]) && known[rule] !== "";
  const given = Object.keys(RULES).filter(isGiven);
  return given.map((rule) => RULES[rule](known[rule])).join(", ");
}

function row(name, schema, required, meaning = "") {
  const rules = [required ? "required" : "", rulesOf(schema), meaning].filter(Boolean).join("; ");
  const cells = [element("code", "", {}, name), kindOf(schema), rules].map((cell) => element("td", "", {}, cell));
  return element("tr", "", {}, ...cells);
}

/** The fields of an object and of nested objects: `guest.name`. A response always has all of its fields. */
function fieldRows(schema, isAnswer, prefix = "", depth = 0) {
  const known = named(schema);
  return Object.entries(known.properties ?? {}).flatMap(([name, field]) => {
    const whole = `${prefix}${name}`;
    const inner = (field.anyOf ?? [field]).map(named).map((one) => (one.items ? named(one.items) : one))
      .find((one) => one.properties);
    const own = row(whole, field, !isAnswer && known.required?.includes(name));
    return inner && depth < NESTING_MAX ? [own, ...fieldRows(inner, isAnswer, `${whole}.`, depth + 1)] : [own];
  });
}

function table(title, rows) {
  return rows.length ? [element("h3", "", {}, title), element("table", "", {}, ...rows)] : [];
}

function drawOperation(path, method, operation) {
  const body = operation.requestBody?.content["application/json"].schema;
  const made = Object.entries(operation.responses).filter(([status]) => status.startsWith("2"));
  const [status, answer] = made[made.length - 1];
  const [media, { schema }] = Object.entries(answer.content)[0];
  const answers = fieldRows(schema, true);
  const takes = operation.parameters.map((one) =>
    row(one.name, one.schema, one.required, [one.in, one.description].filter(Boolean).join("; ")));
  return element("details", "", { id: operation.operationId },
    element("summary", "", {}, element("span", "method", {}, method.toUpperCase()), element("span", "path", {}, path),
      element("span", "meaning", {}, operation.summary)),
    element("div", "", {}, ...table("Parameters", takes), ...table("Body", body ? fieldRows(body, false) : []),
      ...table(`Response ${status}`, answers.length ? answers : [row(media, {}, false)])));
}

/** Every code of an error: its status, what it means, and its own fields. */
function drawErrors() {
  const codes = Object.values(schemas).filter((schema) => schema.properties?.code?.const);
  const rows = codes.map(({ properties: { status, code, ...own }, description }) => [status.const, code.const,
    [description, ...Object.keys(own).length ? [`Fields: ${Object.keys(own).join(", ")}`] : []].join(" ")]);
  rows.sort(([one], [other]) => one - other);
  return table("Errors", rows.map(([status, code, meaning]) => element("tr", "", { id: `error-${code}` },
    ...[element("code", "", {}, code), String(status), meaning].map((cell) => element("td", "", {}, cell)))));
}

function filter() {
  const words = part("filter").value.toLowerCase().split(/\s+/);
  for (const shown of part("operations").children) {
    const text = shown.querySelector("summary").textContent.toLowerCase();
    shown.hidden = !words.every((word) => text.includes(word));
  }
}

async function draw() {
  const { paths, components } = await ask("/openapi.json", new AbortController().signal);
  schemas = components.schemas;
  part("operations").replaceChildren(...Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => drawOperation(path, method, operation))));
  part("errors").replaceChildren(...drawErrors());
  const target = location.hash ? part(location.hash.slice(1)) : null;
  target?.setAttribute("open", "");
  target?.scrollIntoView();
}

part("filter").addEventListener("input", filter);
draw().catch((error) => part("operations").append(`The API cannot be shown: ${error.message}`));
