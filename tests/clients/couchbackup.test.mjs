// @cloudant/couchbackup backs a database up into a file and restores it into another.
import assert from 'node:assert/strict';
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import couchbackup from '@cloudant/couchbackup';
import nano from 'nano';
import { cars, movies } from './datasets.mjs';
import { startServer } from './server.mjs';

let server;
before(async () => { server = await startServer(); });
after(() => server.stop());

const run = (call) => new Promise((done, fail) => {
  call((error, result) => (error ? fail(error) : done(result)));
});

test('a backup restores to the same documents', { timeout: 120_000 }, async () => {
  const couch = nano(server.url);
  const folder = mkdtempSync(join(tmpdir(), 'settee-backup-'));
  const file = join(folder, 'backup.txt');
  for (const name of ['backup-source', 'backup-target']) await couch.db.create(name);
  const source = couch.use('backup-source');
  await source.bulk({ docs: [...movies(), ...cars()] });
  const { _rev: rev } = await source.get('car-00003');
  await source.destroy('car-00003', rev);

  const saved = await run((done) => couchbackup.backup(
    `${server.url}/backup-source`, createWriteStream(file), { parallelism: 2 }, done));
  const restored = await run((done) => couchbackup.restore(
    createReadStream(file), `${server.url}/backup-target`, { parallelism: 2 }, done));
  assert.equal(saved.total, restored.total);

  const target = couch.use('backup-target');
  const [left, right] = await Promise.all([source, target].map((db) => db.list({ include_docs: true })));
  assert.equal(left.rows.length, movies().length + cars().length - 1);
  assert.deepEqual(left.rows, right.rows);
  for (const name of ['backup-source', 'backup-target']) await couch.db.destroy(name);
  rmSync(folder, { recursive: true });
});
