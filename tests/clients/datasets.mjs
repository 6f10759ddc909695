// Real data: the movies and cars of vega-datasets, as documents with readable ids.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

const folder = join(dirname(require.resolve('vega-datasets/package.json')), 'data');

const number = (n) => `${n}`.padStart(5, '0');

function load(file, kind) {
  const rows = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  return rows.map((row, n) => ({ _id: `${kind}-${number(n)}`, kind, ...row }));
}

export const movies = () => load('movies.json', 'movie');
export const cars = () => load('cars.json', 'car');

/** A picture that lies beside the data, for attachments. */
export const picture = () => readFileSync(join(folder, '7zip.png'));
