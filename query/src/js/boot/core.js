// Primitives taken before any stranger's code runs, and what all functions of a design document
// need: rules for errors, compilation, CommonJS modules. This realm is ours: functions of design
// documents run in realms of their own, and see of this one only what `furnish` hands them.

const { stringify, parse } = JSON;
const { freeze, values: valuesOf } = Object;
const isList = Array.isArray;
const wellFormed = Function.prototype.call.bind(String.prototype.toWellFormed);
const text = (value) => wellFormed(String(value));

// An answer that CouchDB gives by name: the shape in which functions throw it too.
const answer = (error, reason) => ["error", error, reason];

// Without any words when there is no memory for them.
const isMemory = (e) =>
  e.name === "InternalError" && (!e.message || text(e.message).startsWith("out of memory"));
const isDepth = (e) => e.name === "RangeError" && e.message === "Maximum call stack size exceeded";

// What the engine raises when a limit is reached is nobody's to swallow. It raises null when there
// is no memory for an exception.
function passLimits(e) {
  if (e === null || (typeof e === "object" && (isMemory(e) || isDepth(e)))) throw e;
}

// How an exception reads in logs and reasons. What is met often, in the words of CouchDB's engine.
function said(e) {
  passLimits(e);
  return text(e)
    .replace(/^ReferenceError: (\S+) is not defined$/, "ReferenceError: '$1' is not defined")
    .replace(/^(TypeError: cannot [a-z]+ property) '\d+' of /, "$1 of ");
}

// Exceptions have nothing enumerable to show, so they are shown by name and message.
function plain(value) {
  if (typeof value === "object" && value !== null
      && "stack" in value && "name" in value && "message" in value) {
    return { error: value.name, message: value.message };
  }
  return value;
}

function log(message) {
  weigh(typeof message === "string" ? message.length : 1e5);
  host.log(typeof message === "string" ? wellFormed(message) : text(stringify(plain(message))));
}

function sum(values) {
  let total = 0;
  if (isList(values)) {
    for (let i = 0; i < values.length; i++) if (i in values) total += values[i];
  } else {
    for (const name in values) total += values[name];
  }
  return total;
}

function isArray(value) {
  return isList(value);
}

// A kind, what CouchDB says in `error`, and the value of `reason`, as JSON.
function verdict(kind, error, reason) {
  let last;
  try { last = stringify(reason); } catch (e) { passLimits(e); }
  const names = stringify([kind, text(error)]);
  return names.slice(0, -1) + "," + (last === undefined ? "null" : last) + "]";
}

// Names an exception that ended a call.
function describe(e) {
  if (e === null || e === undefined) return verdict("thrown", "internal_error", null);
  if (typeof e === "object") {
    if (isMemory(e)) return verdict("memory", "", null);
    if (isDepth(e)) return verdict("deep", "", null);
  }
  if (e[0] == "error" || e[0] == "fatal") return verdict("thrown", e[1], e[2]);
  if (e.name == "InternalError") return verdict("thrown", e.name, e.message);
  if (e.error && e.reason) return verdict("thrown", e.error, e.reason);
  if (e.name) return verdict("thrown", e.name, typeof e === "object" ? e : null);
  return verdict("thrown", "unnamed_error", e.stack);
}

// Frozen all through. A list of what is left, not recursion: documents may nest deep.
function freezeAll(root) {
  const left = [root];
  while (left.length > 0) {
    const value = left.pop();
    freeze(value);
    const members = valuesOf(value);
    for (let i = 0; i < members.length; i++) {
      const member = members[i];
      if (typeof member === "object" && member !== null) left[left.length] = member;
    }
  }
}

// Whether a function might write to what it is given. Freezing a document takes longer than to
// parse it, so it is only done for functions of which a look at the source doesn't say that they
// can't: no assignment to a member, no function that changes its object or may be any function.
const assignment = "(?:[-+*/%&|^]|[*]{2}|&&|[|]{2}|[?]{2}|<<|>>>?)?=(?![=>])";
const writes = new RegExp([
  "[.]\\s*[\\w$\\u0080-\\uffff]+\\s*(?:" + assignment + "|[+]{2}|--)",
  "[\\]})]\\s*(?:" + assignment + "|[+]{2}|--)",
  "(?:[+]{2}|--)\\s*(?:[(]|[\\w$\\u0080-\\uffff]+\\s*[.?[])",
  "[\\])]\\s*(?:[?][.]\\s*)?[(`]",
  "for\\s*[(]\\s*(?:[[({]|[\\w$\\u0080-\\uffff]+\\s*[.[])",
  "//|/[*]|\\\\u|__",
  "\\b(?:push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|delete|with|eval|require)\\b",
  "\\b(?:call|apply|bind|constructor|Function|Reflect|prototype|globalThis|this|super)\\b",
  "\\bObject\\b(?![.](?:keys|values|entries)[(])",
].join("|"));

// Strings, which stay but for their slashes, and comments. Slashes and backquotes elsewhere may
// begin what this doesn't understand: then nothing is taken out but comments that are certainly
// some, at the end of lines that have nothing before which they could be a part of.
const token = new RegExp([
  "(\"(?:[^\"\\\\\\n\\r]|\\\\[^])*\"|'(?:[^'\\\\\\n\\r]|\\\\[^])*')",
  "(/[*][^]*?[*]/|//[^\\n\\r\\u2028\\u2029]*)",
  "[/`]|<!--|-->",
].join("|"), "g");
const slashes = /\//g;
const comment = /^([^'"\/\n\r\u2028\u2029]*)\/\/.*$/gm;
const spansLines = /`|\/\*|\\[\n\r\u2028\u2029]/;

function withoutComments(source) {
  let strange = false;
  const bare = source.replace(token, (found, string, remark) => {
    if (remark !== undefined) return " ";
    if (string !== undefined) return string.replace(slashes, " ");
    strange = true;
    return found;
  });
  if (!strange) return bare;
  return spansLines.test(source) ? source : source.replace(comment, "$1");
}

function mayWrite(source) {
  return writes.test(withoutComments(source));
}

// CouchDB's engine takes a function without a name where a statement may begin, as engines once
// did. Ours calls that an error; an operator before it makes it the expression that is meant.
const beginsNameless = /^(?:\s|\/\/[^\n]*\n|\/\*[^]*?\*\/)*function(?:\s|\/\*[^]*?\*\/)*\(/;

function offsetOf(source, line, column) {
  let at = 0;
  for (; line > 1; line--) {
    at = source.indexOf("\n", at) + 1;
    if (at === 0) return -1;
  }
  return at + column - 1;
}

// Where the nameless function begins that a syntax error is about; -1 if it is about another thing.
function namelessAt(e, source) {
  if (e.name !== "SyntaxError" || e.message !== "function name expected") return -1;
  const place = /:(\d+):(\d+)/.exec(e.stack);
  if (place === null) return -1;
  const near = offsetOf(source, +place[1], +place[2]);
  const at = source.lastIndexOf("function", near);
  const nameless = at >= 0 && /^function(?:\s|\/\*[^]*?\*\/)*\(/.test(source.slice(at));
  return nameless && !/\basync\s*$/.test(source.slice(0, at)) ? at : -1;
}

function evaluate(run, source) {
  if (beginsNameless.test(source)) source = "0," + source;
  for (let tries = 0; ; tries++) {
    try {
      return run(source);
    } catch (e) {
      passLimits(e);
      const at = tries < 16 ? namelessAt(e, source) : -1;
      if (at < 0) throw e;
      source = source.slice(0, at) + ";0," + source.slice(at);
    }
  }
}

// Compiles a function's source in a realm, and gives the function.
function compile(source, run) {
  if (!source) throw answer("not_found", "missing function");
  source = String(source);
  let made;
  try {
    made = evaluate(run, source);
  } catch (e) {
    throw answer("compilation_error", said(e) + " (" + source + ")");
  }
  if (typeof made === "function") return made;
  throw answer("compilation_error", "Expression does not eval to a function. (" + source + ")");
}

const badPath = (words) => answer("invalid_require_path", words);

const upwards = (id) => id.slice(0, id.lastIndexOf("/"));

// From a place in a design document along a path, to a module's source. A place knows its value,
// the place that holds it, and its path from the root.
function locate(path, place, root) {
  const steps = path.split("/");
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i];
    if (step === "." || step === "..") {
      const base = step === "." ? place : place.parent;
      if (!place.parent || !base.parent) {
        throw badPath("Object has no parent " + stringify(place.current));
      }
      place = step === "."
        ? { current: place.current, parent: place.parent, id: place.id }
        : { current: base.current, parent: base.parent, id: upwards(place.id) };
    } else {
      if (i === 0) place = { current: root };
      const inner = place.current[step];
      if (inner === undefined) {
        throw badPath('Object has no property "' + step + '". ' + stringify(place.current));
      }
      place = { current: inner, parent: place, id: place.id ? place.id + "/" + step : step };
    }
  }
  if (typeof place.current !== "string") {
    throw badPath("Must require a JavaScript string, not: " + typeof place.current);
  }
  return { current: place.current, parent: place.parent, id: place.id, exports: {} };
}

// The `require` of functions that live in `root`. Modules are evaluated in the realm of the
// function that asks first. A module that is asked for while it loads is an empty object.
function requirer(root, run) {
  const modules = root._module_cache || (root._module_cache = {});
  const load = (path, from) => {
    const module = locate(path, from, root);
    if (Object.hasOwn(modules, module.id)) return modules[module.id];
    modules[module.id] = {};
    try {
      const body = run("(function (module, exports, require) {" + module.current + "\n})");
      body.call(undefined, module, module.exports, (inner) => load(inner, module.parent));
    } catch (e) {
      delete modules[module.id];
      throw answer("compilation_error", "Module require('" + path + "') raised error " + said(e));
    }
    return (modules[module.id] = module.exports);
  };
  return (path) => load(path, undefined);
}

// Puts into a realm what functions find in it.
function furnish(global, names) {
  tame(global);
  const common = {
    emit, sum, log, isArray, provides, registerType, start, send, getRow,
    toJSON: global.JSON.stringify,
  };
  for (const name in common) global[name] = common[name];
  for (const name in names) global[name] = names[name];
}
api.describe = describe;
