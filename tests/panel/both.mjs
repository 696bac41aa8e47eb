// The pages against the stand-in: starts it, drives the browser, ends with the browser's exit code.
//
//   node both.mjs [arguments of browser.mjs]
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startMock } from './mock.mjs';

const { url, cue, close } = await startMock();
const browser = fileURLToPath(new URL('browser.mjs', import.meta.url));
const child = spawn(process.execPath, [browser, '--url', url, '--cue', cue, ...process.argv.slice(2)], { stdio: 'inherit' });
child.on('exit', (code) => {
  close();
  process.exitCode = code ?? 1;
});
