// For everybody: a screen reader, any width, a finger, an eye that wants no movement; and pictures to look at.
import { join } from 'node:path';
import { assert, AXE, until } from './drive.mjs';
import { LOOKS, SHOW } from './script.mjs';
import { cue, fetchState, filled, open, options, PAGES, picture, rest, seen, shows, withShow } from './stage.mjs';

const SIZES = [[320, 256], [320, 640], [390, 844], [480, 800], [768, 1024], [800, 480], [1024, 600], [1280, 800], [1920, 1080]];

/** Smallest side of what a finger must hit (CSS pixels; WCAG 2.2, 2.5.5). */
const FINGER = 44;

export async function audit(page, name) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const grave = violations.filter((one) => ['serious', 'critical'].includes(one.impact));
  assert(grave.length === 0, `${name}:\n${grave.map((one) => `${one.id} (${one.impact}): ${one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 120)} ${node.any[0]?.message ?? ''}`).join('\n')}`).join('\n')}`);
  return violations.map((one) => `${one.id} (${one.impact})`);
}

export async function accessible(scheme, contrast) {
  const lesser = new Set();
  for (const path of PAGES) {
    await filled();
    if (path === '/kiosk' && options.cue) await withShow();
    const page = await open(path, { scheme, contrast });
    if (path === '/') {
      await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = true; }));
      await until(page, () => document.querySelector('#settings-list dl'));
    }
    for (const one of await audit(page, path)) lesser.add(one);
    if (path === '/kiosk' && options.cue) {
      await rest();
      await shows(page, 'idle');
      await audit(page, 'kiosk, idle');
    }
    await page.close();
  }
  return lesser.size ? `lesser findings: ${[...lesser].join(', ')}` : 'no findings at all';
}

/** Elements that stick out of the window to the right; for the kiosk also below. */
const outside = (isKiosk) => [...document.querySelectorAll('body *')].filter((one) => {
  const box = one.getBoundingClientRect();
  if (!box.width || !one.checkVisibility() || one.closest('.unseen, pre, noscript')) return false;
  return box.right > innerWidth + 1 || box.left < -1 || (isKiosk && (box.bottom > innerHeight + 1 || box.top < -1));
}).map((one) => `${one.tagName}#${one.id}.${one.className}`);

export async function widths() {
  for (const path of PAGES) {
    await filled();
    const page = await open(path);
    for (const scene of path === '/kiosk' && options.cue ? ['talk', 'show', 'idle'] : ['']) {
      if (scene === 'show') await withShow();
      if (scene === 'show') await seen(page, SHOW.title);
      if (scene === 'idle') await rest();
      if (scene === 'idle') await shows(page, 'idle');
      for (const [width, height] of SIZES) {
        await page.setViewport({ width, height });
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
        assert(wide <= width, `${path} ${scene} is ${wide} wide at ${width}`);
        const out = await page.evaluate(outside, path === '/kiosk');
        // At 320×256 (a desktop at 400 %) a kiosk may be cut at the bottom; it is no place for one.
        assert(out.length === 0 || height < 400, `${path} ${scene} at ${width}×${height}: outside are ${out.slice(0, 5)}`);
      }
    }
    await page.close();
  }
  return SIZES.map((size) => size.join('×')).join(' ');
}

export async function fingers() {
  for (const path of PAGES) {
    for (const [width, height] of [[320, 640], [800, 480], [1280, 800]]) {
      await filled();
      const page = await open(path, { width, height });
      const small = await page.evaluate((least) => [...document.querySelectorAll('button, a.button, input, select, textarea, summary')].filter((one) => one.checkVisibility())
        .filter((one) => { const box = one.getBoundingClientRect(); return box.width < least || box.height < least; }).map((one) => one.outerHTML.slice(0, 80)), FINGER);
      assert(small.length === 0, `${path} at ${width}: too small are ${small}`);
      await page.close();
    }
  }
}

export async function still() {
  await filled();
  for (const path of ['/', '/kiosk']) {
    const page = await open(path, { motion: 'reduce' });
    const isStill = async (when) => {
      const moving = await page.evaluate(() => document.getAnimations().length);
      assert(moving === 0, `${path}: ${moving} things move ${when}`);
    };
    await isStill('at the beginning');
    for (const look of options.cue ? [LOOKS.listening, LOOKS.thinking, LOOKS.connecting, LOOKS.speaking] : []) {
      await cue('/patch', { look });
      await shows(page, look.state);
      await isStill(`while ${look.state}`);
    }
    await page.close();
  }
}

export async function gallery() {
  for (const scheme of ['light', 'dark']) {
    for (const [width, height] of [[320, 640], [390, 844], [800, 480], [1280, 800], [1920, 1080]]) {
      const look = { scheme, width, height };
      const size = `${width}x${height}-${scheme}`;
      await filled();
      for (const path of PAGES) {
        const page = await open(path, look);
        const name = path.slice(1) || 'owner';
        await picture(page, `${name}-${size}`);
        if (path === '/' && options.pictures) await page.screenshot({ path: join(options.pictures, `${name}-whole-${size}.png`), fullPage: true });
        if (path === '/kiosk' && options.cue) {
          await withShow();
          await seen(page, SHOW.title);
          await until(page, () => [...document.images].every((image) => image.complete));
          await picture(page, `kiosk-show-${size}`);
          await cue('/patch', { look: LOOKS.idle, kiosk: { ...(await fetchState()).kiosk, is_idle: true, show: {} } });
          await shows(page, 'idle');
          await picture(page, `kiosk-idle-${size}`);
        }
        await page.close();
      }
    }
  }
}
