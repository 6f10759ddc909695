// Which of the formats that a function provides a client wants to have.

// Media types by short name, and the name of each; who registers last wins.
const typesOf = {};
const nameOf = {};
for (const table of [typesOf, nameOf]) Object.setPrototypeOf(table, null);

function registerType(name, ...types) {
  typesOf[name] = types;
  for (const type of types) nameOf[type] = name;
}

registerType("all", "*/*");
registerType("text", "text/plain; charset=utf-8", "txt");
registerType("html", "text/html; charset=utf-8");
registerType("xhtml", "application/xhtml+xml", "xhtml");
registerType("xml", "application/xml", "text/xml", "application/x-xml");
registerType("js", "text/javascript", "application/javascript", "application/x-javascript");
registerType("css", "text/css");
registerType("ics", "text/calendar");
registerType("csv", "text/csv");
registerType("rss", "application/rss+xml");
registerType("atom", "application/atom+xml");
registerType("yaml", "application/x-yaml", "text/yaml");
registerType("multipart_form", "multipart/form-data");
registerType("url_encoded_form", "application/x-www-form-urlencoded");
registerType("json", "application/json", "text/x-json");

// `a/b; c=d` as its parts.
function mediaRange(words) {
  const [full, ...rest] = words.split(";");
  const [type, subtype] = (full.trim() === "*" ? "*/*" : full.trim()).split("/");
  const params = new Map();
  for (const param of rest) {
    const [name, value, ...more] = param.split("=");
    if (value !== undefined && more.length === 0) params.set(name.trim(), value.trim());
  }
  const quality = parseFloat(params.get("q"));
  params.delete("q");
  return { type, subtype, params, quality: quality >= 0 && quality <= 1 ? quality : 1 };
}

// How well a range of the client's fits a type of ours; -1 if it doesn't.
function fitness(range, ours) {
  const meets = (a, b) => a === b || a === "*" || b === "*";
  if (!meets(range.type, ours.type) || !meets(range.subtype, ours.subtype)) return -1;
  let fit = (range.type === ours.type ? 100 : 0) + (range.subtype === ours.subtype ? 10 : 0);
  for (const [name, value] of ours.params) if (range.params.get(name) === value) fit++;
  return fit;
}

// The type that fits best, then is wanted most, then comes last; "" if the client wants none.
function bestType(types, accept) {
  const ranges = accept.split(",").map(mediaRange);
  let best = { fit: -1, quality: 0, type: "" };
  for (const type of types) {
    const ours = mediaRange(type);
    let match = { fit: -1, quality: 0, type };
    for (const range of ranges) {
      const fit = fitness(range, ours);
      if (fit > match.fit) match = { fit, quality: range.quality, type };
    }
    if (match.fit > best.fit || (match.fit === best.fit && match.quality >= best.quality)) {
      best = match;
    }
  }
  return best.quality > 0 ? best.type : "";
}

// What the running function provides, and the type that was chosen.
let provided = [];
let chosenType = null;

function provides(name, make) {
  provided[provided.length] = { name, make };
}

function forgetProvided() {
  provided = [];
  chosenType = null;
}

function runProvided(req) {
  const accept = req.headers["Accept"];
  let name;
  if (req.query && req.query.format) {
    name = req.query.format;
    chosenType = typesOf[name][0];
  } else if (accept) {
    provided.reverse();
    chosenType = bestType(provided.flatMap((one) => typesOf[one.name] || []), accept);
    name = nameOf[chosenType];
  } else {
    name = provided[0].name;
    chosenType = typesOf[name][0];
  }
  const match = name && provided.find((one) => one.name === name);
  if (match) return match.make.call(design);
  const choices = provided.map((one) => typesOf[one.name].join(", ") || one.name).join(", ");
  throw answer("not_acceptable",
    "Content-Type " + (accept || name) + " not supported, try one of: " + choices);
}
