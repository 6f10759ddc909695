// Fauxton in Chromium: somebody logs in and does on every page what it is there for. Nothing may fail on
// the way: no request, and nothing that the browser's console calls an error. A picture of each page
// is kept in target/fauxton-pages.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import nano from 'nano';
import { chromium } from 'playwright-core';
import { startServer } from './server.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pictures = join(root, 'target', 'fauxton-pages');
const database = 'fauxton-shop';

let server;
let couch;
let browser;
let page;
let wrong = [];

before(async () => {
  mkdirSync(pictures, { recursive: true });
  server = await startServer(['--fauxton', join(root, 'target', 'fauxton', 'dist', 'release')]);
  couch = nano(server.url);
  await couch.db.destroy(database).catch(() => {});
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  page.setDefaultTimeout(30000);
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') wrong.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on('requestfailed', (request) => {
    // Who leaves a page ends its requests.
    const reason = request.failure()?.errorText;
    if (reason !== 'net::ERR_ABORTED') wrong.push(`${request.method()} ${request.url()}: ${reason}`);
  });
  page.on('response', (response) => {
    const request = response.request();
    if (response.status() >= 400) wrong.push(`${request.method()} ${response.url()}: ${response.status()}`);
  });
});

after(async () => {
  await browser?.close();
  await couch?.db.destroy(database).catch(() => {});
  await server?.stop();
});

/** Goes to a page of Fauxton's, as somebody does who comes from elsewhere. */
async function go(place) {
  const url = new URL(server.url);
  await page.goto('about:blank');
  await page.goto(`${url.protocol}//${url.host}/_utils/#/${place}`);
}

/** A test on one page: work on it, take its picture, and nothing may have failed. */
function on(name, work) {
  test(name, async () => {
    wrong = [];
    const failed = await work().then(() => null, (error) => error);
    await page.screenshot({ path: join(pictures, `${name.replaceAll(' ', '-')}.png`) });
    assert.deepEqual(wrong, []);
    if (failed) throw failed;
  });
}

const see = (text) => page.getByText(text).locator('visible=true').first().waitFor();
const stored = (id) => couch.use(database).get(id);

async function until(check) {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await check().catch(() => false)) return;
    await page.waitForTimeout(100);
  }
  assert.fail(`this never came true: ${check}`);
}

/** Puts a text in the place of all that stands in the editor. */
async function write(text) {
  await page.locator('.ace_content').first().click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(text);
}

on('log in', async () => {
  const { username, password } = new URL(server.url);
  await go('login');
  await page.fill('#username', username);
  await page.fill('#password', password);
  await page.click('#submit');
  await see('Log Out');
});

on('databases', async () => {
  await go('_all_dbs');
  await see('_users');
  await page.click('text=Create Database');
  await page.fill('.new-database-tray input[type=text]', database);
  await page.click('text=Non-partitioned');
  await page.click('text="Create"');
  await until(async () => (await couch.db.get(database)).doc_count === 0);
  await go('_all_dbs');
  await see(database);
});

on('document', async () => {
  await go(`database/${database}/_new`);
  await page.waitForSelector('.ace_content');
  await write('{"_id": "green-tea", "kind": "drink", "price": 3}');
  await page.click('text=Create Document');
  await until(async () => (await stored('green-tea')).price === 3);
  await go(`database/${database}/green-tea`);
  await page.waitForSelector('.ace_content');
  const { _rev } = await stored('green-tea');
  await write(JSON.stringify({ _id: 'green-tea', _rev, kind: 'drink', price: 4 }));
  await page.click('text=Save Changes');
  await until(async () => (await stored('green-tea')).price === 4);
});

on('attachment', async () => {
  await go(`database/${database}/green-tea`);
  await page.click('text=Upload Attachment');
  const content = Buffer.from('two spoons, five minutes');
  await page.setInputFiles('input[type=file]', { name: 'how.txt', mimeType: 'text/plain', buffer: content });
  await page.click('#upload-btn');
  await until(async () => (await stored('green-tea'))._attachments['how.txt'].length === content.length);
  await page.waitForTimeout(500);
  await go(`database/${database}/_all_docs`);
  await go(`database/${database}/green-tea`);
  await page.click('text=View Attachments');
  await see('how.txt');
});

on('documents', async () => {
  await couch.use(database).bulk({ docs: ['bread', 'jam'].map((_id, price) => ({ _id, kind: 'food', price })) });
  await go(`database/${database}/_all_docs`);
  for (const id of ['bread', 'jam', 'green-tea']) await see(id);
  await page.click('text=Table');
  await see('price');
  await page.click('text=JSON');
});

on('mango index', async () => {
  await go(`database/${database}/_index`);
  await page.waitForSelector('.ace_content');
  await write('{"index": {"fields": ["kind"]}, "name": "by-kind", "type": "json"}');
  await page.click('#create-index-btn');
  await until(async () => (await couch.request({ db: database, path: '_index' })).total_rows === 2);
  await see('json: kind');
});

on('mango query', async () => {
  await go(`database/${database}/_find`);
  await page.waitForSelector('.ace_content');
  await write('{"selector": {"kind": "food"}}');
  await page.click('#create-index-btn');
  await see('bread');
  await page.click('#explain-btn');
  await see('by-kind');
});

on('view', async () => {
  await go(`database/${database}/new_view`);
  await page.fill('#new-ddoc', 'lists');
  await page.fill('#index-name', 'by-price');
  await write('function (doc) { emit(doc.price, doc.kind); }');
  // The editor takes over what was written when it is left.
  await page.click('#index-name');
  await page.click('#save-view');
  await until(async () => (await stored('_design/lists')).views['by-price']);
  await go(`database/${database}/_design/lists/_view/by-price`);
  await see('drink');
  await go(`database/${database}/_design/lists/_info`);
  await see('Index Information');
});

on('permissions', async () => {
  await go(`database/${database}/permissions`);
  await page.locator('input[placeholder=Role]').last().fill('cooks');
  await page.locator('text=Add Role').last().click();
  const members = async () => (await couch.request({ db: database, path: '_security' })).members;
  await until(async () => (await members()).roles.includes('cooks'));
});

on('changes', async () => {
  await go(`database/${database}/_changes`);
  for (const id of ['bread', 'jam', 'green-tea', '_design/lists']) await see(id);
});

on('conflict', async () => {
  const lost = { _id: 'green-tea', _rev: '3-0', kind: 'drink', price: 5 };
  await couch.use(database).bulk({ new_edits: false, docs: [lost] });
  // Not by way of the editor: before CouchDB, too, Fauxton 1.2.6 may break there on a conflict.
  await go(`database/${database}/green-tea/conflicts`);
  await see('Conflicting Revisions');
});

on('active tasks', async () => {
  await go('activetasks');
  await see('Active Tasks');
  await see('Replication');
});

on('configuration', async () => {
  await go('_config');
  await see('max_document_size').catch(() => see('chttpd'));
  await page.click('#add-option-button');
  await page.fill('input[name=section]', 'log');
  await page.fill('input[name=name]', 'level');
  await page.fill('input[name=value]', 'warning');
  await page.click('text=Create');
  const level = () => couch.request({ path: '_node/_local/_config/log/level' });
  await until(async () => (await level()) === 'warning');
  await couch.request({ method: 'DELETE', path: '_node/_local/_config/log/level' });
});

on('cors', async () => {
  await page.click('text=CORS');
  await page.click('text=Enable CORS');
  const enabled = () => couch.request({ path: '_node/_local/_config/chttpd/enable_cors' });
  await until(async () => (await enabled()) === 'true');
  await page.click('text=Disable CORS');
  await page.click('.modal-footer >> text=Disable CORS').catch(() => {});
  await until(async () => (await enabled()) === 'false');
});

on('users', async () => {
  const ann = { _id: 'org.couchdb.user:ann', name: 'ann', password: 'secret', roles: [], type: 'user' };
  await couch.use('_users').destroy(ann._id, (await couch.use('_users').get(ann._id).catch(() => ({})))._rev).catch(() => {});
  await go('database/_users/_new');
  await page.waitForSelector('.ace_content');
  await write(JSON.stringify(ann));
  await page.click('text=Create Document');
  await until(async () => (await couch.use('_users').get(ann._id)).derived_key);
  await go('database/_users/_all_docs');
  await see(ann._id);
});

on('administrators', async () => {
  await go('addAdmin');
  await page.fill('#username', 'eve');
  await page.fill('#password', 'secret');
  await page.click('#create-admin');
  const eve = () => couch.request({ path: '_node/_local/_config/admins/eve' });
  await until(async () => (await eve()).startsWith('-pbkdf2'));
  await couch.request({ method: 'DELETE', path: '_node/_local/_config/admins/eve' });
});

on('setup', async () => {
  await go('setup');
  await see('Configure a Single Node');
});

on('verify install', async () => {
  await go('verifyinstall');
  // It replicates, too, and asks for databases that it has not made.
  await see('Verify Installation');
});

on('documentation', async () => {
  await go('documentation');
  await see('CouchDB');
});

on('delete a database', async () => {
  await go('_all_dbs');
  const row = page.locator('tr', { hasText: database });
  await row.locator('.icon-trash').click();
  await page.fill('.delete-db-modal input[type=text]', database);
  await page.click('.delete-db-modal >> text=Delete Database');
  await until(() => couch.db.get(database).then(() => false, (error) => error.statusCode === 404));
});

on('log out', async () => {
  await page.click('text=Log Out');
  await page.waitForSelector('#username');
});
