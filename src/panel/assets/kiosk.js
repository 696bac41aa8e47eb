// The kiosk view: large words, what it sees, what it shows; and nothing of the last visitor for the next one.
import { wordsOf } from './words.js';
import { by, codeOf, follow, icon, lookOf, list, node, order, safeLink, safePicture, share, SHAPES, showRecording, stillAddress, text } from './common.js';

/** Sizes of letters, largest first, as classes of the style sheet: words take the largest at which they fit. */
const SIZES = ['xl', 'l', 'm', 's', 'xs'];
/** How long a refusal stays (ms): long enough to read a sentence twice. */
const COMPLAINT_MS = 8000;

/** States in which pressing the button would lead nowhere: their sentence stands in the invitation's place. */
const UNABLE = new Set(['offline', 'trouble', 'spent', 'muted']);

/** The language of this visit: as it was chosen just now, or as the conversation goes on. */
const language = () => codeOf(state.voice?.next_language || state.voice?.language);

let isThere = false;
let state = {};
let visit;
/** Number of the last caption that was read out to a screen reader. */
let saidUpTo = -1;
let complaintTimer;

/** Takes everything a visitor said, saw or was shown out of the page: not hidden, but gone. */
function wipe() {
  for (const id of ['lines', 'show', 'sight', 'said']) by(id).replaceChildren();
  by('show').hidden = true;
  by('sight').hidden = true;
  delete by('sight').dataset.id;
  document.body.classList.remove('has-show', 'has-sight');
  delete document.body.dataset.room;
  delete by('show').dataset.made;
  complain('');
}

/** Those since the visitor's last words: one question, one answer. */
function exchange(captions) {
  const asked = captions.findLastIndex((caption) => caption.by === 'user');
  return captions.slice(asked < 0 ? -2 : asked).slice(-4);
}

function showLook() {
  const look = state.look ?? {};
  const { name, word: english, path } = lookOf(state, isThere);
  const words = wordsOf(language());
  const word = words?.[name] ?? english;
  document.documentElement.lang = words ? language() : 'en';
  text(by('controls').firstElementChild, words?.talk ?? 'Talk');
  text(by('controls').lastElementChild, words?.stop ?? 'Stop');
  if (document.body.dataset.look !== name || !by('state-icon').firstChild) {
    document.body.dataset.look = name;
    by('state-icon').replaceChildren(icon(path));
  }
  text(by('state-word'), word);
  document.title = word;
  const isSeen = isThere && look.is_camera_running;
  const seen = isSeen ? language() || 'en' : '';
  if (by('flags').dataset.seen !== seen) {
    by('flags').dataset.seen = seen;
    by('flags').replaceChildren(...(isSeen ? [icon(SHAPES.camera), words?.camera ?? 'Camera is on'] : []));
  }
  showRecording(isThere && look.recording);
  const may = new Set(state.device?.view?.allow ?? []);
  for (const button of by('controls').children) button.hidden = !may.has(button.dataset.do);
  const stop = by('controls').lastElementChild;
  const isBusy = ['listening', 'thinking', 'speaking', 'ringing', 'asking'].includes(name);
  // Not `disabled`: the focus of a keyboard would be lost at every turn.
  stop.setAttribute('aria-disabled', String(!isThere || !isBusy));
  by('controls').firstElementChild.setAttribute('aria-disabled', String(!isThere));
}

function showWords() {
  const captions = exchange(state.captions ?? []);
  list(by('lines'), captions, (caption) => caption.n, (caption) => node('p', { className: caption.by === 'user' ? 'user' : 'model', dir: 'auto' }, node('span', { className: 'unseen', textContent: caption.by === 'user' ? 'You: ' : '' }), node('span')),
    (line, caption) => {
      line.lang = language();
      text(line.lastElementChild, caption.text);
    });
  fitTalk();
  const whole = (state.captions ?? []).filter((caption) => caption.is_whole && caption.by !== 'user' && caption.n > saidUpTo);
  if (whole.length) {
    text(by('said'), whole.map((caption) => caption.text).join(' '));
    saidUpTo = whole.at(-1).n;
  }
}

/** Gives a box the largest letters at which its words fit; where none do, it keeps the smallest. */
function fit(box, isFitting, sizes = SIZES) {
  for (const size of sizes) {
    box.dataset.size = size;
    if (isFitting()) return;
  }
}

/** The conversation hangs from its end, so that the newest words are seen whatever happens. */
const fitTalk = () => fit(by('talk'), () => by('lines').offsetHeight <= by('talk').clientHeight);

/** What is shown stands beside the conversation; what is long gets the whole screen; what is longer, without its picture. */
function fitShow() {
  const box = by('show');
  const isFitting = () => box.scrollHeight <= box.clientHeight;
  for (const [room, sizes] of [['beside', SIZES.slice(0, -1)], ['whole', SIZES], ['words', SIZES]]) {
    document.body.dataset.room = room;
    fit(box, isFitting, sizes);
    if (isFitting()) return;
  }
}

/** The newest picture that was sent, so that a visitor knows what was seen. */
function showSight() {
  const still = (state.stills ?? []).reduce((most, one) => (one.id > (most?.id ?? -1) ? one : most), null);
  const sight = by('sight');
  by('sight').hidden = !still;
  document.body.classList.toggle('has-sight', Boolean(still));
  if (!still) return sight.replaceChildren();
  if (sight.dataset.id === String(still.id) && sight.firstChild) return;
  sight.dataset.id = still.id;
  const picture = node('img', { src: stillAddress(still), alt: 'What the device saw' });
  picture.addEventListener('error', () => picture.remove());
  sight.replaceChildren(picture, node('figcaption', { textContent: wordsOf(language())?.saw ?? 'What I saw' }));
}

/** What the model shows: a title, words, a link to read (a kiosk leads nowhere), a picture. */
function showShow() {
  const show = state.kiosk?.show ?? {};
  const box = by('show');
  const made = JSON.stringify(show);
  const isShown = Boolean(show.title || show.text || show.link || show.picture);
  document.body.classList.toggle('has-show', isShown);
  box.hidden = !isShown;
  if (box.dataset.made === made) return;
  box.dataset.made = made;
  if (!isShown) {
    delete document.body.dataset.room;
    return box.replaceChildren();
  }
  const parts = [];
  const address = safePicture(show.picture);
  if (address) {
    const picture = node('img', { alt: show.title || 'Picture', referrerPolicy: 'no-referrer', src: address });
    picture.addEventListener('error', () => picture.remove());
    parts.push(picture);
  }
  const words = node('div', {});
  if (show.title) words.append(node('h2', { textContent: show.title, dir: 'auto' }));
  if (show.text) words.append(node('p', { textContent: show.text, dir: 'auto' }));
  const link = safeLink(show.link);
  if (link) words.append(node('p', { className: 'link', textContent: link.words }));
  box.replaceChildren(...parts, words);
  fitShow();
}

function showIdle() {
  const isIdle = !isThere || state.kiosk?.is_idle !== false;
  document.body.classList.toggle('idle', isIdle);
  const { state: name, text: why } = state.look ?? {};
  // An invitation that would not be answered is none.
  const words = UNABLE.has(name) ? why : state.kiosk?.idle_text;
  text(by('idle-text'), isThere ? words : 'The device cannot be reached. This screen comes back by itself.');
}

function showLevels() {
  const levels = state.levels ?? {};
  const db = state.look?.state === 'speaking' ? levels.speaker_db : levels.mic_db;
  by('state-icon').style.setProperty('--level', isThere ? share(db).toFixed(2) : '0');
}

function complain(words) {
  clearTimeout(complaintTimer);
  text(by('complaint'), words);
  by('complaint').hidden = !words;
  if (words) complaintTimer = setTimeout(() => complain(''), COMPLAINT_MS);
}

function show(next, changed) {
  const isFirst = !isThere;
  isThere = true;
  state = next;
  if (state.kiosk && state.kiosk.visit !== visit) {
    if (visit !== undefined) wipe();
    // Another visitor: what this patch did not bring anew belongs to the last one.
    if (visit !== undefined && !changed.has('device')) {
      for (const member of ['captions', 'stills', 'calls']) if (!changed.has(member)) next[member] = [];
    }
    visit = state.kiosk.visit;
    saidUpTo = (state.captions ?? []).filter((caption) => caption.is_whole).reduce((most, caption) => Math.max(most, caption.n), -1);
    changed = new Set(Object.keys(state));
  }
  if (isFirst) changed = new Set(Object.keys(state));
  const has = (...members) => members.some((member) => changed.has(member));
  if (has('device')) text(by('name'), state.device?.name);
  if (has('look', 'device', 'voice')) showLook();
  if (has('kiosk', 'look')) showIdle();
  if (has('kiosk')) showShow();
  if (has('stills')) showSight();
  if (has('captions', 'kiosk', 'stills', 'voice')) showWords();
  if (has('levels', 'look')) showLevels();
}

function lost() {
  isThere = false;
  state = {};
  // While the device is away nobody can tell whether the visitor left.
  wipe();
  showLook();
  showIdle();
  showLevels();
}

for (const button of by('controls').children) {
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    complain(await order(button.dataset.do));
  });
}
addEventListener('resize', () => {
  if (!by('show').hidden) fitShow();
  fitTalk();
});
// Nothing is picked up, dragged or called up from a kiosk's screen.
addEventListener('contextmenu', (event) => event.preventDefault());

showIdle();
follow(show, lost);
