// What every check stands on: the options, the browser, the prompter, the list.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { assert, Checks, Complaints, dress, launch, PATIENCE_MS, settled, startProxy, until } from './drive.mjs';
import { LOOKS, SHOW } from './script.mjs';

export const { values: options } = parseArgs({
  options: {
    url: { type: 'string', default: process.env.PANEL_URL },
    cue: { type: 'string', default: process.env.PANEL_CUE },
    secret: { type: 'string', default: process.env.PANEL_SECRET },
    pictures: { type: 'string', default: process.env.PANEL_PICTURES },
    chromium: { type: 'string', default: process.env.CHROMIUM ?? '/usr/bin/chromium' },
    only: { type: 'string' },
    'expect-caption': { type: 'string', multiple: true, default: [] },
    'paint-max-ms': { type: 'string', default: '100' },
  },
});
if (!options.url) throw new Error('Say where the panel is: --url http://127.0.0.1:8090');
if (options.pictures) mkdirSync(options.pictures, { recursive: true });

export const PAGES = ['/', '/kiosk', '/login'];

export const url = (path) => new URL(path, options.url).href;
/** Who has the secret needs no cookie: that is for pages. */
export const bearer = options.secret ? { Authorization: `Bearer ${options.secret}` } : {};
export const ask = (path) => fetch(url(path), { redirect: 'manual', headers: bearer });
export const checks = new Checks(options.only);
export const complaints = new Complaints();
export const proxy = await startProxy(options.url);
export const browser = await launch(options.chromium, proxy.port);

/** A page of the panel in a new tab, drawn and connected. */
export async function open(path, look) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await complaints.watch(page);
  await dress(page, { width: 1280, height: 800, ...look });
  await page.goto(url(path));
  if (path !== '/login') await settled(page);
  return page;
}

/** Tells the stand-in what to do; only where there is one. */
export async function cue(path, body = {}) {
  const answer = await fetch(new URL(path, options.cue), { method: 'POST', body: JSON.stringify(body) });
  return answer.json();
}
export const withCue = (name, check) => (options.cue ? checks.run(name, check) : checks.skip(name, 'needs the stand-in (--cue)'));

/** The state as the device tells it now. */
export const fetchState = async () => (await ask('/api/state')).json();

export async function picture(page, name) {
  if (options.pictures) await page.screenshot({ path: join(options.pictures, `${name}.png`) });
}

export const seen = (page, words) => until(page, (wanted) => document.body.innerText.includes(wanted), words);
export const shows = (page, name) => until(page, (wanted) => document.body.dataset.look === wanted, name);
export const rest = () => cue('/state');


/** Fills the pages with as much as there can be. */
export async function full() {
  await rest();
  await cue('/play', { every_ms: 0 });
  await cue('/patch', { look: { ...LOOKS.speaking, is_camera_running: true }, levels: { mic_db: -44, speaker_db: -17 }, health: { is_ok: false, texts: ['The clock is not set.'], viewers: 2 } });
}
export const filled = async () => { if (options.cue) await full(); };
export const withShow = async () => cue('/patch', { kiosk: { ...(await fetchState()).kiosk, show: SHOW } });

/** Does something on the page and answers the order that it sent. */
export async function ordered(page, act) {
  const answered = page.waitForResponse((response) => response.url().endsWith('/api/do') && response.request().method() === 'POST');
  const [answer] = await Promise.all([answered, act(page)]);
  const request = answer.request();
  assert(request.headers()['x-mynah'] === '1', 'the order lacks the header X-Mynah');
  return { body: JSON.parse(request.postData()), status: answer.status() };
}
