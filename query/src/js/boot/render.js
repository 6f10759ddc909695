// Functions that make responses: shows, lists, updates, rewrites.

// What the running function has sent and not yet handed over.
let chunks = [];
let head = {};
let headIsNew = false;
// How far a list has come.
let started = false;
let ended = false;

function forgetSent() {
  chunks = [];
  head = {};
  headIsNew = false;
  started = false;
  ended = false;
}

function start(response) {
  head = response || {};
  headIsNew = true;
}

function send(chunk) {
  chunks[chunks.length] = chunk.toString();
}

// Hands over what was sent; the first time with a head, later only with a new one.
function handOver() {
  if (!started) {
    started = true;
    withType(head);
    headIsNew = true;
  }
  const response = headIsNew ? stringify(head) : undefined;
  const sent = stringify(chunks);
  chunks = [];
  head = {};
  headIsNew = false;
  host.send(sent, response);
}

function getRow() {
  if (ended) return null;
  handOver();
  const row = host.row();
  if (row === undefined || row === null) {
    ended = true;
    return null;
  }
  return parse(row);
}

function withType(response) {
  response.headers = response.headers || {};
  if (chosenType) response.headers["Content-Type"] = response.headers["Content-Type"] || chosenType;
  return response;
}

const asResponse = (value) => (typeof value === "string" ? { body: value } : value);

function checked(response, kind) {
  response = asResponse(response);
  if (typeof response === "object" && response !== null && !isList(response)) return response;
  throw answer("render_error", "undefined response from " + kind + " function");
}

// Answers by name go out as they are, anything else as an error of the function.
function renderError(e, error) {
  passLimits(e);
  if (e === undefined) e = "undefined";
  if ((e.error && e.reason) || e[0] == "error" || e[0] == "fatal") return e;
  const words = "function raised error: " + said(e) + " \nstacktrace: " + text(e.stack);
  host.log(words);
  return answer(error, words);
}

function fresh() {
  rows = [];
  forgetSent();
  forgetProvided();
}

api.show = (name, doc, req) => {
  fresh();
  try {
    let response = asResponse(point(["shows", name]).call(design, doc, req) || {});
    if (chunks.length > 0) {
      response.headers = response.headers || {};
      for (const header in head) response.headers[header] = head[header];
      response.body = chunks.join("") + (response.body || "");
      forgetSent();
    }
    if (provided.length > 0) {
      const made = asResponse(runProvided(req) || {});
      response.body = (response.body || "") + chunks.join("") + (made.body || "");
      response = withType(response);
    }
    return stringify(checked(response, "show"));
  } catch (e) {
    passLimits(e);
    if (doc === null && req.path.length > 5) throw answer("not_found", "document not found");
    throw renderError(e, "render_error");
  } finally {
    forgetSent();
  }
};

// The document to store, or nothing, and the response.
api.update = (name, doc, req) => {
  fresh();
  try {
    if (req.method === "GET") {
      throw answer("method_not_allowed", "Update functions do not allow GET");
    }
    const result = point(["updates", name]).call(design, doc, req);
    const response = stringify(checked(result[1], "update"));
    const changed = result[0];
    const stores = typeof changed === "object" && changed !== null && !isList(changed);
    return [stores ? stringify(changed) : undefined, response];
  } catch (e) {
    throw renderError(e, "render_error");
  }
};

api.list = (name, about, req) => {
  fresh();
  try {
    let tail = point(["lists", name]).call(design, about, req);
    if (provided.length > 0) tail = runProvided(req);
    if (!started) getRow();
    if (tail !== undefined) chunks[chunks.length] = String(tail);
    handOver();
  } catch (e) {
    throw renderError(e, "render_error");
  } finally {
    forgetSent();
  }
};

// Where a request goes, or nothing.
api.rewrite = (req) => {
  fresh();
  let result;
  try {
    result = point(["rewrites"]).call(design, req);
  } catch (e) {
    throw renderError(e, "rewrite_error");
  }
  if (!result) return;
  if (typeof result === "string") result = { path: result, method: req.method };
  return stringify(result);
};
