// The kiosk: it forgets, it shows nothing stale, its letters fit.
import { assert, settled, until } from './drive.mjs';
import { LOOKS, conversation, SHOW } from './script.mjs';
import { complaints, cue, fetchState, full, open, picture, proxy, rest, seen, shows } from './stage.mjs';

/** A visitor leaves: the patch may bring the empty lists itself, or tell nothing but that the visit is another one. */
export async function kioskReset() {
  for (const isBare of [false, true]) {
    await rest();
    const page = await open('/kiosk');
    await cue('/play', { every_ms: 0 });
    const kiosk = { ...(await fetchState()).kiosk, show: { ...SHOW, title: 'Ward 12', text: 'Doctor Sumner' } };
    await cue('/patch', { kiosk });
    await seen(page, 'Doctor Sumner');
    await seen(page, conversation().reply);
    await page.waitForSelector('#sight img');
    const empty = isBare ? {} : { captions: [], stills: [], calls: [] };
    await cue('/patch', { kiosk: { ...kiosk, visit: kiosk.visit + 1, is_idle: true, show: { title: '', text: '', link: '', picture: '' } }, ...empty });
    await seen(page, kiosk.idle_text);
    const html = await page.evaluate(() => document.documentElement.outerHTML);
    for (const trace of ['Sumner', 'Ward', 'lecture', 'Lecture', 'cup', 'What do you see', '/api/stills/', 'hall.example']) assert(!html.includes(trace), `"${trace}" of the last visitor is still in the page`);
    await page.close();
  }
}

export async function kioskLost() {
  await rest();
  const page = await open('/kiosk');
  await cue('/play', { every_ms: 0 });
  await seen(page, conversation().reply);
  await complaints.expecting(/ERR_|Failed to load/, async () => {
    proxy.cut();
    await shows(page, 'lost');
    const html = await page.evaluate(() => document.documentElement.outerHTML);
    assert(!html.includes('lecture') && !html.includes('/api/stills/'), 'the conversation stays on the screen of a device that is away');
    proxy.mend();
    await settled(page);
  });
  await page.close();
}

/** Answers of any length fit the kiosk's screen, in letters that can be read from a step away. */
export async function kioskLetters() {
  await full();
  const page = await open('/kiosk', { width: 800, height: 480 });
  const told = [];
  for (const count of [1, 3, 6, 10]) {
    const text = 'Lecture room four is on the first floor, up the stairs. '.repeat(count).trim();
    await cue('/patch', { captions: [{ n: 1, by: 'user', text: 'Where is it?', is_whole: true, at: '' }, { n: 2 + count, by: 'model', text, is_whole: true, at: '' }] });
    await until(page, (wanted) => document.querySelector('#lines .model')?.textContent === wanted, text);
    const [fits, size] = await page.evaluate(() => [document.getElementById('lines').offsetHeight <= document.getElementById('talk').clientHeight, parseFloat(getComputedStyle(document.getElementById('talk')).fontSize)]);
    assert(fits, `${text.length} characters do not fit 800×480`);
    assert(size >= 16, `${text.length} characters are shown in letters of ${size} px`);
    told.push(`${text.length} characters at ${size.toFixed(0)} px`);
  }
  for (const count of [1, 3, 5, 9, 18]) {
    const text = 'First floor, second door on the left, beside the lift. '.repeat(count).trim();
    await cue('/patch', { kiosk: { ...(await fetchState()).kiosk, show: { ...SHOW, text, link: `${SHOW.link}/${'way/'.repeat(count * 10)}` } } });
    await seen(page, text);
    if (count === 9) await picture(page, 'kiosk-show-long');
    if (count === 18) await picture(page, 'kiosk-show-longest');
    const [is, room, size] = await page.$eval('#show', (box) => [box.scrollHeight, box.clientHeight, parseFloat(getComputedStyle(box.querySelector('p')).fontSize)]);
    assert(is <= room, `what is shown, with ${text.length} characters, is ${is} px high in ${room}`);
    assert(size >= 13, `what is shown, with ${text.length} characters, has letters of ${size} px`);
    told.push(`shown: ${text.length} at ${size.toFixed(0)} px`);
  }
  await page.close();
  return told.join(', ');
}

/** A visitor chose a language by voice: the words on the screen are in it, and a screen reader is told so. */
export async function kioskLanguage() {
  await rest();
  const page = await open('/kiosk', { width: 800, height: 480 });
  const { voice } = await fetchState();
  for (const [chosen, code, words] of [['German', 'de', 'Ich höre zu'], ['Italian', 'it', 'Ti ascolto'], ['Swahili', 'en', 'Listening'], ['', 'en', 'Listening']]) {
    await cue('/patch', { look: LOOKS.listening, voice: { ...voice, next_language: chosen } });
    await until(page, (wanted) => document.getElementById('state-word').textContent === wanted, words);
    const lang = await page.evaluate(() => document.documentElement.lang);
    assert(lang === code, `the page says that it is in "${lang}"`);
    if (code === 'de') await picture(page, 'kiosk-german');
  }
  await page.close();
}
