// Shows what the OpenAPI document says of each call, and sends one. Nothing is put in but as text.

import { at, made } from "./dom.js";

let openapi = null;

function schemaOf(schema = {}) {
  const name = schema.$ref?.split("/").pop();
  return name ? openapi.components.schemas[name] : schema;
}

function typeOf(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  if (schema.type === "object" && schema.additionalProperties) return `map of ${typeOf(schema.additionalProperties)}`;
  return schema.type ?? "any";
}

// The schemas that a schema names, itself first, each once.
function schemasOf(schema, seen = new Map()) {
  if (schema?.$ref) {
    const name = typeOf(schema);
    if (!seen.has(name)) {
      seen.set(name, schemaOf(schema));
      Object.values(schemaOf(schema).properties ?? {}).forEach((field) => schemasOf(field, seen));
    }
  }
  [...(schema?.anyOf ?? []), schema?.items, schema?.additionalProperties].filter((each) => each instanceof Object).forEach((each) => schemasOf(each, seen));
  return seen;
}

function fieldsOf(schema) {
  const needed = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) =>
    made("tr", {}, made("td", {}, made("code", { text: name })), made("td", { text: typeOf(field) + (needed.has(name) ? ", needed" : "") }), made("td", { text: field.description ?? "" })),
  );
  return made("div", { className: "table" }, made("table", {}, ...rows));
}

// A body to begin with: what is needed, and whatever has an example.
function example(schema) {
  const { properties = {}, required = [] } = schemaOf(schema);
  const filled = Object.entries(properties).filter(([name, field]) => required.includes(name) || field.examples?.[0]?.length);
  return Object.fromEntries(filled.map(([name, field]) => [name, field.examples?.[0] ?? (field.type === "array" ? [] : "")]));
}

async function send(method, path, { values, body }, answer) {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values.get(name).value));
  const headers = { ...(body ? { "content-type": "application/json" } : {}), ...(at("token").value ? { authorization: `Bearer ${at("token").value}` } : {}) };
  const began = performance.now();
  try {
    const came = await fetch(`.${filled}`, { method, headers, body: body?.value });
    const text = await came.text();
    const shown = came.headers.get("content-type")?.includes("json") ? JSON.stringify(JSON.parse(text), null, 1) : text;
    answer.textContent = `${came.status} after ${Math.round(performance.now() - began)} ms\n${shown}`;
  } catch (error) {
    answer.textContent = `no answer: ${error.message}`;
  }
  answer.hidden = false;
}

function call(method, path, operation) {
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  const parts = [made("summary", {}, made("b", { text: method.toUpperCase() }), " ", made("code", { text: path }), made("span", { text: operation.summary ?? "" }))];
  parts.push(made("p", { text: operation.description ?? "" }));
  const values = new Map((operation.parameters ?? []).map((each) => [each.name, made("input", { ariaLabel: each.name, placeholder: each.name })]));
  const body = schema && made("textarea", { rows: 8, spellcheck: false, ariaLabel: "body", value: JSON.stringify(example(schema), null, 1) });
  for (const [name, each] of schemasOf(schema)) parts.push(made("h2", { text: name }), fieldsOf(each));
  parts.push(made("h2", { text: "Try it" }), ...values.values(), ...(body ? [body] : []));
  const answer = made("pre", { hidden: true });
  parts.push(made("button", { type: "button", text: "Send", onclick: () => send(method.toUpperCase(), path, { values, body }, answer) }), answer);
  parts.push(made("h2", { text: "Answers" }));
  const answers = Object.entries(operation.responses).map(([status, { description, content }]) =>
    made("tr", {}, made("td", {}, made("code", { text: status })), made("td", { text: description }), made("td", { text: typeOf(content?.["application/json"]?.schema) })),
  );
  parts.push(made("div", { className: "table" }, made("table", {}, ...answers)));
  const taken = schemasOf(operation.responses["200"]?.content?.["application/json"]?.schema);
  for (const [name, each] of taken) parts.push(made("h2", { text: name }), fieldsOf(each));
  return made("details", {}, ...parts);
}

at("access").addEventListener("submit", (event) => event.preventDefault());
try {
  openapi = await (await fetch("openapi.json")).json();
  at("title").textContent = openapi.info.title;
  at("summary").textContent = openapi.info.summary ?? "";
  for (const [path, operations] of Object.entries(openapi.paths)) {
    for (const [method, operation] of Object.entries(operations)) at("calls").append(call(method, path, operation));
  }
} catch (error) {
  at("trouble").textContent = `the OpenAPI document couldn't be read: ${error.message}`;
  at("trouble").hidden = false;
}
