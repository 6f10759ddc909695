// nano, the client of most Node.js applications: documents, bulk, attachments, feeds, partitions.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import nano from 'nano';
import { cars, picture } from './datasets.mjs';
import { startServer } from './server.mjs';

let server;
let couch;
before(async () => {
  server = await startServer();
  couch = nano(server.url);
});
after(() => server.stop());

async function withDatabase(name, options, work) {
  await couch.db.create(name, options);
  try {
    await work(couch.use(name));
  } finally {
    await couch.db.destroy(name);
  }
}

test('documents live and die', () => withDatabase('nano-docs', {}, async (db) => {
  const first = await db.insert({ happy: true }, 'rabbit');
  assert.match(first.rev, /^1-[0-9a-f]{32}$/);
  const second = await db.insert({ happy: false, _rev: first.rev }, 'rabbit');
  await assert.rejects(db.insert({ _rev: first.rev }, 'rabbit'), { statusCode: 409, error: 'conflict' });
  assert.deepEqual(await db.get('rabbit'), { _id: 'rabbit', _rev: second.rev, happy: false });
  const head = await db.head('rabbit');
  assert.equal(head.etag, `"${second.rev}"`);
  await db.destroy('rabbit', second.rev);
  await assert.rejects(db.get('rabbit'), { statusCode: 404, reason: 'deleted' });
}));

test('bulk, lists and fetches', () => withDatabase('nano-bulk', { q: 4 }, async (db) => {
  const all = cars();
  const written = await db.bulk({ docs: all });
  assert.ok(written.every((row) => row.ok));
  const info = await db.info();
  assert.equal(info.doc_count, all.length);
  assert.equal(info.cluster.q, 4);
  const page = await db.list({ startkey: 'car-00100', limit: 3 });
  assert.deepEqual(page.rows.map((row) => row.id), ['car-00100', 'car-00101', 'car-00102']);
  assert.equal(page.total_rows, all.length);
  const fetched = await db.fetch({ keys: ['car-00007', 'nobody'] });
  assert.equal(fetched.rows[0].doc.Name, all[7].Name);
  assert.equal(fetched.rows[1].error, 'not_found');
  const backwards = await db.list({ descending: true, limit: 1 });
  assert.equal(backwards.rows[0].id, all.at(-1)._id);
}));

test('attachments, one by one and all at once', () => withDatabase('nano-files', {}, async (db) => {
  const data = picture();
  const { rev } = await db.attachment.insert('album', 'cover.png', data, 'image/png');
  assert.deepEqual(await db.attachment.get('album', 'cover.png'), data);
  const more = await db.multipart.insert(
    { title: 'mixed' },
    [{ name: 'a.png', data, content_type: 'image/png' }, { name: 'b.txt', data: 'hello', content_type: 'text/plain' }],
    'mixed',
  );
  const mixed = await db.get(more.id);
  assert.deepEqual(Object.keys(mixed._attachments).sort(), ['a.png', 'b.txt']);
  assert.equal((await db.attachment.get('mixed', 'b.txt')).toString(), 'hello');
  await db.attachment.destroy('album', 'cover.png', { rev });
  await assert.rejects(db.attachment.get('album', 'cover.png'), { statusCode: 404 });
}));

test('the changes reader follows and resumes', () => withDatabase('nano-feed', {}, async (db) => {
  await db.bulk({ docs: cars() });
  const seen = await new Promise((done, fail) => {
    const ids = [];
    db.changesReader.get({ batchSize: 100, since: '0', timeout: 500 })
      .on('change', (change) => ids.push(change.id))
      .on('end', () => done(ids))
      .on('error', fail);
  });
  assert.deepEqual(seen.sort(), cars().map((car) => car._id));
}));

test('partitioned databases', () => withDatabase('nano-partitions', { partitioned: true }, async (db) => {
  await db.bulk({ docs: cars().map((car) => ({ ...car, _id: `${car.Origin.toLowerCase()}:${car._id}` })) });
  const japan = cars().filter((car) => car.Origin === 'Japan').length;
  const info = await db.partitionInfo('japan');
  assert.equal(info.doc_count, japan);
  const list = await db.partitionedList('japan', { limit: 5 });
  assert.equal(list.rows.length, 5);
  assert.ok(list.rows.every((row) => row.id.startsWith('japan:')));
  await assert.rejects(db.insert({}, 'no-partition'), { statusCode: 400, error: 'illegal_docid' });
}));

test('sessions and uuids', async () => {
  const { hostname, port } = new URL(server.url);
  const { username, password } = new URL(server.url);
  const guest = nano(`http://${hostname}:${port}`);
  await assert.rejects(guest.auth(username, 'wrong'), { statusCode: 401 });
  const session = await guest.auth(username, password);
  assert.equal(session.ok, true);
  assert.equal((await guest.session()).userCtx.name, username);
  assert.equal((await couch.uuids(5)).uuids.length, 5);
});
