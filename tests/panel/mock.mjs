// A stand-in for the device: speaks the panel's contract, does what it is ordered, records it.
//
//   node mock.mjs [--port 8090] [--cue-port 8091] [--secret WORDS] [--play]
//
// The first port is the panel, and nothing but the panel. The second one is the prompter's: a test patches the state
// there, plays the conversation, has an order refused, asks for a login, and reads what was posted.
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { atRest, conversation, LOOKS, POLICY } from './script.mjs';

const ASSETS = new URL('../../src/panel/assets/', import.meta.url);
const KINDS = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' };
const BODY_MAX = 65536;

const change = (entry, owner) => ({ entry, owner, chosen: null });
const MODES = ['push_to_talk', 'hands_free', 'wake_word'];

const settings = () => [
  { section: '', key: 'voice', value: 'Kore', doc: 'A prebuilt voice.', change: change({ text: { chars_max: 64 } }, 'Kore') },
  { section: 'listen', key: 'mode', value: 'push_to_talk', doc: 'How a turn begins: by the button, or by voice.', change: change({ words: MODES }, 'push_to_talk') },
  { section: 'listen', key: 'follow_up_s', value: '8', doc: 'For so long after a reply a voice alone opens the microphone.', change: change({ whole: { min: 0, max: 60, step: 1, unit: 's' } }, '8') },
  { section: 'session', key: 'keep', value: 'nothing', doc: 'What of one session is kept for the next.' },
  { section: 'limits', key: 'day_usd', value: 5, doc: 'After so much in a day nothing more is sent.' },
];

async function bodyOf(request) {
  let body = '';
  for await (const piece of request) {
    body += piece;
    if (body.length > BODY_MAX) throw new Error('too long');
  }
  return body;
}

class Mock {
  state = atRest();
  viewers = new Set();
  posts = [];
  refusal = null;
  secret = null;
  still = null;
  settings = settings();
  trouble = null;

  send(viewer, kind, data) {
    viewer.write(`event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  patch(members) {
    Object.assign(this.state, members);
    for (const viewer of this.viewers) this.send(viewer, 'patch', members);
  }

  whole(state) {
    this.state = state;
    for (const viewer of this.viewers) this.send(viewer, 'state', state);
  }

  async play(everyMs) {
    for (const members of conversation().patches) {
      this.patch(members);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  /** What an order does to the state, so that the page sees its own doing. */
  obey(order) {
    const { look, kiosk, voice } = this.state;
    switch (order.do) {
      case 'listen': return this.patch({ look: { ...LOOKS.listening, volume: look.volume }, kiosk: { ...kiosk, is_idle: false } });
      case 'stop': case 'end': case 'confirm': case 'hush': return this.patch({ look: { ...LOOKS.idle, volume: look.volume } });
      case 'mute': return this.patch({ look: { ...(order.is_muted ? LOOKS.muted : LOOKS.idle), volume: look.volume } });
      case 'volume': return this.patch({ look: { ...look, volume: order.percent } });
      case 'reset': return this.patch({ captions: [], stills: [], calls: [] });
      case 'next': return this.patch({ voice: { ...voice, next_voice: order.voice ?? voice.next_voice, next_language: order.language ?? voice.next_language } });
      case 'set': this.settings.find((one) => `${one.section}.${one.key}`.replace(/^\./, '') === order.key).change.chosen = order.value === null ? null : String(order.value); return undefined;
      case 'restart': return this.restart();
      default: return undefined;
    }
  }

  /** What was chosen is in force, and who looks on is cut off. */
  restart() {
    this.settings = settings().map((one) => {
      const { chosen = null } = this.settings.find((old) => old.key === one.key).change ?? {};
      return chosen === null ? one : { ...one, value: chosen, is_chosen: true, change: { ...one.change, chosen } };
    });
    for (const viewer of this.viewers) viewer.end();
  }

  settingsNow() {
    const isDue = this.settings.some((one) => one.change && one.value !== (one.change.chosen ?? one.change.owner));
    return { settings: this.settings, is_allowed: true, why_not: null, is_restart_due: isDue, trouble: this.trouble };
  }

  async order(request, answer) {
    const body = await bodyOf(request);
    this.posts.push({ path: request.url, headers: request.headers, body });
    const say = (status, error) => answer.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error }));
    if (request.headers['x-mynah'] !== '1' || (request.headers.origin && new URL(request.headers.origin).host !== request.headers.host)) {
      return say(403, 'This order did not come from the panel’s own page.');
    }
    if (this.refusal) {
      const { status, error } = this.refusal;
      this.refusal = null;
      return say(status, error);
    }
    answer.writeHead(204).end();
    return this.obey(JSON.parse(body));
  }

  events(request, answer) {
    answer.writeHead(200, { 'Content-Type': 'text/event-stream' });
    this.send(answer, 'state', this.state);
    this.viewers.add(answer);
    const beat = setInterval(() => answer.write(': alive\n\n'), 15_000);
    answer.on('close', () => {
      clearInterval(beat);
      this.viewers.delete(answer);
    });
  }

  async file(answer, name) {
    try {
      const bytes = await readFile(new URL(name, ASSETS));
      answer.writeHead(200, { 'Content-Type': KINDS[name.split('.').pop()] ?? 'application/octet-stream' }).end(bytes);
    } catch {
      answer.writeHead(404).end('There is nothing here.');
    }
  }

  async login(request, answer) {
    const body = await bodyOf(request);
    this.posts.push({ path: request.url, headers: request.headers, body });
    if (new URLSearchParams(body).get('secret') !== this.secret) return answer.writeHead(303, { Location: '/login#wrong' }).end();
    return answer.writeHead(303, { Location: '/', 'Set-Cookie': 'mynah=in; HttpOnly; SameSite=Strict; Path=/' }).end();
  }

  async panel(request, answer) {
    const { pathname } = new URL(request.url, 'http://mock');
    const isAsset = pathname.startsWith('/assets/');
    answer.setHeader('Content-Security-Policy', POLICY);
    answer.setHeader('X-Content-Type-Options', 'nosniff');
    answer.setHeader('Referrer-Policy', 'no-referrer');
    answer.setHeader('Cache-Control', isAsset ? 'no-cache' : 'no-store');
    if (isAsset) return this.file(answer, pathname.slice(8).replace(/[^a-z.]/g, ''));
    if (pathname === '/login') return request.method === 'POST' ? this.login(request, answer) : this.file(answer, 'login.html');
    if (pathname === '/logout') return answer.writeHead(303, { Location: '/login', 'Set-Cookie': 'mynah=; Max-Age=0; Path=/' }).end();
    const isKnown = request.headers.cookie?.includes('mynah=in') || request.headers.authorization === `Bearer ${this.secret}`;
    if (this.secret && !isKnown) {
      return pathname.startsWith('/api/') ? answer.writeHead(401).end('{"error":"Sign in first."}') : answer.writeHead(303, { Location: '/login' }).end();
    }
    if (pathname === '/') return this.file(answer, 'index.html');
    if (pathname === '/kiosk') return this.file(answer, 'kiosk.html');
    if (pathname === '/api/events') return this.events(request, answer);
    if (pathname === '/api/do' && request.method === 'POST') return this.order(request, answer);
    if (pathname === '/api/state') return answer.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(this.state));
    if (pathname === '/api/settings') return answer.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(this.settingsNow()));
    if (pathname === '/api/recorder') return answer.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' }).end('  10.92  voice   speech begins\n  13.62  link    connected\n');
    if (/^\/api\/stills\/\d+\.jpg$/.test(pathname)) return answer.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(this.still);
    return answer.writeHead(404).end('There is nothing here.');
  }

  async cue(request, answer) {
    const body = request.method === 'POST' ? JSON.parse((await bodyOf(request)) || '{}') : {};
    const cues = {
      '/patch': () => this.patch(body),
      '/state': () => this.whole({ ...atRest(), ...body }),
      '/play': () => this.play(body.every_ms ?? 20),
      '/refuse': () => { this.refusal = body; },
      '/settings': () => { this.settings = settings(); this.trouble = body.trouble ?? null; },
      '/secret': () => { this.secret = body.secret; },
      '/forget': () => { this.posts = []; },
      '/posts': () => this.posts,
    };
    const result = await cues[request.url]();
    answer.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(result ?? {}));
  }
}

const listen = (handler, port) => new Promise((resolve) => {
  const server = http.createServer((request, answer) => handler(request, answer).catch((error) => {
    if (!answer.headersSent) answer.writeHead(400);
    answer.end(String(error));
  }));
  server.listen(port, '127.0.0.1', () => resolve(server));
});

/** Starts the stand-in; ports of 0 are chosen freely. */
export async function startMock({ port = 0, cuePort = 0 } = {}) {
  const mock = new Mock();
  mock.still = await readFile(new URL('still.jpg', import.meta.url));
  const panel = await listen(async (request, answer) => mock.panel(request, answer), port);
  const cue = await listen(async (request, answer) => mock.cue(request, answer), cuePort);
  const address = (server) => `http://127.0.0.1:${server.address().port}`;
  const close = () => [panel, cue].forEach((server) => { server.close(); server.closeAllConnections(); });
  return { url: address(panel), cue: address(cue), close, mock };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '8090' }, 'cue-port': { type: 'string', default: '8091' }, secret: { type: 'string' }, play: { type: 'boolean' } } });
  const { url, cue, mock } = await startMock({ port: Number(values.port), cuePort: Number(values['cue-port']) });
  console.log(`panel ${url}\ncue   ${cue}`);
  mock.secret = values.secret ?? null;
  if (values.play) await mock.play(150);
}
