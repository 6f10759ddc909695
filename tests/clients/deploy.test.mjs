// Those who bring a server into shape: couchdb-bootstrap and couchdb-push with a folder of configuration,
// users, security and documents, twice; and what the guide of Obsidian LiveSync has its users run.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import bootstrap from 'couchdb-bootstrap';
import push from 'couchdb-push';
import nano from 'nano';
import { startServer } from './server.mjs';

let server;
let couch;
let folder;

before(async () => {
  server = await startServer();
  couch = nano(server.url);
  folder = mkdtempSync(join(tmpdir(), 'settee-deploy-'));
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await server.stop();
});

function write(files) {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  }
}

const config = (path) => couch.request({ path: `_node/_local/_config/${path}` });

test('couchdb-bootstrap makes what a folder says, and changes nothing the second time', async () => {
  write({
    'project/_config.json': { couchdb: { max_document_size: '1000000' } },
    'project/_users/carl.json': { _id: 'org.couchdb.user:carl', name: 'carl', password: 'secret', roles: ['cooks'], type: 'user' },
    'project/kitchen/_security.json': { admins: { names: [], roles: ['_admin'] }, members: { names: [], roles: ['cooks'] } },
    'project/kitchen/soup.json': { _id: 'soup', leeks: 3 },
    'project/kitchen/_design/lists/language': 'javascript',
    'project/kitchen/_design/lists/views/leeks/map.js': 'function (doc) { emit(doc.leeks) }',
  });
  const source = join(folder, 'project');
  const run = () => promisify(bootstrap)(server.url, source);
  await run();
  assert.equal(await config('couchdb/max_document_size'), '1000000');
  const carl = nano({ url: server.url.replace('admin:pass', 'carl:secret') });
  assert.equal((await carl.use('kitchen').get('soup')).leeks, 3);
  assert.equal((await carl.use('kitchen').view('lists', 'leeks')).rows.length, 1);
  const stranger = nano(server.url.replace('admin:pass@', ''));
  await assert.rejects(stranger.use('kitchen').get('soup'), { statusCode: 401 });
  const before = await couch.db.get('kitchen');
  await run();
  assert.equal((await couch.db.get('kitchen')).doc_del_count, before.doc_del_count);
  assert.equal((await couch.use('kitchen').get('soup'))._rev.split('-')[0], '1');
  await couch.db.destroy('kitchen');
});

test('couchdb-push brings design documents and attachments', async () => {
  write({
    'app/_id': '_design/app',
    'app/views/all/map.js': 'function (doc) { emit(doc._id) }',
    'app/_attachments/index.html': '<h1>here</h1>',
    'plain/_id': '_design/plain',
    'plain/views/all/map.js': 'function (doc) { emit(doc._id) }',
  });
  await couch.db.create('pushed');
  const run = (name) => promisify(push)(`${server.url}/pushed`, join(folder, name));
  assert.equal((await run('app')).ok, true);
  const page = await couch.use('pushed').attachment.get('_design/app', 'index.html');
  assert.equal(page.toString(), '<h1>here</h1>');
  assert.equal((await run('plain')).ok, true);
  assert.equal((await run('plain')).unchanged, true);
  await couch.db.destroy('pushed');
});

test('the settings of Obsidian LiveSync hold', async () => {
  const wanted = {
    'chttpd/require_valid_user': 'true',
    'chttpd_auth/require_valid_user': 'true',
    'httpd/WWW-Authenticate': 'Basic realm="couchdb"',
    'httpd/enable_cors': 'true',
    'chttpd/enable_cors': 'true',
    'chttpd/max_http_request_size': '4294967296',
    'couchdb/max_document_size': '50000000',
    'cors/credentials': 'true',
    'cors/origins': 'app://obsidian.md,capacitor://localhost,http://localhost',
  };
  const { username, password } = new URL(server.url);
  const setup = { action: 'enable_single_node', username, password, bind_address: '127.0.0.1', port: 5984, singlenode: true };
  await couch.request({ method: 'POST', path: '_cluster_setup', body: setup });
  for (const [key, value] of Object.entries(wanted)) {
    await couch.request({ method: 'PUT', path: `_node/_local/_config/${key}`, body: value });
  }
  for (const [key, value] of Object.entries(wanted)) assert.equal(await config(key), value, key);
  const origin = 'app://obsidian.md';
  const url = server.url.replace('admin:pass@', '');
  const preflight = await fetch(`${url}/notes`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization,content-type' },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), origin);
  const stranger = await fetch(`${url}/`, { headers: { origin } });
  assert.equal(stranger.status, 401);
  assert.equal(stranger.headers.get('www-authenticate'), 'Basic realm="couchdb"');
  for (const key of Object.keys(wanted)) {
    await couch.request({ method: 'DELETE', path: `_node/_local/_config/${key}` }).catch(() => {});
  }
  assert.equal((await fetch(`${url}/`)).status, 200);
});
