// PouchDB with sessions: one login, cookies from then on, and a new login when a session has ended.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import nano from 'nano';
import PouchDB from 'pouchdb-core';
import http from 'pouchdb-adapter-http';
import session from 'pouchdb-session-authentication';
import { startServer } from './server.mjs';

PouchDB.plugin(http);
PouchDB.plugin(session.default ?? session);

let server;
let couch;
before(async () => {
  server = await startServer();
  couch = nano(server.url);
  await couch.db.create('sessions');
});
after(async () => {
  await couch.db.destroy('sessions').catch(() => {});
  await server.stop();
});

test('a login lasts for many requests, and is made anew when it is over', async () => {
  const asked = [];
  const fetching = (url, options) => {
    asked.push([new URL(url).pathname, options.headers.get('cookie'), options.headers.get('authorization')]);
    return PouchDB.fetch(url, options);
  };
  const { username, password } = new URL(server.url);
  const url = server.url.replace(`${username}:${password}@`, '');
  const db = new PouchDB(`${url}/sessions`, { auth: { username, password }, fetch: fetching });
  for (let n = 0; n < 5; n += 1) await db.put({ _id: `d${n}` });
  assert.equal((await db.allDocs()).total_rows, 5);
  const [[login], ...others] = asked;
  assert.equal(login, '/_session');
  for (const [path, cookie, authorization] of others) {
    assert.match(cookie, /^AuthSession=./, path);
    assert.equal(authorization, null, path);
  }
  const timeout = '_node/_local/_config/chttpd_auth/timeout';
  const set = (value) => couch.request({ method: 'PUT', path: timeout, body: value });
  await set('1');
  await new Promise((done) => setTimeout(done, 2500));
  await set('600');
  await db.put({ _id: 'later' });
  assert.equal((await db.allDocs()).total_rows, 6);
  await couch.request({ method: 'DELETE', path: timeout }).catch(() => {});
});
