/**
 * Makes the prebuilt OHIF viewer ready to be served: `node ohif.mjs SOURCE TARGET RELEASE`.
 *
 * OHIF's packages are built for the root of a site and are neither minified nor compressed: 17 MB
 * of script come before the first image. Here their scripts learn where they lie
 * (/ohif/RELEASE/, an address that never changes what it means), are minified, and get compressed
 * copies beside them.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

import { minifySync } from 'vite';

const [source, target, release] = process.argv.slice(2);
const base = `/ohif/${release}/`;

/** Source maps; a runtime for neural networks whose models come from elsewhere; other sites' sign-in. */
const LEFT_OUT =
  /\.map$|^(ort|customizations)\/|^(sw|init-service-worker|google|app-config|oidc-client\.min|es6-shim\.min|polyfill\.min)\.js$|\.html$|^_|^(serve|manifest)\.json$|^assets\/(apple-touch|android-chrome|mstile|yandex|browserconfig|favicon|coast|firefox)/;
const COMPRESSED = /\.(js|css|wasm|svg|json|jsonc)$/;
/** What tools and services are called by must outlive minifying. */
const KEEP = { keepNames: { function: true, class: true } };
const APP = /^app\.bundle\./;

/** What no setting of OHIF's changes; `of` are the scripts that must hold it. */
const CHANGES = [
  { of: APP, from: '__webpack_require__.p = "/"', to: `__webpack_require__.p = "${base}"` },
  // Seven are made before the first image, however many viewports there are; each takes memory and
  // time that a PC of 4 GB has not. Viewports share them.
  { of: APP, from: 'webGlContextCount: 7', to: 'webGlContextCount: 2' },
  // Some modalities say "0\\0" where they do not know the pixel spacing, and nothing is drawn.
  {
    of: APP,
    from: 'if (data.Value === undefined) {\n          // In the case of type 2',
    to: `if (data.Value === undefined || (tag === '00280030' && !data.Value.every((value) => Number(value) > 0))) {
          // In the case of type 2`,
  },
];

function adapted(name, text) {
  if (name.endsWith('.css')) return text.replaceAll('url(/', `url(${base}`);
  const placed = CHANGES.reduce((said, { of, from, to }) => {
    if (of.test(name) && !said.includes(from)) throw new Error(`${name}: nothing to change at ${from}`);
    return said.replaceAll(from, to);
  }, text);
  if (name.includes('.min.')) return placed;
  const { code, errors } = minifySync(name, placed, {
    compress: KEEP,
    mangle: KEEP,
    codegen: { legalComments: 'inline' },
  });
  if (errors.length > 0) throw new Error(`${name}: ${errors[0].message}`);
  return code;
}

async function prepare(name) {
  const bytes = await readFile(join(source, name));
  const isText = /\.(js|css)$/.test(name);
  const ready = isText ? Buffer.from(adapted(name, bytes.toString())) : bytes;
  const file = join(target, release, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, ready);
  if (!COMPRESSED.test(name) || ready.length < 1024) return;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 9,
    [constants.BROTLI_PARAM_LGWIN]: 22,
    [constants.BROTLI_PARAM_SIZE_HINT]: ready.length,
  };
  await writeFile(`${file}.gz`, await promisify(gzip)(ready, { level: 9 }));
  await writeFile(`${file}.br`, await promisify(brotliCompress)(ready, { params }));
}

const page = (script) => `<!doctype html>
<html lang="vi">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1, maximum-scale=1, user-scalable=no" />
    <meta name="theme-color" content="#000000" />
    <meta name="robots" content="noindex, nofollow" />
    <link rel="icon" href="/icon.svg" type="image/svg+xml" />
    <title>Filmless · OHIF</title>
    <script src="/ohif/app-config.js"></script>
    <script defer src="${base}${script}"></script>
    <link href="${base}app.bundle.css" rel="stylesheet" />
  </head>
  <body>
    <div id="react-portal"></div>
    <div id="root"></div>
  </body>
</html>
`;

const names = (await readdir(source, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(source.length + 1).replaceAll('\\', '/'))
  .filter((name) => !LEFT_OUT.test(name));
const script = names.find((name) => /^app\.bundle\.[0-9a-f]+\.js$/.test(name));
if (script === undefined) throw new Error(`no OHIF viewer in ${source}`);
for (const name of names) await prepare(name);
await writeFile(join(target, 'index.html'), page(script));
await writeFile(join(target, 'release.json'), JSON.stringify({ release }));
