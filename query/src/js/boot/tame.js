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

// Length of what an array's function is applied to. Lengths that change when one looks are no good.
function lengthOf(value) {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return 0;
  const own = describeOwn(value, "length");
  if (own === undefined) return 0;
  const length = own.value;
  if (typeof length !== "number" || !(length <= lengthMax)) throw tooLong("array");
  return length;
}

// `this` of an array's function. A length that it inherits is as bad as one that changes.
function weighArray(array) {
  if (!isList(array) && typeof array === "object" && array !== null
      && describeOwn(array, "length") === undefined && "length" in array) throw tooLong("array");
  return lengthOf(array);
}

function weighArrays(array, args) {
  let total = weighArray(array);
  for (let i = 0; i < args.length; i++) total += lengthOf(args[i]);
  return total;
}

// Lists in lists, as far as `flat` may go down.
function weighNested(array, args) {
  let total = 0;
  const left = [[array, args.length > 0 ? +args[0] : 1]];
  while (left.length > 0) {
    const [list, depth] = left.pop();
    const length = weighArray(list);
    total += length;
    if (!(depth >= 1)) continue;
    for (let i = 0; i < length; i++) {
      const own = describeOwn(list, i);
      if (own !== undefined && isList(own.value)) left[left.length] = [own.value, depth - 1];
    }
    if (total > lengthMax) throw tooLong("array");
  }
  return total;
}

const weighText = (text) => (typeof text === "string" ? text.length : 1000);

function weighSearch(text, args) {
  const what = args[0];
  if (typeof text === "string" && typeof what !== "string") return text.length;
  const length = weighText(text);
  if (typeof what === "string" && length * what.length > searchMax) throw tooLong("string search");
  return length + (what.length > 100 ? length : 0);
}

// Marks that combine are brought into order pair by pair.
const manyMarks = /\p{M}{5000}/u;
function weighMarks(text) {
  const length = weighText(text);
  if (length > 5000 && manyMarks.test(text)) throw tooLong("run of combining marks");
  return length * 10;
}

const weighCompare = (text, args) => weighMarks(text) + weighMarks(args[0]);
const weighRepeat = (text, args) => weighText(text) * (args[0] > 0 ? +args[0] : 1);
const weighPad = (text, args) => (args[0] > 0 ? +args[0] : 1);
const weighUnknown = () => 1e5;

// The digits of a number cost the square of their count.
const bigMax = 1n << 65536n;
function weighDigits(big) {
  if (typeof big === "bigint" && (big > bigMax || -big > bigMax)) throw tooLong("number");
  return 1e5;
}
const weighJson = (json, args) => weighText(args[0]);

// What String.raw goes through is as long as its first argument says.
const weighRaw = (string, args) => lengthOf(args[0] && args[0].raw);

const sizeOfSet = describeOwn(Set.prototype, "size").get;

// Sets only: what merely looks like one may go on for ever.
function weighSet(set, args) {
  return call(sizeOfSet, set) + call(sizeOfSet, args[0]);
}

const guards = [
  ["String.prototype", weighSearch, ["indexOf", "lastIndexOf", "includes", "split", "replace", "replaceAll"]],
  ["String.prototype", weighText, ["toLowerCase", "toUpperCase", "toLocaleLowerCase", "toLocaleUpperCase"]],
  ["String.prototype", weighText, ["match", "matchAll", "search"]],
  ["String.prototype", weighMarks, ["normalize"]],
  ["String.prototype", weighCompare, ["localeCompare"]],
  ["String.prototype", weighRepeat, ["repeat"]],
  ["String.prototype", weighPad, ["padStart", "padEnd"]],
  ["String", weighRaw, ["raw"]],
  ["Array.prototype", weighArray, ["join", "slice", "indexOf", "lastIndexOf", "includes", "reverse", "sort",
    "splice", "shift", "copyWithin", "fill", "toReversed", "toSorted", "toSpliced", "with", "unshift",
    "toString", "toLocaleString"]],
  ["Array.prototype", weighArrays, ["concat"]],
  ["Array.prototype", weighNested, ["flat"]],
  ["Set.prototype", weighSet, ["union", "intersection", "difference", "symmetricDifference",
    "isSubsetOf", "isSupersetOf", "isDisjointFrom"]],
  ["BigInt.prototype", weighDigits, ["toString", "toLocaleString"]],
  ["Object", weighUnknown, ["keys", "values", "entries", "assign", "getOwnPropertyNames", "freeze", "seal",
    "getOwnPropertyDescriptors", "getOwnPropertySymbols", "isFrozen", "isSealed", "fromEntries"]],
  ["Reflect", weighUnknown, ["ownKeys"]],
  ["JSON", weighUnknown, ["stringify"]],
  ["JSON", weighJson, ["parse"]],
  ["Date", weighJson, ["parse"]],
  ["", weighJson, ["escape", "unescape", "encodeURI", "encodeURIComponent", "decodeURI",
    "decodeURIComponent", "parseInt", "parseFloat"]],
];

// The engine's parser doesn't stand running out of memory. So nothing is parsed without so much room
// as it can need: functions in functions take much, but no more of them than the stack has room for.
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

function guarded(native, name, weight) {
  return {
    [name](...args) {
      weigh(weight(this, args));
      return apply(native, this, args);
    },
  }[name];
}

function tame(global) {
  tameParsers(global);
  // CouchDB's engine has none of these, and they would need guards.
  const iterators = Object.getPrototypeOf(Object.getPrototypeOf(global.Array.prototype.values()));
  for (const name of Object.getOwnPropertyNames(iterators)) delete iterators[name];
  for (const name of ["Promise", "queueMicrotask", "Iterator"]) delete global[name];
  for (const [path, weight, names] of guards) {
    let owner = global;
    for (const step of path === "" ? [] : path.split(".")) owner = owner[step];
    for (const name of names) {
      const native = owner[name];
      if (typeof native !== "function") continue;
      const value = guarded(native, name, weight);
      defineOwn(owner, name, { value, writable: true, enumerable: false, configurable: true });
    }
  }
}
