// Settings: what is in force, and what of it may be chosen here for the time after a restart.
import { by, node, order, text } from './common.js';

const READ_ONLY = 'As they were read when the device started. They are changed in the agent file, not here; secrets are never shown.';
const CHANGEABLE = 'As they are in force since the device started. Some may be changed here, from the next start on; the agent file stays as its owner wrote it. Secrets are never shown.';

const nameOf = (one) => (one.section ? `${one.section}.${one.key}` : one.key);
const idOf = (one, part) => `set-${nameOf(one).replace('.', '-')}-${part}`;
const shown = (value) => (value === '' || value == null ? '–' : typeof value === 'string' ? value : JSON.stringify(value));

/** Fetches them and shows them anew; the focus stays where it was. */
export async function showSettings() {
  const focus = document.activeElement?.id;
  try {
    const answer = await fetch('/api/settings');
    if (!answer.ok) throw new Error(`The device answered ${answer.status}.`);
    fill(await answer.json());
  } catch (error) {
    text(by('settings-list'), `The settings could not be fetched. ${error.message}`);
  }
  // A button that is gone gives its focus to the field beside it.
  if (focus?.startsWith('set-')) (by(focus) ?? by(focus.replace(/-[a-z]+$/, '-field')))?.focus();
}

function fill({ settings, is_allowed: isAllowed, why_not: whyNot, is_restart_due: isDue, trouble }) {
  text(by('settings-about'), isAllowed ? (whyNot ? `${READ_ONLY} Why: ${whyNot}.` : CHANGEABLE) : READ_ONLY);
  text(by('settings-trouble'), trouble ?? '');
  by('settings-trouble').hidden = !trouble;
  by('settings-due').hidden = !isDue;
  const sections = new Map();
  for (const one of settings) sections.set(one.section, [...(sections.get(one.section) ?? []), one]);
  // What somebody has typed and not saved stays typed.
  const fields = () => [...document.querySelectorAll('.change :is(select, input)')];
  const typed = new Map(fields().filter((one) => one.value !== one.dataset.was).map((one) => [one.id, one.value]));
  by('settings-list').replaceChildren(...[...sections].map(([section, ones]) => node('section', {},
    node('h3', { textContent: section || 'general' }), node('dl', { className: 'settings' }, ...ones.map(entry)))));
  for (const one of fields()) {
    one.dataset.was = one.value;
    if (typed.has(one.id)) one.value = typed.get(one.id);
  }
}

function entry(one) {
  const value = shown(one.value) + (one.is_chosen ? ' (chosen here)' : '');
  const parts = [node('dt', { textContent: one.key }), node('dd', { className: 'code', textContent: value }), node('dd', { className: 'dim', id: idOf(one, 'doc'), textContent: one.doc ?? '' })];
  if (one.change) parts.push(node('dd', { className: 'change' }, form(one)));
  return node('div', {}, ...parts);
}

/** A field with what will be in force, a button that saves it, one that gives it back; the device's own checks judge it. */
function form(one) {
  const { chosen, owner } = one.change;
  const name = nameOf(one);
  const input = field(one);
  input.id = idOf(one, 'field');
  const why = node('p', { id: idOf(one, 'why'), className: 'complaint', hidden: true });
  why.setAttribute('role', 'alert');
  input.setAttribute('aria-describedby', `${idOf(one, 'doc')} ${why.id}`);
  const label = node('label', { htmlFor: input.id }, node('span', { className: 'unseen', textContent: `${name}, ` }), 'after a restart');
  const keep = node('button', { type: 'submit', id: idOf(one, 'keep'), textContent: 'Save' });
  keep.setAttribute('aria-label', `Save ${name}`);
  const made = node('form', { noValidate: true }, label, input, keep);
  if (chosen !== null) {
    const back = node('button', { type: 'button', id: idOf(one, 'back'), textContent: `Owner’s: ${shown(owner)}` });
    back.setAttribute('aria-label', `Owner’s: ${shown(owner)}, for ${name}`);
    back.addEventListener('click', () => choose(one, null, input, why));
    made.append(back);
  }
  made.append(why);
  made.addEventListener('submit', (event) => {
    event.preventDefault();
    const isNumber = Boolean(one.change.entry.whole) && input.value !== '';
    choose(one, isNumber ? Number(input.value) : input.value, input, why);
  });
  return made;
}

function field({ change: { entry: kind, chosen, owner } }) {
  const value = chosen ?? owner ?? '';
  if (kind.words) {
    const select = node('select', {}, ...kind.words.map((word) => new Option(word, word)));
    select.value = value;
    return select;
  }
  if (kind.whole) {
    const { min, max, step } = kind.whole;
    return node('input', { type: 'number', min, max, step, value, inputMode: 'numeric' });
  }
  return node('input', { type: 'text', maxLength: kind.text?.chars_max ?? 64, value, autocomplete: 'off' });
}

async function choose(one, value, input, why) {
  const refusal = await order('set', { key: nameOf(one), value });
  if (!refusal) {
    input.dataset.was = input.value;
    await showSettings();
    text(by('settings-said'), value === null ? `${nameOf(one)} is as the owner has it.` : `${nameOf(one)}: ${value}, in force after a restart.`);
    return;
  }
  text(by('settings-said'), '');
  text(why, refusal);
  why.hidden = false;
  input.setAttribute('aria-invalid', 'true');
  input.focus();
}

by('restart').addEventListener('click', async () => {
  by('restart').disabled = true;
  const refusal = await order('restart');
  text(by('settings-said'), refusal || 'Restarting. This page comes back by itself.');
  by('restart').disabled = false;
});
