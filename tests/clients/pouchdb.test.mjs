// PouchDB replicates real data up, down and live, with attachments and conflicts.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import PouchDB from 'pouchdb-core';
import httpAdapter from 'pouchdb-adapter-http';
import memoryAdapter from 'pouchdb-adapter-memory';
import replication from 'pouchdb-replication';
import { cars, movies, picture } from './datasets.mjs';
import { startServer } from './server.mjs';

PouchDB.plugin(httpAdapter).plugin(memoryAdapter).plugin(replication);

let server;
before(async () => { server = await startServer(); });
after(() => server.stop());

let count = 0;
const local = () => new PouchDB(`local-${count += 1}`, { adapter: 'memory' });
const remote = (name) => new PouchDB(`${server.url}/${name}`);

/** Everything that a replica must agree about: ids, revisions, bodies, conflicts. */
async function contents(db) {
  const { rows } = await db.allDocs({ include_docs: true, conflicts: true });
  return new Map(rows.map((row) => [row.id, row.doc]));
}

async function assertSame(one, other) {
  const [left, right] = [await contents(one), await contents(other)];
  assert.equal(left.size, right.size);
  for (const [id, doc] of left) assert.deepEqual(doc, right.get(id), id);
}

test('the movies go up and come down unchanged', async () => {
  const [source, middle, target] = [local(), remote('pouch-movies'), local()];
  const all = movies();
  assert.equal(all.length, 3201);
  await source.bulkDocs(all);
  const up = await source.replicate.to(middle);
  assert.equal(up.docs_written, 3201);
  assert.equal((await middle.info()).doc_count, 3201);
  const down = await target.replicate.from(middle);
  assert.equal(down.docs_written, 3201);
  assert.equal(down.doc_write_failures, 0);
  await assertSame(source, target);
  // Nothing is left to do: the checkpoints hold on both sides.
  assert.equal((await source.replicate.to(middle)).docs_read, 0);
  assert.equal((await target.replicate.from(middle)).docs_read, 0);
  await middle.destroy();
});

test('deletions, updates and conflicts arrive', async () => {
  const [one, two, middle] = [local(), local(), remote('pouch-cars')];
  await one.bulkDocs(cars());
  await one.replicate.to(middle);
  await two.replicate.from(middle);
  const mine = await one.get('car-00001');
  await one.put({ ...mine, Name: 'mine' });
  const yours = await two.get('car-00001');
  await two.put({ ...yours, Name: 'yours' });
  await two.remove(await two.get('car-00002'));
  await one.sync(middle);
  await two.sync(middle);
  await one.sync(middle);
  await assertSame(one, two);
  const winner = await middle.get('car-00001', { conflicts: true });
  assert.equal(winner._conflicts.length, 1);
  await assert.rejects(middle.get('car-00002'), { status: 404, reason: 'deleted' });
  await middle.destroy();
});

test('attachments travel both ways', async () => {
  const [source, middle, target] = [local(), remote('pouch-attachments'), local()];
  const data = picture();
  for (let n = 0; n < 20; n += 1) {
    const put = await source.put({ _id: `doc-${n}`, n });
    const big = Buffer.alloc(200_000, `${n}`);
    const second = await source.putAttachment(`doc-${n}`, 'icon.png', put.rev, data, 'image/png');
    await source.putAttachment(`doc-${n}`, 'text/notes.txt', second.rev, big, 'text/plain');
  }
  const up = await source.replicate.to(middle);
  assert.equal(up.docs_written, 20);
  const down = await target.replicate.from(middle);
  assert.equal(down.docs_written, 20);
  for (let n = 0; n < 20; n += 1) {
    assert.ok(data.equals(await target.getAttachment(`doc-${n}`, 'icon.png')));
    const notes = await middle.getAttachment(`doc-${n}`, 'text/notes.txt');
    assert.ok(notes.equals(Buffer.alloc(200_000, `${n}`)));
  }
  await middle.destroy();
});

test('live replication brings changes as they happen', { timeout: 60_000 }, async () => {
  const [source, middle, target] = [local(), remote('pouch-live'), local()];
  await middle.info();
  const up = source.replicate.to(middle, { live: true, retry: true });
  const down = target.replicate.from(middle, { live: true, retry: true });
  const arrived = new Promise((done, fail) => {
    let seen = 0;
    down.on('error', fail).on('change', (change) => {
      seen += change.docs.length;
      if (seen >= 100) done();
    });
  });
  for (let n = 0; n < 100; n += 1) await source.put({ _id: `live-${n}`, n });
  await arrived;
  assert.equal((await target.info()).doc_count, 100);
  const [upEnd, downEnd] = [up, down].map((r) => new Promise((done) => r.on('complete', done)));
  up.cancel();
  down.cancel();
  await Promise.all([upEnd, downEnd]);
  await middle.destroy();
});

test('a changes listener hears of writes', { timeout: 60_000 }, async () => {
  const db = remote('pouch-changes');
  await db.info();
  const heard = new Promise((done, fail) => {
    const feed = db.changes({ live: true, since: 'now', include_docs: true });
    feed.on('error', fail).on('change', (change) => { feed.cancel(); done(change); });
  });
  await new Promise((done) => setTimeout(done, 200));
  await db.put({ _id: 'news', headline: 'it works' });
  assert.equal((await heard).doc.headline, 'it works');
  await db.destroy();
});
