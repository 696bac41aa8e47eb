// What a person orders: every control and its request, refusals, what is not allowed, keyboard only.
import { assert, until } from './drive.mjs';
import { LOOKS } from './script.mjs';
import { checks, complaints, cue, fetchState, filled, open, options, ordered, rest, seen, shows } from './stage.mjs';

const click = (selector) => (page) => page.click(selector);

/** A device is left as loud as it was. */
async function volumeBack(page, { percent }) {
  assert(percent === (await page.$eval('#volume', (one) => one.valueAsNumber)), `${percent} percent is not what the page shows`);
  const { body } = await ordered(page, () => page.keyboard.press('ArrowRight'));
  assert(body.percent === percent + 5, `an arrow to the right turns ${percent} to ${body.percent} percent`);
}

/** A device is left with the voice and the language that were configured. */
async function voiceBack(page) {
  await page.select('#voice', '');
  await page.select('#language', '');
  const { body } = await ordered(page, () => page.click('#next button'));
  assert(body.voice === '' && body.language === '', `sent ${JSON.stringify(body)}`);
}

/** Order, what a person does, what is sent with it, what is looked at afterwards, the look in which it is there. */
const CONTROLS = [
  ['listen', click('button[data-do=listen]'), {}],
  ['stop', click('button[data-do=stop]'), {}],
  ['mute', click('button[data-do=mute]'), { is_muted: true }, (page) => until(page, () => document.querySelector('[data-do=mute]').textContent === 'Unmute')],
  ['mute', click('button[data-do=mute]'), { is_muted: false }, (page) => until(page, () => document.querySelector('[data-do=mute]').textContent === 'Mute')],
  ['volume', async (page) => { await page.focus('#volume'); await page.keyboard.press('ArrowLeft'); }, {}, volumeBack],
  ['announce', async (page) => { await page.type('#words', 'Dinner is ready'); await page.click('#announce button'); }, { text: 'Dinner is ready' }],
  ['repeat', click('button[data-do=repeat]'), {}],
  ['next', async (page) => { await page.select('#voice', await page.$eval('#voice', (voice) => voice.options[1]?.value ?? '')); await page.select('#language', 'German'); await page.click('#next button'); }, { language: 'German' }, voiceBack],
  ['confirm', click('button[data-do=confirm]'), {}, null, LOOKS.asking],
  ['hush', click('button[data-do=hush]'), {}, null, LOOKS.ringing],
  ['reset', click('button[data-do=reset]'), {}],
  ['end', click('button[data-do=end]'), {}],
];

export async function controls() {
  // Tall, so that nothing has to be scrolled between two clicks.
  const page = await open('/', { width: 1280, height: 1800 });
  const { device } = await page.evaluate(() => fetch('/api/state').then((answer) => answer.json()));
  for (const [what, press, more, after, look] of CONTROLS) {
    const name = `control ${what}${'is_muted' in more ? (more.is_muted ? ' on' : ' off') : ''}`;
    if (!device.view.allow.includes(what)) checks.skip(name, 'not allowed to this viewer');
    else if (look && !options.cue) checks.skip(name, 'needs the stand-in (--cue)');
    else {
      await checks.run(name, async () => {
        if (look) await cue('/patch', { look });
        if (look) await shows(page, look.state);
        const { body, status } = await ordered(page, press);
        for (const [key, value] of Object.entries({ do: what, ...more })) assert(body[key] === value, `sent ${JSON.stringify(body)}`);
        assert(options.cue ? status === 204 : status < 500, `the device answered ${status}`);
        await after?.(page, body);
        // Its button goes away, and what stands below it moves up: the next click waits for that.
        if (look) await page.waitForSelector(`button[data-do=${what}]`, { hidden: true });
        return JSON.stringify(body);
      });
    }
  }
  await page.close();
}

export async function refused() {
  await rest();
  const page = await open('/');
  await cue('/refuse', { status: 409, error: 'It is muted by the switch on its side.' });
  await complaints.expecting(/409/, async () => {
    await page.click('button[data-do=listen]');
    await page.waitForSelector('#complaint:not([hidden])');
  });
  assert((await page.$eval('#complaint', (one) => one.textContent)) === 'It is muted by the switch on its side.', 'the sentence is not shown');
  await page.click('button[data-do=stop]');
  await page.waitForSelector('#complaint', { hidden: true });
  await page.close();
}

export async function notAllowed() {
  const device = (await fetchState()).device;
  await rest();
  await cue('/patch', { device: { ...device, view: { allow: ['stop'], is_login_needed: false } } });
  const page = await open('/');
  const there = await page.$$eval('[data-do]', (all) => all.filter((one) => one.checkVisibility()).map((one) => one.dataset.do));
  assert(String(there) === 'stop', `visible: ${there}`);
  await cue('/patch', { device: { ...device, view: { allow: [], is_login_needed: false } } });
  await seen(page, 'This page may look, but not touch.');
  await page.close();
}

export async function byLine() {
  await rest();
  const page = await open('/');
  await cue('/patch', { look: { ...LOOKS.muted, by_line: true } });
  await until(page, () => document.querySelector('[data-do=mute]').disabled);
  assert(/switch/.test(await page.$eval('[data-do=mute]', (one) => one.textContent)), 'it does not say who muted it');
  await page.close();
}

export async function keyboard(path) {
  await filled();
  const page = await open(path);
  const wanted = await page.$$eval('a[href], button, input, select, textarea, summary', (all) => all.filter((one) => one.checkVisibility() && !one.disabled).map((one) => one.id || one.dataset.do || one.textContent.trim()));
  const reached = [];
  for (let i = 0; i < wanted.length + 12; i++) {
    await page.keyboard.press('Tab');
    const [name, isMarked] = await page.evaluate(() => {
      const one = document.activeElement;
      const style = getComputedStyle(one);
      return [one === document.body ? '' : one.id || one.dataset.do || one.textContent.trim(), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
    });
    if (name) assert(isMarked, `one does not see that ${name} has the focus`);
    if (name) reached.push(name);
  }
  const missed = wanted.filter((name) => !reached.includes(name));
  assert(missed.length === 0, `the keyboard does not reach ${missed}`);
  const keyed = async (name, ...keys) => {
    for (let i = 0; i < 60 && (await page.evaluate(() => document.activeElement.id || document.activeElement.dataset.do)) !== name; i++) await page.keyboard.press('Tab');
    return ordered(page, async () => { for (const key of keys) await page.keyboard.press(key); });
  };
  if (wanted.includes('listen')) assert((await keyed('listen', 'Enter')).body.do === 'listen', 'Enter does not talk');
  // On the kiosk it can be used once there is something to stop.
  if (wanted.includes('stop')) await until(page, () => document.querySelector('[data-do=stop]').getAttribute('aria-disabled') !== 'true');
  if (wanted.includes('stop')) assert((await keyed('stop', 'Space')).body.do === 'stop', 'Space does not stop');
  if (wanted.includes('volume')) assert((await keyed('volume', 'ArrowLeft')).body.do === 'volume', 'an arrow does not turn the volume');
  if (wanted.includes('volume')) await ordered(page, () => page.keyboard.press('ArrowRight'));
  if (wanted.includes('words')) assert((await keyed('words', 'H', 'i', 'Tab', 'Enter')).body.text === 'Hi', 'nothing was announced');
  await page.close();
  return `${wanted.length} places`;
}
