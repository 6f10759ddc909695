// Functions that see the whole design document: validation and filters, and where functions are
// kept. `this` of all of them is the design document, its functions in the place of their sources.

let design;

api.open = (ddoc) => { design = ddoc; };

// The function at a path, or undefined while it is not compiled.
function point(path) {
  let at = design;
  for (let i = 0; i < path.length && at !== undefined && at !== null; i++) {
    at = Object.hasOwn(at, path[i]) ? at[path[i]] : undefined;
  }
  return at;
}

// Whether a function is there to be called: "ready", "source" if it has to be compiled, "missing".
api.look = (path) => {
  const found = point(path);
  if (typeof found === "function") return "ready";
  if (found) return "source";
  return found === undefined ? "missing" : "empty";
};

api.id = () => text(design._id);

api.compile = (path, parser, global) => {
  const run = careful(parser);
  const source = point(path);
  const names = { require: requirer(design, run) };
  if (path[0] === "views") names.emit = noteEmit;
  furnish(global, names);
  point(path.slice(0, -1))[path[path.length - 1]] = compile(source, run);
};

// Nothing if the document may be stored, or why not.
api.validate = (doc, old, user, security) => {
  rows = [];
  try {
    point(["validate_doc_update"]).call(design, doc, old, user, security);
  } catch (e) {
    return refusal(e);
  }
};

// A function that throws 1 or true says yes: CouchDB compares what comes back with just those.
function refusal(e) {
  passLimits(e);
  if (e === 1 || e === true) return;
  if (typeof e === "string") return verdict("thrown", "unknown_error", e);
  if (e !== null && typeof e === "object" && !(e.name && e.stack)) {
    if (e[0] == "error" || e[0] == "fatal") return verdict("thrown", e[1], e[2]);
    const names = Object.keys(e);
    if (names.length !== 1) return verdict("thrown", "unknown_error", "function_clause");
    const name = names[0];
    if (e[name] === undefined) return verdict("thrown", "unknown_error", "function_clause");
    const kind = name === "forbidden" || name === "unauthorized" ? name : "thrown";
    return verdict(kind, kind === "thrown" ? "unknown_error" : name, e[name]);
  }
  return describe(e);
}

api.filter = (name, doc, req) => {
  rows = [];
  return !!point(["filters", name]).call(design, doc, req);
};
