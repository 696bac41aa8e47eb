// What the stand-in device tells: its state at rest, and a conversation in patches.

export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'none'; base-uri 'none'; "
  + "form-action 'self'; frame-ancestors 'none'";

export const ORDERS = ['listen', 'stop', 'mute', 'volume', 'announce', 'repeat', 'reset', 'end', 'confirm', 'hush', 'next', 'settings'];

const look = (state, text, more = {}) => ({ state, text, is_muted: false, by_line: false, volume: 70, is_camera_running: false, is_ringing: false, recording: null, ...more });
const still = (id, why, at) => ({ id, why, width: 1280, height: 720, bytes: 51234 + id, age_ms: 80, at });

/** Every look, with a sentence as the device says it. */
export const LOOKS = {
  idle: look('idle', 'Press the button and talk.'),
  connecting: look('connecting', 'Connecting to the service.'),
  offline: look('offline', 'No network; trying again in 8 s.'),
  listening: look('listening', 'The microphone is open.'),
  thinking: look('thinking', 'What you said was taken.'),
  speaking: look('speaking', 'The reply is heard.'),
  muted: look('muted', 'Nothing is heard until it is unmuted.', { is_muted: true }),
  ringing: look('ringing', 'The timer "tea" is over.', { is_ringing: true }),
  trouble: look('trouble', 'The microphone was unplugged.'),
  spent: look('spent', "Today's limit of $5.00 is used up; it begins anew at 00:00."),
  asking: look('asking', 'It wants to open the wide gate. Say yes with the button.'),
};

/** The device at rest. */
export function atRest() {
  return {
    device: { name: 'Hall desk', version: '0.1.0', board: 'pi5-usb-speakerphone', model: 'gemini-3.8-live', up_s: 11520, view: { allow: [...ORDERS], is_login_needed: false } },
    look: LOOKS.idle,
    captions: [],
    levels: { mic_db: -90, speaker_db: -90 },
    gate: { is_open: false, cause: null, duplex: null, erle_db: null, last_reply_ms: null },
    stills: [],
    calls: [],
    cost: { session_usd: 0, day_usd: 0.12, day_limit_usd: 5, day_tokens: 41234, is_spent: false },
    parts: [
      { part: 'mic', is_ok: true, text: 'USB speakerphone' }, { part: 'speaker', is_ok: true, text: 'USB speakerphone' },
      { part: 'camera', is_ok: true, text: '1280 × 720, the camera’s own JPEG' }, { part: 'home', is_ok: false, text: 'Home Assistant does not answer at 10.0.0.5' },
    ],
    health: { is_ok: true, texts: [], viewers: 2 },
    voice: { voice: 'Kore', language: 'English', next_voice: '', next_language: '', voices: ['Aoede', 'Charon', 'Kore', 'Puck'] },
    kiosk: { is_on: true, is_idle: true, visit: 7, idle_text: 'Press the button and ask me the way.', show: { title: '', text: '', link: '', picture: '' } },
  };
}

const ASKED = 'What do you see, and where is lecture room four?';
const REPLY = 'I see a white cup and a notebook on the desk. Lecture room four is on the first floor: take the stairs on your left, then it is the second door.';

/** A conversation of one question and one answer, as patches in order: words come in pieces, levels move. */
export function conversation() {
  const patches = [];
  const user = { n: 1, by: 'user', text: '', is_whole: false, at: '14:03:08' };
  const model = { n: 2, by: 'model', text: '', is_whole: false, at: '14:03:12' };
  const active = { ...atRest().kiosk, is_idle: false };
  const level = (step, from) => Math.round((from + 9 * Math.sin(step * 1.7)) * 10) / 10;
  patches.push({ kiosk: active, look: { ...LOOKS.listening, is_camera_running: true }, gate: { is_open: true, cause: 'button', duplex: 'full', erle_db: 21, last_reply_ms: null } });
  ASKED.split(' ').forEach((word, i, words) => {
    const text = words.slice(0, i + 1).join(' ');
    patches.push({ captions: [{ ...user, text, is_whole: i === words.length - 1 }], levels: { mic_db: level(i, -26), speaker_db: -90 } });
  });
  const asked = { ...user, text: ASKED, is_whole: true };
  patches.push({ stills: [still(3, 'looked', '14:03:10')] });
  const calls = [
    { id: 'c1', name: 'look', args: {}, by: 'model', state: 'done', result: { sent: true }, took_ms: 212, at: '14:03:10' },
    { id: 'c2', name: 'light_the_map', args: { on: true }, by: 'model', state: 'running', result: null, took_ms: null, at: '14:03:11' },
  ];
  patches.push({ look: LOOKS.thinking, levels: { mic_db: -90, speaker_db: -90 }, calls });
  patches.push({ calls: [calls[0], { ...calls[1], state: 'done', result: { lit: 'map', for_s: 60 }, took_ms: 42 }] });
  REPLY.split(' ').forEach((word, i, words) => {
    const text = words.slice(0, i + 1).join(' ');
    patches.push({ look: LOOKS.speaking, captions: [asked, { ...model, text, is_whole: i === words.length - 1 }], levels: { mic_db: level(i, -58), speaker_db: level(i, -18) } });
  });
  patches.push({
    levels: { mic_db: -90, speaker_db: -90 },
    look: LOOKS.idle,
    gate: { is_open: false, cause: null, duplex: 'full', erle_db: 23.4, last_reply_ms: 640 },
    cost: { session_usd: 0.0042, day_usd: 1.24, day_limit_usd: 5, day_tokens: 52817, is_spent: false },
  });
  return { patches, asked: ASKED, reply: REPLY };
}

/** What the model may show on the kiosk. */
export const SHOW = {
  title: 'Lecture room 4', text: 'First floor, second door on the left. Open until 18:00 today.', link: 'https://hall.example/rooms/4', picture: '/api/stills/3.jpg',
};
