// What the server answers: sizes, headers, first paint, signing in.
import { assert, dress, launch, serveWord, settled } from './drive.mjs';
import { ask, bearer, browser, complaints, cue, options, PAGES, url } from './stage.mjs';

/** The house's limit for everything a page loads (bytes). */
const ASSETS_MAX = 150_000;

/** On a machine where a page of one word is slow already, ours may take so much longer (ms). */
const PAINT_MORE_MS = 60;

export async function assets() {
  const todo = ['/', '/kiosk', '/login'];
  const sizes = new Map();
  while (todo.length) {
    const path = todo.pop();
    if (sizes.has(path)) continue;
    const answer = await ask(path);
    assert(answer.status === 200, `${path} answers ${answer.status}`);
    const body = await answer.text();
    sizes.set(path, Buffer.byteLength(body));
    for (const [, name] of body.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) todo.push(name);
    for (const [, name] of body.matchAll(/from '\.\/([^']+)'/g)) todo.push(`/assets/${name}`);
    assert(!/(?:src|href)="(?:https?:)?\/\//.test(body), `${path} loads from elsewhere`);
  }
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  assert(sizes.size >= 8, `only ${[...sizes.keys()]} were found`);
  assert(total <= ASSETS_MAX, `${total} bytes are more than ${ASSETS_MAX}`);
  return `${total} bytes in ${sizes.size} files`;
}

export async function headers() {
  for (const path of [...PAGES, '/assets/style.css', '/api/state']) {
    const answer = await ask(path);
    const policy = answer.headers.get('content-security-policy') ?? '';
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"]) {
      assert(policy.split(';').map((one) => one.trim()).includes(part), `${path}: the policy lacks ${part}: ${policy}`);
    }
    assert(answer.headers.get('x-content-type-options') === 'nosniff', `${path} lacks nosniff`);
    // Pages send their own forms with an origin, which browsers leave out under no-referrer.
    assert(['no-referrer', 'same-origin'].includes(answer.headers.get('referrer-policy')), `${path} lacks the referrer policy`);
  }
}

/** When the first words of a page were painted, ms after it was asked for. */
const painted = (page) => page.evaluate(() => new Promise((resolve) => {
  new PerformanceObserver((entries) => { for (const entry of entries.getEntries()) if (entry.name === 'first-contentful-paint') resolve(entry.startTime); })
    .observe({ type: 'paint', buffered: true });
}));

/**
 * Without the proxy, in a browser of its own, nothing from its cache: the figure of a page opened on the device itself.
 * In turns with a page of one word, because on a busy machine that alone can take longer than what is allowed.
 */
export async function firstPaint() {
  const bare = await serveWord();
  const plain = await launch(options.chromium);
  const told = [];
  try {
    for (const path of ['/', '/kiosk']) {
      const page = await plain.newPage();
      await page.setCacheEnabled(false);
      await page.setExtraHTTPHeaders(bearer);
      const times = { ours: [], bare: [] };
      for (let i = 0; i < 18; i++) {
        for (const [which, address] of [['bare', bare.url], ['ours', url(path)]]) {
          await page.goto(address);
          // The first two loads start the browser's own machinery.
          if (i > 1) times[which].push(await painted(page));
        }
      }
      await page.close();
      const [ours, least] = [times.ours, times.bare].map((all) => all.sort((a, b) => a - b));
      const [quarter, half] = [Math.floor(ours.length / 4), Math.floor(ours.length / 2)];
      told.push(`${path} ${ours[quarter].toFixed(0)} ms (median ${ours[half].toFixed(0)}, ${ours[0].toFixed(0)} to ${ours.at(-1).toFixed(0)}; a page of one word ${least[quarter].toFixed(0)}, median ${least[half].toFixed(0)})`);
      // The lower quartile: whatever else the machine does can only add.
      const isFast = ours[quarter] <= Number(options['paint-max-ms']) || ours[quarter] - least[quarter] <= PAINT_MORE_MS;
      assert(isFast, `${told.at(-1)} is more than ${options['paint-max-ms']} ms`);
    }
  } finally {
    await plain.close();
    bare.close();
  }
  return told.join(', ');
}

export async function login() {
  const { secret = 'correct horse' } = options;
  if (options.cue) await cue('/secret', { secret });
  const page = await browser.newPage();
  await complaints.watch(page);
  await dress(page, { width: 390, height: 844 });
  await page.goto(url('/'));
  assert(page.url().endsWith('/login'), `without a sign-in ${page.url()} is shown`);
  const submit = async (words) => {
    await page.type('#secret', words);
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  };
  await submit('wrong');
  await page.waitForSelector('#wrong', { visible: true });
  await submit(secret);
  await settled(page);
  assert(new URL(page.url()).pathname === '/', `after the sign-in ${page.url()} is shown`);
  if (options.cue) await cue('/secret', {});
  await page.close();
}
