// Python's clients: what they do stands in clients_test.py.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { startServer } from './server.mjs';

const python = fileURLToPath(new URL('../../target/python/bin/python', import.meta.url));
const script = fileURLToPath(new URL('clients_test.py', import.meta.url));

let server;
before(async () => {
  server = await startServer();
});
after(() => server.stop());

test('couchdb3 and aiocouch', async () => {
  const run = spawn(python, ['-W', 'ignore', script], {
    env: { ...process.env, SERVER_URL: server.url },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const code = await new Promise((done) => run.once('exit', done));
  assert.equal(code, 0);
});
