// The owner's page: everything the device tells, and every control this viewer may use.
import { by, codeOf, follow, icon, LANGUAGES, list, lookOf, node, order, safeLink, SHAPES, share, showRecording, stillAddress, text } from './common.js';
import { showSettings } from './settings.js';

/** Longest text of a tool's arguments or result that is shown at once (characters). */
const VALUE_MAX = 2000;

/** How often the device's age is shown anew (ms). */
const AGE_MS = 10_000;

let isThere = false;
let state = {};
/** When the device was started, by this browser's clock (ms). */
let startedAt = 0;
/** Number of the last caption that was read out; those before the page was opened are not. */
let saidUpTo = null;

// ---- what the device tells

function showDevice({ device }) {
  text(by('name'), device.name);
  startedAt = Date.now() - Number(device.up_s ?? 0) * 1000;
  showAge();
  by('leave').hidden = !device.view?.is_login_needed;
}

/** What the device is, and for how long: the device tells its age once, and the page counts on. */
function showAge() {
  const { device } = state;
  const up = Math.max(0, Math.round((Date.now() - startedAt) / 1000));
  const since = up < 60 ? `${up} s` : up < 3600 ? `${Math.floor(up / 60)} min` : `${Math.floor(up / 3600)} h ${Math.floor(up / 60) % 60} min`;
  text(by('about'), [device.board, device.model, `version ${device.version}`, `up ${since}`].filter(Boolean).join(' · '));
}

function showLook({ look }) {
  const { name, word, path } = lookOf(state, isThere);
  if (document.body.dataset.look !== name || !by('state-icon').firstChild) {
    document.body.dataset.look = name;
    by('state-icon').replaceChildren(icon(path));
  }
  text(by('state-word'), word);
  // Most sentences of the device say more than the word; one that does not is not said twice.
  const more = look?.text?.replace(/\.$/, '').toLowerCase() === word.toLowerCase() ? '' : look?.text;
  text(by('state-text'), isThere ? more : 'What is shown below may be old.');
  document.title = `${word} · ${by('name').textContent}`;
  // What the word says already is not said twice.
  const flags = isThere
    ? [look.is_muted && name !== 'muted' && 'Microphone muted', look.by_line && 'Muted by the switch on the device', look.is_camera_running && 'Camera is on', look.is_ringing && name !== 'ringing' && 'Ringing'].filter(Boolean)
    : [];
  text(by('flags'), flags.join(' · '));
  showRecording(isThere && look?.recording);
  showControls(state);
}

/** What cannot be used now is not there at all, or says why it cannot. */
function showControls({ device, look = {} }) {
  const may = new Set(device?.view?.allow ?? []);
  const focus = document.activeElement;
  for (const control of document.querySelectorAll('[data-do]')) {
    const what = control.dataset.do;
    const isWanted = what === 'confirm' ? look.state === 'asking' : what === 'hush' ? look.is_ringing : true;
    control.hidden = !may.has(what) || !isWanted;
    const parts = control.matches('button') ? [control] : control.querySelectorAll('button, input, select, textarea');
    for (const part of parts) part.disabled = !isThere || (what === 'mute' && Boolean(look.by_line));
  }
  // A button that goes away under the finger of a keyboard gives its focus to one that stays.
  if (focus?.hidden && focus.matches('button')) by('first').querySelector('button:not([hidden])')?.focus();
  const mute = document.querySelector('button[data-do=mute]');
  text(mute, look.is_muted ? (look.by_line ? 'Muted by switch' : 'Unmute') : 'Mute');
  if (document.activeElement !== by('volume') && look.volume !== undefined) showVolume(look.volume);
  by('only-look').hidden = !device || may.size > 0;
}

function showVolume(percent) {
  by('volume').value = percent;
  by('volume').setAttribute('aria-valuetext', `${percent} percent`);
  text(by('volume-text'), `${percent} %`);
}

function showLevels({ levels }) {
  for (const [id, db] of [['mic', levels.mic_db], ['speaker', levels.speaker_db]]) {
    const level = Math.round(Number(db ?? -90));
    const words = level <= -90 ? 'silent' : `${level} dB`;
    by(id).setAttribute('aria-valuenow', level);
    by(id).setAttribute('aria-valuetext', words);
    by(id).firstElementChild.style.transform = `scaleX(${share(db)})`;
    text(by(`${id}-text`), words);
  }
}

const whoSays = { user: () => 'You', model: () => state.device?.name ?? 'mynah', device: () => 'Device' };
const who = (caption) => (whoSays[caption.by] ?? whoSays.device)();

function showCaptions({ captions, voice }) {
  const box = by('captions');
  const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  list(box, captions, (caption) => caption.n, makeCaption, (item, caption) => {
    item.classList.toggle('growing', !caption.is_whole);
    item.lang = codeOf(voice?.language);
    text(item.children[1], caption.text);
  });
  box.hidden = captions.length === 0;
  by('no-captions').hidden = captions.length > 0;
  if (isAtEnd) box.scrollTop = box.scrollHeight;
  readOut(captions);
}

function makeCaption(caption) {
  const item = node('li', { className: `caption ${who(caption) === 'You' ? 'user' : 'model'}` },
    node('p', { className: 'dim' }, node('strong', { textContent: who(caption) }), node('time', { textContent: caption.at ?? '' })),
    node('p', { className: 'words', dir: 'auto' }));
  return item;
}

/** Hands a screen reader each caption once, when it is whole. */
function readOut(captions) {
  const whole = captions.filter((caption) => caption.is_whole);
  const last = whole.reduce((most, caption) => Math.max(most, caption.n), -1);
  if (saidUpTo !== null) {
    const fresh = whole.filter((caption) => caption.n > saidUpTo);
    if (fresh.length) text(by('said'), fresh.map((caption) => `${who(caption)}: ${caption.text}`).join(' '));
  }
  if (captions.length === 0) text(by('said'), '');
  saidUpTo = captions.length === 0 && saidUpTo !== null ? saidUpTo : Math.max(last, saidUpTo ?? -1);
}

function showStills({ stills }) {
  const newest = [...stills].sort((a, b) => b.id - a.id);
  const why = (still) => ({ looked: 'The model asked to look', shown: 'You showed it' }[still.why] ?? 'Taken while you spoke');
  list(by('stills'), newest, (still) => still.id, (still) => {
    const picture = node('img', { src: stillAddress(still), alt: `Picture that was sent at ${still.at}: ${why(still)}`, width: still.width, height: still.height, loading: 'lazy' });
    picture.addEventListener('error', () => picture.replaceWith(node('p', { className: 'gone', textContent: 'This picture is no longer kept.' })));
    return node('li', {}, node('figure', {}, picture, node('figcaption', { className: 'dim' }, node('p'), node('p'))));
  }, (item, still) => {
    const [words, facts] = item.querySelector('figcaption').children;
    text(words, `${why(still)} · ${still.at}`);
    text(facts, `${still.width} × ${still.height} · ${Math.round(still.bytes / 1000)} kB · ${still.age_ms} ms old when sent`);
  });
  by('no-stills').hidden = stills.length > 0;
}

function value(given) {
  if (given === null || given === undefined || JSON.stringify(given) === '{}') return '';
  const words = typeof given === 'string' ? given : JSON.stringify(given, null, 1).replace(/\n\s*/g, ' ');
  return words.length > VALUE_MAX ? `${words.slice(0, VALUE_MAX)}…` : words;
}

const CALLS = { running: [SHAPES.running, 'running'], done: [SHAPES.ok, 'done'], failed: [SHAPES.bad, 'failed'], cancelled: [SHAPES.stop, 'cancelled'] };

function showCalls({ calls }) {
  list(by('calls'), [...calls].reverse(), (call) => call.id, (call) => {
    const item = node('li', {},
      node('p', { className: 'call' }, node('span', { className: 'mark' }), node('strong', { textContent: call.name }), node('span', { className: 'dim' })),
      node('p', { className: 'code' }), node('p', { className: 'code result' }));
    return item;
  }, (item, call) => {
    const [path, word] = CALLS[call.state] ?? CALLS.failed;
    const [head, args, result] = item.children;
    if (item.dataset.state !== call.state) {
      item.dataset.state = call.state;
      head.firstElementChild.replaceChildren(icon(path));
    }
    const took = call.state === 'running' || call.took_ms == null ? '' : `${call.took_ms} ms`;
    text(head.lastElementChild, [word, took, call.by && call.by !== 'model' && `by ${call.by}`, call.at].filter(Boolean).join(' · '));
    text(args, value(call.args));
    text(result, value(call.result));
  });
  by('no-calls').hidden = calls.length > 0;
}

const dollars = (usd) => `$${Number(usd ?? 0).toFixed(usd > 0 && usd < 0.1 ? 4 : 2)}`;

function showCost({ cost }) {
  const limit = cost.day_limit_usd;
  text(by('day'), dollars(cost.day_usd));
  text(by('day-limit'), limit == null ? 'no limit is set' : `of ${dollars(limit)}${cost.is_spent ? ' – used up' : ''}`);
  by('cost').hidden = limit == null;
  if (limit != null) {
    const percent = cost.is_spent ? 100 : Math.min(100, Math.round((100 * cost.day_usd) / limit));
    by('cost').setAttribute('aria-valuenow', percent);
    by('cost').setAttribute('aria-valuetext', `${percent} percent of today's limit`);
    by('cost').firstElementChild.style.transform = `scaleX(${percent / 100})`;
    by('cost').classList.toggle('full', Boolean(cost.is_spent));
  }
  text(by('cost-more'), `This session ${dollars(cost.session_usd)} · ${Number(cost.day_tokens ?? 0).toLocaleString('en')} tokens today`);
}

function showGate({ gate }) {
  const facts = [
    ['Microphone to the service', gate.is_open ? `open${gate.cause ? `, by ${gate.cause}` : ''}` : 'closed'],
    ['While it speaks', { full: 'it listens', half: 'it does not listen' }[gate.duplex] ?? 'not known yet'],
    ['Own echo taken away', gate.erle_db == null ? 'not measured yet' : `${Number(gate.erle_db).toFixed(0)} dB`],
    ['Last reply came after', gate.last_reply_ms == null ? '–' : `${gate.last_reply_ms} ms`],
  ];
  list(by('gate'), facts, ([name]) => name, ([name]) => node('div', {}, node('dt', { textContent: name }), node('dd')), (item, [, fact]) => text(item.lastElementChild, fact));
}

function showParts({ parts }) {
  list(by('parts'), parts, (part) => part.part, (part) => node('li', {}, node('span', { className: 'mark' }), node('div', {}, node('strong', { textContent: part.part }), node('p', { className: 'dim' }))),
    (item, part) => {
      item.className = part.is_ok ? 'good' : 'bad';
      if (item.dataset.ok !== String(part.is_ok)) item.firstElementChild.replaceChildren(icon(part.is_ok ? SHAPES.ok : SHAPES.bad));
      item.dataset.ok = part.is_ok;
      text(item.lastElementChild.lastElementChild, part.text || (part.is_ok ? 'works' : 'does not work'));
    });
}

function showHealth({ health }) {
  text(by('health'), health.is_ok ? 'All is well.' : 'Something needs a look:');
  by('health').className = health.is_ok ? 'good' : 'bad';
  list(by('health-texts'), health.texts ?? [], (words) => words, (words) => node('li', { className: 'bad', textContent: words }), () => {});
  text(by('viewers'), health.viewers === 1 ? 'This is the only page open.' : `${health.viewers} pages are open.`);
}

/** A language in its own words, and in English for whoever cannot read them. */
function languageName(name) {
  const code = codeOf(name);
  const own = code ? new Intl.DisplayNames([code], { type: 'language' }).of(code) : name;
  return own === name ? name : `${own} (${name})`;
}

/** What somebody has chosen here and not sent yet is left alone, whatever is chosen elsewhere. */
function options(select, values, wordsOf, chosen) {
  if (select.form.dataset.touched || select === document.activeElement) return;
  const all = chosen && !values.includes(chosen) ? [chosen, ...values] : values;
  const made = JSON.stringify(all);
  if (select.dataset.made !== made) select.replaceChildren(...['', ...all].map((one) => new Option(one ? wordsOf(one) : 'as configured', one)));
  select.dataset.made = made;
  select.value = chosen ?? '';
}

function showVoice({ voice }) {
  text(by('voice-now'), `Now: ${voice.voice || 'the service’s own voice'}, ${voice.language ? languageName(voice.language) : 'the language that is spoken to it'}`);
  options(by('voice'), voice.voices ?? [], (name) => name, voice.next_voice);
  options(by('language'), [...LANGUAGES.keys()], languageName, voice.next_language);
}

function showShown({ kiosk }) {
  const show = kiosk.show ?? {};
  by('shown').hidden = !(show.title || show.text || show.link || show.picture);
  text(by('shown-name'), show.title);
  text(by('shown-text'), show.text);
  const link = safeLink(show.link);
  const words = link ? [node('a', { href: link.href, target: '_blank', rel: 'noopener noreferrer', textContent: link.words })] : [show.link ?? ''];
  if (by('shown-link').dataset.link !== show.link) by('shown-link').replaceChildren(...words);
  by('shown-link').dataset.link = show.link ?? '';
}

const SHOWS = { device: [showDevice, showControls], look: [showLook], captions: [showCaptions], levels: [showLevels], gate: [showGate], stills: [showStills], calls: [showCalls], cost: [showCost], parts: [showParts], health: [showHealth], voice: [showVoice], kiosk: [showShown] };

function show(next, changed) {
  const wasThere = isThere;
  state = next;
  isThere = true;
  by('lost').hidden = true;
  for (const [member, shows] of Object.entries(SHOWS)) {
    if (changed.has(member) && state[member]) for (const one of shows) one(state);
  }
  if (!wasThere) showLook({ look: {}, ...state });
  // After a restart others are in force.
  if (!wasThere) text(by('settings-said'), '');
  if (!wasThere && by('settings').open) showSettings();
}

function lost(why) {
  isThere = false;
  text(by('lost'), why || 'No connection to the device. Trying again…');
  by('lost').hidden = false;
  showLevels({ levels: {} });
  showLook(state);
}

// ---- what the person wants

async function give(what, more, where) {
  by('complaint').hidden = true;
  const refusal = await order(what, more);
  if (refusal) {
    text(by('complaint'), refusal);
    by('complaint').hidden = false;
  }
  if (where) text(where, refusal ? '' : 'Done.');
  return refusal;
}

for (const button of document.querySelectorAll('button[data-do]')) {
  button.addEventListener('click', () => {
    const what = button.dataset.do;
    give(what, what === 'mute' ? { is_muted: !state.look?.is_muted } : {});
  });
}

by('volume').addEventListener('input', () => showVolume(by('volume').valueAsNumber));
by('volume').addEventListener('change', () => give('volume', { percent: by('volume').valueAsNumber }));

by('announce').addEventListener('submit', async (event) => {
  event.preventDefault();
  const words = by('words').value.trim();
  if (words && !(await give('announce', { text: words }, by('announced')))) by('words').value = '';
});

by('next').addEventListener('change', () => { by('next').dataset.touched = 'yes'; });

by('next').addEventListener('submit', (event) => {
  event.preventDefault();
  delete by('next').dataset.touched;
  give('next', { voice: by('voice').value, language: by('language').value }, by('chosen'));
});

by('leave').addEventListener('click', async () => {
  await fetch('/logout', { method: 'POST', headers: { 'X-Mynah': '1' }, redirect: 'manual' }).catch(() => {});
  location.assign('/login');
});

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`The device answered ${answer.status}.`);
  return answer;
}

by('settings').addEventListener('toggle', () => by('settings').open && showSettings());

async function record() {
  try {
    text(by('recorder-text'), await (await fetched('/api/recorder')).text());
  } catch (error) {
    text(by('recorder-text'), `The flight recorder could not be fetched. ${error.message}`);
  }
}
by('recorder').addEventListener('toggle', () => by('recorder').open && record());
by('recorder-again').addEventListener('click', record);

setInterval(() => isThere && showAge(), AGE_MS);
follow(show, lost);
