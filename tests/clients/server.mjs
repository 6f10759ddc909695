// A server for the client tests: SERVER_URL (any CouchDB) when it is set, else the settee that
// `cargo build` made, on a free port with a data directory of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

async function untilUp(url) {
  for (let tries = 0; tries < 300; tries += 1) {
    const answer = await fetch(new URL('/_up', url)).catch(() => null);
    if (answer?.ok) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${url} does not come up`);
}

/** Starts a server, with more of a command line; `url` carries the administrator's name and password. */
export async function startServer(more = []) {
  if (process.env.SERVER_URL) {
    return { url: process.env.SERVER_URL.replace(/\/$/, ''), stop() {} };
  }
  const data = mkdtempSync(join(tmpdir(), 'settee-clients-'));
  const port = await freePort();
  const program = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug', 'settee');
  const settee = spawn(program, ['serve', '--data', data, '--bind', '127.0.0.1', '--port', `${port}`, ...more], {
    env: { ...process.env, COUCHDB_USER: 'admin', COUCHDB_PASSWORD: 'pass', SETTEE_LOG: 'warn' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await untilUp(`http://127.0.0.1:${port}`);
  return {
    url: `http://admin:pass@127.0.0.1:${port}`,
    async stop() {
      const ended = new Promise((done) => settee.once('exit', done));
      settee.kill('SIGTERM');
      await ended;
      rmSync(data, { recursive: true, force: true });
    },
  };
}
