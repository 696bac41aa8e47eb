// The browser, a proxy that can cut its line, and the list of checks.
import http from 'node:http';
import { createRequire } from 'node:module';
import puppeteer from 'puppeteer-core';

/** A condition that does not come true within this time (ms) has failed; nothing is waited for blindly. */
export const PATIENCE_MS = 8000;

/** axe-core as text, to be run in the page. */
export const AXE = createRequire(import.meta.url)('axe-core').source;

/** Checks by name, each printed as it ends. */
export class Checks {
  list = [];
  #only;

  /** Only those whose name matches are run. */
  constructor(only = '') {
    this.#only = new RegExp(only);
  }

  async run(name, check) {
    if (!this.#only.test(name)) return;
    const started = Date.now();
    let why = '';
    let note = '';
    try {
      note = (await check()) ?? '';
    } catch (error) {
      why = String(error.message ?? error).split('\n').slice(0, 12).join('\n       ');
    }
    this.list.push({ name, ok: !why, why });
    console.log(`${why ? 'FAIL' : 'ok  '} ${name}${note ? `: ${note}` : ''} (${Date.now() - started} ms)${why ? `\n       ${why}` : ''}`);
  }

  skip(name, why) {
    if (this.#only.test(name)) console.log(`skip ${name}: ${why}`);
  }

  /** Prints the sum; answers how many failed. */
  end() {
    const failed = this.list.filter((check) => !check.ok);
    console.log(`\n${this.list.length - failed.length} of ${this.list.length} checks are ok${failed.length ? `; failed: ${failed.map((check) => check.name).join(', ')}` : ''}`);
    return failed.length;
  }
}

export function assert(isTrue, sentence) {
  if (!isTrue) throw new Error(sentence);
}

/**
 * A proxy between the browser and the device, whose line can be cut: addresses stay as they are, so that the device's
 * checks of host and origin see what they would see without it.
 */
export async function startProxy(target) {
  const { host } = new URL(target);
  let isCut = false;
  const open = new Set();
  const server = http.createServer((request, answer) => {
    const url = URL.canParse(request.url) ? new URL(request.url) : null;
    if (isCut || url?.host !== host) return request.socket.destroy();
    const onward = http.request(url, { method: request.method, headers: request.headers, agent: false }, (given) => {
      answer.writeHead(given.statusCode, given.rawHeaders);
      given.on('error', () => answer.destroy());
      given.pipe(answer);
    });
    open.add(request.socket);
    answer.on('close', () => onward.destroy());
    onward.on('error', () => request.socket.destroy());
    request.pipe(onward);
    return undefined;
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    cut() {
      isCut = true;
      for (const socket of open) socket.destroy();
      open.clear();
    },
    mend() { isCut = false; },
    close() { server.close(); server.closeAllConnections(); },
  };
}

/** A server of one page of one word: what is measured on it is the browser's and the machine's own time. */
export async function serveWord() {
  const server = http.createServer((request, answer) => answer.setHeader('Content-Type', 'text/html').end('<!doctype html><title>x</title><h1>Hello</h1>'));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close() { server.close(); server.closeAllConnections(); } };
}

export function launch(chromium, proxyPort) {
  const args = ['--disable-gpu', '--font-render-hinting=none'];
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  if (proxyPort) args.push(`--proxy-server=http://127.0.0.1:${proxyPort}`, '--proxy-bypass-list=<-loopback>');
  return puppeteer.launch({ executablePath: chromium, headless: true, args });
}

/** What a page complained of, except for what a check provokes on purpose. */
export class Complaints {
  list = [];
  #expected = null;

  watch(page) {
    const add = (words) => { if (!this.#expected?.test(words)) this.list.push(`${page.url()}: ${words}`); };
    page.on('console', (message) => { if (['error', 'warn'].includes(message.type())) add(`${message.text()} ${message.location().url ?? ''}`); });
    page.on('pageerror', (error) => add(`error ${error.message}`));
    return page.evaluateOnNewDocument(() => {
      addEventListener('securitypolicyviolation', (event) => console.error(`violation of ${event.violatedDirective} by ${event.blockedURI}`));
    });
  }

  /** Complaints that match are right while `act` runs. */
  async expecting(pattern, act) {
    this.#expected = pattern;
    try {
      return await act();
    } finally {
      this.#expected = null;
    }
  }
}

/** A page with light or dark colours, with movement or without, of a size. */
export async function dress(page, { scheme = 'light', motion = 'no-preference', contrast = 'no-preference', width, height } = {}) {
  const features = [['prefers-color-scheme', scheme], ['prefers-reduced-motion', motion], ['prefers-contrast', contrast]].map(([name, value]) => ({ name, value }));
  const session = page.session ??= await page.createCDPSession();
  await session.send('Emulation.setEmulatedMedia', { features });
  if (width) await page.setViewport({ width, height });
}

export const until = (page, condition, ...given) => page.waitForFunction(condition, { timeout: PATIENCE_MS, polling: 50 }, ...given);

/** Waits until the page is connected to the device and everything drawn. */
export const settled = (page) => until(page, () => (document.body.dataset.look ?? 'lost') !== 'lost'
  && [...document.images].every((image) => image.complete) && document.readyState === 'complete');
