// What both views share: the device's events, its controls, and pieces of page made from text.
//
// Nothing here ever makes HTML from a string: what the model, a visitor or a tool said is text, and stays text.

/** Nothing came for so long (ms): the line is dead. The device sends at least a comment every 15 s. */
const SILENT_MS = 40_000;
/** Waits between two attempts (ms): short at first, because a restart takes a second or two. */
const WAITS_MS = [500, 1000, 2000, 4000, 8000];
/** An order that is not answered for so long (ms) is given up. */
const ORDER_MS = 10_000;

/** Every state of the device: its word, and a shape of its own, so that colour alone says nothing. */
export const LOOKS = {
  idle: ['Ready', 'M4 12a8 8 0 1 0 16 0a8 8 0 1 0-16 0M11 12a1 1 0 1 0 2 0a1 1 0 1 0-2 0'],
  connecting: ['Connecting', 'M12 4a8 8 0 0 1 8 8M12 20a8 8 0 0 1-8-8'],
  offline: ['Offline', 'M4 11a12 12 0 0 1 16 0M8 15a6 6 0 0 1 8 0M12 19h.01M4 3l16 18'],
  listening: ['Listening', 'M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 11a6 6 0 0 0 12 0M12 17v4M9 21h6'],
  thinking: ['Thinking', 'M3 12a2 2 0 1 0 4 0a2 2 0 1 0-4 0M10 12a2 2 0 1 0 4 0a2 2 0 1 0-4 0M17 12a2 2 0 1 0 4 0a2 2 0 1 0-4 0'],
  speaking: ['Speaking', 'M4 9v6h4l5 4V5L8 9zM16.5 8.5a5 5 0 0 1 0 7M19 6a8.5 8.5 0 0 1 0 12'],
  muted: ['Muted', 'M9 9v2a3 3 0 0 0 5 2M15 10V6a3 3 0 0 0-5.6-1.5M6 11a6 6 0 0 0 10 4.5M18 11a6 6 0 0 1-.4 2M12 17v4M9 21h6M4 3l16 18'],
  ringing: ['Ringing', 'M6 16v-5a6 6 0 0 1 12 0v5l2 2H4zM10 21h4M2 8a9 9 0 0 1 3-5M22 8a9 9 0 0 0-3-5'],
  trouble: ['Trouble', 'M12 4L2.5 20h19zM12 10v4M12 17h.01'],
  spent: ['Limit reached', 'M4 12a8 8 0 1 0 16 0a8 8 0 1 0-16 0M8 12h8'],
  asking: ['Waiting for your yes', 'M4 4h16v12h-9l-4 4v-4H4zM10 8.5a2 2 0 1 1 2.8 1.8c-.5.3-.8.6-.8 1.2M12 13.6h.01'],
  lost: ['No connection', 'M4 4h16v12H4zM9 20h6M9.5 7.5l5 5M14.5 7.5l-5 5'],
};

/** Shapes that are no state. */
export const SHAPES = {
  ok: 'M5 12.5l4.5 4.5L19 7.5',
  bad: 'M6 6l12 12M18 6L6 18',
  running: 'M4 12a8 8 0 1 0 16 0a8 8 0 1 0-16 0M12 8v4l3 2',
  camera: 'M3 8h4l2-3h6l2 3h4v11H3zM8.5 13a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0',
  stop: 'M7 7h10v10H7z',
  record: 'M5 12a7 7 0 1 0 14 0a7 7 0 1 0-14 0',
};

/** Languages by their English names, as the device knows them, with the codes that browsers know. */
export const LANGUAGES = new Map(('ar bg bn ca cs da de el en es et fa fi fr gu he hi hr hu id is it ja kn ko lt lv ml mr ms nb nl pl pt ro ru sk sl '
  + 'sr sv sw ta te th tr uk ur vi zh').split(' ').map((code) => [new Intl.DisplayNames(['en'], { type: 'language' }).of(code), code]));

/** The code of a language, for a screen reader's voice; empty where it is not known. */
export const codeOf = (language) => LANGUAGES.get(language) ?? '';

/** The element with this id. */
export const by = (id) => document.getElementById(id);

/** A new element with properties (className, textContent …) and children. */
export function node(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** A picture of 24 by 24 drawn with one line; what it means is always written beside it. */
export function icon(path) {
  const make = (tag) => document.createElementNS('http://www.w3.org/2000/svg', tag);
  const svg = make('svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', 'icon');
  const line = make('path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** Sets an element's text, and touches nothing where it is the same: a screen reader speaks again at every touch. */
export function text(element, words) {
  const said = String(words ?? '');
  if (element.textContent !== said) element.textContent = said;
}

/** The look that is shown: `lost` while the device cannot be reached, whatever it said last. */
export function lookOf(state, isThere) {
  const name = isThere ? (state.look?.state ?? 'connecting') : 'lost';
  const [word, path] = LOOKS[name] ?? LOOKS.trouble;
  return { name, word, path };
}

/**
 * Makes the children of `parent` those of `items`, in their order. One that stays keeps its element: a picture is not
 * fetched anew, and the focus is not lost. `make(item)` builds an element, `fill(element, item)` brings it up to date.
 */
export function list(parent, items, keyOf, make, fill) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let before = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = old.get(key);
    if (child) {
      old.delete(key);
    } else {
      child = make(item);
      child.dataset.key = key;
    }
    fill(child, item);
    if (child === before) before = child.nextElementSibling;
    else parent.insertBefore(child, before);
  }
  for (const child of old.values()) child.remove();
}

/** The mark that a job is recorded, in a region that a screen reader tells; nothing where none is. */
export function showRecording(job) {
  const words = job ? `Recording: ${job}` : '';
  const box = by('recording');
  if (box.textContent === words) return;
  box.replaceChildren(...(job ? [icon(SHAPES.record), node('span', { textContent: words })] : []));
}

/** A link's host and words, where it may be followed: https and nothing else; `null` otherwise. */
export function safeLink(link) {
  try {
    const url = new URL(link);
    if (url.protocol !== 'https:' || url.username || url.password) return null;
    return { href: url.href, host: url.host, words: url.host + (url.pathname === '/' ? '' : url.pathname) + url.search };
  } catch {
    return null;
  }
}

/** A picture's address, where it may be fetched: from this device, or by https (which the policy narrows to hosts). */
export function safePicture(address) {
  if (!address) return null;
  try {
    const url = new URL(address, location.origin);
    return url.origin === location.origin || url.protocol === 'https:' ? url.href : null;
  } catch {
    return null;
  }
}

/** The address of a still; nothing but a number gets into it. */
export const stillAddress = (still) => `/api/stills/${Number(still.id)}.jpg`;

/** Level in dBFS to a share of a meter: 60 dB of it are of interest. */
export const share = (db) => Math.min(1, Math.max(0, (Number(db ?? -90) + 60) / 60));

const toLogin = () => location.assign('/login');

async function sentence(answer) {
  try {
    return (await answer.json()).error || `The device answered ${answer.status}.`;
  } catch {
    return `The device answered ${answer.status}.`;
  }
}

/** Gives the device an order. Answers `''`, or a sentence that says why not. */
export async function order(what, more = {}) {
  try {
    const answer = await fetch('/api/do', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Mynah': '1' },
      body: JSON.stringify({ do: what, ...more }),
      signal: AbortSignal.timeout(ORDER_MS),
    });
    if (answer.ok && !answer.redirected) return '';
    if (answer.status === 401 || answer.redirected) toLogin();
    return await sentence(answer);
  } catch {
    return 'The device did not answer. Is it on, and are you in its network?';
  }
}

/** Reads the device's events until they end; `tell(kind, data)` for each, `alive()` at every sign of life. */
async function read(body, tell, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    const events = (rest + value.replaceAll('\r', '')).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      let kind = 'message';
      const data = [];
      for (const line of event.split('\n')) {
        if (line.startsWith('event:')) kind = line.slice(6).trim();
        else if (line.startsWith('data:')) data.push(line.slice(5));
      }
      if (data.length) tell(kind, JSON.parse(data.join('\n')));
    }
  }
}

/** One connection, until it ends. Answers a sentence where the device said why. */
async function once(tell) {
  const stop = new AbortController();
  let timer;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stop.abort(), SILENT_MS);
  };
  alive();
  // A page that is left may be kept for "back": its connection is not, because a browser has only six for a device.
  const leave = () => stop.abort();
  addEventListener('pagehide', leave);
  try {
    // Not an EventSource: it shows neither the comments that prove the line alive nor the status of a refusal.
    const answer = await fetch('/api/events', { headers: { Accept: 'text/event-stream' }, cache: 'no-store', signal: stop.signal });
    if (answer.status === 401 || answer.redirected) toLogin();
    if (!answer.ok) return await sentence(answer);
    await read(answer.body, tell, alive);
  } catch {
    // The line broke: what is to be done is the same as after its end.
  } finally {
    clearTimeout(timer);
    removeEventListener('pagehide', leave);
    stop.abort();
  }
  return '';
}

/** Waits, but not longer than until the page is looked at again or the network is back. */
function pause(ms) {
  return new Promise((resolve) => {
    const wake = () => {
      if (document.visibilityState === 'hidden') return;
      clearTimeout(timer);
      removeEventListener('online', wake);
      document.removeEventListener('visibilitychange', wake);
      resolve();
    };
    const timer = setTimeout(() => {
      removeEventListener('online', wake);
      document.removeEventListener('visibilitychange', wake);
      resolve();
    }, ms);
    addEventListener('online', wake);
    document.addEventListener('visibilitychange', wake);
  });
}

/**
 * Follows the device for as long as the page is open.
 *
 * `show(state, changed)` gets the whole state and the names of what changed; `lost(why)` is told once the device cannot
 * be reached. Never returns.
 */
export async function follow(show, lost) {
  let state = {};
  let version;
  let failed = 0;
  for (;;) {
    const why = await once((kind, data) => {
      if (kind === 'state') {
        // The program was replaced: this page belongs to the old one.
        if (version !== undefined && version !== data.device?.version) location.reload();
        version = data.device?.version;
        state = data;
      } else if (kind === 'patch') {
        state = { ...state, ...data };
      } else {
        return;
      }
      failed = 0;
      show(state, new Set(Object.keys(data)));
    });
    state = {};
    lost(why);
    await pause(WAITS_MS[Math.min(failed++, WAITS_MS.length - 1)]);
  }
}
