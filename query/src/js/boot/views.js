// Views: maps over one document at a time, reduces over rows, and a map as a filter of changes.

const maps = [];
let mapsWrite = false;
const reduces = [];
let rows = [];
let emitted = false;

function emit(key, value) {
  rows[rows.length] = [key, plain(value)];
}

function noteEmit() {
  emitted = true;
}

// CouchDB gives functions of views no more of the design document than its library.
api.addMap = (source, parser, global, lib) => {
  const run = careful(parser);
  furnish(global, { require: requirer({ views: { lib: lib === undefined ? null : lib } }, run) });
  maps[maps.length] = compile(source, run);
  if (mayWrite(source)) mapsWrite = true;
};

api.addReduce = (source, parser, global) => {
  furnish(global, {});
  reduces[reduces.length] = compile(source, careful(parser));
};

// Whether documents are frozen; for tests.
api.writes = () => mapsWrite;

// What a view may throw to make the whole query fail, instead of being skipped.
function passFatal(e) {
  passLimits(e);
  if (e == "fatal_error") throw answer("map_runtime_error", "function raised 'fatal_error'");
  if (e === undefined) return;
  if (e[0] == "fatal") throw e;
  if (e.name == "InternalError") throw answer(e.name, e.message);
}

function skip(e, where) {
  passFatal(e);
  host.log("function raised exception " + said(e) + where);
}

// One list of [key, value] for each view, as JSON.
api.map = (doc) => {
  if (mapsWrite) freezeAll(doc);
  const all = [];
  for (let i = 0; i < maps.length; i++) {
    rows = [];
    try {
      maps[i](doc);
      all[i] = rows;
    } catch (e) {
      skip(e, " with doc._id " + text(doc._id));
      all[i] = [];
    }
  }
  rows = [];
  try {
    return stringify(all);
  } catch (e) {
    return stringifyEach(all, doc);
  }
};

// A view whose rows can't be written is skipped; the others aren't to suffer for it.
function stringifyEach(all, doc) {
  const texts = [];
  for (let i = 0; i < all.length; i++) {
    try {
      texts[i] = stringify(all[i]);
    } catch (e) {
      skip(e, " with doc._id " + text(doc._id));
      texts[i] = "[]";
    }
  }
  return "[" + texts.join(",") + "]";
}

api.reduce = (index, keys, values, rereduce) => {
  let result;
  try {
    result = reduces[index](keys, values, rereduce);
  } catch (e) {
    skip(e, "");
    result = null;
  }
  rows = [];
  const written = stringify(result);
  return written === undefined ? "null" : written;
};

api.filterView = (name, doc) => {
  emitted = false;
  point(["views", name, "map"])(doc);
  return emitted;
};
