// What a person orders: every control and its request, refusals, what is not allowed, keyboard only.
import { assert, dress, until } from './drive.mjs';
import { audit } from './everybody.mjs';
import { LOOKS } from './script.mjs';
import { checks, complaints, cue, fetchState, filled, open, options, ordered, picture, rest, seen, shows } from './stage.mjs';

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

/** Somebody who chooses is not overruled by what another page chose meanwhile. */
export async function chosenHere() {
  await rest();
  const page = await open('/');
  const { voice } = await fetchState();
  await page.select('#language', 'German');
  await cue('/patch', { voice: { ...voice, voice: 'Charon', next_voice: 'Puck', next_language: 'French' } });
  await seen(page, 'Now: Charon');
  const told = await ordered(page, () => page.click('#next button'));
  assert(told.body.voice === '' && told.body.language === 'German', `sent ${JSON.stringify(told.body)}`);
  await cue('/patch', { voice: { ...voice, next_voice: 'Puck', next_language: 'French' } });
  await until(page, () => document.getElementById('voice').value === 'Puck' && document.getElementById('language').value === 'French');
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

/** Settings with the keyboard alone: chosen, refused, in force after a restart, given back; in any width, light and dark. */
export async function settings() {
  await rest();
  await cue('/settings');
  const page = await open('/', { width: 1280, height: 1800 });
  const focused = () => page.evaluate(() => document.activeElement.id);
  const tabTo = async (id) => {
    for (let i = 0; i < 80 && (await focused()) !== id; i++) await page.keyboard.press('Tab');
    assert((await focused()) === id, `the keyboard does not reach ${id}`);
  };
  await page.focus('#settings summary');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#set-listen-mode-field');
  assert((await page.$$eval('.change form', (all) => all.length)) === 3, 'only what may be changed has a field');
  assert(!(await page.$eval('#restart', (one) => one.checkVisibility())), 'a restart is offered for nothing');
  const named = await page.$eval('#set-listen-mode-field', (one) => one.labels[0].textContent);
  assert(/listen\.mode/.test(named), `the field is labelled "${named}"`);

  await page.$eval('#set-voice-field', (one) => { one.focus(); one.select(); });
  await page.keyboard.type('Puck');
  await tabTo('set-listen-mode-field');
  await page.keyboard.press('h');
  await tabTo('set-listen-mode-keep');
  const { body } = await ordered(page, () => page.keyboard.press('Enter'));
  assert(body.key === 'listen.mode' && body.value === 'hands_free', `sent ${JSON.stringify(body)}`);
  await seen(page, 'in force after a restart');
  await page.waitForSelector('#set-listen-mode-back');
  assert((await focused()) === 'set-listen-mode-keep', `the focus is at ${await focused()}`);
  assert((await page.$eval('#set-voice-field', (one) => one.value)) === 'Puck', 'what was typed elsewhere is lost');
  await seen(page, 'What was chosen is in force after a restart.');

  await cue('/refuse', { status: 400, error: '`listen.follow_up_s` is 99; it must be a whole number from 0 to 60 s' });
  await complaints.expecting(/400/, async () => {
    await page.$eval('#set-listen-follow_up_s-field', (one) => { one.focus(); one.select(); });
    await page.keyboard.type('99');
    const { body: refused } = await ordered(page, () => page.keyboard.press('Enter'));
    assert(refused.value === 99, `sent ${JSON.stringify(refused)}`);
    await page.waitForSelector('#set-listen-follow_up_s-why:not([hidden])');
  });
  assert((await page.$eval('#set-listen-follow_up_s-why', (one) => `${one.getAttribute('role')} ${one.textContent}`)).startsWith('alert `listen.follow_up_s` is 99'), 'the sentence is not told');
  assert((await page.$eval('#set-listen-follow_up_s-field', (one) => one.ariaInvalid)) === 'true' && (await focused()) === 'set-listen-follow_up_s-field', 'the field is not marked');

  for (const scheme of ['light', 'dark']) {
    await dress(page, { scheme });
    await audit(page, `settings, ${scheme}`);
    for (const width of [320, 800, 1920]) {
      await page.setViewport({ width, height: 1000 });
      const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
      assert(wide <= width, `settings are ${wide} wide at ${width}`);
      const small = await page.$$eval('#settings :is(button, input, select)', (all) => all.filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44).map((one) => one.id));
      assert(small.length === 0, `too small at ${width}: ${small}`);
      await page.$eval('#settings', (one) => one.scrollIntoView());
      await picture(page, `settings-${width}-${scheme}`);
    }
  }
  await page.setViewport({ width: 1280, height: 1800 });
  await complaints.expecting(/ERR_|Failed to load/, async () => {
    await page.focus('#restart');
    const { body: again } = await ordered(page, () => page.keyboard.press('Enter'));
    assert(again.do === 'restart', `sent ${JSON.stringify(again)}`);
    await seen(page, 'hands_free (chosen here)');
  });
  await until(page, () => document.getElementById('settings-due').hidden);
  await page.focus('#set-listen-mode-back');
  const { body: back } = await ordered(page, () => page.keyboard.press('Enter'));
  assert(back.value === null, `sent ${JSON.stringify(back)}`);
  await until(page, () => document.activeElement.id === 'set-listen-mode-field');
  await cue('/settings', { trouble: 'not in force of what was chosen at the page: `voice` is empty' });
  await page.click('#settings summary');
  await page.click('#settings summary');
  await seen(page, '`voice` is empty');
  await page.close();
  const kiosk = await open('/kiosk');
  assert((await kiosk.$$('#settings, .change, #restart')).length === 0, 'a visitor finds settings');
  await kiosk.close();
}
