// What is shown: states, captions, patches, and what happens when the line is cut.
import { assert, settled, until } from './drive.mjs';
import { audit } from './everybody.mjs';
import { conversation, LOOKS, SHOW } from './script.mjs';
import { ask, browser, complaints, cue, fetchState, open, options, picture, proxy, rest, seen, shows, url } from './stage.mjs';

export async function looks() {
  await rest();
  const [owner, kiosk] = [await open('/'), await open('/kiosk')];
  const shapes = new Set();
  for (const [name, look] of Object.entries(LOOKS)) {
    await cue('/patch', { look });
    await Promise.all([shows(owner, name), shows(kiosk, name)]);
    shapes.add(await owner.$eval('#state-icon path', (path) => path.getAttribute('d')));
    await seen(owner, look.text);
    const words = [await owner.$eval('#state-word', (one) => one.textContent), await kiosk.$eval('#state-word', (one) => one.textContent), await owner.title()];
    assert(words[0] && words[1] === words[0] && words[2].startsWith(words[0]), `${name} is told as ${words}`);
  }
  await cue('/patch', { look: { ...LOOKS.speaking, text: 'Speaking' } });
  await until(owner, () => document.getElementById('state-word').textContent === 'Speaking' && document.getElementById('state-text').textContent === '');
  assert(shapes.size === Object.keys(LOOKS).length, `${shapes.size} shapes for ${Object.keys(LOOKS).length} states`);
  await Promise.all([owner.close(), kiosk.close()]);
  return `${shapes.size} states, each with a word and a shape of its own`;
}

export async function captions() {
  await rest();
  const pages = [await open('/'), await open('/kiosk')];
  for (const page of pages) {
    await page.evaluate(() => {
      window.announced = [];
      new MutationObserver(() => window.announced.push(document.getElementById('said').textContent)).observe(document.getElementById('said'), { childList: true, subtree: true, characterData: true });
    });
  }
  const { asked, reply } = conversation();
  const over = cue('/play', { every_ms: 20 });
  await until(pages[0], () => document.querySelector('#captions .growing'));
  await Promise.all(pages.flatMap((page) => [seen(page, asked), seen(page, reply)]));
  await over;
  await seen(pages[0], '$1.24');
  for (const [page, words] of [[pages[0], '#captions li:last-child'], [pages[1], '#lines .model']]) assert((await page.$eval(words, (one) => one.lang)) === 'en', 'a screen reader is not told the language');
  assert((await pages[0].$$eval('#captions li', (all) => all.length)) === 2, 'each caption is one entry');
  const said = await Promise.all(pages.map((page) => page.evaluate(() => window.announced.filter(Boolean))));
  assert(said[0].length === 2 && said[0].join().includes(reply), `the owner's page spoke ${said[0].length} times: ${said[0]}`);
  assert(said[1].length === 1 && said[1][0] === reply, `the kiosk spoke ${said[1].length} times: ${said[1]}`);
  await Promise.all(pages.map((page) => page.close()));
  return `${reply.split(' ').length} pieces, spoken once`;
}

export async function expected() {
  const pages = [await open('/'), await open('/kiosk')];
  for (const words of options['expect-caption']) {
    await Promise.all(pages.map((page) => page.waitForFunction((wanted) => document.body.innerText.includes(wanted), { timeout: 60_000, polling: 100 }, words)));
  }
  await picture(pages[0], 'owner-conversation');
  await picture(pages[1], 'kiosk-conversation');
  await Promise.all(pages.map((page) => page.close()));
}

export async function patches() {
  await rest();
  const page = await open('/');
  await cue('/play', { every_ms: 0 });
  await seen(page, '$1.24');
  const before = await page.evaluateHandle(() => document.querySelector('#stills img'));
  for (const [patch, words] of [
    [{ cost: { session_usd: 1, day_usd: 5, day_limit_usd: 5, day_tokens: 7, is_spent: true } }, 'used up'],
    [{ parts: [{ part: 'speaker', is_ok: false, text: 'unplugged' }] }, 'unplugged'],
    [{ health: { is_ok: false, texts: ['The clock is not set.'], viewers: 1 } }, 'The clock is not set.'],
    [{ gate: { is_open: true, cause: 'voice', duplex: 'half', erle_db: 31, last_reply_ms: 512 } }, '512 ms'],
    [{ kiosk: { ...(await fetchState()).kiosk, show: SHOW } }, SHOW.title],
    [{ levels: { mic_db: -12, speaker_db: -90 } }, '-12 dB'],
    [{ something_new: { a: 1 } }, ''],
  ]) {
    await cue('/patch', patch);
    await seen(page, words);
  }
  assert(await page.evaluate((image) => image === document.querySelector('#stills img'), before), 'a picture that stayed was fetched anew');
  assert((await page.$eval('#mic', (one) => one.getAttribute('aria-valuenow'))) === '-12', 'the meter tells no value');
  await seen(page, conversation().reply);
  const link = await page.$eval('#shown-link a', (one) => [one.href, one.rel, one.textContent]);
  assert(link[0] === SHOW.link && link[1] === 'noopener noreferrer' && link[2].startsWith('hall.example'), `the link is ${link}`);
  await page.close();
}

const HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';

export async function hostile() {
  await rest();
  const pages = [await open('/'), await open('/kiosk')];
  const kiosk = (await fetchState()).kiosk;
  await cue('/patch', {
    captions: [{ n: 1, by: 'model', text: HOSTILE, is_whole: true, at: '14:00:00' }],
    calls: [{ id: HOSTILE, name: HOSTILE, args: { a: HOSTILE }, by: HOSTILE, state: 'done', result: HOSTILE, took_ms: 1, at: '14:00:00' }],
    health: { is_ok: false, texts: [HOSTILE], viewers: 1 },
    kiosk: { ...kiosk, is_idle: false, show: { title: HOSTILE, text: HOSTILE, link: 'javascript:document.title="owned"', picture: 'javascript:1' } },
  });
  for (const page of pages) {
    await seen(page, 'onerror=');
    const found = await page.evaluate(() => [document.title, document.querySelectorAll('main script, main img[src=x], a[href^=javascript], img[src^=javascript]').length]);
    assert(!found[0].includes('owned') && found[1] === 0, `the page was changed: ${found}`);
    await page.close();
  }
}

/** What is fetched only when somebody asks for it. */
export async function onDemand() {
  const page = await open('/');
  for (const [id, what] of [['settings', '#settings-list dd.code'], ['recorder', '#recorder-text']]) {
    await page.click(`#${id} summary`);
    await until(page, (found) => { const words = document.querySelector(found)?.textContent; return words && words !== 'Fetching…'; }, what);
  }
  const dumped = await page.$eval('#recorder-text', (one) => one.textContent);
  assert(dumped === await (await ask('/api/recorder')).text() || !options.cue, `the flight recorder shows ${dumped}`);
  assert(!/could not be fetched/.test(await page.evaluate(() => document.body.innerText)), 'something could not be fetched');
  await page.close();
}

/** Fifty entries: the newest one is seen, unless the person scrolled up to read an older one. */
export async function long() {
  await rest();
  const page = await open('/');
  const entries = (count) => Array.from({ length: count }, (_, i) => ({ n: i + 1, by: i % 2 ? 'model' : 'user', text: `Sentence number ${i + 1}, which is neither long nor short.`, is_whole: true, at: '14:00:00' }));
  await cue('/patch', { captions: entries(49) });
  await seen(page, 'number 49,');
  const left = () => page.$eval('#captions', (box) => box.scrollHeight - box.scrollTop - box.clientHeight);
  assert((await left()) < 2, `the newest entry is ${await left()} px below the edge`);
  await page.$eval('#captions', (box) => { box.scrollTop = 0; });
  await cue('/patch', { captions: entries(50) });
  await seen(page, 'number 50,');
  assert((await page.$eval('#captions', (box) => box.scrollTop)) === 0, 'the list scrolled away from a person who read');
  await page.close();
}

/** A picture that the device no longer has is told in words. */
export async function gone() {
  await rest();
  const page = await open('/');
  await complaints.expecting(/404/, async () => {
    await cue('/patch', { stills: [{ id: '../../x', why: 'looked', width: 1280, height: 720, bytes: 1, age_ms: 1, at: '14:00:00' }] });
    await seen(page, 'This picture is no longer kept.');
  });
  await page.close();
}

export async function again() {
  if (options.cue) await rest();
  const pages = [await open('/'), await open('/kiosk')];
  await complaints.expecting(/ERR_|Failed to load/, async () => {
    proxy.cut();
    await Promise.all(pages.map((page) => shows(page, 'lost')));
    await seen(pages[0], 'No connection to the device');
    assert(await pages[0].$$eval('button[data-do]', (all) => all.every((one) => one.hidden || one.disabled)), 'an order could be given to nobody');
    await picture(pages[0], 'owner-lost');
    await picture(pages[1], 'kiosk-lost');
    await audit(pages[0], 'owner, lost');
    await audit(pages[1], 'kiosk, lost');
    proxy.mend();
    await Promise.all(pages.map(settled));
  });
  assert(await pages[0].$eval('#lost', (one) => one.hidden), 'it still says that there is no connection');
  if (options.cue) {
    await cue('/patch', { look: LOOKS.trouble });
    await Promise.all(pages.map((page) => shows(page, 'trouble')));
  }
  await Promise.all(pages.map((page) => page.close()));
}

/** Nothing comes and nothing breaks: the forty seconds of patience are made short in the page. */
export async function silent() {
  await rest();
  const page = await browser.newPage();
  await complaints.watch(page);
  await page.evaluateOnNewDocument(() => {
    const real = window.setTimeout;
    window.setTimeout = (act, ms, ...given) => real(act, ms === 40_000 ? 400 : ms, ...given);
  });
  await page.goto(url('/'));
  await shows(page, 'idle');
  await shows(page, 'lost');
  await page.close();
}

/** A device that comes back with another version brings its own page. */
export async function replaced() {
  await rest();
  const page = await open('/');
  await page.evaluate(() => { window.isOld = true; });
  await complaints.expecting(/ERR_|Failed to load/, async () => {
    proxy.cut();
    await shows(page, 'lost');
    await cue('/state', { device: { ...(await fetchState()).device, version: '0.2.0' } });
    proxy.mend();
    await page.waitForFunction(() => !window.isOld && document.getElementById('about')?.textContent.includes('0.2.0'), { polling: 50 });
  });
  await page.close();
}

/** A job that is recorded is told for as long as it is, on both pages, to eyes and to a screen reader, in any width. */
export async function recording() {
  await rest();
  const job = '2026-11-22-0001';
  for (const [path, scheme] of [['/', 'light'], ['/', 'dark'], ['/kiosk', 'light'], ['/kiosk', 'dark']]) {
    await rest();
    const page = await open(path, { scheme });
    assert((await page.$eval('#recording', (one) => `${one.getAttribute('role')}|${one.textContent}`)) === 'status|', 'the region is there before anything is told in it');
    await cue('/play', { every_ms: 0 });
    await cue('/patch', { look: { ...LOOKS.speaking, is_camera_running: true, recording: job } });
    await seen(page, `Recording: ${job}`);
    await audit(page, `recording on ${path}, ${scheme}`);
    for (const [width, height] of [[320, 640], [390, 844], [800, 480], [1280, 800], [1920, 1080]]) {
      await page.setViewport({ width, height });
      const box = await page.$eval('#recording', (one) => { const { left, right, top, bottom } = one.getBoundingClientRect(); return { left, right, top, bottom }; });
      assert(box.left >= 0 && box.right <= width && box.top >= 0 && box.bottom <= height, `${path} at ${width}×${height}: the mark is at ${JSON.stringify(box)}`);
      await picture(page, `recording-${path.slice(1) || 'owner'}-${width}x${height}-${scheme}`);
    }
    await cue('/patch', { look: LOOKS.idle });
    await until(page, () => document.getElementById('recording').textContent === '');
    await page.close();
  }
}
