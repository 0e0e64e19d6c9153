// The page to try a shop with: asks the service as a shop would, and shows what comes back. Nothing is put in but as text.

import { at, made } from "./dom.js";

const RECENT = 40; // answers in the small chart
const REASONS = 3; // of each product
const ELSE = "…another"; // the choice that opens the field for an id; no id has this form in the list
const GUEST = "";

const random = () => crypto.getRandomValues(new Uint32Array(2)).reduce((told, each) => told + each.toString(16).padStart(8, "0"), "");

const page = {
  choices: null,
  products: [], // as drawn
  places: new Map(), // id -> place in the order before
  order: [],
  request: "",
  session: `page-${random()}`,
  stranger: `stranger-${random().slice(0, 8)}`,
  latencies: [], // { ms, degraded }
  turn: 0, // of the last ranking that was begun: an answer to an earlier one comes too late
  step: 0, // of the last thing that was begun, a ranking or another: what went wrong before is over when a later one goes well
  usual: null, // the version that answered when none was asked for
};

async function ask(path, body, headers = {}) {
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
  const answer = await fetch(path, sent).catch(() => {
    throw new Error("the service doesn't answer; does it still run?");
  });
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 422) throw new Error("an id, a text or a number isn't one that the service takes: up to 200 characters, no control characters");
  if (!answer.ok) throw new Error(told.error ?? `the service answered with status ${answer.status}; its log has the cause`);
  return told;
}

// What goes wrong is told in one place, and goes away when the same thing goes well, or anything that was begun later.
const troubles = new Map();
function trouble(of, sentence) {
  sentence ? troubles.set(of, { step: page.step, sentence }) : troubles.delete(of);
  const told = [...troubles.values()].map((each) => each.sentence).join(" · ");
  if (at("trouble").textContent !== told) at("trouble").textContent = told;
  at("trouble").hidden = !told;
}

async function within(of, work) {
  try {
    const found = await work();
    for (const [other, { step }] of troubles) if (step < page.step) troubles.delete(other);
    trouble(of, "");
    return found;
  } catch (error) {
    trouble(of, `${of}: ${error.message}`);
    return undefined;
  }
}

// --- what is asked

function shopper() {
  return at("shopper").value === ELSE ? at("typed").value.trim() : at("shopper").value;
}

function context() {
  const fields = at("context").querySelectorAll("[name]");
  return Object.fromEntries([...fields].filter((field) => field.value !== "").map((field) => [field.name, field.value]));
}

function asked(candidates) {
  const version = at("asked-version").value;
  const body = { shopper: shopper(), session: page.session, candidates, context: context() };
  return version ? { ...body, version: Number(version) } : body;
}

// Whether each field holds what can be asked for; what doesn't is told in words, and nothing is sent.
function valid() {
  const wrong = [...at("asked").querySelectorAll("input[data-is]")].filter((field) => !field.checkValidity());
  for (const field of at("asked").querySelectorAll("input[data-is]")) field.setAttribute("aria-invalid", wrong.includes(field));
  trouble("fields", wrong.map((field) => `${field.dataset.is}, please`).join(" · "));
  return !wrong.length;
}

async function draw() {
  page.step++;
  if (!valid()) return;
  const wanted = new URLSearchParams({ count: at("count").value, seed: at("seed").value, text: at("text").value });
  const products = await within("products", () => ask(`products?${wanted}`));
  if (!products) return;
  page.products = products;
  page.places = new Map();
  at("again").disabled = !products.length; // there is nothing to rank
  await rank();
}

async function rank(told = "") {
  const turn = ++page.turn;
  page.step++;
  if (!page.products.length) return empty();
  at("shelf").classList.add("busy");
  const body = asked(page.products.map((product) => product.id));
  const began = performance.now();
  const ranked = await within("rank", () => ask("../v1/rank", body));
  if (turn !== page.turn) return;
  at("shelf").classList.remove("busy");
  if (!ranked) return;
  clocked(performance.now() - began, ranked.degraded);
  page.request = ranked.request;
  const before = page.places;
  page.order = ranked.order;
  page.places = new Map(ranked.order.map((id, place) => [id, place]));
  show(ranked, before);
  tell(told, before);
  const explained = byModel(ranked) ? explain({ ...body, request: ranked.request }, turn) : trouble("reasons", "");
  await Promise.all([explained, know(turn)]);
}

async function explain(body, turn) {
  const told = await within("reasons", () => ask("../v1/explain", body));
  if (turn !== page.turn || !told) return;
  reasons(told);
}

async function know(turn) {
  const known = await within("shopper", () => ask(`shopper?${new URLSearchParams({ shopper: shopper(), session: page.session })}`));
  if (turn === page.turn && known) past(known);
}

async function act(action, product) {
  page.step++;
  const who = { shopper: shopper(), session: page.session, request: page.request, context: context() };
  // The list was seen, or nobody could have clicked; a second telling of the same request counts for nothing.
  const impressions = [{ ...who, items: page.order }];
  const interactions = [{ ...who, action, item: product.id, position: page.places.get(product.id) }];
  const token = at("token").value;
  const taken = await within("event", () => ask("../v1/events", { impressions, interactions }, token ? { authorization: `Bearer ${token}` } : {}));
  if (taken) await rank({ action, product });
}

// --- what is shown

// What stands where the model's order would, in words.
const BY_WHAT = {
  model: "The state can't be read: the model ordered this shelf without what is known of the shopper and the products.",
  previous: "The model didn't order this shelf: the version before did.",
  segment: "The model didn't order this shelf: the products stand by popularity in the shopper's segment.",
  popularity: "The model didn't order this shelf: the products stand by popularity in the shop.",
  given: "The model didn't order this shelf: the products stand in the order in which they were asked about.",
  baseline: "No model ordered this shelf: the experiment's arm wants it so.",
  interleaved: "Two rankers ordered this shelf in turn: the experiment's arm wants it so.",
};

const byModel = (ranked) => ranked.rung === "model" && !ranked.degraded;

function empty() {
  at("shelf").replaceChildren();
  at("shelf").classList.remove("busy");
  at("stand-in").hidden = true;
  at("told").textContent = "no product has that";
}

function show(ranked, before) {
  const rung = at("rung");
  rung.textContent = ranked.degraded ? `${ranked.rung}, degraded` : ranked.rung;
  ranked.degraded ? rung.setAttribute("data-degraded", "") : rung.removeAttribute("data-degraded");
  trouble("degraded", ranked.degraded ? `degraded: ${ranked.reason}` : "");
  if (byModel(ranked)) trouble("model server", "");
  at("stand-in").hidden = byModel(ranked);
  at("stand-in").textContent = byModel(ranked) ? "" : `${BY_WHAT[ranked.rung] ?? "The model didn't order this shelf."} So there are no scores and no reasons.`;
  at("version").textContent = ranked.version === null ? "none" : `${ranked.version}${ranked.label && !ranked.label.startsWith("version ") ? ` (${ranked.label})` : ""}`;
  const arms = Object.entries(ranked.arms).map(([experiment, arm]) => `${experiment}: ${arm}`);
  at("arms").textContent = [...arms, ...ranked.rules.map((rule) => `rule ${rule}`)].join(", ") || "none";
  if (!at("asked-version").value && ranked.version !== null) usual(ranked.version);

  const known = new Map(page.products.map((product) => [product.id, product]));
  const [low, high] = [Math.min(...ranked.scores), Math.max(...ranked.scores)];
  const cards = ranked.order.map((id, place) => {
    const share = high > low ? (ranked.scores[place] - low) / (high - low) : 1;
    return card(known.get(id), { place, score: byModel(ranked) ? ranked.scores[place] : null, share, before: before.get(id) });
  });
  const focused = document.activeElement?.dataset.act;
  moving(() => at("shelf").replaceChildren(...cards));
  permit();
  if (focused) [...at("shelf").querySelectorAll("button")].find((button) => button.dataset.act === focused)?.focus({ preventScroll: true });
}

function card(product, { place, score, share, before }) {
  const up = before === undefined ? 0 : before - place;
  const moved = made("span", { className: `moved ${up > 0 ? "up" : up < 0 ? "down" : ""}`, text: up > 0 ? `▲ ${up}` : up < 0 ? `▼ ${-up}` : "" });
  if (up) moved.setAttribute("aria-label", `${up > 0 ? "up" : "down"} ${Math.abs(up)}`);
  const facts = [["", product.id], ...Object.entries(product.facts)].filter(([, value]) => value !== product.title);
  const fill = made("i");
  fill.style.width = `${Math.max(2, 100 * share)}%`;
  const buttons = page.choices.actions.map((action) => {
    const button = made("button", { type: "button", text: action, onclick: () => act(action, product) });
    button.dataset.act = `${action} ${product.id}`;
    button.setAttribute("aria-label", `${action}: ${product.title}`);
    return button;
  });
  const scored = [
    made("div", {}, made("span", { className: "quiet", text: "score" }), made("b", { text: score === null ? "" : figure(score) })),
    made("span", { className: "bar" }, fill),
  ];
  const item = made(
    "li",
    {},
    made("div", { className: "place" }, made("b", { text: place + 1 }), moved),
    made("div", { className: "main" }, made("div", { className: "name", text: product.title }), list(facts)),
    made("div", { className: "score" }, ...(score === null ? [] : scored)),
    made("ul", { className: "why" }),
    made("div", { className: "acts" }, ...buttons),
  );
  item.dataset.id = product.id;
  return item;
}

// Without the token that events need no event is taken: there is nothing to press then.
function permit() {
  const lacking = page.choices.guarded && !at("token").value;
  for (const button of at("shelf").querySelectorAll(".acts button")) {
    button.disabled = lacking;
    button.title = lacking ? "events need the service's token; enter it beside the shelf" : "";
  }
}

function list(facts) {
  return made("ul", { className: "facts" }, ...items(facts));
}

function items(facts) {
  return facts.map(([name, value]) => made("li", {}, ...(name ? [made("i", { text: `${name} ` })] : []), value));
}

// What sets each product apart from this list, in words: to the right what speaks for it, to the left what speaks against it.
// Below, what it has over the next one, where the rules left the two side by side.
function reasons(told) {
  const most = Math.max(0, ...told.reasons.flat().map((each) => Math.abs(each.effect))) || 1;
  const cards = new Map([...at("shelf").children].map((item) => [item.dataset.id, item]));
  const pairs = new Map(told.pairs.map((pair) => [pair.above, pair]));
  told.candidates.forEach((id, row) => {
    const lines = told.reasons[row].slice(0, REASONS).map(({ feature, effect: value, text }) => {
      const fill = made("i", { className: value < 0 ? "against" : "for" });
      const width = (50 * Math.abs(value)) / most;
      fill.style.left = `${value < 0 ? 50 - width : 50}%`;
      fill.style.width = `${width}%`;
      const amount = `${value < 0 ? "−" : "+"}${figure(Math.abs(value))}`;
      return made("li", {}, made("span", { text, title: `${feature}: ${text}` }), made("span", { className: "bar" }, fill), made("span", { className: "value", text: amount }));
    });
    const pair = pairs.get(id);
    const next = page.order[page.places.get(id) + 1];
    if (pair && pair.below === next && pair.reasons.length) {
      lines.push(made("li", { className: "above", text: `above the next: ${pair.reasons.map((each) => each.text).join("; ")}` }));
    }
    cards.get(id)?.querySelector(".why").replaceChildren(...lines);
  });
}

function tell(told, before) {
  const moved = page.order.filter((id, place) => before.has(id) && before.get(id) !== place).length;
  const said = before.size ? [moved ? `${moved} of ${page.order.length} moved` : "nothing moved"] : [`${page.order.length} products`];
  if (told) {
    const [was, is] = [before.get(told.product.id), page.places.get(told.product.id)];
    const way = was === is ? `stays at ${is + 1}` : `goes from ${was + 1} to ${is + 1}`;
    said.unshift(`${told.action}: ${told.product.title} ${is === undefined ? "leaves the shelf" : way}`);
    [...at("shelf").children].find((item) => item.dataset.id === told.product.id)?.classList.add("touched");
  }
  at("told").textContent = said.join("; ");
}

// Products slide from their old place to the new one, where motion is welcome.
function moving(change) {
  const from = new Map([...at("shelf").children].map((item) => [item.dataset.id, item.getBoundingClientRect().top]));
  change();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const item of at("shelf").children) {
    const way = (from.get(item.dataset.id) ?? NaN) - item.getBoundingClientRect().top;
    if (way) item.animate([{ transform: `translateY(${way}px)` }, { transform: "none" }], { duration: 350, easing: "ease-out" });
  }
}

function past({ facts, known, interactions, history }) {
  at("whose").textContent = shopper();
  at("facts").replaceChildren(...items(Object.entries(facts)));
  const nothing = shopper() === GUEST ? "A guest: known within one request only." : "A stranger: no interactions yet.";
  at("interactions").textContent = !known ? "The state can't be read for now." : interactions ? `${interactions} interactions so far` : nothing;
  const rows = history.map(({ action, age_s, product, fields }) => {
    const told = product ? product.title : Object.entries(fields).map(([name, value]) => `${name} ${value}`).join(", ");
    return made("li", {}, made("b", { text: action }), made("div", {}, told, made("small", { text: ago(age_s) })));
  });
  at("past").replaceChildren(...rows);
}

function clocked(ms, degraded) {
  page.latencies = [...page.latencies, { ms, degraded }].slice(-RECENT);
  at("latency").textContent = `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  const most = Math.max(...page.latencies.map((each) => each.ms));
  const step = 120 / (Math.max(page.latencies.length, 12) - 1);
  const x = (place) => step * place;
  const y = (value) => 25 - (23 * value) / most;
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", page.latencies.map((each, place) => `${x(place).toFixed(1)},${y(each.ms).toFixed(1)}`).join(" "));
  const dots = page.latencies.flatMap((each, place) => {
    if (!each.degraded && place < page.latencies.length - 1) return [];
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    for (const [name, value] of [["cx", x(place)], ["cy", y(each.ms)], ["r", 2.2]]) dot.setAttribute(name, value);
    if (each.degraded) dot.classList.add("degraded");
    return [dot];
  });
  at("spark").replaceChildren(line, ...dots);
  const sorted = page.latencies.map((each) => each.ms).sort((one, other) => one - other);
  const told = `the last ${sorted.length}: median ${sorted[sorted.length >> 1].toFixed(1)} ms, slowest ${most.toFixed(1)} ms, as the browser saw them`;
  at("spark").setAttribute("aria-label", told);
  at("spark").parentElement.title = told;
}

function usual(version) {
  page.usual = version;
  at("asked-version").options[0].textContent = `as usual (${page.choices.label ? `${page.choices.label}, ` : ""}${version})`;
}

const figure = (value) => (value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : value.toFixed(Math.abs(value) < 10 ? 3 : 1));

function ago(seconds) {
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([length]) => seconds >= length) ?? [1, "s"];
  return `${Math.round(seconds / size)} ${unit} ago`;
}

// --- the choices

function field({ name, values }) {
  const given = values.length
    ? made("select", { name }, ...values.map((value) => made("option", { value, text: value })), made("option", { value: "", text: "(not said)" }))
    : made("input", { name, maxLength: 200, autocomplete: "off", placeholder: "(not said)" });
  return made("label", {}, `${name} `, given);
}

async function begin() {
  const choices = await within("choices", () => ask("choices"));
  if (!choices) return setTimeout(begin, 1000); // without them there is nothing to press
  page.choices = choices;
  trouble("model server", choices.fault);
  document.title = `ShelfRank: ${choices.shop}`;
  at("shop").textContent = choices.shop;
  at("shopper").append(
    ...choices.shoppers.map(({ id, facts }) => made("option", { value: id, text: id, title: Object.values(facts).join(", ") })),
    made("option", { value: page.stranger, text: "a stranger" }),
    made("option", { value: GUEST, text: "a guest" }),
    made("option", { value: ELSE, text: "another, by id" }),
  );
  at("context").append(...choices.context.map(field));
  at("context").hidden = !choices.context.length;
  at("asked-version").append(
    made("option", { value: "", text: choices.label ? `as usual (${choices.label})` : "as usual (the newest)" }),
    ...choices.versions.map((version) => made("option", { value: version, text: `version ${version}` })),
  );
  at("token-label").hidden = !choices.guarded;
  if (matchMedia("(max-width: 720px)").matches) at("controls").open = false;
  listen();
  await draw();
}

function listen() {
  at("asked").addEventListener("submit", (event) => {
    event.preventDefault();
    rank();
  });
  at("shopper").addEventListener("change", () => {
    at("typed-label").hidden = at("shopper").value !== ELSE;
    page.session = `page-${random()}`; // another shopper, another visit
    if (at("shopper").value === ELSE) at("typed").focus();
    else rank();
  });
  at("typed").addEventListener("change", () => rank());
  at("context").addEventListener("change", () => rank());
  at("asked-version").addEventListener("change", () => rank());
  at("token").addEventListener("input", permit);
  for (const id of ["count", "text", "seed"]) at(id).addEventListener("change", () => draw());
}

begin();
