// The engine asks whether time is up once in many thousand steps of a program, and takes a call of
// native code for one step. In a realm of strangers, native code that works through much is put
// behind guards that weigh the work and ask themselves, and refuse lengths that memory can't hold.

const { apply } = Reflect;
const call = Function.prototype.call.bind(Function.prototype.call);
const describeOwn = Object.getOwnPropertyDescriptor;
const defineOwn = Object.defineProperty;

const workBetweenLooks = 1e6;
const lengthMax = 1e7;
const searchMax = 1e9;
let work = 0;

// Counts work. When time is up this doesn't return: the engine stops the loop, and nobody catches.
function weigh(amount) {
  work += amount;
  if (work < workBetweenLooks) return;
  work = 0;
  if (host.late()) for (;;);
}

function tooLong(what) {
  return new RangeError(what + " is too long");
}

const isObject = (value) =>
  (typeof value === "object" && value !== null) || typeof value === "function";

// Length of a list. One that changes when one looks, or that is inherited, is no good.
function lengthOf(value) {
  if (!isObject(value)) return 0;
  const own = describeOwn(value, "length");
  if (own === undefined && !("length" in value)) return 0;
  if (own === undefined || typeof own.value !== "number" || !(own.value <= lengthMax)) {
    throw tooLong("array");
  }
  return own.value;
}

const weighArray = (array) => lengthOf(array);

const weighText = (string) => string.length;

// What is searched for is made a string before it is weighed, lest it become another one later.
function weighSearch(string, args) {
  if (isObject(args[0])) args[0] = String(args[0]);
  const what = args[0];
  if (typeof what !== "string") return string.length;
  if (string.length * what.length > searchMax) throw tooLong("string search");
  return string.length + (what.length > 100 ? string.length : 0);
}

// Marks that combine are brought into order pair by pair.
const manyMarks = /\p{M}{5000}/u;
function weighMarks(string) {
  if (string.length > 5000 && manyMarks.test(string)) throw tooLong("run of combining marks");
  return string.length * 10;
}

function weighCompare(string, args) {
  args[0] = String(args[0]);
  return weighMarks(string) + weighMarks(args[0]);
}

const weighRepeat = (string, args) => string.length * (args[0] > 0 ? +args[0] : 1);
const weighPad = (string, args) => (args[0] > 0 ? +args[0] : 1);
const weighUnknown = () => 1e5;
const weighFirst = (self, args) => (typeof args[0] === "string" ? args[0].length : 1000);
const weighStringify = (json, args) => 1e5 + (isList(args[1]) ? lengthOf(args[1]) : 0);

// The digits of a number cost the square of their count.
const bigMax = 1n << 65536n;
function weighDigits(big) {
  if (typeof big === "bigint" && (big > bigMax || -big > bigMax)) throw tooLong("number");
  return 1e5;
}

// Sets only: what merely looks like one may go on for ever.
const sizeOfSet = describeOwn(Set.prototype, "size").get;
const weighSets = (set, args) => call(sizeOfSet, set) + call(sizeOfSet, args[0]);

const guards = [
  ["String.prototype", weighSearch, ["indexOf", "lastIndexOf", "includes"]],
  ["String.prototype", weighText, ["match", "matchAll", "search", "toLowerCase", "toUpperCase",
    "toLocaleLowerCase", "toLocaleUpperCase"]],
  ["String.prototype", weighMarks, ["normalize"]],
  ["String.prototype", weighCompare, ["localeCompare"]],
  ["String.prototype", weighRepeat, ["repeat"]],
  ["String.prototype", weighPad, ["padStart", "padEnd"]],
  ["Array.prototype", weighArray, ["join", "slice", "indexOf", "lastIndexOf", "includes", "reverse",
    "sort", "splice", "shift", "unshift", "copyWithin", "fill", "toReversed", "toSorted",
    "toSpliced", "with", "toString", "toLocaleString"]],
  ["Set.prototype", weighSets, ["union", "intersection", "difference", "symmetricDifference",
    "isSubsetOf", "isSupersetOf", "isDisjointFrom"]],
  ["BigInt.prototype", weighDigits, ["toString", "toLocaleString"]],
  ["Object", weighUnknown, ["keys", "values", "entries", "assign", "fromEntries", "freeze", "seal",
    "isFrozen", "isSealed", "getOwnPropertyNames", "getOwnPropertySymbols",
    "getOwnPropertyDescriptors"]],
  ["Reflect", weighUnknown, ["ownKeys"]],
  ["JSON", weighStringify, ["stringify"]],
  ["JSON", weighFirst, ["parse"]],
  ["Date", weighFirst, ["parse"]],
  ["globalThis", weighFirst, ["escape", "unescape", "encodeURI", "encodeURIComponent", "decodeURI",
    "decodeURIComponent", "parseInt", "parseFloat"]],
];

// Functions that take other lists than their own are made anew: what they are given could change
// between being weighed and being used.
function listFunctions(global) {
  const { isConcatSpreadable } = Symbol;
  const flatten = (list, depth, into) => {
    const length = lengthOf(list);
    weigh(length);
    for (let i = 0; i < length; i++) {
      if (!(i in list)) continue;
      const member = list[i];
      if (depth >= 1 && isList(member)) flatten(member, depth - 1, into);
      else into[into.length] = member;
    }
    return into;
  };
  return {
    flat(depth = 1) {
      return flatten(this, +depth, new global.Array());
    },
    flatMap(make, self) {
      const length = lengthOf(this);
      const made = new global.Array();
      for (let i = 0; i < length; i++) {
        if (i in this) made[made.length] = call(make, self, this[i], i, this);
      }
      return flatten(made, 1, new global.Array());
    },
    concat(...others) {
      const into = new global.Array();
      let end = 0;
      for (let at = -1; at < others.length; at++) {
        const item = at < 0 ? this : others[at];
        const wish = isObject(item) ? item[isConcatSpreadable] : false;
        if (!(wish === undefined ? isList(item) : wish)) {
          into[end++] = item;
          continue;
        }
        const length = lengthOf(item);
        weigh(length);
        for (let i = 0; i < length; i++) if (i in item) into[end + i] = item[i];
        end += length;
      }
      into.length = end;
      return into;
    },
  };
}

// Functions that leave the work to a pattern, or to what acts as one; else to the native function,
// with strings only.
function searching(native, name, symbol) {
  return {
    [name](what, ...args) {
      if (this === undefined || this === null) return apply(native, this, [what]);
      const act = isObject(what) ? what[symbol] : undefined;
      if (act !== undefined && act !== null) {
        if (name === "replaceAll" && "flags" in what && !text(what.flags).includes("g")) {
          throw new TypeError("regexp must have the 'g' flag");
        }
        return call(act, what, this, args[0]);
      }
      const string = String(this);
      const searched = [what, ...args];
      weigh(weighSearch(string, searched));
      return apply(native, string, searched);
    },
  }[name];
}

// String.raw, over the list that it was shown.
const { raw } = {
  raw(strings, ...values) {
    const list = strings.raw;
    const length = lengthOf(list);
    let made = "";
    for (let i = 0; i < length; i++) {
      made += list[i];
      if (i + 1 < length && i < values.length) made += values[i];
    }
    return made;
  },
};

// The engine's parser doesn't stand running out of memory. So nothing is parsed without as much
// room as it can need: functions in functions take much, but the stack has room for few of them.
const roomForNesting = 8 << 20;
const roomForCharacter = 100;

// A program that is parsed only if there is room: a buffer is had and let go, untouched.
function careful(run) {
  return (source) => {
    weigh(1000 + 20 * source.length);
    new ArrayBuffer(roomForNesting + roomForCharacter * source.length);
    return run(source);
  };
}

// Ways to code from text. All of them are known to be indirect: they see globals only.
function tameParsers(global) {
  const run = careful(global.eval);
  const evaluate = { eval: (source) => (typeof source === "string" ? run(source) : source) }.eval;
  defineOwn(global, "eval", { value: evaluate, writable: true, configurable: true });
  const native = global.Function;
  const { prototype } = native;
  const make = function Function(...parts) {
    const words = [];
    for (let i = 0; i < parts.length; i++) words[i] = String(parts[i]);
    return careful(() => apply(native, undefined, words))(words.join());
  };
  defineOwn(make, "prototype", { value: prototype, writable: false });
  defineOwn(prototype, "constructor", { value: make, writable: true, configurable: true });
  defineOwn(global, "Function", { value: make, writable: true, configurable: true });
  for (const kind of ["function*(){}", "async function(){}", "async function*(){}"]) {
    delete Object.getPrototypeOf(run("(" + kind + ")")).constructor;
  }
}

function guarded(native, name, weight, ofStrings) {
  return {
    [name](...args) {
      const self = ofStrings && isObject(this) ? String(this) : this;
      if (!ofStrings || typeof self === "string") weigh(weight(self, args));
      return apply(native, self, args);
    },
  }[name];
}

function tame(global) {
  tameParsers(global);
  // CouchDB's engine has none of these, and they would need guards.
  const iterators = Object.getPrototypeOf(Object.getPrototypeOf(global.Array.prototype.values()));
  for (const name of Object.getOwnPropertyNames(iterators)) delete iterators[name];
  for (const name of ["Promise", "queueMicrotask", "Iterator"]) delete global[name];
  const put = (owner, name, value) => {
    defineOwn(owner, name, { value, writable: true, enumerable: false, configurable: true });
  };
  for (const [path, weight, names] of guards) {
    let owner = global;
    for (const step of path.split(".")) owner = owner[step];
    for (const name of names) {
      if (typeof owner[name] !== "function") continue;
      put(owner, name, guarded(owner[name], name, weight, path === "String.prototype"));
    }
  }
  const lists = listFunctions(global);
  for (const name in lists) put(global.Array.prototype, name, lists[name]);
  const strings = global.String.prototype;
  put(strings, "split", searching(strings.split, "split", Symbol.split));
  put(strings, "replace", searching(strings.replace, "replace", Symbol.replace));
  put(strings, "replaceAll", searching(strings.replaceAll, "replaceAll", Symbol.replace));
  put(global.String, "raw", raw);
}
